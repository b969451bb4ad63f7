"""The map from n features to k codes and back, what it keeps and what it loses. NumPy, and scikit-learn for NMF."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Landmarks:
    """Rows that codes of kernel PCA are computed with: exp(-gamma d²) by landmark, times components.T, less the offset.

    rows (m, n): in units of scale, less the mean. offset (k,).
    """

    rows: npt.NDArray[Any]
    gamma: float
    offset: npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Axes:
    """codes = (x - mean) / scale @ components.T, and x ≈ mean + scale * (codes @ decoder).

    mean, scale (n,); components, decoder (k, n); explained_variance (k,): the variance that each component adds to
    those before it, in units of scale; total_variance: of all n features. With method nmf, the codes are the
    non-negative ones that fit best, not a product. With landmarks, components are (k, m), and variances are the
    kernel's.
    """

    method: str
    mean: npt.NDArray[Any]
    scale: npt.NDArray[Any]
    components: npt.NDArray[Any]
    decoder: npt.NDArray[Any]
    explained_variance: npt.NDArray[Any]
    total_variance: float
    landmarks: Landmarks | None = None

    def __len__(self) -> int:
        return len(self.components)

    @property
    def explained_variance_ratio(self) -> npt.NDArray[Any]:
        return self.explained_variance / (self.total_variance or 1.0)

    def first(self, k: int) -> Axes:
        """The first k components, with their rows of the decoder."""
        marks = self.landmarks
        return dataclasses.replace(
            self,
            landmarks=marks and dataclasses.replace(marks, offset=marks.offset[:k]),
            components=self.components[:k],
            decoder=self.decoder[:k],
            explained_variance=self.explained_variance[:k],
        )

    @property
    def encoder(self) -> npt.NDArray[Any]:
        """The matrix from features less their mean to codes, (n, k)."""
        return np.asarray((self.components / self.scale).T)

    @property
    def scaled_decoder(self) -> npt.NDArray[Any]:
        """The matrix from codes to features less their mean, (k, n)."""
        return np.asarray(self.decoder * self.scale)

    def codes(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The codes (n_rows, k) of rows (n_rows, n)."""
        rows = rows.astype(np.float64) - self.mean
        if self.method == "nmf":
            # a shifted row may lie below the sample's least
            return non_negative_codes(np.maximum(rows, 0.0) if self.mean.any() else rows, self.components)
        if self.landmarks is None:
            return np.asarray(rows @ self.encoder)
        from sklearn.metrics.pairwise import rbf_kernel

        kernels = rbf_kernel(rows / self.scale, self.landmarks.rows, self.landmarks.gamma)
        return np.asarray(kernels @ self.components.T - self.landmarks.offset)


def load_projection(uri: str) -> Axes:
    """The k components of a Projection artifact."""
    import tensorflow as tf

    with tf.io.gfile.GFile(f"{uri}/projection.json") as file:
        method = json.loads(file.read())["method"]
    with tf.io.gfile.GFile(f"{uri}/projection.npz", "rb") as file, np.load(io.BytesIO(file.read())) as content:
        arrays = dict(content)
    parts = {name: arrays[name] for name in ("mean", "scale", "components", "decoder")}
    explained = arrays["explained_variance"][: len(parts["components"])]
    marks = None
    if "landmarks" in arrays:
        marks = Landmarks(arrays["landmarks"], float(arrays["landmark_gamma"]), arrays["landmark_offset"])
    total = float(arrays["total_variance"])
    return Axes(method, **parts, explained_variance=explained, total_variance=total, landmarks=marks)


def non_negative_codes(rows: npt.NDArray[Any], components: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """W >= 0 of shape (n_rows, k) that makes W @ components nearest to the rows."""
    from sklearn.decomposition import non_negative_factorization

    codes, _, _ = non_negative_factorization(
        rows, H=components, n_components=len(components), init="custom", update_H=False, tol=1e-6, max_iter=1000
    )
    return np.asarray(codes)


def reconstruction_error(axes: Axes, rows: npt.NDArray[Any]) -> float:
    """Mean over rows of the squared distance from a row to its reconstruction from codes, in units of scale.

    On the rows that the axes come from, it is total_variance minus all explained_variance, except for the n - 1.
    """
    lost = rows - (axes.mean + axes.codes(rows) @ axes.scaled_decoder)
    return float(np.mean(np.sum((lost / axes.scale) ** 2, axis=1)))


def explained_by(components: npt.NDArray[Any], covariance: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Variance that each component's code, by linear regression, explains beyond those before it, (k,).

    components (k, n), covariance (n, n). The remainder is the Schur complement; for principal axes these are the
    eigenvalues.
    """
    left, gains = covariance.copy(), np.zeros(len(components))
    tiny = 1e-12 * max(np.trace(covariance), np.finfo(float).tiny)
    for i, component in enumerate(components):
        shared = left @ component
        variance = component @ shared
        if variance > tiny * (component @ component):
            gains[i] = shared @ shared / variance
            left -= np.outer(shared, shared) / variance
    return gains


def decoder_by(components: npt.NDArray[Any], covariance: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The linear regression of features on codes, (k, n): no other decoder loses less."""
    shared = components @ covariance
    return np.asarray(np.linalg.pinv(shared @ components.T, rcond=1e-12, hermitian=True) @ shared)


def loadings(axes: Axes, covariance: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Covariances and correlations between codes and features, (k, n) each; 0 with a feature that never changes.

    covariance: of the features, (n, n).
    """
    shared = axes.encoder.T @ covariance
    of_codes, of_features = np.einsum("kn,nk->k", shared, axes.encoder), np.diag(covariance)
    return shared, correlations(shared, of_codes, of_features)


def loadings_over(
    axes: Axes, rows: npt.NDArray[Any], features: npt.NDArray[Any] | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """`loadings` over rows (n_rows, n), by default with the rows' own features; features: others, (n_rows, m)."""
    codes, k = axes.codes(rows), len(axes)
    both = np.cov(np.concatenate([codes, rows if features is None else features], axis=1).T)
    variances = np.diag(both)
    return both[:k, k:], correlations(both[:k, k:], variances[:k], variances[k:])


def correlations(
    covariances: npt.NDArray[Any], of_codes: npt.NDArray[Any], of_features: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Correlations (k, n) from covariances (k, n) and variances (k,) and (n,)."""
    deviations = np.sqrt(np.outer(np.maximum(of_codes, 0), np.maximum(of_features, 0)))
    quotients = np.divide(covariances, deviations, out=np.zeros_like(covariances), where=deviations > 0)
    return np.asarray(quotients)
