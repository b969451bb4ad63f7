"""Every method's components, by hand and against scikit-learn on the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.pca_reducer import axes as axes_module
from farebox.components.pca_reducer import kernel, methods
from farebox.components.pca_reducer.axes import Axes, reconstruction_error
from farebox.components.pca_reducer.moments import Batch, Moments, Summary, position_hashes
from farebox.components.pca_reducer.settings import ReducerSettings

AFFINE = ("pca", "svd", "sparse_pca", "ica", "pls", "lda")


def summary_over(points: np.ndarray, labels: np.ndarray | None = None) -> Summary:
    summary = Summary(points.shape[1], len(points))
    labels = points.sum(axis=1) if labels is None else labels
    summary.update(Batch(position_hashes(0, "a", 0, len(points)), points, labels))
    return summary


def fitted(points: np.ndarray, k: int, labels: np.ndarray | None = None, n_classes: int = 0, **chosen) -> Axes:
    _, best = methods.fit(ReducerSettings(**chosen), summary_over(points, labels), n_classes)
    return best(k)


def moments_of(points: np.ndarray) -> Moments:
    return summary_over(points).moments


def principal(points: np.ndarray) -> Axes:
    return methods.principal_axes(moments_of(points), np.ones(points.shape[1]))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """400 rows of 6 features that depend on each other, far from Gaussian, exact in float32."""
    random = np.random.default_rng(3)
    mixed = random.laplace(size=(400, 6)) @ random.normal(size=(6, 6)) + random.normal(size=6)
    return mixed.astype(np.float32).astype(np.float64)


def aligned(components: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Cosines between rows: 1 or -1 where they are the same direction."""
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (components, expected)]
    return np.sum(units[0] * units[1], axis=1)


def test_axes_by_hand():
    """Four points on the diagonals, 1.5 and 0.5 * sqrt(2) from (5, 7): sums of squares 2 * 4.5 and 2 * 0.5, over 3."""
    axes = principal(np.array([5, 7]) + np.array([[1.5, 1.5], [-1.5, -1.5], [0.5, -0.5], [-0.5, 0.5]]))
    np.testing.assert_allclose(axes.mean, [5, 7])
    np.testing.assert_allclose(axes.explained_variance, [3, 1 / 3])
    np.testing.assert_allclose(axes.explained_variance_ratio, [0.9, 0.1])
    np.testing.assert_allclose(axes.components[0], np.array([1, 1]) / np.sqrt(2))
    np.testing.assert_allclose(np.abs(axes.components[1]), np.array([1, 1]) / np.sqrt(2))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_axes_are_orthonormal_ordered_signed_and_the_same_again(seed, n):
    points = np.random.default_rng(seed).normal(size=(64, n))
    axes, again = principal(points), principal(points.copy())
    np.testing.assert_allclose(axes.components @ axes.components.T, np.eye(n), atol=1e-10)
    assert np.all(np.diff(axes.explained_variance) <= 0)
    largest = np.abs(axes.components).argmax(axis=1)
    assert np.all(axes.components[np.arange(n), largest] > 0)
    np.testing.assert_array_equal(axes.components, again.components)
    rotated = axes.components @ np.cov(points.T).reshape(n, n) @ axes.components.T
    np.testing.assert_allclose(rotated, np.diag(axes.explained_variance), atol=1e-8)


def test_mirrored_data_have_the_same_axes():
    points = np.random.default_rng(7).normal(size=(50, 4)) * [4, 3, 2, 1]
    np.testing.assert_allclose(principal(points).components, principal(-points).components)


def test_units_that_follow_others_have_no_negative_variance():
    """Six units of rank 3: the other eigenvalues are 0 but for rounding, which for some of these seeds goes below."""
    for seed in range(10):
        random = np.random.default_rng(seed)
        points = random.normal(size=(30, 3)) @ random.normal(size=(3, 6))
        variance = principal(points).explained_variance
        assert np.all(variance >= 0) and np.all(variance[3:] < 1e-9)


@pytest.mark.parametrize("standardize", [False, True])
def test_pca_is_scikit_learns(points, standardize):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    axes = fitted(points, 3, standardize=standardize)
    rows = StandardScaler().fit_transform(points) * np.sqrt(399 / 400) if standardize else points
    reference = PCA(3).fit(rows)
    np.testing.assert_allclose(aligned(axes.components, reference.components_) ** 2, 1, atol=1e-6)
    np.testing.assert_allclose(axes.explained_variance, reference.explained_variance_, atol=1e-6)
    np.testing.assert_allclose(axes.explained_variance_ratio, reference.explained_variance_ratio_, atol=1e-6)


def test_whitened_codes_have_variance_1_and_lose_no_more(points):
    plain, white = (fitted(points, 4, whiten=whiten) for whiten in (False, True))
    np.testing.assert_allclose(np.cov(white.codes(points).T), np.eye(4), atol=1e-9)
    assert reconstruction_error(white, points) == pytest.approx(reconstruction_error(plain, points))


def test_svd_is_scikit_learns_truncated_svd(points):
    from sklearn.decomposition import TruncatedSVD

    reference = TruncatedSVD(3, algorithm="arpack", random_state=0).fit(points)
    axes = fitted(points, 3, method="svd")
    np.testing.assert_allclose(aligned(axes.components, reference.components_) ** 2, 1, atol=1e-6)
    turned = axes.codes(points) * np.sign(aligned(axes.components, reference.components_))
    np.testing.assert_allclose(turned + points.mean(axis=0) @ reference.components_.T, reference.transform(points))


def test_ica_finds_scikit_learns_components(points):
    """In any order and of any sign."""
    from sklearn.decomposition import FastICA

    reference = FastICA(6, whiten="unit-variance", random_state=0, tol=1e-10, max_iter=5000).fit(points)
    axes = fitted(points, 6, method="ica")
    crossed = np.abs(np.corrcoef(axes.codes(points).T, reference.transform(points).T)[:6, 6:])
    assert np.sort(crossed.max(axis=1))[0] > 0.999
    np.testing.assert_allclose(np.cov(axes.codes(points).T), np.eye(6), atol=1e-6)


def test_ica_within_k_axes_keeps_what_pca_keeps(points):
    kept = [fitted(points, 3, method=method).explained_variance.sum() for method in ("ica", "pca")]
    assert kept[0] == pytest.approx(kept[1])


def test_pls_is_scikit_learns(points):
    """Directions, and the decoder is the regression that NIPALS' loadings are."""
    from sklearn.cross_decomposition import PLSRegression

    fares = np.tanh(points[:, 0]) + points[:, 1] ** 2
    reference = PLSRegression(3, scale=False).fit(points, fares)
    axes = fitted(points, 3, labels=fares, method="pls")
    np.testing.assert_allclose(aligned(axes.components, reference.x_rotations_.T) ** 2, 1, atol=1e-6)
    np.testing.assert_allclose(aligned(axes.decoder, reference.x_loadings_.T) ** 2, 1, atol=1e-6)


def test_lda_is_scikit_learns_on_quantile_bins(points):
    """Bins by hand: a hundred fares 1..100 in four bins, edges 25.75, 50.5, 75.25."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    assert np.bincount(methods.classes_of(np.arange(1.0, 101), 0, 4)).tolist() == [25, 25, 25, 25]
    fares = points[:, 0] + 0.1 * points[:, 1]
    bins = np.searchsorted(np.quantile(fares, [0.25, 0.5, 0.75]), fares, side="right")
    reference = LinearDiscriminantAnalysis().fit(points, bins)
    axes = fitted(points, 3, labels=fares, method="lda", label_bins=4)
    np.testing.assert_allclose(aligned(axes.components, reference.scalings_.T[:3]) ** 2, 1, atol=1e-6)


def test_a_classifiers_lda_and_pls_take_the_labels_classes(points):
    labels = (points[:, 0] > 0).astype(float) + (points[:, 1] > 0)
    curve, _ = methods.fit(ReducerSettings(method="lda", label_bins=10), summary_over(points, labels), 3)
    assert len(curve) == 2
    assert methods.targets_of(np.array([2.0, 0.0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert len(fitted(points, 4, labels=labels, n_classes=3, method="pls")) == 4


def test_one_class_cannot_be_parted(points):
    with pytest.raises(
        ValueError, match="^reducer.method=lda must have at least 2 classes of the label to part, got 1"
    ):
        fitted(points, 1, labels=np.ones(400), method="lda")


@pytest.mark.parametrize("method", AFFINE)
@pytest.mark.parametrize("whiten", [False, True])
def test_what_is_lost_is_what_is_not_explained(points, method, whiten):
    """And it falls with k, to nothing where the method has as many components as there are features."""
    curve, best = methods.fit(ReducerSettings(method=method, whiten=whiten, standardize=True), summary_over(points), 0)
    scale = 399 / 400  # a mean over rows, where variances divide by n - 1
    errors = [reconstruction_error(best(k), points) for k in range(1, len(curve) + 1)]
    for k, error in enumerate(errors, start=1):
        explained = best(k).explained_variance.sum()
        assert error == pytest.approx((curve.total_variance - explained) * scale, rel=1e-5, abs=1e-5)
    assert np.all(np.diff(errors) < 1e-9)
    if len(curve) == 6:
        assert errors[-1] < 1e-9


@given(seed=st.integers(0, 2**16), k=st.integers(1, 4))
def test_no_k_linear_codes_lose_less_than_pcas(seed, k):
    """Eckart, Young 1936."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(60, 4)) @ random.normal(size=(4, 4))
    moments = moments_of(points)
    other = methods.with_decoder("other", random.normal(size=(k, 4)), moments, np.ones(4))
    best = methods.principal_axes(moments, np.ones(4)).first(k)
    assert best.explained_variance.sum() >= other.explained_variance.sum() * (1 - 1e-6)


def test_a_feature_that_never_changes_is_left_alone(points):
    still = np.concatenate([points, np.full((400, 1), 5.0)], axis=1)
    for method in AFFINE:
        axes = fitted(still, 2, method=method, standardize=True, whiten=True)
        assert np.all(np.isfinite(axes.components)) and np.all(np.isfinite(axes.decoder))
        assert (axes.mean + axes.codes(still) @ axes.scaled_decoder)[:, 6] == pytest.approx(5.0)
    dead = fitted(still, 7, whiten=True)
    assert np.all(np.isfinite(dead.components)) and reconstruction_error(dead, still) < 1e-9


def test_loadings_are_numpys_covariances_and_correlations(points):
    axes = fitted(points, 2, standardize=True)
    covariances, correlations = axes_module.loadings(axes, moments_of(points).covariance)
    both = np.concatenate([axes.codes(points), points], axis=1)
    np.testing.assert_allclose(covariances, np.cov(both.T)[:2, 2:], atol=1e-9)
    np.testing.assert_allclose(correlations, np.corrcoef(both.T)[:2, 2:], atol=1e-9)


def test_nmf_finds_the_parts_that_rows_are_made_of():
    """Rows are a (1, 1, 0, 0) + b (0, 0, 1, 2): two parts, and nothing is lost."""
    weights = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [1, 3]
    rows = weights @ np.array([[1.0, 1, 0, 0], [0, 0, 1, 2]])
    parts = methods.non_negative_parts(summary_over(rows), 2, seed=0)
    np.testing.assert_allclose(aligned(parts.components, np.array([[0.0, 0, 1, 2], [1, 1, 0, 0]])), 1, atol=1e-3)
    assert parts.explained_variance_ratio.sum() == pytest.approx(1, abs=1e-3)
    assert np.all(parts.codes(rows) >= 0) and reconstruction_error(parts, rows) < 1e-3
    covariances, correlations = axes_module.loadings_over(parts, rows)
    assert correlations[0, 3] == pytest.approx(1, abs=1e-3) and covariances.shape == (2, 4)


def test_nmf_refuses_negative_features():
    rows = np.array([[1.0, 0.0, 2.0], [1.0, -0.5, 0.0]])
    with pytest.raises(ValueError, match="^reducer.method=nmf must have features of at least 0, got -0.5 in b$"):
        methods.check_non_negative(summary_over(rows), "abc")


def test_nmf_of_negative_features_is_of_their_distance_from_the_least():
    """The same two parts, moved by -5 and 3: shifted back, nothing is lost; a row below the least counts as it."""
    weights = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [1, 3]
    rows = weights @ np.array([[1.0, 1, 0, 0], [0, 0, 1, 2]])
    rows += -rows.min(axis=0) + np.array([-5.0, 3.0, -5.0, 0.0])
    parts = methods.non_negative_parts(summary_over(rows), 2, seed=0)
    np.testing.assert_allclose(parts.mean, [-5, 0, -5, 0])
    assert reconstruction_error(parts, rows) < 0.1
    assert np.all(np.isfinite(parts.codes(rows - 1.0)))


def test_sparse_directions_are_scikit_learns_on_all_rows(points):
    """Its penalty is of the sum over rows, ours of the covariance: they differ by the root of n - 1."""
    from sklearn.decomposition import SparsePCA

    axes = fitted(points, 3, method="sparse_pca", sparse_penalty=0.2)
    largest = np.sqrt(np.linalg.eigvalsh(np.cov(points.T))[-1])
    reference = SparsePCA(3, alpha=0.2 * largest * np.sqrt(399), max_iter=1000).fit(points).components_
    np.testing.assert_array_equal(np.sort((axes.components != 0).sum(axis=1)), np.sort((reference != 0).sum(axis=1)))
    cosines = np.abs(axes.components @ reference.T) / np.linalg.norm(reference, axis=1)
    np.testing.assert_allclose(cosines.max(axis=1), 1, atol=1e-3)
    loose, tight = (fitted(points, 3, method="sparse_pca", sparse_penalty=each).components for each in (0.01, 0.5))
    assert (tight == 0).sum() > (loose == 0).sum()


def test_kernel_components_part_what_no_plane_parts():
    """Two rings about the origin: a plane through five kernel codes parts them, and none through the rows does."""
    random = np.random.default_rng(2)
    angles, ring = random.uniform(0, 2 * np.pi, 200), np.repeat([-1.0, 1.0], 100)
    rings = (ring + 2)[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    axes = kernel.kernel_axes(summary_over(rings), standardize=False, seed=0)

    def parted(codes: np.ndarray) -> float:
        columns = np.column_stack([codes, np.ones(200)])
        return float(np.mean((columns @ np.linalg.lstsq(columns, ring, rcond=None)[0] > 0) == (ring > 0)))

    assert parted(axes.first(5).codes(rings)) == 1.0 and parted(principal(rings).codes(rings)) < 0.7
    shown = axes.first(5)
    np.testing.assert_allclose(shown.codes(rings).std(axis=0, ddof=1) ** 2, shown.explained_variance, rtol=1e-4)


def test_kernel_codes_are_scikit_learns_where_all_rows_are_landmarks():
    """Then the Nyström method is exact."""
    from sklearn.decomposition import KernelPCA

    rows = np.random.default_rng(5).normal(size=(60, 3)).astype(np.float32).astype(np.float64)
    axes = kernel.kernel_axes(summary_over(rows), standardize=False, seed=0)
    gamma = 1 / np.trace(np.cov(rows.T))
    reference = KernelPCA(3, kernel="rbf", gamma=gamma).fit_transform(rows - rows.mean(axis=0))
    np.testing.assert_allclose(np.abs(axes.first(3).codes(rows)), np.abs(reference), atol=1e-6)
