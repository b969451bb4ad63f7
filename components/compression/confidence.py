"""How sure an error is: measured on rows that chose nothing, with an interval from resampling these rows.

Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; percentile intervals. Both files are resampled together,
so that the interval of their difference is far narrower than those of the errors.
For accuracy two rows are added to those drawn from, one that each file alone answers wrongly: without them the interval
of 0 changed rows has no width. Bonett and Price 2012, "Adjusted Wald Confidence Interval for a Difference of Binomial
Proportions Based on Paired Data".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from farebox.components.networks.objective import Objective

CONFIDENCE = 0.95
RESAMPLES, SLOW_RESAMPLES = 2000, 200  # of sums over rows; of errors that need all rows at once
UNSEEN = (0.0, 1.0)  # losses of the float32 file on the two rows that accuracy adds; the shipped one's are reversed
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An error, and where it lies on other rows like these with a probability of CONFIDENCE."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Measured:
    """Errors of both files on rows that chose nothing. increase: of the shipped file over float32, in their unit.

    holds: the probability that the budget holds on other rows like these: its share of the resamples. half_rows: the
    fewest rows that make half of the shipped file's loss; None for errors that are no sums over rows, and for accuracy.
    Resamples of few such rows tell little of other rows (Hall 1990, "Asymptotic Properties of the Bootstrap for
    Heavy-Tailed Distributions").
    """

    rows: int
    confidence: float
    float32: Interval
    shipped: Interval
    increase: Interval
    holds: float
    half_rows: int | None = None


def measured(
    objective: Objective, float32: Array, shipped: Array, labels: Array, seed: int, *, bound: Callable[[float], float]
) -> Measured:
    """Returns both files' errors. float32, shipped: predictions of shape (n, ...); labels of shape (n, ...).

    bound: float32's error -> the largest one that holds the budget.
    """
    n_rows = len(labels)
    errors = [
        _errors_of(objective, predictions, labels, unseen)
        for predictions, unseen in ((float32, UNSEEN), (shipped, UNSEEN[::-1]))
    ]
    all_rows = np.arange(n_rows)
    values = [error(all_rows) for error in errors]
    random = np.random.default_rng(seed)
    n_resamples = RESAMPLES if objective.is_additive else SLOW_RESAMPLES
    n_drawn_from = n_rows + (len(UNSEEN) if _may_tie(objective) else 0)
    drawn = (random.integers(0, n_drawn_from, n_rows) for _ in range(n_resamples))
    resampled = np.array([[error(rows) for error in errors] for rows in drawn])
    before, after = resampled.T
    return Measured(
        n_rows,
        CONFIDENCE,
        _interval(values[0], before),
        _interval(values[1], after),
        _interval(values[1] - values[0], after - before),
        float(np.mean([error <= bound(reference) for reference, error in resampled])),
        _half_rows(objective, shipped, labels),
    )


def _half_rows(objective: Objective, shipped: Array, labels: Array) -> int | None:
    if not objective.is_additive or _may_tie(objective):
        return None
    summed = np.cumsum(np.sort(objective.row_losses(shipped, labels))[::-1])
    return int(np.searchsorted(summed, summed[-1] / 2)) + 1 if summed[-1] > 0 else None


def _may_tie(objective: Objective) -> bool:
    """Whether rows may all be answered rightly, or alike by both files, although not all rows of the world are."""
    return objective.metric == "accuracy"


def _errors_of(
    objective: Objective, predictions: Array, labels: Array, unseen: tuple[float, ...]
) -> Callable[[npt.NDArray[np.intp]], float]:
    """Indices of rows -> the error over them; the last indices are of `unseen` losses."""
    if objective.is_additive:
        losses = objective.row_losses(predictions, labels)
        if _may_tie(objective):
            losses = np.append(losses, unseen)
        return lambda rows: objective.of_mean_loss(float(losses[rows].mean()))

    def error(rows: npt.NDArray[np.intp]) -> float:
        running = objective.running()
        running.update(predictions[rows], labels[rows])
        return running.error

    return error


def _interval(value: float, resampled: Array) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(resampled, (tail, 1 - tail))
    return Interval(value, float(low), float(high))
