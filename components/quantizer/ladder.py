"""The search of the ladder: which rung of which network gives the cheapest file that holds the budget."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.memo import Memo
from farebox.components.networks.rows import Batch
from farebox.components.quantizer.bench import Bench
from farebox.components.quantizer.child import Child
from farebox.components.quantizer.conversion import Source
from farebox.components.quantizer.merging import Merging
from farebox.components.quantizer.native import Run, here
from farebox.components.quantizer.rungs import AUTO, FLOAT32, RUNGS, Rung
from farebox.components.quantizer.sensitivity import NodeHarm, sensitivity, trials_with_float_nodes
from farebox.components.quantizer.settings import Goal, QuantizerSettings
from farebox.components.quantizer.steps import try_steps
from farebox.components.quantizer.trials import SLOW, Judge, QuantizationTrial, cost, too_slow

FINALISTS = 2  # networks on which the search spends its longer trials


@dataclasses.dataclass(frozen=True)
class QuantizationOutcome:
    """chosen: the trial that ships; trials: all of them, the reference first; why: the reason, in words."""

    chosen: QuantizationTrial
    trials: list[QuantizationTrial]
    harms: list[NodeHarm]
    bound: float
    why: str

    def smaller_but_slow(self, goal: Goal) -> str:
        """In words, the smallest file that a larger `max_slowdown` would have shipped; empty if none is smaller."""
        slow = [trial for trial in self.trials if trial.verdict == SLOW]
        size = operator.attrgetter("gzip_bytes" if goal == "gzip" else "bytes")
        best = min(slow, key=size, default=self.chosen)
        if size(best) >= size(self.chosen):
            return ""
        after = " after gzip" if goal == "gzip" else ""
        return f"{size(best):,} bytes{after} are possible: {best.name}; {best.reason}"


def search(
    networks: Mapping[str, keras.Model],
    *,
    prepare: Callable[[keras.Model], Source],
    judge: Judge,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    settings: QuantizerSettings,
    allowance: Allowance | None = None,
    memo: Memo | None = None,
    merges_rows: bool = True,
) -> QuantizationOutcome:
    """Returns the outcome of the ladder, or of the single rung that `settings.mode` names.

    networks, prepare, memo: see `Bench`. train, evaluation: batches of the networks' inputs. allowance: of CPU time, by
    default the settings'. merges_rows: whether alike rows of tables may become one; not if the batches lack ids of
    which nothing is known.

    Raises InputError if a setting does not fit the networks, or if the named rung cannot be converted.
    """

    def train_for_int8(network: keras.Model, rung: Rung) -> keras.Model:
        from farebox.components.quantizer.qat import quantization_aware  # with tfmot, which imports Keras 3

        return quantization_aware(
            network, train, evaluation, settings, objective=judge.objective, keeps_zeros=rung.keeps_zeros
        )

    *_, unreduced = networks.values()
    bench = Bench(
        networks, prepare, train_for_int8, judge, settings,
        allowance=allowance or Allowance("Quantizer", settings.search_s), memo=memo,
    )  # fmt: skip
    merging = Merging(unreduced, train, evaluation, judge.objective, settings.seed) if merges_rows else None
    ladder = Ladder(bench, merging)
    return ladder.climb() if settings.mode == AUTO else ladder.fixed(RUNGS[settings.mode])


def workplace(settings: QuantizerSettings) -> contextlib.AbstractContextManager[Run]:
    """Chooses where the ladder calls native code: in a process of its own, or here for rungs that every runtime has."""
    is_safe = settings.portable if settings.mode == AUTO else RUNGS[settings.mode].is_portable
    return contextlib.nullcontext(here) if is_safe else Child()


class Ladder:
    """One search.

    All networks are tried in the formats that cost one conversion together; the two best of them in all other formats,
    and with further steps. Every file is held to the one budget, over the unreduced float32 file. merging: of rows of
    tables; None if they stay.
    """

    def __init__(self, bench: Bench, merging: Merging | None) -> None:
        self._bench, self._merging, self._settings = bench, merging, bench.settings
        self._harms: list[NodeHarm] = []

    def climb(self) -> QuantizationOutcome:
        """Tries what the budget allows, and chooses the cheapest: mode `auto`."""
        bench = self._bench
        self._try_networks()
        finalists = self._finalists()
        self._try_formats(finalists)
        if not (self._settings.portable or self._has_integer_file(bench.networks)):
            bench.say(f"no post-training integer rung holds eval error {bench.bound:.4f}: qat is tried")
            for rung in RUNGS.values():
                if rung.auto == "last":
                    bench.try_one(bench.new_trial(rung, finalists[0]))
        holding = [trial for trial in bench.trials if bench.may_ship(trial)]
        if not holding:
            why = f"nothing holds eval error {bench.bound:.4f}: the unreduced float32 file"
            return self._finish(bench.reference, why)
        bench.judge.time(holding)
        steps = [step for network in finalists for step in try_steps(bench, self._merging, holding, network)]
        bench.judge.time(steps)
        best = bench.cheapest([*holding, *(trial for trial in steps if bench.may_ship(trial))])
        why = f"the cheapest by {self._settings.optimize_for} that holds eval error {bench.bound:.4f}"
        return self._finish(best, why)

    def fixed(self, rung: Rung) -> QuantizationOutcome:
        """Returns one rung of the preferred network, whatever it costs. Raises InputError if the converter fails."""
        bench, network = self._bench, self._bench.preferred
        if rung.can_keep_float and network != bench.unreduced:
            bench.try_one(QuantizationTrial(FLOAT32.name, network))  # the harm of its nodes is counted from this error
        trial = bench.try_one(bench.new_trial(rung, network))
        if not trial.content:
            raise InputError(f"quantizer.mode={rung.name}: {trial.reason}")
        self._study(trial)
        bench.judge.time([trial])
        return self._finish(trial, f"fixed by quantizer.mode={rung.name}")

    @property
    def _goal(self) -> Goal:
        """The goal that needs no clock, by which files are ranked before they are timed."""
        return "gzip" if self._settings.optimize_for == "gzip" else "size"

    def _try_networks(self) -> None:
        """Tries every network in the portable formats: their weights change after one conversion."""
        bench, rungs = self._bench, [rung for rung in self._settings.rungs if rung.is_portable]
        for network in bench.networks:
            if network == bench.preferred or bench.allowance.is_left(f"the {network} network"):
                bench.try_rungs(network, rungs)

    def _finalists(self) -> list[str]:
        """The networks whose files so far are the smallest that hold, the best first; others by their error."""

        def rank(network: str) -> tuple[float, ...]:
            trials = [trial for trial in self._bench.trials if trial.network == network]
            holding = [trial for trial in trials if self._bench.may_ship(trial)]
            error = min((trial.error for trial in trials), default=math.inf)
            return (0, *min(cost(trial, self._goal) for trial in holding)) if holding else (1, error)

        return sorted(self._bench.networks, key=rank)[:FINALISTS]

    def _try_formats(self, networks: Sequence[str]) -> None:
        """Tries every other post-training format that may ship, and float nodes where one misses the budget."""
        bench, rungs = self._bench, [rung for rung in self._settings.rungs if not rung.is_portable]
        for network in sorted(networks, key=list(bench.networks).index):
            if not self._settings.portable and bench.allowance.is_left(f"other formats of the {network} network"):
                bench.try_rungs(network, rungs)
            for trial in [each for each in bench.trials if each.network == network]:
                self._study(trial)

    def _has_integer_file(self, networks: Iterable[str]) -> bool:
        """Whether one of the networks has a file with int8 in it that holds the budget."""
        trials = (trial for trial in self._bench.trials if trial.network in networks)
        return any(self._bench.holds(trial) and "int8" in trial.dtypes for trial in trials)

    def _is_beaten(self, trial: QuantizationTrial) -> bool:
        """Whether a file of the network may ship and costs no more than this one, to which float nodes only add
        bytes. Integer activations may be faster all the same."""
        if RUNGS[trial.rung].calibrates and self._settings.optimize_for in ("latency", "balanced"):
            return False
        files = [each for each in self._bench.trials if each.network == trial.network and self._bench.may_ship(each)]
        return any(cost(each, self._goal) <= cost(trial, self._goal) for each in files)

    def _study(self, trial: QuantizationTrial) -> None:
        """Measures which nodes a rung harms; in mode `auto` only if the trial misses the budget, and then tries it
        again with the most harmful nodes float. Does nothing for a network that misses the budget in float32, nor
        where float nodes cannot pay."""
        bench, rung = self._bench, RUNGS[trial.rung]
        is_needed = self._settings.mode != AUTO or not (bench.holds(trial) or self._is_beaten(trial))
        if not (rung.can_keep_float and trial.content and is_needed):
            return
        if self._settings.mode == AUTO and not bench.allowance.is_left(f"float nodes of {trial.name}"):
            return
        network = trial.network
        plain = next(each for each in bench.trials if (each.network, each.rung) == (network, FLOAT32.name))
        if not bench.holds(plain):
            return
        harms = sensitivity(bench.source_of(network), trial, bench.judge, plain)
        self._harms += harms
        if self._settings.mode == AUTO:
            for each in trials_with_float_nodes(bench.source_of(network), trial, harms, bench.judge, bench.holds):
                bench.log(each)

    def _finish(self, chosen: QuantizationTrial, why: str) -> QuantizationOutcome:
        """Gives every trial its verdict and the reason for it."""
        bench = self._bench
        for trial in bench.trials:
            if not trial.content:
                trial.verdict = "failed"
            elif trial is chosen:
                trial.verdict, trial.reason = "chosen", why
            elif bench.holds(trial) and not bench.may_ship(trial):
                trial.verdict, trial.reason = SLOW, too_slow(trial, self._settings)
            elif bench.holds(trial):
                trial.verdict, trial.reason = "holds", f"not the cheapest by {self._settings.optimize_for}"
            else:
                trial.verdict = "misses"
                trial.reason = trial.reason or bench.excess(trial)
        bench.say(f"{chosen.name}: {why}")
        outcome = QuantizationOutcome(chosen, bench.trials, self._harms, bench.bound, why)
        if smaller := outcome.smaller_but_slow(self._goal):
            bench.say(smaller)
        return outcome
