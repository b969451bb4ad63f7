"""The map of trips: cells by hand, sums, and what may be published."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.trip_example_gen.columns import COORDINATES
from farebox.components.trip_example_gen.profile import Box
from farebox.components.trip_example_gen.trip_map import CELL_KM, MAX_CELLS, Grid, TripMap

GRID = Grid(0.0, 3.0, 0.0, 2.0, columns=3, rows=2)


def trips(*ends: tuple[float, float, float, float]) -> dict[str, np.ndarray]:
    return dict(zip(COORDINATES, np.array(ends, np.float32).T, strict=True))


def test_cells_go_row_by_row_from_the_south_west_and_hold_the_box_s_edges():
    counted = TripMap.of(GRID, trips((0, 0, 3, 2), (2.5, 0.5, 0.5, 1.5), (1.5, 1.0, 0, 2)))
    assert counted.pickups.tolist() == [1, 0, 1, 0, 1, 0]
    assert counted.dropoffs.tolist() == [0, 0, 0, 2, 0, 1]


def test_a_cell_is_half_a_kilometre_until_an_axis_has_too_many():
    """0.1 degrees of latitude are 11.12 km; at 60 degrees north as many of longitude are half of it."""
    assert (Grid.of(Box(0, 0.1, 59.95, 60.05)).columns, Grid.of(Box(0, 0.1, 59.95, 60.05)).rows) == (12, 23)
    assert CELL_KM == 0.5 and Grid.of(Box(-10, 10, 30, 50)).rows == MAX_CELLS


def test_the_sum_needs_equal_grids():
    one, other = TripMap.of(GRID, trips((0, 0, 3, 2))), TripMap.of(GRID, trips((0, 0, 0, 0)))
    assert TripMap.union([one, other]).pickups.tolist() == [2, 0, 0, 0, 0, 0]
    assert TripMap.union([]) is None
    assert TripMap.union([one, TripMap.of(Grid(0, 1, 0, 1, 1, 1), trips((0, 0, 1, 1)))]) is None


@given(st.lists(st.integers(0, 100), min_size=12, max_size=12), st.integers(5, 30))
def test_no_published_number_tells_of_fewer_trips_than_the_bound(counts, min_trips):
    """A cell of one trip less and of one more look alike, but at a multiple of the bound."""
    ends = np.array(counts[:6]), np.array(counts[6:])
    published = TripMap(GRID, *ends).published(min_trips)
    for end, shown in zip(ends, (published.pickups, published.dropoffs), strict=True):
        assert (
            (shown[end < min_trips] == 0).all() and (shown % min_trips == 0).all() and (end - shown < min_trips).all()
        )
    again = TripMap.from_json(json.loads(json.dumps(published.to_json())))
    assert again == published and (again.grid, again.pickups.tolist()) == (GRID, published.pickups.tolist())
    assert 0 not in published.to_json()["pickups"][1], "a cell without trips takes no room"


@pytest.mark.parametrize(
    "content", [{}, {"grid": {}}, {"grid": vars(GRID), "pickups": [[6], [1]], "dropoffs": [[], []]}]
)
def test_something_else_is_refused(content):
    with pytest.raises(ValueError, match="^a map of trips must have grid, pickups and dropoffs"):
        TripMap.from_json(content)
