"""Errors of predictions, and running sums of them over batches, in float64. No TensorFlow: files are judged without."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SMALLEST_PROBABILITY = 1e-7  # of a class; the logarithm of 0 would outweigh all other rows


def rmse(predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """Root mean squared error, both of shape (n,), in the targets' unit."""
    return float(np.sqrt(np.mean((predictions - targets) ** 2)))


class RunningError:
    """Root mean squared, mean absolute and largest absolute error of predicted numbers."""

    def __init__(self) -> None:
        self.rows, self.squared, self.absolute, self.largest = 0, 0.0, 0.0, 0.0

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
        """RMSE."""
        return self.rmse

    @property
    def figures(self) -> dict[str, float]:
        return {"rmse": self.rmse, "mae": self.mae, "max_error": self.largest}


class RunningLogLoss:
    """Mean negative logarithm of the true class's probability, in nats, and accuracy: the share of rows it wins."""

    def __init__(self) -> None:
        self.rows, self.loss, self.hits, self.largest = 0, 0.0, 0, 0.0

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch: probabilities of shape (n, n_classes), or (n, 1) of class 1; targets are n class ids."""
        ids = targets.reshape(-1).astype(np.int64)
        if not len(ids):
            return
        predicted = probabilities(predictions, len(ids))
        row_losses = -np.log(predicted[np.arange(len(ids)), ids])
        self.rows += len(ids)
        self.loss += float(row_losses.sum())
        self.hits += int((predicted.argmax(axis=1) == ids).sum())
        self.largest = float(np.maximum(self.largest, row_losses.max()))

    @property
    def error(self) -> float:
        """Log loss."""
        return self.loss / self.rows

    @property
    def figures(self) -> dict[str, float]:
        return {"log_loss": self.error, "accuracy": self.hits / self.rows, "max_error": self.largest}


class RunningDivergence:
    """Mean Kullback-Leibler divergence, in nats, of predicted class probabilities from those of another network."""

    def __init__(self) -> None:
        self.rows, self.divergence = 0, 0.0

    def update(self, predictions: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Adds a batch; both are probabilities of shape (n, n_classes), or (n, 1) of class 1."""
        predicted, expected = probabilities(predictions, len(targets)), probabilities(targets, len(targets))
        self.rows += len(targets)
        self.divergence += float((expected * np.log(expected / predicted)).sum())

    @property
    def error(self) -> float:
        """Divergence."""
        return self.divergence / self.rows


def probabilities(predictions: npt.NDArray[Any], n_rows: int) -> npt.NDArray[Any]:
    """Predictions as (n_rows, n_classes), each at least SMALLEST_PROBABILITY."""
    by_class = predictions.astype(np.float64).reshape(n_rows, -1)
    if by_class.shape[1] == 1:
        by_class = np.concatenate([1 - by_class, by_class], axis=1)
    return np.maximum(by_class, SMALLEST_PROBABILITY)
