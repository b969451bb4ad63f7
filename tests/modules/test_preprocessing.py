"""What a real tft pass over train learned, seen through the transform graph that it wrote."""

from __future__ import annotations

import numpy as np
import pytest

from modules import columns, features, preprocessing

PASSENGERS = 15  # its place in `numeric`: constant in the toy trips


@pytest.fixture(scope="module")
def transform(toy_trips):
    import tensorflow_transform as tft

    return tft.TFTransformOutput(toy_trips.transform_graph).transform_features_layer()


def _unscaled(toy_trips, split: str) -> np.ndarray:
    """Features of a split straight from the feature code, float64."""
    import tensorflow as tf

    raw = {name: tf.constant(values) for name, values in toy_trips.columns[split].items()}
    return features.numeric(raw, preprocessing.geography_of(toy_trips.custom_config)).numpy().astype(np.float64)


def _transformed(toy_trips, split: str) -> dict[str, np.ndarray]:
    ((columns, _),) = toy_trips.batches(split, 640).as_numpy_iterator()
    return columns


def test_train_has_mean_0_and_variance_1_and_a_constant_column_0(toy_trips):
    numeric = _transformed(toy_trips, "train")[columns.NUMERIC].astype(np.float64)
    varying = np.delete(numeric, PASSENGERS, axis=1)
    assert np.abs(varying).max() < preprocessing.MAX_DEVIATION  # so that nothing was cut
    np.testing.assert_allclose(varying.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(varying.var(axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(numeric[:, PASSENGERS], 0)


def test_eval_is_scaled_by_trains_mean_and_deviation(toy_trips):
    train, evaluation = (np.delete(_unscaled(toy_trips, split), PASSENGERS, axis=1) for split in ("train", "eval"))
    expected = np.clip((evaluation - train.mean(axis=0)) / train.std(axis=0), -6, 6)
    made = np.delete(_transformed(toy_trips, "eval")[columns.NUMERIC], PASSENGERS, axis=1)
    np.testing.assert_allclose(made, expected, atol=2e-3)


def test_no_feature_exceeds_6_deviations(toy_trips, transform):
    """From one corner of the box to the other is 55 km; the toy trips are about 3 km long."""
    row = {name: values[:1] for name, values in toy_trips.columns["train"].items()}
    corners = dict(zip(columns.COORDINATES, (-87.95, 41.64, -87.52, 42.03), strict=True))
    row |= {name: np.array([[degrees]], np.float32) for name, degrees in corners.items()}
    assert transform(row)[columns.NUMERIC].numpy().max() == preprocessing.MAX_DEVIATION


def test_what_never_varied_in_train_stays_without_effect(toy_trips, transform):
    """A weight on a constant was never trained: four passengers may not meet it for the first time on a device."""
    row = {name: values[:1] for name, values in toy_trips.columns["train"].items()}
    numeric = transform(row | {columns.PASSENGER_COUNT: np.array([[4]])})[columns.NUMERIC].numpy()
    assert numeric[0, PASSENGERS] == 0


def test_what_passes_unscaled(toy_trips):
    raw, train = toy_trips.columns["train"], _transformed(toy_trips, "train")
    np.testing.assert_allclose(train[columns.RAW][:, 0:1], raw[columns.PICKUP_LONGITUDE])
    np.testing.assert_array_equal(
        train[columns.HOUR_OF_WEEK], raw[columns.PICKUP_WEEKDAY] * 24 + raw[columns.PICKUP_HOUR]
    )
    np.testing.assert_array_equal(
        train[columns.PAIR_CELL], train[columns.PICKUP_CELL] * 9 + train[columns.DROPOFF_CELL]
    )
    np.testing.assert_allclose(train[columns.DISTANCE_KM], _unscaled(toy_trips, "train")[:, 5:6], rtol=1e-4)


def test_geography_comes_back_from_json():
    config = {"geography": {"west": 0, "east": 1, "south": 2, "north": 3, "airports": [[0.5, 2.5]]}}
    assert preprocessing.geography_of(config) == features.Geography(0, 1, 2, 3, ((0.5, 2.5),))
