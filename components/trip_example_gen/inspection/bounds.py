"""Bounds of a city from its trips: box, fares and passengers by robust quantiles, and the trips beyond them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen.columns import COORDINATES, FARE, PASSENGER_COUNT
from farebox.components.trip_example_gen.earth import KM_PER_DEGREE
from farebox.components.trip_example_gen.profile import Bounds, Box, Place

LOW, HIGH = 0.005, 0.995
FEW_ROWS = 200  # fewer rows have no quantiles beyond their extremes
NOWHERE = 1e-3  # degrees around 0, 0, where receivers without a fix are
FAR, LEAST_FAR = 8, 0.05  # from the median, in interquartile ranges and in degrees: no place of the city
MARGIN, LEAST_MARGIN, FEW_MARGIN = 0.15, 0.01, 0.05  # share of the box, and degrees
WIDE_KM = 200
HALF_TURN, FULL_TURN = 180, 360  # degrees
ROOM_ABOVE = 2  # of the largest plausible fare to its quantile
MAX_PASSENGERS = 9

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Guess:
    """Bounds of trips, each with a note for people, by key of the profile. questions: what is open, by key."""

    box: Box
    fare: Bounds
    passengers: Bounds | None
    notes: dict[str, str]
    questions: dict[str, str]


def guess_bounds(trips: pa.RecordBatch, places: Sequence[Place] = ()) -> Guess:
    """Bounds of trips that nothing has rejected but what cannot be parsed; places: all that the trips may name."""
    values = {name: trips.column(name).to_numpy().astype(np.float64) for name in (*COORDINATES, FARE, PASSENGER_COUNT)}
    notes: dict[str, str] = {}
    questions: dict[str, str] = {}
    box = _box_of_places(places, notes) if places else _box(values, notes, questions)
    fare = _fare(values[FARE], notes)
    return Guess(box, fare, _passengers(values[PASSENGER_COUNT], notes), notes, questions)


def _box(values: dict[str, Floats], notes: dict[str, str], questions: dict[str, str]) -> Box:
    longitude, latitude = (
        np.concatenate([values[f"{end}_{axis}"] for end in ("pickup", "dropoff")]) for axis in ("longitude", "latitude")
    )
    is_somewhere = (np.abs(longitude) > NOWHERE) | (np.abs(latitude) > NOWHERE)
    x, y = longitude[is_somewhere], latitude[is_somewhere]
    if not len(x):
        questions["box"] = "all places are at 0, 0"
        return Box(-1, 1, -1, 1)
    is_near = _near(x) & _near(y)
    west, east = _edges(x[is_near])
    south, north = _edges(y[is_near])
    box = Box(max(west, -180), min(east, 180), max(south, -90), min(north, 90))
    n_out = len(longitude) - np.count_nonzero(
        (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    )
    n_nowhere = len(longitude) - np.count_nonzero(is_somewhere)
    n_kept = "99 % of the" if len(x) >= FEW_ROWS else f"all of the {len(x)}"
    notes["box"] = f"{n_kept} ends and a margin; {_share(n_out, len(longitude))} of the ends lie outside"
    notes["box"] += f", {_share(n_nowhere, len(longitude))} at 0, 0" if n_nowhere else ""
    wide_km = (box.east - box.west) * KM_PER_DEGREE * math.cos(math.radians((box.south + box.north) / 2))
    if max(wide_km, (box.north - box.south) * KM_PER_DEGREE) > WIDE_KM:
        questions["box"] = f"it is {wide_km:.0f} km wide: are these the trips of one city"
    if box.east - box.west > HALF_TURN >= np.ptp(x[is_near] % FULL_TURN):
        questions["box"] = "the places lie across the 180th meridian, and a box cannot: make it end there"
    return box


def _box_of_places(places: Sequence[Place], notes: dict[str, str]) -> Box:
    west, east = _edges(np.array([place.longitude for place in places]), len(places) + 1)
    south, north = _edges(np.array([place.latitude for place in places]), len(places) + 1)
    notes["box"] = f"all of {len(places)} zones and a margin"
    return Box(max(west, -180), min(east, 180), max(south, -90), min(north, 90))


def _near(degrees: Floats) -> npt.NDArray[np.bool_]:
    low, middle, high = np.quantile(degrees, [0.25, 0.5, 0.75])
    near: npt.NDArray[np.bool_] = np.abs(degrees - middle) <= max(FAR * (high - low), LEAST_FAR)
    return near


def _edges(degrees: Floats, n_few: int = FEW_ROWS) -> tuple[float, float]:
    if len(degrees) < n_few:
        low, high, margin = degrees.min(), degrees.max(), FEW_MARGIN
    else:
        low, high = np.quantile(degrees, [LOW, HIGH])
        margin = max(MARGIN * (high - low), LEAST_MARGIN)
    return math.floor((low - margin) * 100) / 100, math.ceil((high + margin) * 100) / 100


def _fare(fares: Floats, notes: dict[str, str]) -> Bounds:
    positive = fares[fares > 0]
    if not len(positive):
        notes["fare"] = "no fare is above 0"
        return Bounds(float(fares.min()) - 1, float(fares.max()) + 1)
    low, high = np.quantile(positive, [LOW, HIGH])
    least = positive.min() if positive.min() >= low / 2 else low / 2
    bounds = Bounds(_rounded_down(float(least)), _rounded_up(float(high) * ROOM_ABOVE))
    n_out = np.count_nonzero((fares < bounds.min) | (fares > bounds.max))
    n_nothing = len(fares) - len(positive)
    notes["fare"] = f"99 % are {low:.2f} to {high:.2f}; {_share(n_out, len(fares))} lie outside"
    notes["fare"] += f", {_share(n_nothing, len(fares))} are 0 or less" if n_nothing else ""
    return bounds


def _rounded_down(value: float) -> float:
    """A number with two digits that is not larger."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.floor(value / unit + 1e-9) * unit, 10)


def _rounded_up(value: float) -> float:
    """1, 2 or 5 times a power of ten that is not less."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(round(step * unit, 10) for step in (1, 2, 5, 10) if step * unit >= value)


def _passengers(counts: Floats, notes: dict[str, str]) -> Bounds | None:
    """Bounds if those of the profile would reject more than some; None if they fit."""
    n_zero, n_many = np.count_nonzero(counts == 0), np.count_nonzero((counts > 6) & (counts <= MAX_PASSENGERS))
    if max(n_zero, n_many) <= LOW * len(counts):
        return None
    least, most = (0 if n_zero > LOW * len(counts) else 1), (MAX_PASSENGERS if n_many > LOW * len(counts) else 6)
    notes["passengers"] = f"{_share(n_zero, len(counts))} have 0, {_share(n_many, len(counts))} 7 to {MAX_PASSENGERS}"
    return Bounds(least, most)


def _share(part: int, whole: int) -> str:
    """`1.2 %`; `none` of nothing."""
    return f"{100 * part / whole:.2g} %" if part else "none"
