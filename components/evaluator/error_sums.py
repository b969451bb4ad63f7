"""Errors of predictions with intervals, from sums over batches: memory does not grow with the rows. NumPy only."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.evaluator.metrics import BIAS, COVERAGE, MAE, RMSE, Estimate
from farebox.components.tflite.bands import Bands

NAMES = (RMSE, MAE, BIAS, COVERAGE)
NORMAL_95 = 1.959963984540054  # two-sided quantile of the normal distribution at 95 %

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Measured:
    """Errors of one model on `rows` trips, each with its 95 % interval; in the label's unit, coverage is a share.

    bias: mean of prediction minus label. coverage: share of labels in their ranges; None for a model without ranges.
    """

    rows: int
    rmse: Estimate
    mae: Estimate
    bias: Estimate
    coverage: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """`{"rows": n, "rmse": [value, lower, upper], ...}`, six significant digits."""
        estimates = {name: each for name in NAMES if (each := getattr(self, name)) is not None}
        return {"rows": self.rows, **{name: [short(each.value), short(each.lower), short(each.upper)]
                                      for name, each in estimates.items()}}  # fmt: skip

    @classmethod
    def from_json(cls, content: Any) -> Measured:
        """Reads what `to_json` returns. Raises InputError if it is something else."""
        try:
            rows, estimates = int(content["rows"]), {name: content[name] for name in NAMES if name in content}
            return cls(rows, **{name: Estimate(*map(_number, triple)) for name, triple in estimates.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"errors={content} must have rows, rmse, mae and bias, with intervals") from error


class ErrorSums:
    """Running sums over rows: their number, error, |error|, error^2, error^4, and labels in their ranges."""

    def __init__(self, bands: Bands | None = None) -> None:
        self.bands = bands
        self.sums = np.zeros(6)

    def add(self, predictions: Floats, labels: Floats) -> None:
        """Adds rows, each of shape (n,). A prediction that is not finite makes every error not finite."""
        error = np.asarray(predictions, np.float64) - labels
        covered = self.bands.covers(predictions, labels).sum() if self.bands else 0
        with np.errstate(over="ignore", invalid="ignore"):
            powers = (error.sum(), np.abs(error).sum(), (error**2).sum(), (error**4).sum())
            self.sums += (len(error), *powers, covered)

    @property
    def rows(self) -> int:
        return int(self.sums[0])

    def measured(self) -> Measured:
        """The errors with intervals; NaN without rows.

        The standard error of a mean is that of independent rows; RMSE's follows from that of the mean square by the
        delta method, and coverage has Wilson's interval (Wilson 1927, "Probable Inference").
        """
        n = self.sums[0]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            bias, mae, square, fourth, covered = self.sums[1:] / n
            rmse = np.sqrt(square)
            rmse_error = np.sqrt(np.maximum(fourth - square**2, 0) / (n - 1)) / (2 * rmse)
            mean_errors = [np.sqrt(np.maximum(square - mean**2, 0) / (n - 1)) for mean in (mae, bias)]
        return Measured(
            self.rows,
            _symmetric(rmse, rmse_error if rmse > 0 else 0.0),
            _symmetric(mae, mean_errors[0]),
            _symmetric(bias, mean_errors[1]),
            wilson(covered, n) if self.bands else None,
        )


class DifferenceSums:
    """Running sums of the paired differences of two models' absolute errors on the same rows."""

    def __init__(self) -> None:
        self.sums = np.zeros(3)

    def add(self, errors: Floats, others: Floats) -> None:
        """Adds rows: errors of one model and of the other, shape (n,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(errors) - np.abs(others)
            self.sums += (len(difference), difference.sum(), (difference**2).sum())

    def estimate(self) -> Estimate:
        """Mean of |error| minus |other's error|, with its 95 % interval; NaN without rows.

        Absolute errors, because a few trips have most of the squared error.
        """
        n = self.sums[0]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            mean, square = self.sums[1:] / n
            return _symmetric(mean, np.sqrt(np.maximum(square - mean**2, 0) / (n - 1)))


def wilson(share: float, n: float, quantile: float = NORMAL_95) -> Estimate:
    """A share of n rows with Wilson's interval; NaN without rows."""
    if not n:
        return Estimate(math.nan, math.nan, math.nan)
    square = quantile**2 / n
    middle = (share + square / 2) / (1 + square)
    half = quantile * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return Estimate(float(share), min(middle - half, float(share)), max(middle + half, float(share)))


def to_json(errors: Mapping[str, Measured]) -> dict[str, Any]:
    """Errors by slice as JSON."""
    return {name: each.to_json() for name, each in errors.items()}


def from_json(content: Any) -> dict[str, Measured]:
    """The inverse of `to_json`. Raises InputError."""
    if not isinstance(content, Mapping):
        raise InputError(f"errors={content} must be a mapping by slice")
    return {name: Measured.from_json(each) for name, each in content.items()}


def _symmetric(value: float, standard_error: float) -> Estimate:
    half = NORMAL_95 * float(standard_error)
    return Estimate(float(value), float(value) - half, float(value) + half)


def short(value: float | None) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
