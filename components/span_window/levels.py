"""The level of a span's labels against a model's predictions, and the map from one span's level to another's.

A step in the fare given the trip shows in the residuals of a model from before it, however the mix of trips changes.
Huber 1964, "Robust Estimation of a Location Parameter"; White 1980, "A Heteroskedasticity-Consistent Covariance Matrix
Estimator". NumPy only.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST_ROWS = 100  # of a span whose level can be told
HUBER, NORMAL_MAD = 1.345, 1.4826  # 95 % efficient for normal errors; standard deviations in a median deviation
ITERATIONS = 20
TINY = 1e-9  # relative error; smaller ones are none
ERROR_RATE = 1e-6  # that equal levels pass for different; of a window's spans together. Few rows make it larger
LEAST_STEP = 0.03  # relative; a model errs by about as much on a day of the week or in rain


@dataclasses.dataclass(frozen=True)
class Level:
    """`label = base + rate * prediction` in a span, robustly, by relative errors.

    covariance: of (rate, base), shape (2, 2). low, high: the middle half of the predictions.
    """

    base: float
    rate: float
    covariance: Floats
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Step:
    """The map `label = base + rate * label` from a span's level to another's."""

    base: float = 0.0
    rate: float = 1.0

    def apply(self, labels: Floats) -> Floats:
        """The labels on the other level, of equal shape."""
        return self.base + self.rate * labels


def level_of(labels: Floats, predictions: Floats) -> Level | None:
    """The level of a span, from labels and predictions of shape (n,); None of too few rows."""
    usable = np.isfinite(predictions) & (predictions > 0)
    y, p = labels[usable], predictions[usable]
    if len(p) < FEWEST_ROWS:
        return None
    inputs = np.stack([np.ones_like(p), 1 / p], axis=1)
    targets = y / p
    weights = np.ones_like(p)
    for _ in range(ITERATIONS):
        weighted = inputs * weights[:, None]
        rate, base = np.linalg.lstsq(weighted.T @ inputs, weighted.T @ targets, rcond=None)[0]
        errors = targets - rate - base / p
        scale = NORMAL_MAD * float(np.median(np.abs(errors)))
        weights = np.minimum(1.0, HUBER * scale / np.maximum(np.abs(errors), TINY)) if scale > TINY else np.ones_like(p)
    bounded = inputs * (weights * errors)[:, None]
    bread = np.linalg.pinv(inputs[weights == 1].T @ inputs[weights == 1])
    low, high = np.quantile(p, (0.25, 0.75))
    return Level(float(base), float(rate), bread @ (bounded.T @ bounded) @ bread, float(low), float(high))


def step_between(old: Level, new: Level, n_compared: int = 1) -> Step | None:
    """The map from the old span's level to the new one's; None if chance explains the difference, or it is small.

    n_compared: pairs of spans that are compared, of which none may seem different by chance.
    """
    if old.rate <= 0 or new.rate <= 0:
        return None
    difference = np.array([new.rate - old.rate, new.base - old.base])
    distance = float(difference @ np.linalg.pinv(old.covariance + new.covariance) @ difference)
    is_chance = distance <= -2 * math.log(ERROR_RATE / n_compared)  # chi-square with two degrees of freedom
    rate = new.rate / old.rate
    step = Step(new.base - rate * old.base, rate)
    middle = np.array([old.low, (old.low + old.high) / 2, old.high])
    labels = old.base + old.rate * middle
    is_small = bool(np.max(np.abs(step.apply(labels) / labels - 1)) < LEAST_STEP)
    return None if is_chance or is_small else step
