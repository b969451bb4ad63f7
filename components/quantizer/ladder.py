"""The search of the ladder: which rung of which network gives the cheapest file that holds the budget."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import tf_keras as keras
from absl import logging

from farebox.components.errors import InputError
from farebox.components.files import progress
from farebox.components.networks.objective import POINTS
from farebox.components.networks.rows import Batch
from farebox.components.quantizer.child import Child
from farebox.components.quantizer.conversion import Source, matching
from farebox.components.quantizer.native import Run, here
from farebox.components.quantizer.rungs import AUTO, FLOAT32, RUNGS, Rung
from farebox.components.quantizer.sensitivity import NodeHarm, sensitivity, trials_with_float_nodes
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.quantizer.tables import with_lookups
from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt, cost

LOOKUPS, SPARSE = "look-ups to distinct rows", "sparse kernels"


@dataclasses.dataclass(frozen=True)
class QuantizationOutcome:
    """chosen: the trial that ships; trials: all of them, the reference first; why: the reason, in words."""

    chosen: QuantizationTrial
    trials: list[QuantizationTrial]
    harms: list[NodeHarm]
    bound: float
    why: str


def search(
    networks: Mapping[str, keras.Model],
    *,
    prepare: Callable[[keras.Model], Source],
    judge: Judge,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    settings: QuantizerSettings,
) -> QuantizationOutcome:
    """Returns the outcome of the ladder, or of the single rung that `settings.mode` names.

    networks, prepare: see `Ladder`. train, evaluation: batches of the networks' inputs.

    Raises InputError if a setting does not fit the networks, or if the named rung cannot be converted.
    """

    def train_for_int8(network: keras.Model, rung: Rung) -> keras.Model:
        from farebox.components.quantizer.qat import quantization_aware  # with tfmot, which imports Keras 3

        return quantization_aware(
            network, train, evaluation, settings, objective=judge.objective, keeps_zeros=rung.keeps_zeros
        )

    ladder = Ladder(networks, prepare, train_for_int8, judge, settings)
    return ladder.climb() if settings.mode == AUTO else ladder.fixed(RUNGS[settings.mode])


def workplace(settings: QuantizerSettings) -> contextlib.AbstractContextManager[Run]:
    """Chooses where the ladder calls native code: in a process of its own, or here for rungs that every runtime has."""
    is_safe = settings.portable if settings.mode == AUTO else RUNGS[settings.mode].is_portable
    return contextlib.nullcontext(here) if is_safe else Child()


def always() -> list[Rung]:
    """The rungs that mode `auto` tries in any case."""
    return [rung for rung in RUNGS.values() if rung.auto == "always"]


class Ladder:
    """One search.

    networks: by name, the preferred one first and the unreduced one, which is the reference, last. prepare: makes a
    network ready for conversion. train_for_int8: returns the network after quantization-aware training.
    """

    def __init__(
        self,
        networks: Mapping[str, keras.Model],
        prepare: Callable[[keras.Model], Source],
        train_for_int8: Callable[[keras.Model, Rung], keras.Model],
        judge: Judge,
        settings: QuantizerSettings,
    ) -> None:
        self._networks, self._prepare, self._train_for_int8 = networks, prepare, train_for_int8
        self._judge, self._settings = judge, settings
        self._sources = {name: prepare(network) for name, network in networks.items()}
        self.trials: list[QuantizationTrial] = []
        self._n_converted, self._n_planned = 0, len(networks) * sum(self._may_ship(rung) for rung in always())
        self._harms: list[NodeHarm] = []
        self._preferred, *_ = networks
        *_, self._unreduced = networks
        self._reference = self._try(QuantizationTrial(FLOAT32.name, self._unreduced))
        if not self._reference.content:
            raise InputError(f"Quantizer: the unreduced network has no float32 file: {self._reference.reason}")
        self.bound = settings.bound(self._reference.error, is_of_points=judge.objective.metric in POINTS)

    def climb(self) -> QuantizationOutcome:
        """Tries all rungs of all networks and what may make the best of them cheaper, then chooses: mode `auto`."""
        for network in self._networks:
            self._try_after_training(network)
        needs_training = not any(self._holds(trial) and "int8" in trial.dtypes for trial in self.trials)
        if needs_training and not self._settings.portable:
            self._say(f"no post-training integer rung holds eval error {self.bound:.4f}: qat is tried")
            for rung in RUNGS.values():
                if rung.auto == "last":
                    self._try(self._new_trial(rung, self._preferred))
        holding = [trial for trial in self.trials if self._holds(trial)]
        if not holding:
            why = f"nothing holds eval error {self.bound:.4f}: the unreduced float32 file"
            return self._finish(self._reference, why)
        self._judge.time(holding)
        best = self._cheapest(holding)
        steps = self._try_steps(best)
        self._judge.time(steps)
        best = self._cheapest([best, *(trial for trial in steps if self._holds(trial))])
        why = f"the cheapest by {self._settings.optimize_for} that holds eval error {self.bound:.4f}"
        return self._finish(best, why)

    def fixed(self, rung: Rung) -> QuantizationOutcome:
        """Returns one rung of the preferred network, whatever it costs. Raises InputError if the converter fails."""
        network = self._preferred
        if rung.can_keep_float and network != self._unreduced:
            self._try(QuantizationTrial(FLOAT32.name, network))  # the harm of its nodes is counted from this error
        trial = self._try(self._new_trial(rung, network))
        if not trial.content:
            raise InputError(f"quantizer.mode={rung.name}: {trial.reason}")
        self._study(trial)
        self._judge.time([trial])
        return self._finish(trial, f"fixed by quantizer.mode={rung.name}")

    def _try_after_training(self, network: str) -> None:
        """Tries every post-training rung of a network."""
        rungs = [rung for rung in always() if self._may_ship(rung)]
        trials = [
            self._convert(self._new_trial(rung, network))
            for rung in rungs
            if (rung, network) != (FLOAT32, self._unreduced)  # the reference
        ]
        self._judge.measure(trials)
        for trial in trials:
            self._log(trial)
        for trial in trials:
            self._study(trial)

    def _may_ship(self, rung: Rung) -> bool:
        return rung.is_portable or not self._settings.portable

    def _holds(self, trial: QuantizationTrial) -> bool:
        return max(trial.error, trial.expected_error or 0.0) <= self.bound

    def _cheapest(self, trials: Sequence[QuantizationTrial]) -> QuantizationTrial:
        return min(trials, key=lambda trial: cost(trial, self._settings.optimize_for))

    def _new_trial(self, rung: Rung, network: str) -> QuantizationTrial:
        """Returns an unconverted trial, with the nodes float that the settings keep float."""
        patterns = self._settings.keep_float
        keeps_float = rung.can_keep_float and patterns
        kept_float = matching(self._sources[network].nodes(), patterns) if keeps_float else ()
        return QuantizationTrial(rung.name, network, kept_float)

    def _try(
        self, trial: QuantizationTrial, source: Source | None = None, *, is_sparse: bool = False
    ) -> QuantizationTrial:
        """Converts, judges and logs a trial, and returns it."""
        self._judge.measure([self._convert(trial, source, is_sparse=is_sparse)])
        self._log(trial)
        return trial

    def _convert(
        self, trial: QuantizationTrial, source: Source | None = None, *, is_sparse: bool = False
    ) -> QuantizationTrial:
        def make() -> bytes:
            return (source or self._source(trial)).file(trial.rung, trial.kept_float, is_sparse=is_sparse)

        made = attempt(trial, make)
        self._n_converted += 1
        progress.step("candidate", self._n_converted, max(self._n_converted, self._n_planned))
        return made

    def _source(self, trial: QuantizationTrial) -> Source:
        rung = RUNGS[trial.rung]
        if rung.is_trained:
            return self._prepare(self._train_for_int8(self._networks[trial.network], rung))
        return self._sources[trial.network]

    def _study(self, trial: QuantizationTrial) -> None:
        """Measures which nodes a rung harms; in mode `auto` only if the trial misses the budget, and then tries it
        again with the most harmful nodes float. Does nothing for a network that misses the budget in float32."""
        is_needed = self._settings.mode != AUTO or not self._holds(trial)
        if not (RUNGS[trial.rung].can_keep_float and trial.content and is_needed):
            return
        network = trial.network
        plain = next(each for each in self.trials if (each.network, each.rung) == (network, FLOAT32.name))
        if not self._holds(plain):
            return
        harms = sensitivity(self._sources[network], trial, self._judge, plain.error)
        self._harms += harms
        if self._settings.mode == AUTO:
            for each in trials_with_float_nodes(self._sources[network], trial, harms, self._judge, self._holds):
                self._log(each)

    def _try_steps(self, best: QuantizationTrial) -> list[QuantizationTrial]:
        """Tries what may make the best file cheaper: look-ups, and sparse kernels together with them."""
        rung = RUNGS[best.rung]
        if rung.is_trained:
            return []
        source, steps = self._sources[best.network], tuple[str, ...]()
        trials: list[QuantizationTrial] = []
        thin = with_lookups(self._networks[best.network])
        if thin is not None:
            source, steps = self._prepare(thin), (LOOKUPS,)
            trials.append(self._try(QuantizationTrial(best.rung, best.network, best.kept_float, steps), source))
        if rung.has_float_kernels and not self._settings.portable:  # tflite-micro has no sparse kernels
            trial = QuantizationTrial(best.rung, best.network, (), (*steps, SPARSE))
            trials.append(self._try(trial, source, is_sparse=True))
        return [trial for trial in trials if trial.content]

    def _log(self, trial: QuantizationTrial) -> None:
        self.trials.append(trial)
        if trial.content:
            self._say(f"{trial.name}: eval error {trial.error:.4f}, {trial.bytes:,} B, {trial.gzip_bytes:,} B gzip")
        else:
            self._say(f"{trial.name} failed: {trial.reason}")

    @staticmethod
    def _say(line: str) -> None:
        logging.info("Quantizer: %s", line)

    def _finish(self, chosen: QuantizationTrial, why: str) -> QuantizationOutcome:
        """Gives every trial its verdict and the reason for it."""
        goal = self._settings.optimize_for
        for trial in self.trials:
            if not trial.content:
                trial.verdict = "failed"
            elif trial is chosen:
                trial.verdict, trial.reason = "chosen", why
            elif self._holds(trial):
                trial.verdict, trial.reason = "holds", f"not the cheapest by {goal}"
            else:
                trial.verdict = "misses"
                trial.reason = trial.reason or self._excess(trial)
        self._say(f"{chosen.name}: {why}")
        return QuantizationOutcome(chosen, self.trials, self._harms, self.bound, why)

    def _excess(self, trial: QuantizationTrial) -> str:
        if trial.error > self.bound:
            return f"eval error {trial.error:.6g} must be at most {self.bound:.6g}"
        return f"expected error {trial.expected_error:.6g} on ids that the rows lack must be at most {self.bound:.6g}"
