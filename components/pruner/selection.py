"""Decides whether to prune: at the sparsity of the settings or, by `auto`, at one that costs little and saves bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras
from absl import logging

from farebox.components.networks import examples_io, fine_tuning
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.candidates import Candidate
from farebox.components.networks.memo import Memo
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
    it holds the bounds, if there are any; k: components that PcaReducer kept before.
    """

    sparsity: float | dict[str, float]
    pruned: Pruned
    eval_error: float
    expected_error: float
    gzip_bytes: int
    is_kept: bool = True
    k: int | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """The trial as the log keeps it."""
        keys = ("k", "sparsity", "eval_error", "expected_error", "gzip_bytes", "is_kept")
        return {key: getattr(self, key) for key in keys}

    @property
    def candidate(self) -> Candidate:
        """The network with what was done to it."""
        sparsity = self.sparsity if isinstance(self.sparsity, float) else layers.total_sparsity(self.pruned.network)
        return Candidate(self.pruned.network, self.eval_error, self.expected_error, self.k, sparsity)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """kept: the network to pass on; skipped: only never-trained rows are zero; candidates: what the search of the whole
    budget chooses among, smallest first."""

    kept: Trial
    skipped: Trial
    trials: list[Trial]
    why: str
    source_error: float
    candidates: list[Candidate]


class Search:
    """Prunes candidates of PcaReducer, of which the unchanged network is the last.

    Errors are those over the unchanged network, so that the budget of all that was done to a candidate is held once.
    trained: by table, whether training saw a row's id; the other rows become zero. Empty if that is not known.
    unlabelled: further rows on which the expected error must hold, too. memo: keeps networks, without masks and steps;
    its basis must have the rows, the original network and the settings.
    """

    def __init__(
        self,
        sources: Sequence[Candidate],
        train: Iterable[Batch],
        evaluation: Iterable[Batch],
        settings: PrunerSettings,
        *,
        trained: dict[str, npt.NDArray[Any]],
        objective: Objective | None = None,
        unlabelled: Iterable[Batch] = (),
        allowance: Allowance | None = None,
        memo: Memo | None = None,
    ) -> None:
        self._memo = memo or Memo()
        self._original = sources[-1].network
        self._objective = objective or objective_of(self._original)
        self._evaluation, self._unlabelled = evaluation, unlabelled
        self._settings, self._trained = settings, trained
        self._allowance = allowance or Allowance("Pruner", settings.search_s)
        self._train = fine_tuning.imitating(train, self._original, self._objective)
        self._source_error = examples_io.network_error(self._original, evaluation, self._objective).error
        unpruned = [self._unpruned(source) for source in sources]
        self._sources = sorted(unpruned, key=lambda trial: trial.gzip_bytes)
        if settings.final_sparsity != "auto":
            self._sources = unpruned[:1]
        self._costs: dict[float, list[float]] = {}

    def outcome(self) -> Outcome:
        """The smallest network, pruned as far as it holds the budget, and the candidates.

        A larger network must become sparser than the smaller ones, or it does not pay.
        """
        outcomes: list[tuple[Trial, list[Trial], str]] = []
        sparsest = 0.0
        for skipped in self._sources:
            left = self._worth_trying(skipped, sparsest) if outcomes else None
            if left == []:
                continue
            result = choose(
                self._settings,
                self._source_error,
                skipped,
                lambda sparsity, skipped=skipped: self._attempt(skipped, sparsity),  # type: ignore[misc]
                left,
            )
            outcomes.append(result)
            if isinstance(result[0].sparsity, float):
                sparsest = max(sparsest, result[0].sparsity)
        kept, _, why = outcomes[0]
        trials = [trial for _, tried, _ in outcomes for trial in tried]
        pruned = [trial for trial, tried, _ in outcomes if any(trial is each for each in tried)]
        unpruned = [trial for trial in self._sources if trial.k is not None or self._has_zeroed(trial)]
        candidates = pruned if self._settings.final_sparsity != "auto" else [*pruned, *unpruned]
        candidates.sort(key=lambda trial: trial.gzip_bytes)
        return Outcome(
            kept, self._sources[0], trials, why, self._source_error, [trial.candidate for trial in candidates]
        )

    def _worth_trying(self, skipped: Trial, sparsest: float) -> list[float]:
        """Sparsities above `sparsest` at which a network is predicted to hold the budget: squares of departures add up,
        and so do small increases of the error."""
        bound = self._source_error * (1 + self._settings.share)
        room = bound - max(skipped.eval_error, skipped.expected_error)
        name = skipped.candidate.name or "the unchanged network"
        left = [s for s in self._settings.sparsities if s > sparsest and min(self._costs.get(s, [0.0])) <= room]
        logging.info("Pruner: %s: %s are predicted to hold the budget and to pay", name, left or "no sparsities")
        return left if left and self._allowance.is_left(f"{name} at sparsities {left}") else []

    def _has_zeroed(self, unchanged: Trial) -> bool:
        """Whether a row of the unchanged network became zero, because training never saw its id."""
        weights = zip(unchanged.pruned.network.get_weights(), self._original.get_weights(), strict=True)
        return not all(np.array_equal(*pair) for pair in weights)

    def _unpruned(self, source: Candidate) -> Trial:
        network = layers.copy_network(source.network)
        layers.zero_rows(network, self._trained)
        return self._judged(0.0, Pruned(network, {}, {}), source.k)

    def _attempt(self, skipped: Trial, sparsity: float | None) -> Trial:
        steps_per_epoch = -(-len(self._train) // self._train.batch_size)
        made: list[Pruned] = []

        def pruned_network() -> keras.Model:
            made.append(
                prune(
                    skipped.pruned.network, self._train, self._evaluation, steps_per_epoch, self._settings,
                    sparsity=sparsity, objective=self._objective,
                )
            )  # fmt: skip
            return made[0].network

        how = f"pruned {self._settings.criterion} {sparsity}"
        network = self._memo.network(pruned_network, skipped.pruned.network, how)
        pruned = made[0] if made else Pruned(network, {}, {})
        layers.zero_rows(pruned.network, self._trained)
        trial = self._judged(self._settings.final_sparsity if sparsity is None else sparsity, pruned, skipped.k)
        if sparsity is not None:
            self._costs.setdefault(sparsity, []).append(trial.expected_error - skipped.expected_error)
        return trial

    def _judged(self, sparsity: Any, pruned: Pruned, k: int | None) -> Trial:
        network, error = pruned.network, self._source_error
        expected = max(
            examples_io.expected_error(network, self._original, error, rows, self._objective)
            for rows in (self._evaluation, self._unlabelled)
            if rows != ()
        )
        reached = examples_io.network_error(network, self._evaluation, self._objective).error
        return Trial(sparsity, pruned, reached, expected, gzip_bytes(layers.float16_bytes(network)), k=k)


def choose(
    settings: PrunerSettings,
    source_error: float,
    skipped: Trial,
    attempt: Callable[[float | None], Trial],
    sparsities: Sequence[float] | None = None,
) -> tuple[Trial, list[Trial], str]:
    """The network to pass on, all trials, and the reason in words.

    By `auto` it is the first candidate, sparsest first, that holds both bounds and has fewer bytes than `skipped`; else
    `skipped`, in which only never-trained rows are zero, at no cost. sparsities: in place of the settings' candidates.
    """
    if settings.final_sparsity != "auto":
        trial = attempt(None)
        return trial, [trial], "fixed by pruner.final_sparsity"
    max_error = source_error * (1 + settings.share)
    max_bytes = skipped.gzip_bytes * (1 - settings.min_gzip_gain)
    bounds = (
        f"eval and expected error at most {max_error:.4f} ({source_error:.4f} of the source and {settings.share:.2%}) "
        f"and at most {max_bytes:,.0f} gzip bytes ({skipped.gzip_bytes:,} unpruned less {settings.min_gzip_gain:.2%})"
    )
    trials: list[Trial] = []
    for sparsity in sorted(settings.sparsities if sparsities is None else sparsities, reverse=True):
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
