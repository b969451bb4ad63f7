"""What a model must beat to be worth its bytes, and how it is held against it. No TFX or TensorFlow here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from components.checks import Check
from components.running_error import RunningError

PREDICT_MEAN, LINEAR_ON_DISTANCE = "predict_mean", "linear_on_distance"
RAW_DNN, NO_EMBEDDING_DNN, LIGHTGBM = "raw_dnn", "no_embedding_dnn", "lightgbm"
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


def errors(predictors: Mapping[str, Predictor], batches: Iterable[tuple[Columns, np.ndarray]]) -> dict[str, float]:
    """RMSE of every predictor, in the label's unit, from one pass over the batches."""
    found = {name: RunningError() for name in predictors}
    for columns, label in batches:
        for name, predict in predictors.items():
            found[name].update(predict(columns), label)
    return {name: error.rmse for name, error in found.items()}


def ratio(rmse: float, yardstick: float) -> float:
    """How many times the yardstick's RMSE; one without error counts as 1e-9, since JSON has no infinity."""
    return rmse / max(yardstick, SMALLEST_RMSE)


def judge(shipped: float, yardstick: float, max_ratio: float | None) -> Check:
    """The shipped file's RMSE against the no-embedding DNN's; without a bound it always holds."""
    found = ratio(shipped, yardstick)
    detail = f"RMSE of the shipped file, {shipped:.4f}, over the no-embedding DNN's {yardstick:.4f} on the test split"
    hint = "a simpler network does as well: try features=full, more epochs, or raise gates.max_ratio_to_yardstick"
    return Check("max_ratio_to_yardstick", found, max_ratio, max_ratio is None or found <= max_ratio, detail, hint)
