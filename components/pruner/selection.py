"""Decides whether to prune: at the sparsity of the settings or, by `auto`, at one that costs little and saves bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy.typing as npt
import tf_keras as keras
from absl import logging

from farebox.components.networks import examples_io, fine_tuning
from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch
from farebox.components.pruner import layers
from farebox.components.pruner.pruning import Pruned, prune
from farebox.components.pruner.settings import PrunerSettings
from farebox.components.tflite.files import gzip_bytes


@dataclasses.dataclass(frozen=True)
class Trial:
    """One pruned network and its figures.

    sparsity: the requested one; eval_error: in the unit of the network's metric; expected_error: expected on other
    rows, from how far its predictions move from the source's; gzip_bytes: of all weights as float16; is_kept: whether
    it holds the bounds, if there are any.
    """

    sparsity: float | dict[str, float]
    pruned: Pruned
    eval_error: float
    expected_error: float
    gzip_bytes: int
    is_kept: bool = True

    @property
    def summary(self) -> dict[str, Any]:
        """The trial as the log keeps it."""
        return {
            key: getattr(self, key) for key in ("sparsity", "eval_error", "expected_error", "gzip_bytes", "is_kept")
        }


@dataclasses.dataclass(frozen=True)
class Outcome:
    """kept: the network to pass on; skipped: only never-trained rows are zero."""

    kept: Trial
    skipped: Trial
    trials: list[Trial]
    why: str
    source_error: float


def prune_network(
    source: keras.Model,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    settings: PrunerSettings,
    *,
    trained: dict[str, npt.NDArray[Any]],
    objective: Objective | None = None,
    unlabelled: Iterable[Batch] = (),
) -> Outcome:
    """The network pruned by the settings; `source` stays as it is.

    trained: by table, whether training saw a row's id; the other rows become zero. Empty if that is not known.
    objective: by default as the network's last layer says. unlabelled: further rows on which the expected error must
    hold, too. Raises ValueError if the settings do not fit it.
    """
    objective = objective or objective_of(source)
    unpruned = layers.copy_network(source)
    layers.zero_rows(unpruned, trained)
    imitating = fine_tuning.imitating(train, source, objective)
    steps_per_epoch = -(-len(imitating) // imitating.batch_size)

    def judged(sparsity: Any, pruned: Pruned) -> Trial:
        error = examples_io.network_error(pruned.network, evaluation, objective).error
        expected = max(
            examples_io.expected_error(pruned.network, source, source_error, rows, objective)
            for rows in (evaluation, unlabelled)
            if rows != ()
        )
        return Trial(sparsity, pruned, error, expected, gzip_bytes(layers.float16_bytes(pruned.network)))

    def attempt(sparsity: float | None) -> Trial:
        pruned = prune(
            unpruned, imitating, evaluation, steps_per_epoch, settings, sparsity=sparsity, objective=objective
        )
        layers.zero_rows(pruned.network, trained)
        return judged(settings.final_sparsity if sparsity is None else sparsity, pruned)

    source_error = examples_io.network_error(source, evaluation, objective).error
    skipped = judged(0.0, Pruned(unpruned, {}, {}))
    kept, trials, why = choose(settings, source_error, skipped, attempt)
    return Outcome(kept, skipped, trials, why, source_error)


def choose(
    settings: PrunerSettings, source_error: float, skipped: Trial, attempt: Callable[[float | None], Trial]
) -> tuple[Trial, list[Trial], str]:
    """The network to pass on, all trials, and the reason in words.

    By `auto` it is the first candidate, sparsest first, that holds both bounds and has fewer bytes than `skipped`; else
    `skipped`, in which only never-trained rows are zero, at no cost.
    """
    if settings.final_sparsity != "auto":
        trial = attempt(None)
        return trial, [trial], "fixed by pruner.final_sparsity"
    max_error = source_error * (1 + settings.budget)
    max_bytes = skipped.gzip_bytes * (1 - settings.min_gzip_gain)
    bounds = (
        f"eval and expected error at most {max_error:.4f} ({source_error:.4f} of the source and {settings.budget:.2%}) "
        f"and at most {max_bytes:,.0f} gzip bytes ({skipped.gzip_bytes:,} unpruned less {settings.min_gzip_gain:.2%})"
    )
    trials: list[Trial] = []
    for sparsity in sorted(settings.sparsities, reverse=True):
        trial = attempt(sparsity)
        is_kept = max(trial.eval_error, trial.expected_error) <= max_error and trial.gzip_bytes <= max_bytes
        trials.append(dataclasses.replace(trial, is_kept=is_kept))
        logging.info("Pruner: %s, must have %s", trials[-1].summary, bounds)
        if is_kept:
            return trials[-1], trials, f"{sparsity} is the sparsest candidate with {bounds}"
    tried = "; ".join(
        f"{trial.sparsity} has {trial.eval_error:.4f}, {trial.expected_error:.4f} and {trial.gzip_bytes:,}"
        for trial in trials
    )
    return skipped, trials, f"skipped, as no candidate has {bounds}: {tried}"
