"""Whether to prune: as the settings fix it, or at the sparsity of `auto` that costs little and saves something."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from absl import logging

from components.pruner.pruning import Pruned
from components.pruner.settings import PrunerSettings


@dataclasses.dataclass(frozen=True)
class Trial:
    """A way to prune and what came of it.

    sparsity: as it was asked for; eval_error: in the unit of the network's metric; gzip_bytes: of all weights as
    float16; is_kept: whether it holds the bounds, where there are any.
    """

    sparsity: float | dict[str, float]
    pruned: Pruned
    eval_error: float
    gzip_bytes: int
    is_kept: bool = True

    @property
    def summary(self) -> dict[str, Any]:
        """What the log of trials keeps of it."""
        return {key: getattr(self, key) for key in ("sparsity", "eval_error", "gzip_bytes", "is_kept")}


def choose(
    settings: PrunerSettings, source_error: float, skipped: Trial, attempt: Callable[[float | None], Trial]
) -> tuple[Trial, list[Trial], str]:
    """What to pass on, all trials made, and why in words.

    By `auto` that is the first candidate, sparsest first, that holds both bounds, else `skipped`: the network in which
    nothing but never-trained rows is zero. Its bytes are what a candidate must beat, since they cost nothing.
    """
    if settings.final_sparsity != "auto":
        trial = attempt(None)
        return trial, [trial], "fixed by pruner.final_sparsity"
    max_error = source_error * (1 + settings.budget)
    max_bytes = skipped.gzip_bytes * (1 - settings.min_gzip_gain)
    bounds = (
        f"eval error at most {max_error:.4f} ({source_error:.4f} of the source and {settings.budget:.2%}) and "
        f"at most {max_bytes:,.0f} gzip bytes ({skipped.gzip_bytes:,} unpruned less {settings.min_gzip_gain:.2%})"
    )
    trials: list[Trial] = []
    for sparsity in sorted(settings.candidates, reverse=True):
        trial = attempt(sparsity)
        is_kept = trial.eval_error <= max_error and trial.gzip_bytes <= max_bytes
        trials.append(dataclasses.replace(trial, is_kept=is_kept))
        logging.info("Pruner: %s, must have %s", trials[-1].summary, bounds)
        if is_kept:
            return trials[-1], trials, f"{sparsity} is the sparsest candidate with {bounds}"
    tried = "; ".join(f"{trial.sparsity} has {trial.eval_error:.4f} and {trial.gzip_bytes:,}" for trial in trials)
    return skipped, trials, f"skipped, as no candidate has {bounds}: {tried}"
