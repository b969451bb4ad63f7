"""Trips that say little of a model: of another place, with another currency, or those that it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.trip_example_gen.row_sketch import SIZE, RowSketch
from farebox.modules.columns import COORDINATES
from farebox.modules.scope import Scope

WEST, EAST, SOUTH, NORTH = -87.95, -87.52, 41.64, 42.03
CHICAGO = Description(
    name="chicago",
    inputs=tuple(
        TensorDescription(name, minimum=WEST if "long" in name else SOUTH, maximum=EAST if "long" in name else NORTH)
        for name in COORDINATES
    ),
    output=TensorDescription("fare", unit="USD"),
)


def hashes(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, np.uint64, endpoint=False)


def trips(n: int, n_away: int = 0) -> dict[str, np.ndarray]:
    """n trips in Chicago, the first of which end in Lisbon."""
    rows = {name: np.full(n, WEST + 0.1 if "long" in name else SOUTH + 0.1, np.float32) for name in COORDINATES}
    rows["dropoff_longitude"][:n_away], rows["dropoff_latitude"][:n_away] = -9.14, 38.72
    return rows


def test_trips_of_the_models_own_city_need_no_word():
    scope = Scope(CHICAGO, RowSketch.of(hashes(5000), 0))
    scope.update(trips(5000), hashes(5000, seed=1))
    assert scope.lines("chicago", "USD") == []


def test_trips_of_another_place_are_refused():
    scope = Scope(CHICAGO, None)
    scope.update(trips(100, 51), hashes(100))
    with pytest.raises(InputError, match="^city=lisbon: 51 of 100 trips lie outside the box of the model of chicago"):
        scope.lines("lisbon", "USD")


def test_another_currency_is_refused():
    with pytest.raises(InputError, match="^city.currency=EUR must be USD, that of the model of chicago"):
        Scope(CHICAGO, None).lines("lisbon", "EUR")


def test_another_name_and_some_trips_outside_are_told():
    scope = Scope(CHICAGO, None)
    scope.update(trips(100, 3), hashes(100))
    assert scope.lines("my_chicago", "USD") == [
        "the model is of chicago, the trips are of my_chicago",
        "3 of 100 trips lie outside the model's box",
    ]


@pytest.mark.parametrize("n_known", [0, 400, 2000])
def test_rows_that_the_model_was_fitted_to_are_told(n_known):
    """2,000 trips, some of which are among the 8,000 of train."""
    train = hashes(8000)
    scope = Scope(CHICAGO, RowSketch.of(train, 0))
    others = np.concatenate([train[:n_known], hashes(2000 - n_known, seed=1)])
    for part in np.split(others, 4):
        scope.update(trips(500), part)
    lines = scope.lines("chicago", "USD")
    assert bool(lines) == bool(n_known)
    if lines:
        share = int(lines[0].partition("about ")[2].partition("%")[0]) / 100
        assert share == pytest.approx(n_known / 2000, abs=0.1)


def test_few_rows_are_compared_with_all():
    train = hashes(20)
    scope = Scope(CHICAGO, RowSketch.of(train, 0))
    scope.update(trips(10), train[:10])
    assert scope.lines("chicago", "USD") == [
        "the model was fitted to about 100% of these trips: on others it errs by more"
    ]


@given(parts=st.lists(st.integers(0, 900), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_a_union_is_the_sketch_of_all_rows(parts, seed):
    batches = [hashes(n, seed + i) for i, n in enumerate(parts)]
    union = RowSketch.union(RowSketch.of(each, 7) for each in batches)
    assert union == RowSketch.of(np.concatenate(batches), 7)
    assert len(union.hashes) == min(sum(parts), SIZE)
    assert RowSketch.from_json(union.to_json()) == union


def test_sketches_of_other_seeds_have_no_union():
    assert RowSketch.union([RowSketch.of(hashes(9), 0), RowSketch.of(hashes(9), 1)]) is None
    assert RowSketch.union([]) is None


@pytest.mark.parametrize(
    "content", [{}, {"seed": 0}, {"seed": "x", "smallest": ""}, {"seed": 0, "smallest": "?"}, None]
)
def test_other_content_is_no_sketch(content):
    with pytest.raises(ValueError, match="a sketch of rows must have seed and smallest"):
        RowSketch.from_json(content)
