"""Slices of trips that are not raw columns: bands of distance, airports, areas, categories. No TensorFlow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.trip_example_gen.earth import EARTH_RADIUS_KM
from farebox.modules.columns import COORDINATES, DISTANCE_BAND

AIRPORT, PICKUP_AREA = "airport", "pickup_area"
FARE_SLICES = (DISTANCE_BAND, AIRPORT)  # and the city's categories: a tariff may treat them in its own way
BANDS_KM = (1.0, 2.0, 5.0, 10.0)
AIRPORT_KM = 3.0
AREAS = 5  # per axis of the city's box
NONE = "none"


def band_names() -> tuple[str, ...]:
    """Names of the distance bands, by rising distance."""
    edges = [f"{edge:g}" for edge in BANDS_KM]
    between = (f"{low}-{high} km" for low, high in itertools.pairwise(edges))
    return (f"under {edges[0]} km", *between, f"over {edges[-1]} km")


def kilometres(places: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Great-circle distance, shape (n,), between degrees of shape (n, 2), longitude first.

    The haversine formula in float64; the features' own is float32 in TensorFlow, since devices run it.
    """
    (east, north), (east_, north_) = np.radians(np.asarray(places, np.float64)).T, np.radians(others).T
    a = np.sin((north - north_) / 2) ** 2 + np.cos(north) * np.cos(north_) * np.sin((east - east_) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arctan2(np.sqrt(a), np.sqrt(np.maximum(1 - a, 0))))


def ends_of(columns: Mapping[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Pickup and dropoff in degrees, each of shape (n, 2), from columns of shape (n, 1)."""
    degrees = np.stack([np.asarray(columns[name], np.float64).reshape(-1) for name in COORDINATES], axis=1)
    return degrees[:, :2], degrees[:, 2:]


def distance_bands(columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The band of each trip's great-circle distance, text of shape (n, 1)."""
    bands = np.digitize(kilometres(*ends_of(columns)), BANDS_KM)
    return np.asarray(np.array(band_names(), dtype=object)[bands][:, None])


def airports(columns: Mapping[str, npt.NDArray[Any]], places: Mapping[str, Sequence[float]]) -> npt.NDArray[Any]:
    """The airport within 3 km of either end, or `none`; text of shape (n, 1)."""
    ends = ends_of(columns)
    nearest = np.full(len(ends[0]), NONE, dtype=object)
    for name, place in places.items():
        there = np.tile(np.asarray(place, np.float64), (len(nearest), 1))
        near = np.minimum(*(kilometres(end, there) for end in ends)) <= AIRPORT_KM
        nearest[near] = name
    return nearest[:, None]


def pickup_areas(columns: Mapping[str, npt.NDArray[Any]], box: Sequence[float]) -> npt.NDArray[Any]:
    """The middle of each pickup's cell of a 5 x 5 grid over the box, `longitude,latitude`; text of shape (n, 1)."""
    (west, east, south, north), (pickup, _) = box, ends_of(columns)
    corner, size = np.array([west, south]), np.array([east - west, north - south]) / AREAS
    cells = np.clip(np.floor((pickup - corner) / size), 0, AREAS - 1)
    middles = corner + (cells + 0.5) * size
    return np.array([f"{longitude:.2f},{latitude:.2f}" for longitude, latitude in middles], dtype=object)[:, None]


def categories(columns: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The value of each of the city's categories, text of shape (n, 1), by name."""
    return {
        name: np.array(texts, dtype=object)[np.asarray(columns[name], np.int64).reshape(-1)][:, None]
        for name, texts in values.items()
        if texts
    }


def rows_by_value(column: npt.NDArray[Any]) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
    """Each value of a column of shape (n, 1), as a Python number or text, and the indices of its rows."""
    values, places, counts = np.unique(column.reshape(-1), return_inverse=True, return_counts=True)
    return zip(values.tolist(), np.split(np.argsort(places, kind="stable"), np.cumsum(counts)[:-1]), strict=True)


def fare_slices(
    columns: Mapping[str, npt.NDArray[Any]], city: Mapping[str, Any]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Name, such as `airport=none`, and rows of each slice that a tariff may treat in its own way.

    By distance, airport and the city's categories; not by time or place of the pickup, which are many. columns: of
    shape (n, 1); city: as for `slicing.configure`.
    """
    kinds = {
        DISTANCE_BAND: distance_bands(columns),
        AIRPORT: airports(columns, city["airports"]),
        **categories(columns, city["features"]),
    }
    for name, values in kinds.items():
        yield from ((f"{name}={value}", rows) for value, rows in rows_by_value(values))
