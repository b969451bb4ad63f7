"""What a real tft pass over train learned, seen through the transform graph that it wrote."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.modules import columns, features, preprocessing

PASSENGERS = -1  # its place in `numeric`: constant in the toy trips
HAVERSINE = [7]  # behind four coordinates, the line in degrees and two distances to the toy city's airport


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
    np.testing.assert_allclose(train[columns.DISTANCE_KM], _unscaled(toy_trips, "train")[:, HAVERSINE], rtol=1e-4)


@pytest.fixture(scope="module")
def transform_full(full_trips):
    import tensorflow_transform as tft

    return tft.TFTransformOutput(full_trips.transform_graph).transform_features_layer()


def test_the_full_set_is_extended_standardized_and_compact(full_trips):
    """23 numbers, two places from both ends, one change of tariff."""
    train = _transformed(full_trips, "train")
    assert train[columns.NUMERIC].shape[1] == 23 + 2 * 2 + 1
    assert np.abs(train[columns.NUMERIC]).max() <= preprocessing.MAX_DEVIATION
    era = full_trips.columns["train"]["pickup_era"]
    np.testing.assert_array_equal(train[columns.NUMERIC][:, -1:] < 0, era)  # the flag says: before the change
    np.testing.assert_array_equal(train[columns.RAW][:, -1:], era)


def test_brief_numbers_hold_a_later_era_at_the_last(full_trips, transform_full):
    row = {name: values[:1] for name, values in full_trips.columns["train"].items()}
    eras = [transform_full(row | {columns.PICKUP_ERA: np.array([[era]])})[columns.BRIEF].numpy() for era in (0, 1, 9)]
    assert eras[0][0, 3] < 0 < eras[1][0, 3]
    np.testing.assert_array_equal(eras[1], eras[2])


@pytest.mark.parametrize("split", ["train", "eval"])
def test_cells_lie_over_the_box_that_train_keeps_busy(full_trips, split):
    """From numpy's percentiles of train; tft's are approximate, so that 3 trips in 100 may fall to a neighbour."""

    def places(which):
        trips = full_trips.columns[which]
        return np.concatenate([trips[name] for name in columns.COORDINATES], axis=1).astype(np.float64)

    low, high = np.quantile(places("train").reshape(-1, 2), [0.01, 0.99], axis=0)
    position = (places(split) - np.tile(low, 2)) / np.tile(high - low, 2)
    transformed, trips = _transformed(full_trips, split), full_trips.columns[split]
    numbers = np.concatenate([trips[columns.PICKUP_HOUR], trips[columns.PICKUP_WEEKDAY]], axis=1)
    numbers = np.insert(numbers, 0, 1, axis=1).astype(np.float32)
    position, size = position.astype(np.float32), np.ones(4, np.float32)
    pickup, dropoff, _ = features.crosses_of(position, size, numbers, n_tariff_changes=0, n_cells=4).numpy().T
    pair = features.zone_pair_of(position, size, 2).numpy()[:, 0]
    for cross, ids in ((columns.PICKUP_CELL, pickup), (columns.DROPOFF_CELL, dropoff), (columns.PAIR_CELL, pair)):
        assert np.mean(transformed[cross][:, 0] != ids) < 0.03
        assert transformed[cross].dtype == np.int64
    hours = trips[columns.PICKUP_WEEKDAY] * 24 + trips[columns.PICKUP_HOUR]
    np.testing.assert_array_equal(transformed[columns.HOUR_OF_WEEK], hours)


def test_nothing_a_device_sends_leaves_the_tables(full_trips, transform_full):
    """Missing places, an hour and a weekday that are none: ids of rows that exist."""
    row = {name: values[:1] for name, values in full_trips.columns["train"].items()}
    row |= {name: np.array([[np.nan]], np.float32) for name in columns.COORDINATES}
    for hour, weekday in ((99, 99), (-5, 0)):
        times = {columns.PICKUP_HOUR: np.array([[hour]]), columns.PICKUP_WEEKDAY: np.array([[weekday]])}
        made = transform_full(row | times)
        for cross, cardinality in columns.cardinalities(4, 2).items():
            assert 0 <= made[cross].numpy().item() < cardinality
        assert np.isfinite(made[columns.NUMERIC]).all()


def test_geography_comes_back_from_json():
    box = {"west": 0, "east": 1, "south": 2, "north": 3, "airports": [[0.5, 2.5]]}
    assert preprocessing.geography_of({"geography": box}) == features.Geography(0, 1, 2, 3, ((0.5, 2.5),))
    more = box | {"landmarks": [[0.1, 2.1]], "grid_angle": 9.0, "n_tariff_changes": 5}
    expected = features.Geography(0, 1, 2, 3, ((0.5, 2.5),), ((0.1, 2.1),), 9.0, 5)
    assert preprocessing.geography_of({"geography": more}) == expected
