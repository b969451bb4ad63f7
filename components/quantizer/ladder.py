"""The ladder: which number format, of which network, is the cheapest that holds the budget, and what else was tried."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import tf_keras as keras
from absl import logging

from components.quantizer.conversion import Source, matching
from components.quantizer.sensitivity import Harm, sensitivity, spared
from components.quantizer.settings import QuantizerSettings, Rung
from components.quantizer.tables import with_lookups
from components.quantizer.trials import Judge, Trial, cost

POST_TRAINING: tuple[Rung, ...] = ("float32", "float16", "dynamic", "int8_weights", "int8", "int16x8")
AWARE: tuple[Rung, ...] = ("qat", "pqat")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """chosen: what ships; trials: all that were made, the reference first; why: in words."""

    chosen: Trial
    trials: list[Trial]
    harms: list[Harm]
    bound: float
    why: str


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
        self._reference = self._try("float32", self._unreduced)
        if not self._reference.content:
            raise RuntimeError(f"Quantizer: the float32 file: {self._reference.reason}")
        self.bound = settings.bound(self._reference.error)

    def climb(self) -> Outcome:
        """`auto`: all rungs of all networks, the steps that may make the best of them cheaper, and the choice."""
        for name in self._networks:
            for rung in POST_TRAINING:
                if (rung, name) != ("float32", self._unreduced):
                    climb = self._int8 if rung == "int8" else functools.partial(self._try, rung)
                    climb(name)
        first = next(iter(self._networks))
        if not any(self._holds(trial) and "int8" in trial.dtypes for trial in self.trials):
            self._say(f"no post-training integer rung holds eval error {self.bound:.4f}: qat is tried")
            for rung in AWARE:
                self._try(rung, first)
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
        """One rung of the first network, whatever it costs; the converter's own error where it cannot."""
        first = next(iter(self._networks))
        trial = self._int8(first) if rung == "int8" else self._try(rung, first)
        if not trial.content:
            raise RuntimeError(f"quantizer.mode={rung}: {trial.reason}")
        self._judge.time([trial])
        return self._ended(trial, f"fixed by quantizer.mode={rung}")

    def _holds(self, trial: Trial) -> bool:
        return trial.error <= self.bound

    def _cheapest(self, trials: Sequence[Trial]) -> Trial:
        return min(trials, key=lambda trial: cost(trial, self._settings.optimize_for))

    def _try(
        self,
        rung: Rung,
        name: str,
        source: Source | None = None,
        step: str = "",
        kept_float: tuple[str, ...] = (),
        is_sparse: bool = False,
    ) -> Trial:
        """One candidate, converted, judged and logged; where the converter cannot, its first line says why."""
        trial = Trial(rung, name, kept_float, (step,) if step else ())
        try:
            if source is None:
                source = self._source(rung, name)
            trial.content = source.file(rung, kept_float, is_sparse)
            self._judge.measure([trial])
        except Exception as error:  # the converter raises whatever MLIR and TensorFlow do
            trial.content = b""
            trial.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
        self._log(trial)
        return trial

    def _source(self, rung: Rung, name: str) -> Source:
        if rung in AWARE:
            return self._prepared(self._aware(self._networks[name], rung))
        return self._sources[name]

    def _int8(self, name: str) -> Trial:
        """int8, and where it misses the budget the same with its most harmful nodes float; the last one tried. A
        network that misses it in float32 is not mended so."""
        source = self._sources[name]
        kept = matching(source.nodes(), self._settings.keep_float)
        trial = self._try("int8", name, kept_float=kept)
        if not trial.content:
            return trial
        plain = next(
            (other for other in self.trials if (other.network, other.rung) == (name, "float32")), self._reference
        )
        if not self._holds(plain):
            return trial
        harms = sensitivity(source, name, self._judge, plain.error)
        self._harms += harms
        if self._settings.mode == "auto" and not self._holds(trial):
            for trial in spared(source, name, harms, kept, self._judge, self._holds):
                self._log(trial)
        return trial

    def _steps(self, best: Trial) -> list[Trial]:
        """What may make the best file cheaper still, each alone and then together with what came before it."""
        if best.rung in AWARE:
            return []
        made: list[Trial] = []
        thin = with_lookups(self._networks[best.network])
        source = self._sources[best.network]
        if thin is not None:
            source = self._prepared(thin)
            made.append(self._try(best.rung, best.network, source, "look-ups to distinct rows", best.kept_float))
        if best.rung in ("float32", "float16", "dynamic"):
            step = "sparse kernels" if thin is None else "look-ups to distinct rows, sparse kernels"
            made.append(self._try(best.rung, best.network, source, step, is_sparse=True))
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
