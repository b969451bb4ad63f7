"""Errors of a regression model from sums by group of rows, for a jackknife over groups: no single row is kept."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import numpy.typing as npt

from farebox.components.evaluator.metrics import (
    BIAS,
    COVERAGE,
    GROUPS,
    MAE,
    MEAN_LABEL,
    P95,
    RANGE_WIDTH,
    RMSE,
)
from farebox.components.tflite.bands import Bands

NAMES = (RMSE, MAE, BIAS, P95, MEAN_LABEL)
OF_RANGES = (COVERAGE, RANGE_WIDTH)
QUANTILE = 0.95
# absolute errors are counted in buckets whose edges grow by 1 %: a quantile is right to 0.5 %
GROWTH, SMALLEST = 1.01, 1e-6
NOT_FINITE = 1 << 20  # the last bucket

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclasses.dataclass
class Sums:
    """Sums over the rows of each group.

    sums: number of rows, sums of error, |error|, error^2 and label, number of labels in their range and sum of the
    ranges' widths, shape (7, GROUPS); the last two are NaN for a model without bands.
    buckets: number of rows by bucket of |error| and group, at the key bucket * GROUPS + group.
    """

    sums: Floats = dataclasses.field(default_factory=lambda: np.zeros((7, GROUPS)))
    buckets: Counter[int] = dataclasses.field(default_factory=Counter)

    def add(self, labels: Floats, predictions: Floats, groups: Integers, bands: Bands | None = None) -> None:
        """Adds rows, each of shape (n,). A prediction that is not finite makes every sum of its group not finite."""
        error = predictions - labels
        covered, widths = of_ranges(labels, predictions, bands)
        with np.errstate(over="ignore", invalid="ignore"):
            for i, values in enumerate((np.ones(len(error)), error, np.abs(error), error**2, labels, covered, widths)):
                self.sums[i] += np.bincount(groups, values, GROUPS)
        keys, rows = np.unique(buckets_of(np.abs(error)) * GROUPS + groups, return_counts=True)
        self.buckets.update(dict(zip(keys.tolist(), rows.tolist(), strict=True)))

    def merge(self, sums: Sums) -> None:
        """Adds the rows of other sums."""
        self.sums += sums.sums
        self.buckets.update(sums.buckets)

    def metrics(self) -> dict[str, Floats]:
        """Each metric in the label's unit, shape (1 + GROUPS,): over all rows, then without each group.

        NaN without rows. bias: mean of prediction minus label. coverage: share of labels in their range.
        """
        parts = np.stack([self.sums.sum(axis=1), *(np.delete(self.sums, i, axis=1).sum(axis=1) for i in range(GROUPS))])
        with np.errstate(divide="ignore", invalid="ignore"):
            error, absolute, squared, label, covered, width = (parts[:, 1:] / parts[:, :1]).T
        quantiles = self._quantiles(parts[:, 0])
        errors = {RMSE: np.sqrt(squared), MAE: absolute, BIAS: error, P95: quantiles, MEAN_LABEL: label}
        return {**errors, COVERAGE: covered, RANGE_WIDTH: width}

    def _quantiles(self, rows: Floats) -> Floats:
        """The least |error| that 95 % of `rows` do not exceed, to 0.5 %; shapes (1 + GROUPS,)."""
        keys, counts = np.array(list(self.buckets), int), np.array(list(self.buckets.values()), float)
        buckets, places = np.unique(keys // GROUPS, return_inverse=True)
        of_group = np.zeros((GROUPS, len(buckets)))
        np.add.at(of_group, (keys % GROUPS, places), counts)
        seen = np.cumsum(np.vstack([np.zeros(len(buckets)), of_group]), axis=1)
        seen = seen[1:].sum(axis=0) - seen  # over all rows (row 0 subtracts nothing), then without each group
        enough = seen >= QUANTILE * rows[:, None]
        return np.array(
            [middle_of(buckets[np.argmax(row)]) if n else np.nan for n, row in zip(rows, enough, strict=True)]
        )


def of_ranges(labels: Floats, predictions: Floats, bands: Bands | None) -> tuple[Floats, Floats]:
    """Whether each label is in its prediction's range, 0 or 1, and the range's width; NaN without bands."""
    if bands is None:
        return np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    low, high = bands.ranges(predictions)
    return bands.covers(predictions, labels).astype(np.float64), high - low


def buckets_of(absolute: Floats) -> Integers:
    """Bucket of each |error|: 0 below a millionth, NOT_FINITE for what is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        place = 1 + np.floor(np.log(absolute / SMALLEST) / np.log(GROWTH))
    return np.where(absolute < SMALLEST, 0, np.where(np.isfinite(absolute), place, NOT_FINITE)).astype(np.int64)


def middle_of(bucket: int) -> float:
    """The geometric mean of a bucket's edges."""
    if bucket == NOT_FINITE:
        return np.inf
    return 0.0 if bucket == 0 else SMALLEST * GROWTH ** (bucket - 0.5)
