"""The methods that find components, from the moments of all rows or from the sample. No TensorFlow here.

pca, svd: Jolliffe, "Principal Component Analysis", 2nd ed., sections 2.1 and 3.5. The others are scikit-learn's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.pca_reducer.axes import Axes, decoder_by, explained_by, reconstruction_error
from farebox.components.pca_reducer.moments import Moments, Sample, Summary
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.pca_reducer.sparse import sparse_directions

RANK_TOLERANCE = 1e-10  # of the largest eigenvalue: below it a direction is rounding
ICA_ITERATIONS = NMF_ITERATIONS = 1000
PLS_ITERATIONS = 2000


def fit(settings: ReducerSettings, summary: Summary, n_classes: int) -> tuple[Axes, Callable[[int], Axes]]:
    """All the components that an affine method has, and the function that gives its best k.

    n_classes: 0 if the label is a number. The best k are the first k of all, except with ica, which rotates the first k
    principal axes anew for every k; those axes, which explain as much, stand for all of its components. sparse_pca is
    fitted anew for every k, too.

    Raises:
        InputError: lda finds one class.
    """
    moments, sample = summary.moments, summary.sample
    scale = scale_of(moments, settings.standardize)
    if settings.method in ("pca", "ica"):
        all_axes = principal_axes(moments, scale)
        if settings.method == "ica":
            all_axes = all_axes.first(rank_of(all_axes.explained_variance))
    elif settings.method == "sparse_pca":
        all_axes = sparse_axes(rank_of(by_eigenvalue(scaled_covariance(moments, scale))[0]), settings, moments, scale)
    elif settings.method == "svd":
        all_axes = with_decoder("svd", axes_about_zero(moments, scale), moments, scale)
    else:
        rows = (sample.rows - moments.mean) / scale
        if settings.method == "pls":
            rank = rank_of(by_eigenvalue(scaled_covariance(moments, scale))[0])
            components = pls_directions(rows, targets_of(sample.labels, n_classes), rank)
        else:
            components = lda_directions(rows, classes_of(sample.labels, n_classes, settings.label_bins))
        all_axes = with_decoder(settings.method, components, moments, scale)

    def best(k: int) -> Axes:
        chosen = all_axes.first(k)
        if settings.method == "ica":
            chosen = independent(chosen, moments, sample, settings.seed)
        elif settings.method == "sparse_pca":
            chosen = sparse_axes(k, settings, moments, scale)
        elif settings.method != "pca":  # whose codes are uncorrelated: the decoder of all is that of the first k
            chosen = with_decoder(settings.method, chosen.components, moments, scale)
        return whitened(chosen, moments) if settings.whiten else chosen

    return all_axes, best


def scale_of(moments: Moments, standardize: bool) -> npt.NDArray[Any]:
    """Standard deviations (n - 1), (n,); 1 for a feature that never changes, or if nothing is standardized."""
    deviations = np.sqrt(np.diag(moments.covariance))
    return np.where(deviations > 0, deviations, 1.0) if standardize else np.ones_like(deviations)


def scaled_covariance(moments: Moments, scale: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Covariance of the features in units of scale."""
    return moments.covariance / np.outer(scale, scale)


def signed(components: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each row with the sign that makes its largest entry positive: the sign of an eigenvector is arbitrary."""
    pivots = np.abs(components).argmax(axis=1)
    signs = np.where(components[np.arange(len(components)), pivots] < 0, -1.0, 1.0)
    return np.asarray(components * signs[:, None])


def by_eigenvalue(matrix: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Eigenvalues (n,) in falling order, and eigenvectors (n, n) as rows."""
    values, vectors = np.linalg.eigh(matrix)
    # eigh gives tiny negative values for a singular covariance (features that follow others)
    return np.maximum(values[::-1], 0.0), signed(vectors[:, ::-1].T)


def rank_of(variances: npt.NDArray[Any]) -> int:
    """The number of falling variances that are more than rounding errors; at least 1."""
    return max(int((variances > RANK_TOLERANCE * variances[0]).sum()), 1)


def principal_axes(moments: Moments, scale: npt.NDArray[Any]) -> Axes:
    """Orthonormal eigenvectors of the covariance, which are their own decoder."""
    variance, components = by_eigenvalue(scaled_covariance(moments, scale))
    return Axes("pca", moments.mean, scale, components, components, variance, float(variance.sum()))


def axes_about_zero(moments: Moments, scale: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Right singular vectors of the uncentered rows, (n, n), as TruncatedSVD computes them."""
    return by_eigenvalue(moments.second_moment / np.outer(scale, scale))[1]


def sparse_axes(k: int, settings: ReducerSettings, moments: Moments, scale: npt.NDArray[Any]) -> Axes:
    """k sparse directions, with the decoder of linear regression."""
    variances, axes = by_eigenvalue(scaled_covariance(moments, scale))
    components = sparse_directions(variances, axes, k, settings.sparse_penalty, settings.seed)
    return with_decoder("sparse_pca", signed(components), moments, scale)


def with_decoder(method: str, components: npt.NDArray[Any], moments: Moments, scale: npt.NDArray[Any]) -> Axes:
    """Axes about the mean with the best decoder for these components: the mean goes into the network's bias."""
    covariance = scaled_covariance(moments, scale)
    decoder, explained = decoder_by(components, covariance), explained_by(components, covariance)
    return Axes(method, moments.mean, scale, components, decoder, explained, float(np.trace(covariance)))


def independent(axes: Axes, moments: Moments, sample: Sample, seed: int) -> Axes:
    """FastICA's rotation of the whitened codes; components by falling share of the variance."""
    from sklearn.decomposition import FastICA

    deviations = np.sqrt(axes.explained_variance)
    ica = FastICA(whiten=False, random_state=seed, max_iter=ICA_ITERATIONS)
    rotation = ica.fit(axes.codes(sample.rows) / deviations).components_
    components = rotation @ (axes.components / deviations[:, None])
    weights = np.sum(decoder_by(components, scaled_covariance(moments, axes.scale)) ** 2, axis=1)
    return with_decoder("ica", signed(components[np.argsort(-weights, kind="stable")]), moments, axes.scale)


def targets_of(labels: npt.NDArray[Any], n_classes: int) -> npt.NDArray[Any]:
    """The targets of pls: the number, (n, 1), or one-hot classes, (n, n_classes)."""
    return np.eye(n_classes)[labels.astype(int)] if n_classes else labels[:, None]


def classes_of(labels: npt.NDArray[Any], n_classes: int, n_bins: int) -> npt.NDArray[Any]:
    """The classes of lda, (n,): those of the label, or the quantile bin (one of n_bins) of a number.

    Bins hold about equally many rows; there are fewer if values repeat.
    """
    if n_classes:
        return labels.astype(int)
    edges = np.unique(np.quantile(labels, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, labels, side="right")


def pls_directions(rows: npt.NDArray[Any], targets: npt.NDArray[Any], rank: int) -> npt.NDArray[Any]:
    """PLSRegression's rotations, (k, n), made unit vectors; k is rank, or fewer if the targets are used up."""
    from sklearn.cross_decomposition import PLSRegression

    model = PLSRegression(min(rank, len(rows) - 1), scale=False, max_iter=PLS_ITERATIONS).fit(rows, targets)
    rotations = model.x_rotations_.T
    lengths = np.linalg.norm(rotations, axis=1)
    used = len(lengths) if np.all(lengths > 0) else int(np.argmin(lengths > 0))
    return signed(rotations[:used] / lengths[:used, None])


def lda_directions(rows: npt.NDArray[Any], classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """LinearDiscriminantAnalysis' scalings, (k, n); k is at most one less than the classes.

    Raises InputError if there is one class.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    n_classes = len(np.unique(classes))
    if n_classes < 2:
        raise InputError(f"reducer.method=lda must have at least 2 classes of the label to part, got {n_classes}")
    return signed(LinearDiscriminantAnalysis().fit(rows, classes).scalings_.T[: n_classes - 1])


def whitened(axes: Axes, moments: Moments) -> Axes:
    """The same axes with codes of variance 1; a code that never changes stays."""
    variances = np.einsum("nk,nm,mk->k", axes.encoder, moments.covariance, axes.encoder)
    living = variances > RANK_TOLERANCE * variances.max()
    deviations = np.sqrt(np.where(living, variances, 1.0))[:, None]
    return dataclasses.replace(axes, components=axes.components / deviations, decoder=axes.decoder * deviations)


def check_non_negative(summary: Summary, names: Sequence[str]) -> None:
    """Raises InputError if a sampled feature is negative; names (n,) of the features."""
    least = summary.sample.rows.min(axis=0)
    lowest = int(least.argmin())
    if least[lowest] < 0:
        raise InputError(
            f"reducer.method=nmf must have features of at least 0, got {least[lowest]:.6g} in {names[lowest]}"
        )


def least_values(summary: Summary) -> npt.NDArray[Any]:
    """Numbers that nmf subtracts from features so that none of the sample is negative, (n,); 0 where none is."""
    return np.asarray(np.minimum(summary.sample.rows.min(axis=0).astype(np.float64), 0.0))


def non_negative_parts(summary: Summary, k: int, seed: int) -> Axes:
    """NMF's parts (Lee, Seung 1999), by falling energy. Their variance is shared out by energy: parts overlap."""
    from sklearn.decomposition import NMF

    rows, least = summary.sample.rows.astype(np.float64), least_values(summary)
    model = NMF(k, init="nndsvda", random_state=seed, max_iter=NMF_ITERATIONS).fit(rows - least)
    n, total = rows.shape[1], float(np.trace(summary.moments.covariance))
    parts = Axes("nmf", least, np.ones(n), model.components_, model.components_, np.zeros(k), total)
    energy = np.mean(parts.codes(rows) ** 2, axis=0) * np.sum(parts.components**2, axis=1)
    order = np.argsort(-energy, kind="stable")
    explained = max(total - reconstruction_error(parts, rows), 0.0)
    shares = energy[order] / (energy.sum() or 1.0)
    components = parts.components[order]
    return Axes("nmf", parts.mean, parts.scale, components, components, explained * shares, total)
