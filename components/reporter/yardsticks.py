"""What a model must beat to be worth its bytes: the mean fare, and a straight line on distance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def fit_line(batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """Mean of the targets, and slope and intercept of the least-squares line, from sums over (x, y) batches.

    Shapes (n,); one pass, float64. Where x never varies the slope is 0.
    """
    sums = np.zeros(5)
    for x, y in batches:
        x, y = np.asarray(x, np.float64).reshape(-1), np.asarray(y, np.float64).reshape(-1)
        sums += [x.size, x.sum(), y.sum(), x @ x, x @ y]
    n, sx, sy, sxx, sxy = sums.tolist()
    spread = sxx - sx * sx / n
    slope = (sxy - sx * sy / n) / spread if spread > 1e-9 * max(sxx, 1.0) else 0.0
    return sy / n, slope, (sy - slope * sx) / n
