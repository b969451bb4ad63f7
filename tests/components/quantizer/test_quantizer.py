"""Quantizer's files: one raw-input file per rung, from the real transform graph; its numbers against the network's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.tflite.arithmetic import has_integer_kernels
from farebox.components.tflite.interpreter import TfliteModel, schema

AFTER_TRAINING = [rung.name for rung in RUNGS.values() if rung.auto == "always"]


@pytest.fixture(scope="module")
def front(toy_trips):
    """The toy trips' transform graph."""
    import tensorflow_transform as tft

    from farebox.components.quantizer import conversion

    graph = tft.TFTransformOutput(toy_trips.transform_graph)
    columns = {name: spec.dtype for name, spec in graph.raw_feature_spec().items() if name != "fare"}
    return conversion.Front(graph.transform_features_layer(), columns)


@pytest.fixture(scope="module")
def source(front, toy_trips):
    """Network -> what every rung is converted from."""
    from farebox.components.networks import examples_io
    from farebox.components.quantizer import conversion

    rows = conversion.calibration_rows(examples_io.numpy_batches(toy_trips.batches("train")), 100)
    return lambda network: conversion.Source(network, front, rows, "fare")


@pytest.fixture(scope="module")
def files(source, toy_network):
    ready = source(toy_network)
    return {rung: ready.file(rung) for rung in AFTER_TRAINING}


@pytest.fixture(scope="module")
def graph_fares(toy_trips, toy_network):
    """Raw columns -> fares through Transform's graph and the Keras network."""
    import tensorflow as tf
    import tensorflow_transform as tft

    layer = tft.TFTransformOutput(toy_trips.transform_graph).transform_features_layer()

    def fares(columns):
        transformed = layer({name: tf.constant(values) for name, values in columns.items()})
        return toy_network({name: transformed[name] for name in toy_network.input_names}).numpy().reshape(-1)

    return fares


def raw_columns(toy_trips, split: str) -> dict[str, np.ndarray]:
    return {name: values for name, values in toy_trips.columns[split].items() if name != "fare"}


def opened(content: bytes):
    read = schema()
    return read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0)).subgraphs[0]


def types(content: bytes, shape: tuple[int, ...]) -> set[int]:
    """The types of a file's tensors of one shape."""
    graph = opened(content)
    return {tensor.type for tensor in graph.tensors if tensor.shape is not None and tuple(tensor.shape) == shape}


degrees = st.one_of(
    st.floats(-180, 180, width=32),
    st.floats(41.5, 42.25, width=32),
    st.floats(-88, -87.5, width=32),
    st.sampled_from([-87.95, -87.52, 41.64, 42.03, 0.0, np.nan, np.inf, -np.inf]),
)


@settings(max_examples=50, deadline=None)
@given(places=st.tuples(degrees, degrees, degrees, degrees), hour=st.integers(0, 23), weekday=st.integers(0, 6))
@example((-87.6, 41.9, -87.6, 41.9), 0, 0)  # from where the trip goes nowhere, a rounding error must not either
def test_the_file_computes_what_transform_and_network_do(files, graph_fares, places, hour, weekday):
    """Random places, the box's corners, far outside and missing values: no skew between training and device."""
    names = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
    columns = {name: np.array([[value]], np.float32) for name, value in zip(names, places, strict=True)}
    ints = {"passenger_count": 1, "pickup_hour": hour, "pickup_weekday": weekday}
    columns |= {name: np.array([[value]], np.int64) for name, value in ints.items()}
    device = TfliteModel(files["float32"]).predict(columns)
    assert np.isfinite(device).all()
    np.testing.assert_allclose(device, graph_fares(columns), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rung", AFTER_TRAINING)
def test_rungs_agree_with_the_network(files, graph_fares, toy_trips, rung):
    """Fares of about 10; coordinates stay float32 in all of them, else dollars would be lost."""
    columns = raw_columns(toy_trips, "test")
    model = TfliteModel(files[rung])
    tolerance = {"float32": 1e-3, "float16": 0.01, "int8_weights": 0.1, "dynamic": 0.01, "int8": 0.2, "int16x8": 0.1}
    tolerance |= {
        "int8_channels": 0.1,
        "int7_weights": 0.2,
        "int6_weights": 0.4,
        "int5_weights": 0.8,
        "int4_weights": 1.6,
    }  # twice a bit
    assert np.abs(model.predict(columns) - graph_fares(columns)).mean() < tolerance[rung]
    assert model.is_builtin_only
    assert set(model.input_names) == set(columns)


def test_tables_and_kernels_are_of_the_rungs_type(files):
    """A table of 81 x 6, a kernel of 16 x 8, and what float32 has of both."""
    kinds = schema().TensorType
    for rung, kind in (("float32", kinds.FLOAT32), ("float16", kinds.FLOAT16), ("int8_weights", kinds.INT8)):
        assert kind in types(files[rung], (81, 6)) and kind in types(files[rung], (8, 16)), rung
    assert types(files["int8"], (81, 6)) == types(files["int8"], (8, 16)) == {kinds.INT8}


def test_smaller_numbers_make_a_smaller_file(source, make_network):
    ready = source(make_network(embeddings={"pair_cell": 100}))
    sizes = [len(ready.file(rung)) for rung in ("float32", "float16", "int8_weights")]
    assert sizes[0] > sizes[1] > sizes[2]


def test_all_integer_takes_and_gives_int8_and_has_256_fares(front, toy_network, toy_trips):
    """The documented loss: a longitude of -88..0 in 256 levels. The door takes and gives real numbers all the same."""
    from farebox.components.networks import examples_io
    from farebox.components.quantizer import conversion

    raw = conversion.calibration_rows(examples_io.numpy_batches(toy_trips.batches("train", kind="raw")), 100)
    content = conversion.Source(toy_network, front, raw, "fare").file("int8_io")
    graph, kinds = opened(content), schema().TensorType
    assert {graph.tensors[i].type for i in graph.inputs} == {kinds.INT8, kinds.INT32}
    assert graph.tensors[graph.outputs[0]].type == kinds.INT8
    try:
        fares = TfliteModel(content).predict(raw_columns(toy_trips, "test"))
    except InputError as refused:  # the runtime of lane B divides by no int8 zero; lane A's does
        assert "DIV" in str(refused)
        return
    assert np.isfinite(fares).all() and 2 <= len(np.unique(fares)) <= 256


def test_the_door_speaks_real_numbers_to_an_int8_file(quick_keras):
    """y = 2 x + 3 on -1..1: steps of 2 / 255 in and 4 / 255 out, a NaN is 0, and what lies outside is held."""
    import tf_keras as keras

    from farebox.components.quantizer import conversion

    x = keras.Input((1,), name="x")
    line = keras.Model(x, keras.layers.Dense(1, name="y")(x))
    line.get_layer("y").set_weights([np.array([[2.0]]), np.array([3.0])])
    rows = [{"x": np.array([[value]], np.float32)} for value in np.linspace(-1, 1, 21)]
    model = TfliteModel(conversion.Source(line, None, rows, "y").file("int8_io"))
    given = np.array([-1, -0.5, 0, 0.25, 1, 9, np.nan], np.float32)
    np.testing.assert_allclose(model.predict({"x": given}), [1, 2, 3, 3.5, 5, 5, 3], atol=0.06)


@pytest.mark.parametrize("rung", [*AFTER_TRAINING, "int8_io"])
def test_a_non_negative_file_answers_0_where_its_network_answers_less(quick_keras, rung):
    """y = 2 x + 3 on -4..4, by the operators that the plain file has."""
    import tf_keras as keras

    from farebox.components.quantizer import conversion

    x = keras.Input((1,), name="x")
    line = keras.Model(x, keras.layers.Dense(1, name="y")(x))
    line.get_layer("y").set_weights([np.array([[2.0]]), np.array([3.0])])
    given = np.linspace(-4, 4, 33, dtype=np.float32)
    rows = [{"x": value.reshape(1, 1)} for value in given]
    plain, held = (
        TfliteModel(conversion.Source(line, None, rows, "y", non_negative=non_negative).file(rung))
        for non_negative in (False, True)
    )
    np.testing.assert_allclose(held.predict({"x": given}), np.maximum(2 * given + 3, 0), atol=0.1)
    assert held.predict({"x": given}).min() == 0 > plain.predict({"x": given}).min()
    assert held.op_names() == plain.op_names()


@pytest.mark.parametrize("airports", [(), ((-87.9, 41.98),)], ids=["no airport", "an airport"])
def test_geography_stays_float32(toy_trips, airports):
    """In float16 too: km to seven digits. A city may have no airport, and its empty tensor no place in a file."""
    import tensorflow as tf
    import tf_keras as keras

    from farebox.components.quantizer import conversion
    from farebox.modules import columns, features

    city = features.Geography(-87.95, -87.52, 41.64, 42.03, airports)
    numeric = keras.Input((16 + 2 * len(airports),), name="numeric")
    km = np.eye(1, numeric.shape[1], 5).T  # picks the haversine
    network = keras.Model(numeric, keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(km))(numeric))
    asked = {name: toy_trips.raw_spec[name].dtype for name in columns.MODEL_INPUTS}
    front = conversion.Front(lambda raw: {"numeric": features.numeric(raw, city)}, asked)
    trips = toy_trips.columns["test"]
    exact = features.numeric({name: tf.constant(trips[name]) for name in asked}, city).numpy()[:, 5]
    device = TfliteModel(conversion.Source(network, front, [], "fare").file("float16")).predict(trips)
    np.testing.assert_allclose(device, exact, rtol=1e-6, atol=1e-4)


def test_a_network_that_asks_for_more_than_is_given_is_refused(files):
    from farebox.components.tflite.join import join

    with pytest.raises(ValueError, match=r"second file: inputs=\['dropoff_latitude', .* must be outputs of .*'fare'"):
        join(files["float32"], files["float32"])


def test_int8_weights_by_hand(quick_keras):
    """Scale 2 / 127: a weight becomes its nearest multiple; a table of fewer than 48 numbers stays as it is."""
    import tf_keras as keras

    from farebox.components.quantizer import conversion

    x, ids = keras.Input((8,), name="x"), keras.Input((1,), dtype="int64", name="id")
    small = keras.layers.Flatten()(keras.layers.Embedding(3, 2, name="small")(ids))
    network = keras.Model([x, ids], keras.layers.Dense(7, name="y")(keras.layers.Concatenate()([x, small])))
    kernel = np.linspace(-2, 1.9, 70).reshape(10, 7).astype(np.float32)
    table = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
    network.get_layer("y").set_weights([kernel, np.zeros(7, np.float32)])
    network.get_layer("small").set_weights([table])
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    model = TfliteModel(conversion.Source(network, None, [], "y").file("int8_weights"))
    rounded = np.rint(kernel * 127 / 2) * 2 / 127
    numbers = np.array([[0], [1], [2], [1], [0]])
    expected = np.concatenate([rows, table[numbers[:, 0]]], axis=1) @ rounded
    np.testing.assert_allclose(model.predict({"x": rows, "id": numbers}), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_trained", [30, 127, 200, 255])
def test_look_ups_give_the_same(quick_keras, n_trained):
    """2,000 ids of which some were trained: one distinct row more. In files, too; int8 counts to 128, or to 256."""
    from farebox.components.quantizer import conversion
    from farebox.components.quantizer.tables import with_lookups

    network = embedding_of(2000, np.random.default_rng(0).normal(size=(n_trained, 8)))
    thin = with_lookups(network)
    every = np.arange(2000)[:, None]
    np.testing.assert_array_equal(thin(every), network(every))
    assert thin.get_layer("e").get_weights()[0].shape == (n_trained + 1, 8)
    assert network.get_layer("e").input_dim == 2000
    for rung in ("float32", "int8_weights"):
        plain, looked_up = (conversion.Source(each, None, [], "y").file(rung) for each in (network, thin))
        assert len(looked_up) < len(plain)
        np.testing.assert_array_equal(*(TfliteModel(each).predict({"id": every}) for each in (looked_up, plain)))


@pytest.mark.parametrize("n_trained", [40, 600])
def test_look_ups_in_pages_give_the_same_from_fewer_bytes(quick_keras, n_trained):
    """10,000 ids, trained at random in one place of ten. Two digits count 601 distinct rows. In tflite-micro, too."""
    from tflite_micro import runtime

    from farebox.components.quantizer import conversion
    from farebox.components.quantizer.tables import with_lookups

    random = np.random.default_rng(2)
    network = embedding_of(10_000, np.zeros((1, 8)))
    table = np.zeros((10_000, 8), np.float32)
    table[random.choice(1000, n_trained, replace=False) + 3500] = random.normal(size=(n_trained, 8))
    network.get_layer("e").set_weights([table])
    thin = with_lookups(network, has_pages=True)
    assert thin.get_layer("e").page_size > 1 and thin.get_layer("e").n_distinct == n_trained + 1
    every = np.arange(10_000)[:, None]
    np.testing.assert_array_equal(thin(every), network(every))
    plain, paged = (conversion.Source(each, None, [], "y").file("int8_weights") for each in (network, thin))
    assert len(paged) < 0.2 * len(plain)
    expected = TfliteModel(plain).predict({"id": every})
    np.testing.assert_array_equal(TfliteModel(paged).predict({"id": every}), expected)
    micro = runtime.Interpreter.from_bytes(paged)
    for place in (0, 3499, 3500, 4000, 4499, 4500, 9999):
        micro.set_input(np.array([[place]], np.int32), 0)
        micro.invoke()
        np.testing.assert_allclose(micro.get_output(0).reshape(-1), expected[place : place + 1], atol=1e-6)


def test_digits_by_hand():
    """Base 256, the lower digit from -128 to 127."""
    from farebox.components.quantizer.tables import digits_of

    assert [digit.tolist() for digit in digits_of(np.array([0, 127]))] == [[0, 127]]
    assert [digit.tolist() for digit in digits_of(np.array([0, 128, 384, 32_639]))] == [
        [0, 1, 2, 127],
        [0, -128, -128, 127],
    ]


@pytest.mark.parametrize(("n_ids", "n_trained"), [(1000, 1000), (2000, 256), (20, 3)])
def test_look_ups_that_do_not_pay_are_not_made(quick_keras, n_ids, n_trained):
    """No row twice; more rows than a look-up counts to; a table that is too small to gain."""
    from farebox.components.quantizer.tables import with_lookups

    assert with_lookups(embedding_of(n_ids, np.random.default_rng(1).normal(size=(n_trained, 8)))) is None


def test_tables_side_by_side_share_a_scale_and_a_dequantize(quick_keras):
    """Computed by hand: all tables are rounded to one step, which is the largest entry of the three tables over 127."""
    import tf_keras as keras

    from farebox.components.quantizer import conversion

    random = np.random.default_rng(5)
    numbers, ids = keras.Input((3,), name="x"), [keras.Input((1,), dtype="int64", name=f"id_{i}") for i in range(3)]
    layers = [keras.layers.Embedding(60, width, name=f"e_{width}") for width in (2, 3, 4)]
    rows = [keras.layers.Flatten()(layer(each)) for layer, each in zip(layers, ids, strict=True)]
    last = keras.layers.Dense(1, use_bias=False)
    network = keras.Model([numbers, *ids], last(keras.layers.Concatenate()([numbers, *rows])))
    tables = [
        random.normal(0, size, layer.get_weights()[0].shape) for size, layer in zip((1, 0.1, 3), layers, strict=True)
    ]
    for layer, table in zip(layers, tables, strict=True):
        layer.set_weights([table])
    model = TfliteModel(conversion.Source(network, None, [], "y").file("int8_weights"))
    assert not has_integer_kernels(model.content), "runtimes must agree on it as on a float32 file"
    scale = max(np.abs(table).max() for table in tables) / 127
    columns = {"x": random.normal(size=(20, 3)).astype(np.float32)}
    columns |= {f"id_{i}": random.integers(0, 60, (20, 1)) for i in range(3)}
    rounded = [np.rint(table / scale)[columns[f"id_{i}"][:, 0]] * scale for i, table in enumerate(tables)]
    expected = np.concatenate([columns["x"], *rounded], axis=1) @ last.get_weights()[0]
    np.testing.assert_allclose(model.predict(columns), expected[:, 0], rtol=1e-4, atol=1e-4)
    counts = model.op_names()
    assert (counts["GATHER"], counts["DEQUANTIZE"], counts["RESHAPE"]) == (3, 1, 1)


def embedding_of(n_ids: int, rows: np.ndarray):
    """A network from an id to one number; the first ids have the rows, the others share zeros."""
    import tf_keras as keras

    ids = keras.Input((1,), dtype="int64", name="id")
    vector = keras.layers.Flatten()(keras.layers.Embedding(n_ids, rows.shape[1], name="e")(ids))
    network = keras.Model(ids, keras.layers.Dense(1)(vector))
    table = np.zeros((n_ids, rows.shape[1]), np.float32)
    table[: len(rows)] = rows
    network.get_layer("e").set_weights([table])
    return network


def test_calibration_has_the_extremes():
    """Of labels 0 to 99 in batches of 10, for ten rows: 97, 98, 99, and 0, and the first that are left."""
    from farebox.components.quantizer.conversion import calibration_rows

    labels = np.random.default_rng(0).permutation(100).astype(float)
    batches = [({"x": labels[i : i + 10, None]}, labels[i : i + 10]) for i in range(0, 100, 10)]
    rows = calibration_rows(batches, 10)
    chosen_labels = [row["x"].item() for row in rows]
    assert {97, 98, 99, 0} < set(chosen_labels) and len(chosen_labels) == 10 and rows[0]["x"].shape == (1, 1)
    assert [label for label in labels if label in chosen_labels] == chosen_labels
    assert set(labels[:4]) <= set(chosen_labels)


def test_convolutions_are_trained_for_int8(quick_keras):
    """Every kernel is int8, and answers move little; the Conv1D is a Conv2D of images one line high."""
    import tf_keras as keras

    from farebox.components.networks.plain import plain_network
    from farebox.components.networks.rows import Rows
    from farebox.components.quantizer import conversion, qat

    keras.utils.set_random_seed(1)
    kinds, line = keras.layers, keras.Input((12, 2), name="x")
    x = kinds.Reshape((5, 2, 8))(kinds.Conv1D(8, 3, activation="relu", name="along")(line))
    x = kinds.ReLU()(kinds.BatchNormalization()(kinds.DepthwiseConv2D(2, name="deep")(x)))
    x = kinds.SeparableConv2D(8, (2, 1), activation="relu", name="apart")(x)
    network = keras.Model(line, kinds.Dense(1, name="y")(kinds.GlobalAveragePooling2D()(kinds.Conv2D(6, 1)(x))))
    values = np.random.default_rng(0).normal(size=(128, 12, 2)).astype(np.float32)
    rows = Rows({"x": values}, network(values).numpy(), 32)
    aware = qat.quantization_aware(plain_network(network), rows, rows, QuantizerSettings(epochs=2))
    content = conversion.Source(aware, None, [], "y").file("qat")
    for shape in ((8, 1, 3, 2), (1, 2, 2, 8), (1, 2, 1, 8), (8, 1, 1, 8), (6, 1, 1, 8), (1, 6)):
        assert types(content, shape) == {schema().TensorType.INT8}, shape
    error = np.sqrt(np.mean((TfliteModel(content).predict({"x": values}) - rows.labels[:, 0]) ** 2))
    assert error < 0.1 * rows.labels.std()


@pytest.mark.slow
@pytest.mark.parametrize("keeps_zeros", [False, True])
def test_quantization_aware_training_keeps_the_fares(source, toy_trips, toy_network, keeps_zeros):
    """Int8 inside, float outside; zeros stay zeros where they are to; the source stays as it was."""
    from farebox.components.networks import examples_io
    from farebox.components.quantizer import qat

    kernel, bias = toy_network.get_layer("hidden_1").get_weights()
    import tf_keras as keras

    network = keras.models.clone_model(toy_network)
    network.set_weights(toy_network.get_weights())
    network.get_layer("hidden_1").set_weights([np.where(np.abs(kernel) < np.median(np.abs(kernel)), 0, kernel), bias])
    before = network.get_weights()
    chosen = QuantizerSettings(epochs=2, learning_rate=1e-3)
    train, evaluation = toy_trips.batches("train"), toy_trips.batches("eval")
    aware = qat.quantization_aware(network, train, evaluation, chosen, keeps_zeros=keeps_zeros)
    model = TfliteModel(source(aware).file("qat"))
    fares = toy_trips.columns["test"]["fare"].reshape(-1)
    rmse = float(np.sqrt(np.mean((model.predict(raw_columns(toy_trips, "test")) - fares) ** 2)))
    assert rmse < 1.2 * examples_io.network_error(network, toy_trips.batches("test")).rmse
    assert types(model.content, (81, 6)) == types(model.content, (8, 16)) == {schema().TensorType.INT8}
    trained = aware.get_layer("quant_hidden_1").get_weights()
    (trained_kernel,) = (weight for weight in trained if weight.shape == (16, 8))
    still_zero = np.mean(trained_kernel[before[network.weights.index(network.get_layer("hidden_1").kernel)] == 0] == 0)
    assert (still_zero == 1) if keeps_zeros else (still_zero < 0.5)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_part_of_a_network_can_be_quantized(source, toy_trips, toy_network):
    from farebox.components.quantizer import qat

    train, evaluation = toy_trips.batches("train"), toy_trips.batches("eval")
    chosen = QuantizerSettings(epochs=1, qat_layers=["hidden_1"])
    aware = qat.quantization_aware(toy_network, train, evaluation, chosen)
    content = source(aware).file("qat")
    kinds = schema().TensorType
    assert types(content, (8, 16)) == {kinds.INT8} and types(content, (81, 6)) == {kinds.FLOAT32}
    with pytest.raises(ValueError, match=r"quantizer.qat_layers=\['hidden_9'\] must match a layer, got none of \["):
        qat.quantization_aware(toy_network, train, evaluation, QuantizerSettings(qat_layers=("hidden_9",)))


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"mode": "int3"}, "quantizer.mode=int3 must be one of auto, float32, float16, dynamic, int8_weights"),
        ({"epochs": 0}, "quantizer.epochs=0 must be at least 1"),
        ({"optimize_for": "fun"}, "quantizer.optimize_for=fun must be one of size, gzip, latency, balanced"),
        (
            {"max_rmse_increase": "a bit"},
            "quantizer.max_rmse_increase=a bit must be a number or a percentage such as 0.2%",
        ),
    ],
)
def test_settings_name_the_value(chosen, text):
    with pytest.raises(ValueError, match=text):
        QuantizerSettings(**chosen)


@pytest.mark.parametrize(("increase", "bound"), [("1%", 2.02), (0.05, 2.05), ("0.05", 2.05), ("-50%", 1.0), (0, 2.0)])
def test_a_budget_is_absolute_or_relative(increase, bound):
    assert QuantizerSettings(max_rmse_increase=increase).bound(2.0) == pytest.approx(bound)
