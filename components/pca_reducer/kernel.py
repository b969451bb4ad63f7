"""Kernel PCA by the Nyström method, on the sample. No TensorFlow here.

Schölkopf, Smola, Müller 1998, "Nonlinear component analysis as a kernel eigenvalue problem"; Williams, Seeger 2001,
"Using the Nyström method to speed up kernel machines": rows are mapped by their kernels with a few landmark rows.
"""

from __future__ import annotations

import numpy as np

from farebox.components.pca_reducer.axes import Axes, Landmarks
from farebox.components.pca_reducer.methods import by_eigenvalue, rank_of, scale_of, scaled_covariance
from farebox.components.pca_reducer.moments import Summary

MOST_LANDMARKS = 500  # each row is compared with all of them


def kernel_axes(summary: Summary, *, standardize: bool, seed: int) -> Axes:
    """All components that the sample has; variance is that in the kernel's space.

    Gaussian kernel exp(-gamma d²) with gamma one over the total variance: the mean d² of two rows gives exp(-2). The
    decoder is the linear regression of features on codes.
    """
    from sklearn.kernel_approximation import Nystroem

    moments, rows = summary.moments, summary.sample.rows.astype(np.float64)
    scale = scale_of(moments, standardize)
    scaled = (rows - moments.mean) / scale
    total = float(np.trace(scaled_covariance(moments, scale)))
    gamma = 1 / total if total > 0 else 1.0
    model = Nystroem(kernel="rbf", gamma=gamma, n_components=min(MOST_LANDMARKS, len(rows)), random_state=seed).fit(
        scaled
    )
    mapped = model.transform(scaled)
    centre = mapped.mean(axis=0)
    variance, directions = by_eigenvalue(np.atleast_2d(np.cov(mapped.T)))
    rank = rank_of(variance)
    codes = (mapped - centre) @ directions[:rank].T
    return Axes(
        "kernel_pca",
        moments.mean,
        scale,
        directions[:rank] @ model.normalization_,
        (codes.T @ scaled) / (len(rows) - 1) / variance[:rank, None],
        variance[:rank],
        float(variance.sum()),
        Landmarks(model.components_, gamma, directions[:rank] @ centre),
    )
