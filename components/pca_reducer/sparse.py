"""Sparse PCA from the covariance of all rows. No TensorFlow here.

Jenatton, Obozinski, Bach 2010, "Structured sparse principal component analysis": min ||X - UV||² / 2 + alpha ||V||_1
with columns of U of length 1. It depends on X by X'X alone, so the square root of the covariance stands for all rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ITERATIONS = 1000


def sparse_directions(
    variances: npt.NDArray[Any], axes: npt.NDArray[Any], k: int, penalty: float, seed: int
) -> npt.NDArray[Any]:
    """SparsePCA's components (k, n) by falling share of the variance, unit vectors or zeros.

    variances (r,), axes (r, n): eigenvalues and eigenvectors of the covariance. penalty: of loadings, in units of the
    largest standard deviation.
    """
    from sklearn.decomposition import SparsePCA

    root = np.sqrt(variances)[:, None] * axes
    rows = np.concatenate([root, -root]) / np.sqrt(2)  # of mean 0, which SparsePCA subtracts; the same X'X
    model = SparsePCA(k, alpha=penalty * float(np.sqrt(variances[0])), max_iter=ITERATIONS, random_state=seed)
    components = model.fit(rows).components_
    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    components = np.divide(components, lengths, out=np.zeros_like(components), where=lengths > 0)
    kept = np.sum((root @ components.T) ** 2, axis=0)
    return np.asarray(components[np.argsort(-kept, kind="stable")])
