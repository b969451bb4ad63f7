"""How many components: fixed, by explained variance, or the fewest that hold an accuracy budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from absl import logging

from components.pca_reducer.pca import MULTIPLE, Axes, components_for, round_up
from components.pca_reducer.settings import ReducerSettings


@dataclasses.dataclass(frozen=True)
class Trial:
    """A network of rank k and its eval error after fine-tuning."""

    k: int
    error: float
    network: Any


def smallest_within(bound: float, n_features: int, attempt: Callable[[int], Trial]) -> tuple[Trial, list[Trial]]:
    """Bisection over multiples of four: the smallest k whose error is at most `bound`, and every trial made.

    error is taken to fall with k; where noise breaks that, the answer still holds the bound. Where even full rank
    misses it, full rank is the answer.
    """
    candidates = sorted({round_up(k, n_features) for k in range(1, n_features + 1, MULTIPLE)})
    low, high = 0, len(candidates) - 1
    best: Trial | None = None
    trials: list[Trial] = []
    while low <= high:
        middle = (low + high) // 2
        trial = attempt(candidates[middle])
        trials.append(trial)
        logging.info("PcaReducer: k=%d gives eval error %.4f (bound %.4f)", trial.k, trial.error, bound)
        if trial.error <= bound:
            best, high = trial, middle - 1
        else:
            low = middle + 1
    return best or trials[-1], trials


def choose(
    settings: ReducerSettings, axes: Axes, source_error: float, attempt: Callable[[int], Trial]
) -> tuple[Trial, list[Trial], str]:
    """The chosen trial, all trials, and why this k in words."""
    n = settings.n_components
    if n == "auto":
        bound = source_error * (1 + settings.budget)
        best, trials = smallest_within(bound, len(axes.mean), attempt)
        kept = "the smallest k within" if best.error <= bound else "no k holds"
        return best, trials, f"{kept} the budget of {settings.budget:.2%} over eval error {source_error:.4f}"
    if isinstance(n, int):
        trial = attempt(n)
        return trial, [trial], "fixed by reducer.n_components"
    trial = attempt(components_for(axes, float(n)))
    return trial, [trial], f"explains at least {n} of the variance, rounded up to a multiple of {MULTIPLE}"
