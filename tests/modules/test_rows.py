"""Rows in memory: all of them, or a uniform sample that depends on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.modules import rows


def _batches(n: int, batch: int):
    """x counts the rows, the fare is its negative."""
    import tensorflow as tf

    for start in range(0, n, batch):
        x = np.arange(start, min(start + batch, n))[:, None]
        yield {"x": tf.constant(x)}, tf.constant(-x.astype(np.float32))


def test_all_rows_in_their_order():
    found = rows.read(_batches(10, 4), max_rows=10, seed=1)
    assert found.columns["x"].reshape(-1).tolist() == list(range(10))
    assert found.fares.tolist() == [-x for x in range(10)]
    assert len(found) == 10 and set(found.columns) == {"x"}


def test_a_sample_is_uniform_and_in_order():
    counts = np.zeros(100)
    for seed in range(400):
        found = rows.read(_batches(100, 7), max_rows=10, seed=seed)
        x = found.columns["x"].reshape(-1)
        assert len(x) == 10 and (np.diff(x) > 0).all() and (found.fares == -x).all()
        counts[x] += 1
    assert np.abs(counts - 40).max() < 5 * np.sqrt(40 * 0.9)  # five standard deviations of a binomial


def test_equal_seeds_give_equal_rows_however_they_are_batched():
    once, again, other = (rows.read(_batches(100, n), 10, seed) for n, seed in ((7, 3), (50, 3), (7, 4)))
    assert once.fares.tolist() == again.fares.tolist() != other.fares.tolist()


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="^a split has no rows"):
        rows.read(_batches(0, 4), 10, 0)
