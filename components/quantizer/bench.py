"""Candidate files of several networks: made, judged, logged, and held to the one budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tf_keras as keras
from absl import logging

from farebox.components.errors import InputError
from farebox.components.files import progress
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import POINTS
from farebox.components.quantizer.conversion import Source, matching
from farebox.components.quantizer.rungs import FLOAT32, RUNGS, Rung
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt, cost


class Bench:
    """The trials so far, and what makes the next one.

    networks: by name, the preferred one first and the unreduced one, which is the reference, last. prepare: makes a
    network ready for conversion. train_for_int8: returns the network after quantization-aware training. allowance: of
    CPU time. memo: keeps files; its basis must have what else `prepare` and training take. bound: the largest error
    that holds the budget, over the float32 file of the reference.

    Raises InputError if the reference cannot be converted.
    """

    def __init__(
        self,
        networks: Mapping[str, keras.Model],
        prepare: Callable[[keras.Model], Source],
        train_for_int8: Callable[[keras.Model, Rung], keras.Model],
        judge: Judge,
        settings: QuantizerSettings,
        *,
        allowance: Allowance,
        memo: Memo | None = None,
    ) -> None:
        self._memo = memo or Memo()
        self.networks, self.prepare, self._train_for_int8 = networks, prepare, train_for_int8
        self.judge, self.settings, self.allowance = judge, settings, allowance
        self._sources: dict[str, Source] = {}
        self.trials: list[QuantizationTrial] = []
        n_rungs = sum(rung.is_portable for rung in settings.rungs)
        self._n_converted, self._n_planned = 0, len(networks) * n_rungs  # and more formats of the best
        self.preferred, *_ = networks
        *_, self.unreduced = networks
        self.reference = self.try_one(QuantizationTrial(FLOAT32.name, self.unreduced))
        if not self.reference.content:
            raise InputError(f"Quantizer: the unreduced network has no float32 file: {self.reference.reason}")
        self.bound = settings.bound(self.reference.error, is_of_points=judge.objective.metric in POINTS)

    def holds(self, trial: QuantizationTrial) -> bool:
        """Whether a file holds the budget on eval and by its expected error, which no changed file has below zero."""
        is_expected = self.bound < self.reference.error or (trial.expected_error or 0.0) <= self.bound
        return trial.error <= self.bound and is_expected

    def may_ship(self, trial: QuantizationTrial) -> bool:
        """Whether a file holds the budget and is fast enough."""
        return self.holds(trial) and trial.slowdown <= self.settings.max_slowdown

    def excess(self, trial: QuantizationTrial) -> str:
        """The excess of a file that misses the budget, in words."""
        if trial.error > self.bound:
            return f"eval error {trial.error:.6g} must be at most {self.bound:.6g}"
        return f"expected error {trial.expected_error:.6g} on other rows must be at most {self.bound:.6g}"

    def cheapest(self, trials: Sequence[QuantizationTrial]) -> QuantizationTrial:
        """The trial that costs the least by `optimize_for`."""
        return min(trials, key=lambda trial: cost(trial, self.settings.optimize_for))

    def new_trial(self, rung: Rung, network: str) -> QuantizationTrial:
        """Returns an unconverted trial, with the nodes float that the settings keep float."""
        patterns = self.settings.keep_float
        keeps_float = rung.can_keep_float and patterns
        kept_float = matching(self.source_of(network).nodes("int8"), patterns) if keeps_float else ()
        return QuantizationTrial(rung.name, network, kept_float)

    def try_one(
        self, trial: QuantizationTrial, source: Source | None = None, *, is_sparse: bool = False
    ) -> QuantizationTrial:
        """Converts, judges and logs a trial, and returns it."""
        self.judge.measure([self._convert(trial, source, is_sparse=is_sparse)])
        self.log(trial)
        return trial

    def try_rungs(self, network: str, rungs: Sequence[Rung]) -> list[QuantizationTrial]:
        """The same for several formats of a network, which are judged side by side."""
        trials = [
            self._convert(self.new_trial(rung, network))
            for rung in rungs
            if (rung, network) != (FLOAT32, self.unreduced)  # the reference
        ]
        self.judge.measure(trials)
        for trial in trials:
            self.log(trial)
        return trials

    def _convert(
        self, trial: QuantizationTrial, source: Source | None = None, *, is_sparse: bool = False
    ) -> QuantizationTrial:
        def make() -> bytes:
            return (source or self._source(trial)).file(trial.rung, trial.kept_float, is_sparse=is_sparse)

        network = source.network if source else self.networks[trial.network]
        how = f"{trial.rung} {trial.kept_float} {is_sparse}"
        made = attempt(trial, lambda: self._memo.content(make, "file", network, how))
        self._n_converted += 1
        progress.step("candidate", self._n_converted, max(self._n_converted, self._n_planned))
        return made

    def _source(self, trial: QuantizationTrial) -> Source:
        rung = RUNGS[trial.rung]
        if rung.is_trained:
            return self.prepare(self._train_for_int8(self.networks[trial.network], rung))
        return self.source_of(trial.network)

    def source_of(self, network: str) -> Source:
        """The network, ready for conversion."""
        if network not in self._sources:
            self._sources[network] = self.prepare(self.networks[network])
        return self._sources[network]

    def log(self, trial: QuantizationTrial) -> None:
        """Keeps a trial."""
        self.trials.append(trial)
        if trial.content:
            self.say(f"{trial.name}: eval error {trial.error:.4f}, {trial.bytes:,} B, {trial.gzip_bytes:,} B gzip")
        else:
            self.say(f"{trial.name} failed: {trial.reason}")

    @staticmethod
    def say(line: str) -> None:
        """Writes a line of the log."""
        logging.info("Quantizer: %s", line)
