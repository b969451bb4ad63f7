"""Trips by cell of a coarse grid: the map that a page draws, and where a model has seen few trips. NumPy only.

The counts of a run are exact and stay in the pipeline's folder. `published` is what leaves it: no cell with fewer trips
than a bound, every count rounded down to a multiple of that bound, pickups and dropoffs each by themselves, so that no
trip and no pair of places can be read from it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.trip_example_gen.columns import COORDINATES
from farebox.components.trip_example_gen.earth import KM_PER_DEGREE

CELL_KM, MAX_CELLS = 0.5, 128  # a cell's edge, longer if an axis would have more cells

Counts = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The box in degrees, and its number of cells from west to east and from south to north."""

    west: float
    east: float
    south: float
    north: float
    columns: int
    rows: int

    @classmethod
    def of(cls, box: Any) -> Grid:
        """The grid of a city's box, with west, east, south and north."""
        km_per_longitude = KM_PER_DEGREE * math.cos(math.radians((box.south + box.north) / 2))
        return cls(
            box.west, box.east, box.south, box.north,
            columns=_cells((box.east - box.west) * km_per_longitude),
            rows=_cells((box.north - box.south) * KM_PER_DEGREE),
        )  # fmt: skip

    def cells(self, longitudes: npt.NDArray[Any], latitudes: npt.NDArray[Any]) -> Counts:
        """Index of each point's cell, row by row from the south-west corner; points lie in the box."""
        column = _places(longitudes, self.west, self.east, self.columns)
        return _places(latitudes, self.south, self.north, self.rows) * self.columns + column


@dataclasses.dataclass(frozen=True, eq=False)
class TripMap:
    """Numbers of trips by cell, shape (rows * columns,): where they begin, and where they end."""

    grid: Grid
    pickups: Counts
    dropoffs: Counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TripMap) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(str(self.to_json()))

    @classmethod
    def of(cls, grid: Grid, rows: Mapping[str, npt.NDArray[Any]]) -> TripMap:
        """The map of trips in columns of shape (n,)."""
        ends = (rows[COORDINATES[0]], rows[COORDINATES[1]]), (rows[COORDINATES[2]], rows[COORDINATES[3]])
        size = grid.columns * grid.rows
        return cls(grid, *(np.bincount(grid.cells(*end), minlength=size) for end in ends))

    @classmethod
    def union(cls, maps: Iterable[TripMap]) -> TripMap | None:
        """The sum; None of none, or if their grids differ."""
        parts = list(maps)
        if len({part.grid for part in parts}) != 1:
            return None
        totals = (sum(getattr(part, end) for part in parts) for end in ("pickups", "dropoffs"))
        return cls(parts[0].grid, *(np.asarray(total) for total in totals))

    def published(self, min_trips: int) -> TripMap:
        """The map without cells of fewer trips, the other counts rounded down to a multiple of min_trips."""
        return TripMap(self.grid, *(each // min_trips * min_trips for each in (self.pickups, self.dropoffs)))

    def to_json(self) -> dict[str, Any]:
        """The grid, and of each end the cells with trips and their counts, which `from_json` reads."""
        ends = {"pickups": self.pickups, "dropoffs": self.dropoffs}
        sparse = {name: [np.flatnonzero(each).tolist(), each[each > 0].tolist()] for name, each in ends.items()}
        return {"grid": dataclasses.asdict(self.grid), **sparse}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TripMap:
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        try:
            grid = Grid(**content["grid"])
            ends = [np.zeros(grid.columns * grid.rows, np.int64) for _ in range(2)]
            for counts, (cells, numbers) in zip(ends, (content["pickups"], content["dropoffs"]), strict=True):
                counts[cells] = numbers
            return cls(grid, *ends)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a map of trips must have grid, pickups and dropoffs: {error}") from error


def _cells(km: float) -> int:
    return min(max(math.ceil(km / CELL_KM), 1), MAX_CELLS)


def _places(values: npt.NDArray[Any], low: float, high: float, cells: int) -> Counts:
    shares = (np.asarray(values, np.float64) - low) / (high - low)
    return np.clip((shares * cells).astype(np.int64), 0, cells - 1)
