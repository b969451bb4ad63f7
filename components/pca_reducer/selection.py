"""How many components: fixed, by explained variance, or the fewest that hold an accuracy budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging

from farebox.components.errors import InputError
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.settings import ReducerSettings

MULTIPLE = 4  # kernels of the interpreter work in blocks of four
SHARES = (1.0, 0.5)  # of the budget: what a k leaves of it is for pruning and number formats


@dataclasses.dataclass(frozen=True)
class Trial:
    """A network of rank k, its parameters, and its eval error as folded and after fine-tuning.

    expected_error: expected on other rows, from how far its predictions move from the source's.
    """

    k: int
    error: float
    network: Any = None
    folded_error: float = 0.0
    parameters: int = 0
    expected_error: float = 0.0

    @property
    def worst_error(self) -> float:
        """The error that a budget bounds: the larger one of eval error and expected error."""
        return max(self.error, self.expected_error)


def round_up(k: int, largest: int) -> int:
    """The next multiple of four, at most `largest`."""
    return min(-(-k // MULTIPLE) * MULTIPLE, largest)


def multiples(largest: int) -> list[int]:
    """4, 8, ... and `largest`."""
    return sorted({round_up(k, largest) for k in range(1, largest + 1, MULTIPLE)})


def needed_for(ratios: npt.NDArray[Any], fraction: float) -> int | None:
    """The fewest components whose ratios add up to the fraction; None if all of them do not."""
    reached = np.flatnonzero(np.cumsum(ratios) >= fraction - 1e-12)
    return int(reached[0]) + 1 if len(reached) else None


def smallest_within(
    bound: float, candidates: Sequence[int], attempt: Callable[[int], Trial]
) -> tuple[Trial | None, list[Trial]]:
    """Bisection for the smallest k whose worst error is at most `bound`, None if there is none; and all trials.

    It assumes that the error falls with k. If noise breaks that, the result still holds the bound.
    """
    low, high = 0, len(candidates) - 1
    best: Trial | None = None
    trials: list[Trial] = []
    while low <= high:
        middle = (low + high) // 2
        trial = attempt(candidates[middle])
        trials.append(trial)
        if trial.worst_error <= bound:
            best, high = trial, middle - 1
        else:
            low = middle + 1
    return best, trials


def fixed(settings: ReducerSettings, curve: Axes) -> tuple[int, str]:
    """k and the reason, if n_components is not `auto`. Raises InputError if there are fewer components than k."""
    n, largest = settings.n_components, len(curve)
    if isinstance(n, int):
        if n > largest:
            raise InputError(
                f"reducer.n_components={n} must be between 1 and {largest}: method={settings.method} has no more"
            )
        return n, "fixed by reducer.n_components"
    needed = needed_for(curve.explained_variance_ratio, float(n))
    if needed is None:
        share = curve.explained_variance_ratio.sum()
        return largest, f"all that method={settings.method} has: they explain {share:.4f} of the variance, below {n}"
    return round_up(needed, largest), f"explains at least {n} of the variance, rounded up to a multiple of {MULTIPLE}"


def within_budget(
    settings: ReducerSettings,
    source: Trial,
    largest: int,
    parameters_at: Callable[[int], int],
    attempt: Callable[[int], Trial],
    *,
    is_left: Callable[[str], bool] = lambda _plan: True,
) -> tuple[list[Trial], list[Trial], str]:
    """The smallest k that pays (fewer parameters than the source) and holds the budget, then the smallest ones that
    hold a share of it; all trials; and the reason in words. is_left: whether there is time for a plan."""
    paying = [k for k in multiples(largest) if parameters_at(k) < source.parameters]
    if not paying:
        least = min(parameters_at(k) for k in multiples(largest))
        return (
            [],
            [],
            (f"skipped: no k has fewer parameters than the source's {source.parameters:,}; the least is {least:,}"),
        )
    tried: dict[int, Trial] = {}

    def attempt_once(k: int) -> Trial:
        if k not in tried:
            tried[k] = attempt(k)
            logging.info("PcaReducer: k=%d gives error %.4f (source %.4f)", k, tried[k].worst_error, source.error)
        return tried[k]

    kept: list[Trial] = []
    for share in SHARES:
        if share < 1 and (not kept or not is_left(f"the smallest k within {share:.0%} of the budget")):
            break
        best, _ = smallest_within(source.error * (1 + share * settings.share), paying, attempt_once)
        kept += [best] if best and best not in kept else []
    trials, bound = list(tried.values()), source.error * (1 + settings.share)
    budget = f"the budget of {settings.share:.2%} over eval error {source.error:.4f}"
    if kept:
        return kept, trials, f"the smallest k within {budget}"
    nearest = min(trials, key=lambda trial: trial.worst_error)
    return (
        [],
        trials,
        (
            f"skipped: none of the k that shrink the network, up to {paying[-1]}, holds {budget}; "
            f"the best, k={nearest.k}, has {nearest.error:.4f} and is expected to have {nearest.expected_error:.4f}, "
            f"bound {bound:.4f}"
        ),
    )
