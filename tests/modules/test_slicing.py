"""Distance bands of the evaluation."""

from __future__ import annotations

import numpy as np

from modules import columns


def test_bands_by_hand():
    """Due north by km / 111.195 degrees, at two longitudes so that the frame's far ends are met too."""
    from modules import slicing

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
    from modules import slicing

    ohare, town = [-87.9073, 41.9803], [-87.63, 41.88]
    near, far = [ohare[0], ohare[1] + 0.026], [ohare[0], ohare[1] + 0.028]
    trips = _trips([town, ohare, far, town], [near, town, town, town])
    found = slicing.airports(trips, {"ohare": ohare}).reshape(-1).tolist()
    assert found == ["ohare", "ohare", "none", "none"]
    assert slicing.airports(trips, {}).reshape(-1).tolist() == ["none"] * 4


def test_pickup_areas_are_named_by_their_middle():
    """A box of 10 by 5 degrees has areas of 2 by 1; what lies outside counts to the nearest one."""
    from modules import slicing

    trips = _trips([[100.1, 0.1], [109.9, 4.9], [103.0, 2.0], [99.0, 7.0]], [[100, 0]] * 4)
    found = slicing.pickup_areas(trips, [100.0, 110.0, 0.0, 5.0]).reshape(-1).tolist()
    assert found == ["101.00,0.50", "109.00,4.50", "103.00,2.50", "101.00,4.50"]


def test_what_was_configured_outlives_a_reload():
    """TFX loads the module anew before it asks it for extractors."""
    import importlib

    from modules import slicing

    before = dict(slicing._city)
    try:
        slicing.configure({"airports": {"here": [1.0, 2.0]}})
        assert importlib.reload(slicing)._city["airports"] == {"here": [1.0, 2.0]}
    finally:
        slicing.configure(before)
