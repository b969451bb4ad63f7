"""One compression of a `.tflite`: formats and look-ups that need no layers, each within the budget."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from absl import logging

from farebox.components.compression import confidence
from farebox.components.compression.file_coverage import coverage_of_file
from farebox.components.compression.file_network import FileNetwork
from farebox.components.compression.notes import check_expectable, check_share, notes_of
from farebox.components.compression.result import Compression
from farebox.components.compression.rows import Split
from farebox.components.errors import InputError
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import POINTS
from farebox.components.networks.resolution import Resolution
from farebox.components.quantizer.conversion import calibration_rows
from farebox.components.quantizer.ladder import QuantizationOutcome
from farebox.components.quantizer.native import Run, quantized_file
from farebox.components.quantizer.settings import Goal, QuantizerSettings
from farebox.components.quantizer.steps import LOOKUPS
from farebox.components.quantizer.trials import SLOW, Judge, QuantizationTrial, attempt, cost, too_slow
from farebox.components.tflite.flatbuffer import opened
from farebox.components.tflite.float16_weights import float16_weights
from farebox.components.tflite.foreign import slim_foreign
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import BATCH_ROWS

AS_GIVEN, SLIM, CALIBRATED = "as_given", "same_numbers", "int8"  # rungs; the last one has int8 activations, too
GIVEN = "given"  # the network, in words
NO_LAYERS = "skipped: a .tflite has no layers to train"
OnStep = Callable[[str, str], None]


class FileTask:
    """One compression of a file: its rows, those with ids that they lack among them."""

    def __init__(
        self,
        file: FileNetwork,
        splits: Mapping[str, Split],
        *,
        resolution: Resolution,
        budget: float | str,
        seed: int,
        keep_names: bool,
        run: Run,
        rows_at_once: int,
        optimize_for: Goal,
        portable: bool,
        max_slowdown: float,
        cache: Path | None,
    ) -> None:
        self._file, self._run, self._keep_names, self._seed = file, run, keep_names, seed
        self._fitting, self._held_out = splits["train"], splits["evaluation"]
        self._resolution, self._objective = resolution, resolution.objective
        self._rows_at_once = rows_at_once
        self._covered = coverage_of_file(file.content, self._fitting.columns, run, rows_at_once)
        check_expectable(self._covered, self._objective)
        self._settings = QuantizerSettings(
            max_rmse_increase=budget, seed=seed, optimize_for=optimize_for, portable=portable,
            max_slowdown=max_slowdown,
        )  # fmt: skip
        rows = [{**each.columns, "": each.labels} for each in (self._fitting, self._held_out)]
        self._memo = Memo(cache, file.content, repr((self._objective, seed, rows_at_once)), *rows)
        self._judge = Judge(
            [(self._held_out.columns, self._held_out.labels)],
            self._objective,
            unlabelled=self._covered.rows(self._held_out.columns, seed + 1) or None,
            run=run,
            rows_at_once=rows_at_once,
            memo=self._memo,
        )

    @property
    def _rungs(self) -> dict[str, Callable[[], bytes]]:
        """The formats by name, in the order in which they are tried; of two that cost the same, the first ships."""
        content = self._file.content
        rungs: dict[str, Callable[[], bytes]] = {SLIM: lambda: content}
        if not self._settings.portable:
            rungs["float16"] = lambda: float16_weights(content)
        for rung in self._settings.rungs:
            if rung.weight_bits is not None and (rung.is_portable or not self._settings.portable):
                rungs[rung.name] = functools.partial(
                    integer_weights, content, rung.weight_bits, with_channels=rung.has_channel_scales
                )
        is_calibrated = not (self._covered.untraced or self._settings.portable)
        return {**rungs, CALIBRATED: self._calibrated} if is_calibrated else rungs

    def _calibrated(self) -> bytes:
        """int8 weights and activations; operators that stay float have int8 weights, too."""
        batch = 1 if self._rows_at_once == BATCH_ROWS else self._rows_at_once
        rows = calibration_rows([(self._fitting.columns, self._fitting.order)], self._settings.calibration_rows)
        names = [each.name for each in self._file.inputs]
        fed = [[np.repeat(row[name], batch, axis=0) for name in names] for row in rows]
        return integer_weights(self._run(quantized_file, self._file.content, fed))

    def compressed(self, say: OnStep) -> Compression:
        """Tries every format, and returns the cheapest file that holds the budget."""
        say("quantizer", "")
        reference = QuantizationTrial(AS_GIVEN, GIVEN, content=self._file.content)
        self._judge.measure([reference])
        if not np.isfinite(reference.error):
            reason = reference.reason or f"{self._objective.metric} must be a number on its rows, got {reference.error}"
            raise InputError(f"evaluation: {reason}")
        check_share(self._settings.max_rmse_increase, self._objective.metric, reference.error)
        bound = self._bound(reference.error)
        trials = [reference]
        for rung, make in self._rungs.items():
            trials.append(self._trial(rung, make))
            _log(trials[-1])
        most = self._settings.max_slowdown
        holding = [each for each in trials if each.content and _worst(each) <= bound and each.slowdown <= most]
        if self._rows_at_once in (1, BATCH_ROWS):  # one row cannot be timed in another batch
            self._judge.time(holding)
        goal = self._settings.optimize_for
        chosen = min(holding, key=lambda trial: cost(trial, goal))
        why = f"the cheapest by {goal} that holds eval error {bound:.4f}"
        _judged(trials, chosen, bound, why, self._settings)
        logging.info("Quantizer: %s: %s", chosen.name, why)
        return self._compression(QuantizationOutcome(chosen, trials, [], bound, why))

    def _trial(self, rung: str, make: Callable[[], bytes]) -> QuantizationTrial:
        """Makes a file and judges it."""
        trial = attempt(QuantizationTrial(rung, GIVEN), lambda: self._memo.content(make, "file", rung))
        if trial.content:
            trial.content, has_look_ups = slim_foreign(trial.content, self._file.content, keeps_names=self._keep_names)
            trial.steps = (LOOKUPS,) if has_look_ups else ()
            self._judge.measure([trial])
        return trial

    def _compression(self, outcome: QuantizationOutcome) -> Compression:
        notes = notes_of(
            outcome,
            self._objective,
            fitting=self._fitting,
            held_out=self._held_out,
            covered=self._covered,
            batch=None if self._rows_at_once == BATCH_ROWS else self._rows_at_once,
            goal=self._settings.optimize_for,
        )
        return Compression.of(
            outcome,
            self._resolution,
            optimize_for=self._settings.optimize_for,
            notes=(*notes, *self._notes_of_signatures()),
            reducer=NO_LAYERS,
            pruner=NO_LAYERS,
        )

    def _notes_of_signatures(self) -> list[str]:
        """A note if the file has functions that no row was sent through."""
        signatures = opened(self._file.content).signatureDefs or []
        names = [each.signatureKey.decode() for each in signatures if each.subgraphIndex]
        return [f"weights of further signatures changed unseen: {', '.join(names)}"] if names else []

    def _bound(self, reference: float) -> float:
        """The largest error that holds the budget over one of the file as it is."""
        return self._settings.bound(reference, is_of_points=self._objective.metric in POINTS)

    def tested(self, result: Compression, test: Split) -> confidence.Measured:
        """The errors on rows that chose nothing."""
        given, shipped = (
            self._judge.predict(trial.content, [test.columns])[0]
            for trial in (result.outcome.trials[0], result.outcome.chosen)
        )
        return confidence.measured(self._objective, given, shipped, test.labels, self._seed, bound=self._bound)


def _log(trial: QuantizationTrial) -> None:
    if trial.content:
        logging.info("Quantizer: %s: eval error %.4f, %s B", trial.name, trial.error, f"{trial.bytes:,}")
    else:
        logging.info("Quantizer: %s failed: %s", trial.name, trial.reason)


def _worst(trial: QuantizationTrial) -> float:
    return max(trial.error, trial.expected_error or 0.0)


def _judged(
    trials: list[QuantizationTrial], chosen: QuantizationTrial, bound: float, why: str, settings: QuantizerSettings
) -> None:
    """Gives every trial its verdict and the reason for it."""
    for trial in trials:
        if not trial.content:
            trial.verdict = "failed"
        elif trial is chosen:
            trial.verdict, trial.reason = "chosen", why
        elif _worst(trial) <= bound and trial.slowdown > settings.max_slowdown:
            trial.verdict, trial.reason = SLOW, too_slow(trial, settings)
        elif _worst(trial) <= bound:
            trial.verdict, trial.reason = "holds", "not the cheapest"
        else:
            trial.verdict = "misses"
            trial.reason = trial.reason or f"error {_worst(trial):.6g} must be at most {bound:.6g}"
