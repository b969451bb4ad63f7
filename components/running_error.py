"""RMSE and MAE over batches. No TensorFlow here: `farebox evaluate` sums errors too."""

from __future__ import annotations

import numpy as np


class RunningError:
    """Root mean squared and mean absolute error over batches, summed in float64."""

    def __init__(self) -> None:
        self.rows, self.squared, self.absolute = 0, 0.0, 0.0

    def update(self, predictions: np.ndarray, targets: np.ndarray) -> None:
        """Adds a batch; both of any shape with n elements."""
        difference = predictions.astype(np.float64).reshape(-1) - targets.reshape(-1)
        self.rows += difference.size
        self.squared += float(difference @ difference)
        self.absolute += float(np.abs(difference).sum())

    @property
    def rmse(self) -> float:
        return (self.squared / self.rows) ** 0.5

    @property
    def mae(self) -> float:
        return self.absolute / self.rows
