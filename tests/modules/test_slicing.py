"""Slices of the evaluation."""

from __future__ import annotations

import numpy as np

from farebox.modules import columns


def test_bands_by_hand():
    """Due north by km / 111.195 degrees, at two longitudes so that the frame's far ends are met too."""
    from farebox.modules import slicing

    km = np.array([0.0, 0.9, 1.1, 3.0, 7.0, 20.0])
    here = np.full((6, 1), 151.2)
    trips = {
        columns.PICKUP_LONGITUDE: here, columns.DROPOFF_LONGITUDE: here,
        columns.PICKUP_LATITUDE: np.full((6, 1), -33.9), columns.DROPOFF_LATITUDE: (-33.9 + km / 111.195)[:, None],
    }  # fmt: skip
    assert slicing.distance_bands(trips).reshape(-1).tolist() == [
        "under 1 km", "under 1 km", "1-2 km", "2-5 km", "5-10 km", "over 10 km",
    ]  # fmt: skip
    assert slicing.distance_bands(trips).shape == (6, 1)


def _trips(pickups, dropoffs):
    """Columns of shape (n, 1) from (longitude, latitude) pairs."""
    (west, south), (east, north) = np.array(pickups, float).T, np.array(dropoffs, float).T
    return {
        columns.PICKUP_LONGITUDE: west[:, None], columns.PICKUP_LATITUDE: south[:, None],
        columns.DROPOFF_LONGITUDE: east[:, None], columns.DROPOFF_LATITUDE: north[:, None],
    }  # fmt: skip


def test_airport_trips_start_or_end_within_three_kilometres():
    """A hundredth of a degree of latitude is 1.11 km."""
    from farebox.modules import slicing

    ohare, town = [-87.9073, 41.9803], [-87.63, 41.88]
    near, far = [ohare[0], ohare[1] + 0.026], [ohare[0], ohare[1] + 0.028]
    trips = _trips([town, ohare, far, town], [near, town, town, town])
    airports = slicing.airports(trips, {"ohare": ohare}).reshape(-1).tolist()
    assert airports == ["ohare", "ohare", "none", "none"]
    assert slicing.airports(trips, {}).reshape(-1).tolist() == ["none"] * 4


def test_pickup_areas_are_named_by_their_middle():
    """A box of 10 by 5 degrees has areas of 2 by 1; what lies outside counts to the nearest one."""
    from farebox.modules import slicing

    trips = _trips([[100.1, 0.1], [109.9, 4.9], [103.0, 2.0], [99.0, 7.0]], [[100, 0]] * 4)
    areas = slicing.pickup_areas(trips, [100.0, 110.0, 0.0, 5.0]).reshape(-1).tolist()
    assert areas == ["101.00,0.50", "109.00,4.50", "103.00,2.50", "101.00,4.50"]


def test_what_was_configured_outlives_a_reload():
    """TFX loads the module anew before it asks it for extractors."""
    import importlib

    from farebox.modules import slicing

    before = dict(slicing._city)
    try:
        slicing.configure({"airports": {"here": [1.0, 2.0]}})
        assert importlib.reload(slicing)._city["airports"] == {"here": [1.0, 2.0]}
    finally:
        slicing.configure(before)


def batch(trips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rest of a trip's columns, numbered."""
    rows = np.arange(len(trips[columns.PICKUP_LONGITUDE]))[:, None]
    return trips | {columns.PASSENGER_COUNT: rows % 2, columns.PICKUP_HOUR: rows % 3, columns.PICKUP_WEEKDAY: rows % 7}


def test_every_row_is_in_one_slice_of_each_kind():
    """With its own label, predictions and hash; all rows are a slice, too."""
    import tensorflow_model_analysis as tfma

    from farebox.modules import slicing

    here = np.random.default_rng(0).uniform(0, 10, (50, 2))
    trips = batch(_trips(here, here + 0.05))
    labels = np.arange(50.0)[:, None]
    extracts = {
        tfma.constants.FEATURES_KEY: trips,
        tfma.constants.LABELS_KEY: labels,
        tfma.constants.PREDICTIONS_KEY: {"new": -labels},
    }
    city = {"box": [0.0, 10.0, 0.0, 10.0], "airports": {}}
    rows: dict[str, list[float]] = {}
    for extract in slicing._slice(extracts, city):
        (slice_key,) = extract[tfma.constants.SLICE_KEY_TYPES_KEY]
        kind = slice_key[0][0] if slice_key else "all"
        mine = extract[tfma.constants.LABELS_KEY].reshape(-1)
        if kind == columns.PICKUP_HOUR:
            assert type(slice_key[0][1]) is int and (mine % 3 == slice_key[0][1]).all()
        assert extract[tfma.constants.PREDICTIONS_KEY]["new"].reshape(-1).tolist() == (-mine).tolist()
        assert extract[slicing.ROW_HASH].tolist() == slicing.row_hashes(trips)[mine.astype(int)].tolist()
        rows.setdefault(kind, []).extend(mine)
    assert set(rows) == {"all", *slicing.SLICED_BY}
    assert all(sorted(slice_labels) == list(range(50)) for slice_labels in rows.values())


def test_a_citys_own_categories_are_slices_and_its_inputs_part_of_the_hash():
    import tensorflow_model_analysis as tfma

    from farebox.modules import slicing

    here = np.full((40, 2), 5.0)
    cars = np.arange(40)[:, None] % 2
    trips = batch(_trips(here, here)) | {"car": cars, "traffic": np.arange(40.0)[:, None]}
    trips |= dict.fromkeys((columns.PICKUP_HOUR, columns.PICKUP_WEEKDAY), np.zeros((40, 1), np.int64))
    extracts = {
        tfma.constants.FEATURES_KEY: trips,
        tfma.constants.LABELS_KEY: cars,
        tfma.constants.PREDICTIONS_KEY: cars,
    }
    city = {"box": [0.0, 10.0, 0.0, 10.0], "airports": {}, "features": {"car": ["sedan", "van"], "traffic": []}}
    labels, hashes = {}, set()
    for extract in slicing._slice(extracts, city):
        (slice_key,) = extract[tfma.constants.SLICE_KEY_TYPES_KEY]
        if slice_key and slice_key[0][0] == "car":
            labels[slice_key[0][1]] = set(extract[tfma.constants.LABELS_KEY].reshape(-1).tolist())
        hashes.update(extract[slicing.ROW_HASH].tolist())
        assert not slice_key or slice_key[0][0] != "traffic"
    assert labels == {"sedan": {0}, "van": {1}}
    assert len(hashes) == 40 > len(set(slicing.row_hashes(trips).tolist()))


def test_a_rows_hash_is_its_own():
    """In whatever batch and order; hashes fall evenly into twenty groups."""
    from farebox.modules import slicing

    here = np.random.default_rng(0).uniform(0, 10, (4000, 2))
    trips = batch(_trips(here, here + 0.05))
    hashes, order = slicing.row_hashes(trips), np.random.default_rng(1).permutation(4000)[:100]
    assert (
        slicing.row_hashes({name: column[order] for name, column in trips.items()}).tolist() == hashes[order].tolist()
    )
    assert np.ptp(np.bincount((hashes % 20).astype(int), minlength=20)) < 100
