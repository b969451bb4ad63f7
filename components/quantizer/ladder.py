"""The ladder: which number format, of which network, is the cheapest that holds the budget, and what else was tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tf_keras as keras
from absl import logging

from farebox.components.errors import InputError
from farebox.components.networks.objective import objective_of
from farebox.components.networks.rows import Batch
from farebox.components.quantizer.conversion import Front, Rows, Source, matching
from farebox.components.quantizer.sensitivity import Harm, sensitivity, spared
from farebox.components.quantizer.settings import QuantizerSettings, Rung
from farebox.components.quantizer.tables import with_lookups
from farebox.components.quantizer.trials import Judge, Trial, attempt, cost

POST_TRAINING: tuple[Rung, ...] = ("float32", "float16", "dynamic", "int8_weights", "int8", "int16x8")
AWARE: tuple[Rung, ...] = ("qat", "pqat")
FLOAT_KERNELS: tuple[Rung, ...] = ("float32", "float16", "dynamic")
LOOKUPS, SPARSE = "look-ups to distinct rows", "sparse kernels"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """chosen: what ships; trials: all that were made, the reference first; why: in words."""

    chosen: Trial
    trials: list[Trial]
    harms: list[Harm]
    bound: float
    why: str


def search(
    networks: Mapping[str, keras.Model],
    front: Front | None,
    calibration: Sequence[Rows],
    fitting: tuple[Iterable[Batch], Iterable[Batch]],
    rows: Sequence[tuple[Rows, np.ndarray]],
    output: str,
    settings: QuantizerSettings,
    non_negative: bool = False,
) -> Outcome:
    """The outcome of the ladder, or of the one rung that the settings name.

    networks: as `Ladder` has them; fitting: train and eval batches of their inputs; rows: eval rows as the files take
    them, with labels of shape (n,); output: what the file calls its output, never below 0 where non_negative.

    Raises InputError where a setting does not fit the networks, or the rung that is named cannot be had.
    """
    train, evaluation = fitting

    def aware(network: keras.Model, rung: str) -> keras.Model:
        from farebox.components.quantizer.qat import quantization_aware  # with tfmot, which brings Keras 3

        return quantization_aware(network, train, evaluation, settings, keeps_zeros=rung == "pqat")

    *_, unreduced = networks.values()
    ladder = Ladder(
        networks,
        lambda network: Source(network, front, calibration, output, non_negative),
        aware,
        Judge(rows, objective_of(unreduced)),
        settings,
    )
    return ladder.climb() if settings.mode == "auto" else ladder.fixed(settings.mode)


class Ladder:
    """One search.

    networks: by name, the one that should ship first and the unreduced one last, which is also the reference.
    prepared: makes a network ready for conversion. aware: (network, rung) -> the network trained for int8.
    """

    def __init__(
        self,
        networks: Mapping[str, keras.Model],
        prepared: Callable[[keras.Model], Source],
        aware: Callable[[keras.Model, str], keras.Model],
        judge: Judge,
        settings: QuantizerSettings,
    ) -> None:
        self._networks, self._prepared, self._aware = networks, prepared, aware
        self._judge, self._settings = judge, settings
        self._sources = {name: prepared(network) for name, network in networks.items()}
        self.trials: list[Trial] = []
        self._harms: list[Harm] = []
        *_, self._unreduced = networks
        self._reference = self._try(Trial("float32", self._unreduced))
        if not self._reference.content:
            raise InputError(f"Quantizer: the unreduced network has no float32 file: {self._reference.reason}")
        self.bound = settings.bound(self._reference.error)

    def climb(self) -> Outcome:
        """`auto`: all rungs of all networks, the steps that may make the best of them cheaper, and the choice."""
        for name in self._networks:
            rungs = [rung for rung in POST_TRAINING if (rung, name) != ("float32", self._unreduced)]
            made = [self._try_later(self._trial(rung, name)) for rung in rungs]
            self._judge.measure(made)
            for trial in made:
                self._log(trial)
            self._study_int8(name, next(trial for trial in made if trial.rung == "int8"))
        first = next(iter(self._networks))
        if not any(self._holds(trial) and "int8" in trial.dtypes for trial in self.trials):
            self._say(f"no post-training integer rung holds eval error {self.bound:.4f}: qat is tried")
            for rung in AWARE:
                self._try(self._trial(rung, first))
        held = [trial for trial in self.trials if self._holds(trial)]
        if not held:
            return self._ended(
                self._reference, f"nothing holds eval error {self.bound:.4f}: the unreduced float32 file"
            )
        self._judge.time(held)
        best = self._cheapest(held)
        steps = self._steps(best)
        self._judge.time(steps)
        best = self._cheapest([best, *(trial for trial in steps if self._holds(trial))])
        return self._ended(
            best, f"the cheapest by {self._settings.optimize_for} that holds eval error {self.bound:.4f}"
        )

    def fixed(self, rung: Rung) -> Outcome:
        """One rung of the first network, whatever it costs. Raises InputError where the converter cannot."""
        first = next(iter(self._networks))
        if rung == "int8" and first != self._unreduced:
            self._try(Trial("float32", first))  # what its nodes' harm is counted from
        trial = self._try(self._trial(rung, first))
        if not trial.content:
            raise InputError(f"quantizer.mode={rung}: {trial.reason}")
        if rung == "int8":
            self._study_int8(first, trial)
        self._judge.time([trial])
        return self._ended(trial, f"fixed by quantizer.mode={rung}")

    def _holds(self, trial: Trial) -> bool:
        return trial.error <= self.bound

    def _cheapest(self, trials: Sequence[Trial]) -> Trial:
        return min(trials, key=lambda trial: cost(trial, self._settings.optimize_for))

    def _trial(self, rung: Rung, name: str) -> Trial:
        """A candidate to be; int8 with the nodes float that the settings want so."""
        patterns = self._settings.keep_float
        kept = matching(self._sources[name].nodes(), patterns) if patterns and rung == "int8" else ()
        return Trial(rung, name, kept)

    def _try(self, trial: Trial, source: Source | None = None, is_sparse: bool = False) -> Trial:
        """The candidate, converted, judged and logged."""
        self._judge.measure([self._try_later(trial, source, is_sparse)])
        self._log(trial)
        return trial

    def _try_later(self, trial: Trial, source: Source | None = None, is_sparse: bool = False) -> Trial:
        """The candidate, converted."""

        def make() -> bytes:
            ready = source or self._source(trial)
            return ready.file(trial.rung, trial.kept_float, is_sparse)

        return attempt(trial, make)

    def _source(self, trial: Trial) -> Source:
        if trial.rung in AWARE:
            return self._prepared(self._aware(self._networks[trial.network], trial.rung))
        return self._sources[trial.network]

    def _study_int8(self, name: str, trial: Trial) -> None:
        """Which nodes int8 harms, and where it misses the budget the same with the most harmful ones float. A network
        that misses the budget in float32 is not mended so."""
        plain = next(other for other in self.trials if (other.network, other.rung) == (name, "float32"))
        if not trial.content or not self._holds(plain):
            return
        harms = sensitivity(self._sources[name], name, self._judge, plain.error)
        self._harms += harms
        if self._settings.mode == "auto" and not self._holds(trial):
            for other in spared(self._sources[name], name, harms, trial.kept_float, self._judge, self._holds):
                self._log(other)

    def _steps(self, best: Trial) -> list[Trial]:
        """What may make the best file cheaper still: look-ups, and sparse kernels together with them."""
        if best.rung in AWARE:
            return []
        source, names = self._sources[best.network], tuple[str, ...]()
        made: list[Trial] = []
        thin = with_lookups(self._networks[best.network])
        if thin is not None:
            source, names = self._prepared(thin), (LOOKUPS,)
            made.append(self._try(Trial(best.rung, best.network, best.kept_float, names), source))
        if best.rung in FLOAT_KERNELS:
            made.append(self._try(Trial(best.rung, best.network, (), (*names, SPARSE)), source, is_sparse=True))
        return [trial for trial in made if trial.content]

    def _log(self, trial: Trial) -> None:
        self.trials.append(trial)
        if trial.content:
            self._say(f"{trial.name}: eval error {trial.error:.4f}, {trial.bytes:,} B, {trial.gzip_bytes:,} B gzip")
        else:
            self._say(f"{trial.name} failed: {trial.reason}")

    @staticmethod
    def _say(line: str) -> None:
        logging.info("Quantizer: %s", line)

    def _ended(self, chosen: Trial, why: str) -> Outcome:
        """Every trial with its verdict and the reason for it."""
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
                trial.reason = trial.reason or f"eval error {trial.error:.6g} must be at most {self.bound:.6g}"
        self._say(f"{chosen.name}: {why}")
        return Outcome(chosen, self.trials, self._harms, self.bound, why)
