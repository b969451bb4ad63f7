"""A city's own inputs as columns of the features: flags by hand, missing and foreign values, a real tft pass."""

from __future__ import annotations

import dataclasses
import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from farebox.modules import columns, extra, features, preprocessing, training
from farebox.modules.extra import ExtraInput

pytestmark = pytest.mark.usefixtures("few_trees")
CAR, RATE = ExtraInput("car", 2), ExtraInput("rate", 3, default=1.0)
TRAFFIC, SURGE = ExtraInput("traffic"), ExtraInput("surge", default=1.0)
EXTRAS = (TRAFFIC, CAR, SURGE, RATE)
LARGEST = 2**31 - 1


def flags(codes: list[list[int]], categories: list[ExtraInput]) -> list[list[float]]:
    return extra.category_flags(tf.constant(codes, tf.int64), categories).numpy().tolist()


def test_a_flag_for_each_value():
    assert flags([[0, 2], [1, 0]], [CAR, RATE]) == [[1, 0, 0, 0, 1], [0, 1, 1, 0, 0]]
    assert flags([[0]], [ExtraInput("one", 1)]) == [[1]]


def test_a_code_that_is_none_counts_as_the_default_or_the_first_value():
    for code in (-1, 3, 99, LARGEST, -LARGEST):
        assert flags([[code, code]], [CAR, RATE]) == [[1, 0, 0, 1, 0]]


@given(n_values=st.integers(1, 16), code=st.integers(-5, 20))
def test_exactly_one_flag_is_1(n_values, code):
    ((*row,),) = flags([[code]], [ExtraInput("x", n_values)])
    assert row == np.eye(n_values)[code if 0 <= code < n_values else 0].tolist()


def of_codes(**values: float) -> dict[str, tf.Tensor]:
    whole = {each.name for each in EXTRAS if each.is_category}
    return {name: tf.constant([[value]], tf.int64 if name in whole else tf.float32) for name, value in values.items()}


def test_categories_stand_before_numbers_and_come_back():
    inputs = of_codes(traffic=1200, car=1, surge=1.5, rate=2)
    row = np.concatenate(extra.columns_of(inputs, EXTRAS), axis=1)
    assert row.tolist() == [[0, 1, 0, 0, 1, 1200, 1.5]]
    assert extra.width(EXTRAS) == 7
    back = extra.inputs_of(row, EXTRAS)
    assert {name: values.item() for name, values in back.items()} == {
        "traffic": 1200,
        "car": 1,
        "surge": 1.5,
        "rate": 2,
    }
    assert {name: values.dtype.name for name, values in back.items()} == {
        name: values.numpy().dtype.name for name, values in inputs.items()
    }
    assert extra.columns_of({}, ()) == []


@pytest.mark.parametrize("n", [1, 10, 11, 100, 101])
def test_no_more_than_ten_are_joined_at_once(n):
    graph = tf.Graph()
    with graph.as_default():
        joined = extra.joined([tf.fill([2, 1], float(i)) for i in range(n)])
    assert joined.shape == (2, n)
    joins = [operator for operator in graph.get_operations() if operator.type == "ConcatV2"]
    assert all(len(operator.inputs) <= 11 for operator in joins)  # the axis is an input
    parts = extra.joined([tf.fill([1, 1], float(i)) for i in range(n)])
    assert parts.numpy()[0].tolist() == list(range(n))


@pytest.fixture(scope="module")
def own_trips(full_trips, tmp_path_factory, write_transformed):
    """The toy trips with numbers and categories of their own, transformed by a real tft pass.

    Traffic is 1000 to 3000, `still` always 7, rate never 2; fares cost 10 more in a van.
    """
    config = json.loads(json.dumps(full_trips.custom_config))
    config["geography"]["extras"] = [dataclasses.asdict(each) for each in (*EXTRAS, ExtraInput("still"))]
    data = {}
    for seed, (split, trips) in enumerate(full_trips.columns.items()):
        random, shape = np.random.default_rng(seed), trips["fare"].shape
        car = random.integers(0, 2, shape)
        data[split] = {
            **trips,
            "traffic": random.uniform(1000, 3000, shape).astype(np.float32),
            "surge": random.choice([1.0, 1.5, 3.0], shape).astype(np.float32),
            "still": np.full(shape, 7, np.float32),
            "car": car,
            "rate": random.integers(0, 2, shape),
            "fare": trips["fare"] + 10 * car.astype(np.float32),
        }
    folder = tmp_path_factory.mktemp("own_trips")
    write_transformed(folder, data, functools.partial(preprocessing.preprocessing_fn, custom_config=config))
    return dataclasses.replace(full_trips, folder=folder, columns=data, custom_config=config)


@pytest.fixture(scope="module")
def transform(own_trips):
    import tensorflow_transform as tft

    return tft.TFTransformOutput(own_trips.transform_graph).transform_features_layer()


def own_columns(transform, own_trips, **changes) -> np.ndarray:
    """The features of the city's own inputs of one trip of train: car 2, rate 3, traffic, surge, still."""
    row = {name: values[:1] for name, values in own_trips.columns["train"].items()}
    row |= {name: np.array([[value]], row[name].dtype) for name, value in changes.items()}
    return transform(row)[columns.NUMERIC].numpy()[0, -8:]


def test_numbers_are_standardized_by_train(own_trips):
    train = own_trips.columns["train"]
    written = next(iter(own_trips.batches("train", 640)))[0]
    traffic = (train["traffic"] - train["traffic"].mean()) / train["traffic"].std()
    np.testing.assert_allclose(written[columns.NUMERIC][:, -3], traffic[:, 0], atol=1e-4)
    np.testing.assert_array_equal(np.sign(written[columns.NUMERIC][:, -7]), 2 * train["car"][:, 0] - 1)
    raw = written[columns.RAW].numpy()
    np.testing.assert_array_equal(
        raw[:, -3:], np.concatenate([train[n] for n in ("traffic", "surge", "still")], axis=1)
    )
    np.testing.assert_array_equal(raw[:, -7], train["car"][:, 0])


def test_a_missing_number_is_the_default_or_the_mean(own_trips, transform):
    assert own_columns(transform, own_trips, traffic=np.nan)[-3] == 0
    expected = own_columns(transform, own_trips, surge=1.0)
    np.testing.assert_allclose(own_columns(transform, own_trips, surge=np.nan), expected, atol=1e-6)
    assert abs(expected[-2]) > 0.5


def test_a_number_stays_within_its_range_in_train(own_trips, transform):
    """1000 to 3000 are 1.7 standard deviations from the middle; ten thousand was never trained."""
    train = own_trips.columns["train"]["traffic"]
    for end, far in ((train.max(), (10_000, 3e38, np.inf)), (train.min(), (0, -3e38, -np.inf))):
        expected = own_columns(transform, own_trips, traffic=end)[-3]
        assert abs(expected) == pytest.approx(np.sqrt(3), abs=0.1)
        for value in far:
            assert own_columns(transform, own_trips, traffic=value)[-3] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, 3e38])
def test_what_never_varied_has_no_effect(own_trips, transform, value):
    assert own_columns(transform, own_trips, still=value)[-1] == 0
    assert own_columns(transform, own_trips, rate=2)[-4] == 0  # its flag never was 1 in train


def test_the_course_set_has_them_too(toy_trips):
    inputs = {name: tf.constant(values[:3]) for name, values in toy_trips.columns["train"].items()}
    geography = preprocessing.geography_of(toy_trips.custom_config)
    with_car = features.numeric(
        inputs | {"car": tf.constant([[0], [1], [0]])}, dataclasses.replace(geography, extras=(CAR,))
    )
    np.testing.assert_array_equal(with_car[:, :-2], features.numeric(inputs, geography))
    np.testing.assert_array_equal(with_car[:, -2:], [[1, 0], [0, 1], [1, 0]])


def test_real_trips_come_back_from_raw_columns(own_trips, transform):
    geography = preprocessing.geography_of(own_trips.custom_config)
    written = next(iter(own_trips.batches("train", 640)))[0]
    transformed = training.transform(written[columns.RAW].numpy(), transform, geography, [columns.NUMERIC])
    np.testing.assert_allclose(transformed[columns.NUMERIC], written[columns.NUMERIC], atol=1e-5)


def test_pseudo_trips_take_own_inputs_with_the_hour():
    """Numbers are 10 * row + column; columns 7 and 8 are the city's own."""
    raw = np.arange(10 * 200, dtype=np.float32).reshape(200, 10)[:, :9]
    row = training.pseudo_trips(raw, 2000, seed=1, n_extra=2) // 10
    for together in ([4], [5, 6, 7, 8]):
        assert (row[:, together] == row[:, together[:1]]).all()
    assert np.mean(row[:, 5] != row[:, 4]) == pytest.approx(0.5, abs=0.04)


def test_a_large_number_does_not_kill_the_network_of_raw_columns(own_trips, quick_keras):
    """Without its scaling the yardstick predicted 8.619 of New York's trips with traffic, as the mean did; a van costs
    10 more, which is 5 of RMSE."""
    import tf_keras as keras

    from farebox.components.networks import examples_io
    from farebox.modules import model
    from farebox.modules.settings import CrossSettings, TrainingSettings

    train, evaluation = (training.read_fares(own_trips.batches(split), 10_000, 0) for split in ("train", "eval"))
    task = training.Task(
        train,
        evaluation,
        "full",
        CrossSettings(),
        model.Architecture((8,), {}),
        TrainingSettings(epochs=20, batch_size=64),
        3,
    )
    networks, _, figures = training.fit_yardsticks(task)
    assert figures["raw_dnn"]["eval_rmse"] < 3.5
    assert isinstance(networks["raw_dnn"], keras.Model)
    error = examples_io.network_error(networks["raw_dnn"], own_trips.batches("eval")).rmse
    assert error == pytest.approx(figures["raw_dnn"]["eval_rmse"], rel=1e-3)
