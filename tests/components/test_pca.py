"""The maths of PcaReducer: moments, axes and how many of them, by hand and against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from components.pca_reducer import pca

rows = hnp.arrays(np.float64, st.tuples(st.integers(2, 40), st.integers(1, 5)), elements=st.floats(-1e3, 1e3))


def moments_of(*batches: np.ndarray) -> pca.Moments:
    moments = pca.Moments(batches[0].shape[1])
    for batch in batches:
        moments.update(batch)
    return moments


def axes_with(*explained_variance: float) -> pca.Axes:
    n = len(explained_variance)
    return pca.Axes(np.zeros(n), np.eye(n), np.array(explained_variance))


@given(rows=rows, cut=st.floats(0.1, 0.9))
def test_moments_in_two_batches_are_numpys(rows, cut):
    at = min(max(int(len(rows) * cut), 1), len(rows) - 1)
    moments = moments_of(rows[:at], rows[at:])
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T).reshape(rows.shape[1], -1), atol=1e-6)


def test_moments_far_from_zero_lose_nothing():
    """1e9 + (0, 1, 2): variance 1; a sum of squares in float64 has a resolution of 256 there."""
    far = 1e9 + np.arange(3.0)[:, None]
    assert moments_of(far[:1], far[1:]).covariance.item() == pytest.approx(1, rel=1e-9)


def test_axes_by_hand():
    """Four points on the diagonals, 1.5 and 0.5 * sqrt(2) from (5, 7): sums of squares 2 * 4.5 and 2 * 0.5, over 3."""
    points = np.array([5, 7]) + np.array([[1.5, 1.5], [-1.5, -1.5], [0.5, -0.5], [-0.5, 0.5]])
    axes = pca.principal_axes(moments_of(points))
    np.testing.assert_allclose(axes.mean, [5, 7])
    np.testing.assert_allclose(axes.explained_variance, [3, 1 / 3])
    np.testing.assert_allclose(axes.explained_variance_ratio, [0.9, 0.1])
    np.testing.assert_allclose(axes.components[0], np.array([1, 1]) / np.sqrt(2))
    np.testing.assert_allclose(np.abs(axes.components[1]), np.array([1, 1]) / np.sqrt(2))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_axes_are_orthonormal_ordered_signed_and_the_same_again(seed, n):
    points = np.random.default_rng(seed).normal(size=(64, n))
    axes, again = pca.principal_axes(moments_of(points)), pca.principal_axes(moments_of(points.copy()))
    np.testing.assert_allclose(axes.components @ axes.components.T, np.eye(n), atol=1e-10)
    assert np.all(np.diff(axes.explained_variance) <= 0)
    largest = np.abs(axes.components).argmax(axis=1)
    assert np.all(axes.components[np.arange(n), largest] > 0)
    np.testing.assert_array_equal(axes.components, again.components)
    rotated = axes.components @ np.cov(points.T).reshape(n, n) @ axes.components.T
    np.testing.assert_allclose(rotated, np.diag(axes.explained_variance), atol=1e-8)


def test_mirrored_data_have_the_same_axes():
    points = np.random.default_rng(7).normal(size=(50, 4)) * [4, 3, 2, 1]
    axes, mirrored = (pca.principal_axes(moments_of(rows)).components for rows in (points, -points))
    np.testing.assert_allclose(axes, mirrored)


def test_units_that_follow_others_have_no_negative_variance():
    """Six units of rank 3: the other eigenvalues are 0 but for rounding, which for some of these seeds goes below."""
    for seed in range(10):
        random = np.random.default_rng(seed)
        points = random.normal(size=(30, 3)) @ random.normal(size=(3, 6))
        variance = pca.principal_axes(moments_of(points)).explained_variance
        assert np.all(variance >= 0) and np.all(variance[3:] < 1e-9)


@pytest.mark.parametrize(("k", "n", "rounded"), [(1, 16, 4), (4, 16, 4), (5, 16, 8), (5, 6, 6), (9, 10, 10), (1, 3, 3)])
def test_k_is_rounded_up_to_a_multiple_of_four(k, n, rounded):
    assert pca.round_up(k, n) == rounded


@pytest.mark.parametrize(
    ("fraction", "k"),
    [
        (0.5, 4),  # the first axis alone
        (0.9375, 4),  # exactly the first four
        (0.94, 8),  # a fifth is needed
        (0.999, 8),
    ],
)
def test_components_for_by_hand(fraction, k):
    """Sixteenths 8 4 2 1 1 and three dead units: cumulative 0.5, 0.75, 0.875, 0.9375, 1."""
    assert pca.components_for(axes_with(8, 4, 2, 1, 1, 0, 0, 0), fraction) == k


def test_components_for_forgives_the_last_bit():
    """Eight tenths add up to 0.7999999999999999 in float64."""
    assert pca.components_for(axes_with(*[1] * 10), 0.8) == 8
