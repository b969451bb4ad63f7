"""Errors of predictions, and running sums of them over batches, in float64. No TensorFlow: files are judged without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

SMALLEST_PROBABILITY = 1e-7  # of a class; the logarithm of 0 would outweigh all other rows


def rmse(predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """Root mean squared error, both of shape (n,), in the targets' unit."""
    return float(np.sqrt(np.mean((predictions - targets) ** 2)))


class RunningError:
    """Root mean squared, mean absolute and largest absolute error of predicted numbers; `error` is the metric's."""

    def __init__(self, metric: str = "rmse") -> None:
        self.rows, self.squared, self.absolute, self.largest = 0, 0.0, 0.0, 0.0
        self._metric = metric

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch; both of any shape with n elements."""
        difference = predictions.astype(np.float64).reshape(-1) - targets.reshape(-1)
        if not difference.size:
            return
        self.rows += difference.size
        self.squared += float(difference @ difference)
        self.absolute += float(np.abs(difference).sum())
        self.largest = float(np.maximum(self.largest, np.abs(difference).max()))  # NaN stays NaN

    @property
    def rmse(self) -> float:
        return float((self.squared / self.rows) ** 0.5)

    @property
    def mae(self) -> float:
        return self.absolute / self.rows

    @property
    def error(self) -> float:
        return self.mae if self._metric == "mae" else self.rmse

    @property
    def figures(self) -> dict[str, float]:
        return {"rmse": self.rmse, "mae": self.mae, "max_error": self.largest}


class RunningLogLoss:
    """Mean negative logarithm of the true class's probability, in nats, and accuracy: the share of labels that win.

    is_logits: predictions are logits. metric: `error` is the log loss, or 1 - accuracy.
    """

    def __init__(self, metric: str = "log_loss", *, is_logits: bool = False) -> None:
        self.rows, self.loss, self.hits, self.largest = 0, 0.0, 0, 0.0
        self._metric, self._is_logits = metric, is_logits

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch: predictions of shape (n, n_classes), or (n, 1) for class 1; targets are n class ids."""
        ids = targets.reshape(-1).astype(np.int64)
        if not len(ids):
            return
        predicted = probabilities(predictions, len(ids), is_logits=self._is_logits)
        row_losses = -np.log(predicted[np.arange(len(ids)), ids])
        self.rows += len(ids)
        self.loss += float(row_losses.sum())
        self.hits += int((predicted.argmax(axis=1) == ids).sum())
        self.largest = float(np.maximum(self.largest, row_losses.max()))

    @property
    def error(self) -> float:
        return 1 - self.hits / self.rows if self._metric == "accuracy" else self.loss / self.rows

    @property
    def figures(self) -> dict[str, float]:
        return {"log_loss": self.loss / self.rows, "accuracy": self.hits / self.rows, "max_error": self.largest}


class RunningScore:
    """An error that is no sum over rows: of all predictions and labels at once."""

    def __init__(self, score: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float], name: str) -> None:
        self._score, self._name = score, name
        self._predictions: list[npt.NDArray[Any]] = []
        self._targets: list[npt.NDArray[Any]] = []

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch."""
        self._predictions.append(predictions)
        self._targets.append(targets)

    @property
    def error(self) -> float:
        return float(self._score(np.concatenate(self._predictions), np.concatenate(self._targets)))

    @property
    def figures(self) -> dict[str, float]:
        return {self._name: self.error}


class RunningDivergence:
    """How far predicted class probabilities depart from another network's.

    For log loss the mean Kullback-Leibler divergence, in nats; for accuracy the mean probability, as the other network
    has it, that is lost with a changed winner. n_columns: numbers that a label has, 1 for the probability of class 1.
    """

    def __init__(self, metric: str = "log_loss", *, n_columns: int | None = None, is_logits: bool = False) -> None:
        self.rows, self.divergence = 0, 0.0
        self._metric, self._n_columns, self._is_logits = metric, n_columns, is_logits

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch; both are predictions of shape (n, ...)."""
        rows = predictions.size // self._n_columns if self._n_columns else len(targets)
        predicted, expected = (probabilities(each, rows, is_logits=self._is_logits) for each in (predictions, targets))
        self.rows += rows
        if self._metric == "accuracy":
            kept = expected[np.arange(rows), predicted.argmax(axis=1)]
            self.divergence += float((expected.max(axis=1) - kept).sum())
        else:
            self.divergence += float((expected * np.log(expected / predicted)).sum())

    @property
    def error(self) -> float:
        """Divergence."""
        return self.divergence / self.rows


def probabilities(predictions: npt.NDArray[Any], n_rows: int, *, is_logits: bool = False) -> npt.NDArray[Any]:
    """Predictions as (n_rows, n_classes), each at least SMALLEST_PROBABILITY."""
    by_class = predictions.astype(np.float64).reshape(n_rows, -1)
    if is_logits:
        if by_class.shape[1] == 1:
            by_class = np.concatenate([np.zeros_like(by_class), by_class], axis=1)
        powers = np.exp(by_class - by_class.max(axis=1, keepdims=True))
        by_class = powers / powers.sum(axis=1, keepdims=True)
    elif by_class.shape[1] == 1:
        by_class = np.concatenate([1 - by_class, by_class], axis=1)
    return np.maximum(by_class, SMALLEST_PROBABILITY)


def auc_error(predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """1 - the area under the ROC curve, the mean over columns of labels of 0 and 1 that have both; shapes (n, ...).

    By ranks, ties shared (Mann and Whitney 1947). NaN if no column has both labels.
    """
    from scipy.stats import rankdata

    scores, labels = predictions.reshape(len(predictions), -1), targets.reshape(len(targets), -1) > 0
    areas = []
    for column, is_one in zip(scores.T, labels.T, strict=True):
        ones = int(is_one.sum())
        zeros = len(is_one) - ones
        if ones and zeros:
            areas.append((rankdata(column)[is_one].sum() - ones * (ones + 1) / 2) / (ones * zeros))
    return 1 - float(np.mean(areas)) if areas else float("nan")
