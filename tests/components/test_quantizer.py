"""Quantizer: one raw-input file per mode, from the real transform graph; its numbers against the network's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.quantizer.settings import QuantizerSettings
from components.tflite import TfliteModel


@pytest.fixture(scope="module")
def convert(toy_trips):
    """(network, mode) -> the file's bytes."""
    import tensorflow_transform as tft

    from components.quantizer import quantization

    graph = tft.TFTransformOutput(toy_trips.transform_graph)
    inputs = {name: spec for name, spec in graph.raw_feature_spec().items() if name != "fare"}

    def to_file(network, mode):
        model = quantization.RawModel(graph.transform_features_layer(), network, inputs, "fare")
        return quantization.to_tflite(model, mode)

    return to_file


@pytest.fixture(scope="module")
def files(convert, toy_network):
    return {mode: convert(toy_network, mode) for mode in ("float32", "float16", "dynamic")}


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


def _dtypes(content: bytes, shape: tuple[int, ...]) -> set:
    """The types of a file's tensors of one shape."""
    import tensorflow as tf

    details = tf.lite.Interpreter(model_content=content).get_tensor_details()
    return {tensor["dtype"] for tensor in details if tuple(tensor["shape"]) == shape}


degrees = st.one_of(
    st.floats(-180, 180, width=32),
    st.floats(41.5, 42.25, width=32),
    st.floats(-88, -87.5, width=32),
    st.sampled_from([-87.95, -87.52, 41.64, 42.03, 0.0, np.nan, np.inf, -np.inf]),
)


@settings(max_examples=50, deadline=None)
@given(places=st.tuples(degrees, degrees, degrees, degrees), hour=st.integers(0, 23), weekday=st.integers(0, 6))
def test_the_file_computes_what_transform_and_network_do(files, graph_fares, places, hour, weekday):
    """Random places, the box's corners, far outside and missing values: no skew between training and device."""
    names = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
    columns = {name: np.array([[value]], np.float32) for name, value in zip(names, places, strict=True)}
    ints = {"passenger_count": 1, "pickup_hour": hour, "pickup_weekday": weekday}
    columns |= {name: np.array([[value]], np.int64) for name, value in ints.items()}
    device = TfliteModel(files["float32"]).predict(columns)
    assert np.isfinite(device).all()
    np.testing.assert_allclose(device, graph_fares(columns), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["float32", "float16", "dynamic"])
def test_modes_agree_with_the_network(files, graph_fares, toy_trips, mode):
    """float16 rounds to 11 bits and must not move a coordinate: fares of about 10 within a cent and a half."""
    columns = {name: values for name, values in toy_trips.columns["test"].items() if name != "fare"}
    model = TfliteModel(files[mode])
    tolerance = {"float32": 1e-3, "float16": 0.02, "dynamic": 0.1}[mode]
    assert np.abs(model.predict(columns) - graph_fares(columns)).mean() < tolerance
    assert model.is_builtin_only
    assert set(model.input_names) == set(columns)


def test_smaller_numbers_make_a_smaller_file(convert, make_network):
    network = make_network(embeddings={"pair_cell": 100})
    sizes = [len(convert(network, mode)) for mode in ("float32", "float16", "dynamic")]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.slow
def test_quantization_aware_training_keeps_the_fares(convert, toy_trips, toy_network):
    """Int8 inside, float outside: numbers and look-up are quantized and brought to one scale, the fare alone is
    dequantized; the source stays as it was."""
    from components import examples_io
    from components.pca_reducer import folding
    from components.pca_reducer.axes import Axes
    from components.quantizer import quantization

    identity = Axes("pca", np.zeros(16), np.ones(16), np.eye(16), np.eye(16), np.ones(16), 16.0)
    network = folding.fold(toy_network, "hidden_0", identity, "preactivation")
    before = network.get_weights()
    chosen = QuantizerSettings(mode="qat", epochs=2)
    aware = quantization.quantization_aware(network, toy_trips.batches("train"), toy_trips.batches("eval"), chosen)
    model = TfliteModel(convert(aware, "qat"))
    test = {name: values for name, values in toy_trips.columns["test"].items() if name != "fare"}
    fares = toy_trips.columns["test"]["fare"].reshape(-1)
    rmse = float(np.sqrt(np.mean((model.predict(test) - fares) ** 2)))
    assert rmse < 1.15 * examples_io.network_error(network, toy_trips.batches("test")).rmse
    transformed = next(iter(toy_trips.batches("test", 320)))[0]
    trained_for = aware({name: transformed[name] for name in aware.input_names}).numpy().reshape(-1)
    assert np.abs(model.predict(test) - trained_for).mean() < 0.02 * fares.std()  # int8 must not reach the geography
    ops = model.op_names()
    assert (ops["QUANTIZE"], ops["DEQUANTIZE"]) == (3, 1)
    assert _dtypes(model.content, (81, 6)) == _dtypes(model.content, (8, 16)) == {np.int8}  # a table, a kernel
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("airports", [(), ((-87.9, 41.98),)], ids=["no airport", "an airport"])
def test_geography_survives_float16(toy_trips, airports):
    """Degrees from the box's corner, in km: -87.95 alone rounded to float16 would be off by 2.6 km. What is rounded are
    factors, to 11 bits: 0.05 % each. A city may have no airport, and its empty tensor no place in a file."""
    import tensorflow as tf
    import tf_keras as keras

    from components.quantizer import quantization
    from modules import columns, features

    city = features.Geography(-87.95, -87.52, 41.64, 42.03, airports)
    numeric = keras.Input((16 + 2 * len(airports),), name="numeric")
    km = np.eye(1, numeric.shape[1], 5).T  # picks the haversine
    network = keras.Model(numeric, keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(km))(numeric))
    raw_spec = {name: toy_trips.raw_spec[name] for name in columns.MODEL_INPUTS}
    model = quantization.RawModel(lambda raw: {"numeric": features.numeric(raw, city)}, network, raw_spec, "fare")
    trips = toy_trips.columns["test"]
    exact = features.numeric({name: tf.constant(trips[name]) for name in raw_spec}, city).numpy()[:, 5]
    device = TfliteModel(quantization.to_tflite(model, "float16")).predict(trips)
    np.testing.assert_allclose(device, exact, rtol=2e-3, atol=1e-3)


def test_settings_name_the_value():
    with pytest.raises(ValueError, match="quantizer.mode=int3 must be one of float32, float16, dynamic, qat"):
        QuantizerSettings(mode="int3")
    with pytest.raises(ValueError, match="quantizer.epochs=0 must be at least 1"):
        QuantizerSettings(epochs=0)


def test_do_writes_both_files_and_the_trials(toy_network, run_node):
    from components.quantizer.component import QuantizerSpec
    from components.quantizer.executor import QuantizerExecutor

    inputs = (
        "pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,passenger_count,pickup_hour,pickup_weekday"
    )
    models = {"model": toy_network, "unreduced_model": toy_network}
    outputs = run_node(QuantizerExecutor, QuantizerSpec, models, {"mode": "dynamic"}, model_inputs=inputs)
    log = json.loads(Path(f"{outputs['trials'].uri}/trials.json").read_text())
    assert log["mode"] == "dynamic"
    assert [trial["mode"] for trial in log["trials"]] == ["dynamic", "unreduced"]
    for trial, key in zip(log["trials"], ("quantized_model", "reference_model"), strict=True):
        content = Path(f"{outputs[key].uri}/Format-Serving/tflite").read_bytes()
        assert (trial["bytes"], trial["ops"]) == (len(content), TfliteModel(content).op_names())
