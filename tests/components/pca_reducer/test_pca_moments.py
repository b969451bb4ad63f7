"""What the pass over rows leaves, by hand and against NumPy, in whatever order and parts the rows come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farebox.components.pca_reducer.moments import Batch, Moments, Summary, position_hashes, summary_of

rows = hnp.arrays(np.float64, st.tuples(st.integers(2, 40), st.integers(1, 5)), elements=st.floats(-1e3, 1e3))


def moments_of(*batches: np.ndarray) -> Moments:
    moments = Moments(batches[0].shape[1])
    for batch in batches:
        moments.update(batch)
    return moments


def batch_of(points: np.ndarray, shard: str, first_row: int = 0) -> Batch:
    return Batch(position_hashes(7, shard, first_row, len(points)), points, points[:, 0])


@given(rows=rows, cut=st.floats(0, 1))
def test_moments_in_two_parts_are_numpys(rows, cut):
    """In one accumulator, or in two that are merged; a part may be empty."""
    at = int(len(rows) * cut)
    merged = moments_of(rows[:at])
    merged.merge(moments_of(rows[at:]))
    for moments in (moments_of(rows[:at], rows[at:]), merged):
        assert moments.rows == len(rows)
        np.testing.assert_allclose(moments.mean, rows.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(moments.covariance, np.cov(rows.T).reshape(rows.shape[1], -1), atol=1e-6)
        np.testing.assert_allclose(moments.second_moment, rows.T @ rows / len(rows), atol=1e-6)


def test_moments_far_from_zero_lose_nothing():
    """1e9 + (0, 1, 2): variance 1; a sum of squares in float64 has a resolution of 256 there."""
    far = 1e9 + np.arange(3.0)[:, None]
    assert moments_of(far[:1], far[1:]).covariance.item() == pytest.approx(1, rel=1e-9)


@given(seed=st.integers(0, 2**16), size=st.integers(1, 60), cuts=st.lists(st.integers(0, 50), max_size=4))
def test_a_sample_is_the_same_in_whatever_parts_and_order(seed, size, cuts):
    """50 rows in one batch; and the same cut up, the parts shuffled and half of them merged from another summary."""
    points = np.random.default_rng(seed).normal(size=(50, 2)).astype(np.float32)
    whole = Summary(2, size)
    whole.update(batch_of(points, "a"))
    edges = [0, *sorted(cuts), 50]
    parts = [batch_of(points[i:j], "a", i) for i, j in itertools.pairwise(edges)]
    np.random.default_rng(seed).shuffle(parts)
    halves = [Summary(2, size), Summary(2, size)]
    for i, part in enumerate(parts):
        halves[i % 2].update(part)
    halves[0].merge(halves[1:])
    assert len(whole.sample.rows) == min(size, 50)
    np.testing.assert_array_equal(halves[0].sample.rows, whole.sample.rows)
    np.testing.assert_array_equal(halves[0].sample.labels, whole.sample.labels)
    np.testing.assert_allclose(halves[0].moments.covariance, whole.moments.covariance, atol=1e-12)


def test_every_row_is_as_likely_as_any_other():
    """500 seeds take 10 of 50 rows each: a row is taken 100 times, with a standard deviation of 8.9."""
    taken = np.zeros(50)
    for seed in range(500):
        taken[np.argsort(position_hashes(seed, "a", 0, 50))[:10]] += 1
    assert taken.sum() == 5000 and np.abs(taken - 100).max() < 4 * 8.9


def test_hashes_know_seed_shard_and_row_alone():
    hashes = position_hashes(1, "a", 0, 10)
    np.testing.assert_array_equal(position_hashes(1, "a", 4, 6), hashes[4:])
    others = [position_hashes(1, "b", 0, 10), position_hashes(2, "a", 0, 10)]
    assert len(set(np.concatenate([hashes, *others]))) == 30


def test_a_summary_survives_its_file():
    summary = Summary(2, 3)
    summary.update(batch_of(np.arange(10.0).reshape(5, 2), "a"))
    again = summary_of(summary.arrays())
    assert again.moments.rows == 5 and again.sample.size == 3
    for name, value in summary.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], value)
