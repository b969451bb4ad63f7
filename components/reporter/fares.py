"""Contents of the report about fares: errors of the shipped file on trips of the test split. NumPy only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import number
from farebox.components.evaluator.metrics import CONFIDENCE, GROUPS, jackknife_error, t_quantile
from farebox.components.tflite.bands import Bands
from farebox.components.trip_example_gen.columns import COORDINATES, EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.earth import KM_PER_DEGREE

MOST_DOTS, N_WORST, N_BINS, CELLS = 1000, 10, 8, 20
FEW_TRIPS = 5  # in a cell, below which its error is not shown
RARE = 0.01  # share of trips on each side that counts as rare
REPEATS, MOST_PERMUTED = 3, 4000

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Columns], npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class JudgedTrips:
    """Trips of the test split: raw columns of shape (n, 1), and actual and predicted labels, (n,).

    of: number of trips in the split, which these are a sample of if it is larger.
    """

    columns: Columns
    actual: Floats
    predicted: Floats
    bands: Bands | None
    of: int

    @property
    def errors(self) -> Floats:
        """Predicted minus actual."""
        return np.asarray(self.predicted - self.actual)

    def column(self, name: str) -> Floats:
        """A column as float64, shape (n,)."""
        return np.asarray(self.columns[name], np.float64).reshape(-1)


def content(trips: JudgedTrips) -> dict[str, Any]:
    """Contents of the page about fares, for JSON."""
    dots = np.linspace(0, len(trips.actual) - 1, min(MOST_DOTS, len(trips.actual))).astype(int)
    return {
        "rows": len(trips.actual),
        "of": trips.of,
        "median_absolute_error": float(np.median(np.abs(trips.errors))),
        "dots": [rounded(pair) for pair in zip(trips.actual[dots], trips.predicted[dots], strict=True)],
        "by_fare": by_quantile(trips, trips.actual),
        "by_distance": by_quantile(trips, kilometres(trips)),
        "ranges": by_band(trips),
        "worst": worst(trips),
        "map": cells(trips),
    }


def rounded(numbers: Sequence[float]) -> list[float]:
    """Five significant digits: more are noise on a picture."""
    return [float(f"{number:.5g}") for number in numbers]


def kilometres(trips: JudgedTrips) -> Floats:
    """Distance from pickup to dropoff, on a plane that touches the Earth there: right to 0.1 % within a city."""
    west, south, east, north = (trips.column(name) for name in COORDINATES)
    x = (east - west) * np.cos(np.radians((south + north) / 2))
    return np.asarray(np.hypot(x, north - south) * KM_PER_DEGREE)


def by_quantile(trips: JudgedTrips, values: Floats) -> list[dict[str, Any]]:
    """Errors of the trips between octiles of `values`, which are not cut in two."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, N_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
    return [
        {"low": float(values[bins == each].min()), "high": float(values[bins == each].max()),
         **errors_of(trips, bins == each)}
        for each in np.unique(bins)
    ]  # fmt: skip


def errors_of(trips: JudgedTrips, chosen: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Rows, RMSE with its 95 % interval by a jackknife, MAE, bias, and the share of labels in their ranges."""
    errors = trips.errors[chosen]
    rmse, lower, upper = rmse_with_interval(errors)
    return {
        "rows": int(chosen.sum()), "rmse": rmse, "lower": lower, "upper": upper,
        "mae": float(np.abs(errors).mean()), "bias": float(errors.mean()),
        "coverage": float(is_covered(trips)[chosen].mean()) if trips.bands else None,
    }  # fmt: skip


def rmse_with_interval(errors: Floats) -> tuple[float, float | None, float | None]:
    """RMSE and its 95 % interval; no interval for fewer rows than groups."""
    squared, rmse = errors**2, float(np.sqrt((errors**2).mean()))
    if len(errors) < GROUPS:
        return rmse, None, None
    groups = np.arange(len(errors)) % GROUPS
    sums, rows = np.bincount(groups, squared, GROUPS), np.bincount(groups, minlength=GROUPS)
    half = t_quantile(CONFIDENCE) * jackknife_error(np.sqrt((squared.sum() - sums) / (len(errors) - rows)))
    return rmse, max(rmse - half, 0.0), rmse + half


def is_covered(trips: JudgedTrips) -> npt.NDArray[np.bool_]:
    """Whether the range of each trip holds its label, shape (n,); all False without bands."""
    if trips.bands is None:
        return np.zeros(len(trips.actual), bool)
    low, high = trips.bands.ranges(trips.predicted)
    return (low <= trips.actual) & (trips.actual <= high)


def by_band(trips: JudgedTrips) -> list[dict[str, Any]]:
    """Rows, coverage and mean width of the ranges in each band of the prediction; empty without bands."""
    if trips.bands is None:
        return []
    bands = np.searchsorted(trips.bands.edges, trips.predicted, side="right")
    low, high = trips.bands.ranges(trips.predicted)
    covered, ends = is_covered(trips), (None, *trips.bands.edges, None)
    return [
        {"low": ends[each], "high": ends[each + 1], "rows": int((bands == each).sum()),
         "coverage": float(covered[bands == each].mean()), "width": float((high - low)[bands == each].mean())}
        for each in np.unique(bands).tolist()
    ]  # fmt: skip


def worst(trips: JudgedTrips) -> list[dict[str, Any]]:
    """The trips with the largest errors, with what is rare about them."""
    order = np.argsort(-np.abs(trips.errors), kind="stable")[:N_WORST]
    distance, share = kilometres(trips), trips.errors**2 / max((trips.errors**2).sum(), 1e-12)
    shown = [name for name in EXAMPLE_COLUMNS if name in trips.columns]
    oddities = [oddity(trips, distance) for oddity in ODDITIES]
    return [
        {
            "actual": float(trips.actual[row]), "predicted": float(trips.predicted[row]),
            "km": float(distance[row]), "share": float(share[row]),
            "columns": {name: float(trips.column(name)[row]) for name in shown},
            "odd": [text for texts in oddities if (text := texts[row])],
        }
        for row in order.tolist()
    ]  # fmt: skip


def _equal_places(_: JudgedTrips, distance: Floats) -> list[str]:
    return ["begins and ends at one place" if km < 0.01 else "" for km in distance.tolist()]


def _rate(trips: JudgedTrips, distance: Floats) -> list[str]:
    """How many times the median fare per km, where that is rare; trips of one place have no rate."""
    moved = distance >= 0.01
    rate = np.divide(trips.actual, distance, out=np.full(len(distance), np.nan), where=moved)
    if not moved.any():
        return [""] * len(distance)
    middle, low, high = np.nanquantile(rate, [0.5, RARE, 1 - RARE])
    return [
        f"{number(each / middle, 2)} times the median fare per km" if each < low or each > high else ""
        for each in rate.tolist()
    ]


def _extremes(trips: JudgedTrips, distance: Floats) -> list[str]:
    """Labels and distances among the smallest or largest hundredth."""
    texts: list[list[str]] = [[] for _ in distance]
    for name, values in (("fare", trips.actual), ("distance", distance)):
        low, high = np.quantile(values, [RARE, 1 - RARE])
        for row in np.flatnonzero((values < low) | (values > high)).tolist():
            texts[row].append(f"{name} in the {'lowest' if values[row] < low else 'highest'} {RARE:.0%}")
    return [", ".join(each) for each in texts]


ODDITIES: tuple[Callable[[JudgedTrips, Floats], list[str]], ...] = (_equal_places, _rate, _extremes)


def cells(trips: JudgedTrips) -> dict[str, Any]:
    """A grid over pickups, without the outermost hundredth: trips, and MAE where there are enough of them."""
    x, y = (trips.column(name) for name in COORDINATES[:2])
    (west, east), (south, north) = (np.quantile(values, [RARE, 1 - RARE]).tolist() for values in (x, y))
    inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
    column, row = (
        np.clip(((values - low) / max(high - low, 1e-9) * CELLS).astype(int), 0, CELLS - 1)
        for values, low, high in ((x, west, east), (y, south, north))
    )
    flat = (row * CELLS + column)[inside]
    n = np.bincount(flat, minlength=CELLS**2)
    absolute = np.bincount(flat, np.abs(trips.errors)[inside], CELLS**2)
    used = np.flatnonzero(n).tolist()
    return {
        "west": west, "east": east, "south": south, "north": north, "n": CELLS, "least": FEW_TRIPS,
        "cells": [
            [each % CELLS, each // CELLS, int(n[each]),
             float(f"{absolute[each] / n[each]:.4g}") if n[each] >= FEW_TRIPS else None]
            for each in used
        ],
    }  # fmt: skip


def groups_of(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Inputs that are shuffled together, by name: a place is two columns."""
    places = {"pickup place": COORDINATES[:2], "dropoff place": COORDINATES[2:]}
    taken = {name for group in places.values() for name in group}
    present = {name: group for name, group in places.items() if set(group) <= set(names)}
    return {**present, **{name: (name,) for name in names if name not in taken}}


def importance(trips: JudgedTrips, names: Sequence[str], files: Mapping[str, Predict]) -> list[dict[str, Any]]:
    """How much MAE rises if an input is shuffled among trips, by file; mean of 3 shuffles of at most 4,000 trips.

    names: inputs of the files. Breiman 2001, "Random Forests", section 10.
    """
    rows = slice(0, MOST_PERMUTED)
    columns, actual = {name: trips.columns[name][rows] for name in names}, trips.actual[rows]
    random = np.random.default_rng(0)
    orders = [random.permutation(len(actual)) for _ in range(REPEATS)]

    def error(predict: Predict, changed: Columns) -> float:
        return float(np.abs(np.asarray(predict(changed), np.float64).reshape(-1) - actual).mean())

    before = {file: error(predict, columns) for file, predict in files.items()}
    return [
        {"input": group, **{
            file: float(np.mean([
                error(predict, {**columns, **{name: columns[name][order] for name in members}}) for order in orders
            ])) - before[file]
            for file, predict in files.items()
        }}
        for group, members in groups_of(names).items()
    ]  # fmt: skip
