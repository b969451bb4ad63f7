"""What a model must beat to be worth its bytes, and how it is held against it. No TFX or TensorFlow here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from farebox.components.errors import Check
from farebox.components.evaluator.metrics import CONFIDENCE, GROUPS, Estimate, jackknife_error, t_quantile
from farebox.components.model_gate.judging import Suspicion

PREDICT_MEAN, LINEAR_ON_DISTANCE = "predict_mean", "linear_on_distance"
RAW_DNN, NO_EMBEDDING_DNN, LIGHTGBM = "raw_dnn", "no_embedding_dnn", "lightgbm"
SHIPPED, RATIO_CHECK = "shipped", "max_ratio_to_yardstick"
SMALLEST_RMSE = 1e-9

Columns = Mapping[str, np.ndarray]
Predictor = Callable[[Columns], np.ndarray]


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


def fit_trivial(batches: Iterable[tuple[Columns, np.ndarray]], distance: str) -> dict[str, Predictor]:
    """The mean of the labels, and the least-squares line on the column `distance`, from one pass."""
    mean, slope, intercept = fit_line((columns[distance], label) for columns, label in batches)
    return {
        PREDICT_MEAN: lambda columns: np.full(len(columns[distance]), mean),
        LINEAR_ON_DISTANCE: lambda columns: slope * columns[distance] + intercept,
    }


@dataclasses.dataclass
class GroupedErrors:
    """Sums of squared errors by predictor, in the label's unit squared, of the rows dealt into 20 groups in turn."""

    squared: dict[str, np.ndarray]
    rows: int = 0

    def rmse(self, name: str) -> float:
        """Over all rows."""
        return math.sqrt(self.squared[name].sum() / self.rows)

    def ratio(self, name: str, other: str) -> Estimate:
        """RMSE of one predictor over another's on the same rows, with a 95 % interval.

        By the jackknife over the groups. An `other` without error counts as 1e-9, since JSON has no infinity.
        """
        wanted, beside = self.squared[name], self.squared[other]
        value = ratio(self.rmse(name), self.rmse(other))
        without = [
            ratio(math.sqrt(max(wanted.sum() - one, 0.0)), math.sqrt(max(beside.sum() - another, 0.0)))
            for one, another in zip(wanted, beside, strict=True)
        ]
        half = t_quantile(CONFIDENCE) * jackknife_error(np.array(without))
        return Estimate(value, value - half, value + half)


def errors(predictors: Mapping[str, Predictor], batches: Iterable[tuple[Columns, np.ndarray]]) -> GroupedErrors:
    """The errors of every predictor, from one pass over the batches."""
    found = GroupedErrors({name: np.zeros(GROUPS) for name in predictors})
    for columns, label in batches:
        groups = (found.rows + np.arange(len(label))) % GROUPS
        for name, predict in predictors.items():
            error = np.asarray(predict(columns), np.float64).reshape(-1) - label
            found.squared[name] += np.bincount(groups, error**2, GROUPS)
        found.rows += len(label)
    return found


def ratio(rmse: float, yardstick: float) -> float:
    """How many times the yardstick's RMSE; one without error counts as 1e-9, since JSON has no infinity."""
    return rmse / max(yardstick, SMALLEST_RMSE)


def judge(found: GroupedErrors, max_ratio: float | None, confidence: float = CONFIDENCE) -> Check:
    """The shipped file against the no-embedding DNN: refused where it is surely worse than the bound allows."""
    beside = found.ratio(SHIPPED, NO_EMBEDDING_DNN)
    detail = (
        f"RMSE of the shipped file, {found.rmse(SHIPPED):.4f}, over the no-embedding DNN's "
        f"{found.rmse(NO_EMBEDDING_DNN):.4f} on the test split, {beside.lower:.4g} to {beside.upper:.4g}"
    )
    if max_ratio is None:
        return Check(RATIO_CHECK, beside.value, None, True, detail)
    hint = "a simpler network does as well: try features=full, more epochs, or raise gates.max_ratio_to_yardstick"
    return Suspicion(beside, max_ratio).check(RATIO_CHECK, confidence, detail, hint)
