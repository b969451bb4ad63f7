"""Tables with fewer distinct rows."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.quantizer.merging import merged_rows


def test_rows_that_are_alike_become_their_mean_by_how_often_they_are_looked_up():
    """By hand: 1 and 3 looked up 3 times and once become 1.5; 9 stays, as does the 0 that most ids share."""
    table = np.array([[0], [0], [0], [1], [3], [9]], np.float32)
    merged = merged_rows(table, np.array([0, 0, 0, 3, 1, 5]), 3, seed=1)
    np.testing.assert_allclose(merged[:, 0], [0, 0, 0, 1.5, 1.5, 9])


@pytest.mark.parametrize("n_rows", [16, 64])
def test_few_rows_are_as_good_as_scikit_learns(n_rows):
    """The weighted squared departure is at most 10 % above KMeans' of one start; the same seed gives the same rows."""
    from sklearn.cluster import KMeans

    random = np.random.default_rng(3)
    table = np.concatenate([np.zeros((1000, 6)), random.normal(size=(200, 6))]).astype(np.float32)
    counts = np.concatenate([np.zeros(1000, int), random.integers(1, 50, 200)])
    merged = merged_rows(table, counts, n_rows, seed=1)
    assert len(np.unique(merged, axis=0)) <= n_rows and not merged[:1000].any()
    np.testing.assert_array_equal(merged, merged_rows(table, counts, n_rows, seed=1))
    departure = (counts[:, None] * (merged - table) ** 2).sum()
    fitted = KMeans(n_rows - 1, n_init=1, random_state=1).fit(table[1000:], sample_weight=counts[1000:])
    assert departure < 1.1 * fitted.inertia_


def test_a_table_of_few_rows_stays_as_it_is():
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(merged_rows(table, np.ones(4, int), 4, seed=1), table)
