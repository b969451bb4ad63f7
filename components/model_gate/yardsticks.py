"""The yardsticks that a model is compared with, and the comparison. No TFX or TensorFlow here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import Check
from farebox.components.evaluator.metrics import CONFIDENCE, GROUPS, Estimate, jackknife_error, t_quantile
from farebox.components.model_gate.model_checks import IntervalTest

PREDICT_MEAN, LINEAR_ON_DISTANCE = "predict_mean", "linear_on_distance"
RAW_DNN, NO_EMBEDDING_DNN, LIGHTGBM = "raw_dnn", "no_embedding_dnn", "lightgbm"
LIGHTGBM_FILE = "lightgbm.txt"  # in Trainer's model_run
SHIPPED, RATIO_CHECK = "shipped", "max_ratio_to_yardstick"
SMALLEST_RMSE = 1e-9

Numbers = npt.NDArray[Any]  # float32 or float64
Columns = Mapping[str, Numbers]
Predictor = Callable[[Columns], Numbers]


def fit_line(batches: Iterable[tuple[Numbers, Numbers]]) -> tuple[float, float, float]:
    """Mean of the targets, and slope and intercept of the least-squares line, from sums over (x, y) batches.

    Shapes (n,); one pass, float64. The slope is 0 if x never varies.
    """
    sums = np.zeros(5)
    for columns in batches:
        x, y = (np.asarray(column, np.float64).reshape(-1) for column in columns)
        sums += [x.size, x.sum(), y.sum(), x @ x, x @ y]
    n, sx, sy, sxx, sxy = sums.tolist()
    spread = sxx - sx * sx / n
    slope = (sxy - sx * sy / n) / spread if spread > 1e-9 * max(sxx, 1.0) else 0.0
    return sy / n, slope, (sy - slope * sx) / n


def fit_trivial(batches: Iterable[tuple[Columns, Numbers]], distance: str) -> dict[str, Predictor]:
    """Predictors of the mean label and of the least-squares line on the column `distance`, from one pass."""
    mean, slope, intercept = fit_line((columns[distance], label) for columns, label in batches)
    return {
        PREDICT_MEAN: lambda columns: np.full(len(columns[distance]), mean),
        LINEAR_ON_DISTANCE: lambda columns: slope * columns[distance] + intercept,
    }


@dataclasses.dataclass
class GroupedErrors:
    """Sums of squared errors by predictor and group, in the label's unit squared; row i is in group i modulo GROUPS."""

    squared: dict[str, npt.NDArray[np.float64]]
    rows: int = 0

    def rmse(self, name: str) -> float:
        """RMSE over all rows."""
        return math.sqrt(self.squared[name].sum() / self.rows)

    def rmse_estimate(self, name: str) -> Estimate:
        """RMSE over all rows with its 95 % interval by the jackknife over groups."""
        squared, value = self.squared[name], self.rmse(name)
        in_group = np.bincount(np.arange(self.rows) % GROUPS, minlength=GROUPS)
        left = np.maximum(self.rows - in_group, 1)
        return with_interval(value, np.sqrt(np.maximum(squared.sum() - squared, 0.0) / left))

    def ratio(self, name: str, yardstick: str) -> Estimate:
        """RMSE of a predictor over a yardstick's on the same rows, with a 95 % interval by the jackknife over groups.

        A yardstick without error counts as 1e-9, because JSON has no infinity.
        """
        squared, yardstick_squared = self.squared[name], self.squared[yardstick]
        value = ratio(self.rmse(name), self.rmse(yardstick))
        replicates = [
            ratio(math.sqrt(max(squared.sum() - a, 0.0)), math.sqrt(max(yardstick_squared.sum() - b, 0.0)))
            for a, b in zip(squared, yardstick_squared, strict=True)
        ]
        return with_interval(value, np.array(replicates))


def with_interval(value: float, replicates: npt.NDArray[np.float64]) -> Estimate:
    """A metric and its 95 % interval from its values without each of the groups, shape (GROUPS,)."""
    half = t_quantile(CONFIDENCE) * jackknife_error(replicates)
    return Estimate(value, value - half, value + half)


def grouped_errors(predictors: Mapping[str, Predictor], batches: Iterable[tuple[Columns, Numbers]]) -> GroupedErrors:
    """The errors of every predictor, from one pass over the batches."""
    grouped = GroupedErrors({name: np.zeros(GROUPS) for name in predictors})
    for columns, label in batches:
        groups = (grouped.rows + np.arange(len(label))) % GROUPS
        for name, predict in predictors.items():
            error = np.asarray(predict(columns), np.float64).reshape(-1) - label
            grouped.squared[name] += np.bincount(groups, error**2, GROUPS)
        grouped.rows += len(label)
    return grouped


def ratio(rmse: float, yardstick: float) -> float:
    """RMSE over the yardstick's; a yardstick without error counts as 1e-9, because JSON has no infinity."""
    return rmse / max(yardstick, SMALLEST_RMSE)


def judge(errors: GroupedErrors, max_ratio: float | None, confidence: float = CONFIDENCE) -> Check:
    """The check of the shipped file against the no-embedding DNN; fails if the whole interval is above the bound."""
    rmse_ratio = errors.ratio(SHIPPED, NO_EMBEDDING_DNN)
    detail = (
        f"RMSE of the shipped file, {errors.rmse(SHIPPED):.4f}, over the no-embedding DNN's "
        f"{errors.rmse(NO_EMBEDDING_DNN):.4f} on the test split, {rmse_ratio.lower:.4g} to {rmse_ratio.upper:.4g}"
    )
    if max_ratio is None:
        return Check(RATIO_CHECK, rmse_ratio.value, None, ok=True, detail=detail)
    hint = "a simpler network does as well: try features=full, more epochs, or raise gates.max_ratio_to_yardstick"
    return IntervalTest(rmse_ratio, max_ratio).check(RATIO_CHECK, confidence, detail, hint)
