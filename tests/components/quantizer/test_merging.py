"""Tables with fewer distinct rows."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.quantizer.merging import first_that_holds, merged_rows
from farebox.components.quantizer.tables import with_lookups


def test_rows_that_are_alike_become_their_mean_by_how_often_they_are_looked_up():
    """By hand: 1 and 3 looked up 3 times and once become 1.5; 9 stays, as does the 0 that most ids share."""
    table = np.array([[0], [0], [0], [1], [3], [9]], np.float32)
    merged = merged_rows(table, np.array([0, 0, 0, 3, 1, 5]), 3, seed=1)
    np.testing.assert_allclose(merged[:, 0], [0, 0, 0, 1.5, 1.5, 9])


def test_groups_that_lie_apart_become_their_weighted_means():
    """Ten groups of 20 rows, 100 apart: each becomes one row, by how often its rows are looked up."""
    random = np.random.default_rng(3)
    groups = 100 * np.arange(1, 11)[:, None, None] + random.normal(size=(10, 20, 6))
    table = np.concatenate([np.zeros((1000, 6)), groups.reshape(200, 6)]).astype(np.float32)
    counts = np.concatenate([np.zeros(1000, int), random.integers(1, 50, 200)])
    merged = merged_rows(table, counts, 11, seed=1)
    weights = counts[1000:].reshape(10, 20, 1)
    means = (groups * weights).sum(axis=1) / weights.sum(axis=1)
    assert not merged[:1000].any()
    np.testing.assert_allclose(merged[1000:], np.repeat(means, 20, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(merged, merged_rows(table, counts, 11, seed=1))


def test_a_table_of_few_rows_stays_as_it_is():
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(merged_rows(table, np.ones(4, int), 4, seed=1), table)


@pytest.mark.parametrize(
    ("holding", "first"), [({9, 10, 11}, 9), ({4, 7, 9, 10, 11}, 4), ({0}, 12), (set(range(12)), 0)]
)
def test_places_just_below_the_one_that_bisection_finds_are_tried_too(holding, first):
    """Places 4, 7 and 9 to 11 hold. Bisection finds 9. The search continues below 9, and finds 7 and then 4.

    For 0 alone, bisection finds no place. The search ends at 8, so the answer is 12: no place holds.
    """
    assert first_that_holds(12, holding.__contains__) == first


def test_look_ups_take_ids_that_are_computed_as_fractions(quick_keras):
    """As Embedding does: 7 / 2 is id 3."""
    import tf_keras as keras

    number = keras.Input((1,), name="number")
    rows = keras.layers.Embedding(600, 4)(keras.layers.Rescaling(0.5)(number))
    network = keras.Model(number, rows)
    network.set_weights([np.repeat(np.random.default_rng(2).normal(size=(6, 4)), 100, axis=0)])
    thin, numbers = with_lookups(network), np.array([[0.0], [7.0], [399.0], [1198.0]], np.float32)
    np.testing.assert_array_equal(thin(numbers).numpy(), network(numbers).numpy())
