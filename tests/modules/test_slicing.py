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
