"""One compression: PcaReducer, Pruner and Quantizer on a network, each within the budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.compression import confidence, coverage
from farebox.components.compression.file_coverage import coverage_of_file
from farebox.components.compression.notes import check_expectable, check_share, notes_of
from farebox.components.compression.result import Compression
from farebox.components.compression.rows import Split, check_finite
from farebox.components.compression.stages import OnStep, Stages
from farebox.components.errors import InputError
from farebox.components.networks import examples_io, fine_tuning
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import POINTS
from farebox.components.networks.resolution import Resolution
from farebox.components.quantizer import ladder
from farebox.components.quantizer.child import Child, ChildError
from farebox.components.quantizer.conversion import Source, calibration_rows
from farebox.components.quantizer.native import predictions
from farebox.components.quantizer.rungs import FLOAT32
from farebox.components.quantizer.settings import UNREDUCED, Goal, QuantizerSettings
from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt
from farebox.components.tflite.interpreter import BATCH_ROWS as FILE_ROWS

Array = npt.NDArray[Any]

ROWS_TO_COMPARE = 200  # of the network and its float32 file
ROWS_ALONE = 5  # that the file also answers one at a time
MOST_ROUNDING = 1e-3  # of the largest answer


class Task:
    """One compression: its rows, those with ids that they lack among them, and its files."""

    def __init__(
        self,
        network: keras.Model,
        splits: Mapping[str, Split],
        *,
        resolution: Resolution,
        covered: coverage.Coverage,
        budget: float | str,
        seed: int,
        search_s: float,
        max_slowdown: float,
        keep_names: bool,
        run: Child,
        optimize_for: Goal = "size",
        portable: bool = False,
        cache: Path | None = None,
    ) -> None:
        fitting, self.held_out = splits["train"], splits["evaluation"]
        self.network, self.seed, self.calibration = network, seed, list[dict[str, Array]]()
        self.resolution, self.objective = resolution, resolution.objective
        self._keep_names, self._run, self._optimize_for = keep_names, run, optimize_for
        self._portable, self._search_s, self._max_slowdown = portable, search_s, max_slowdown
        self._allowance = Allowance("compress", search_s, lambda: run.cpu_s)
        self.source, self.reference = self._converted()
        seen_in_file = coverage_of_file(
            self.reference.content, fitting.columns, run, self.source.batch or FILE_ROWS, coverage.tables_of(network)
        )
        self.covered = covered.joined(seen_in_file)
        check_expectable(self.covered, self.objective)
        made = self.covered.rows(fitting.columns, seed)
        self.fitting = fitting.joined(self._answered(made)) if made else fitting
        self.unlabelled = self.covered.rows(self.held_out.columns, seed + 1)
        self.calibration += calibration_rows(  # of the source, too, which float32 did not need them for
            [(self.fitting.columns, self.fitting.order)], QuantizerSettings().calibration_rows
        )
        self._memo = self._memo_in(cache)
        self.settings = self._quantizer(budget)

    def _memo_in(self, folder: Path | None) -> Memo:
        """Finished networks, files and errors of this network and these rows."""
        settings = repr((self.objective, self.seed, self._keep_names, self.source.batch))
        rows = [{**each.columns, "": each.labels} for each in (self.fitting, self.held_out)]
        return Memo(folder, self.network, settings, *rows, self.unlabelled, self.covered.trained)

    def _answered(self, columns: dict[str, Array]) -> Split:
        """Rows labelled with what the network answers: class ids, zeros and ones, or numbers."""
        rows = len(next(iter(columns.values())))
        predictions = fine_tuning.predictions_of(self.network)(Split(columns, np.zeros(rows)).batches)
        targets = self.objective.targets(predictions)
        if self.objective.is_one_hot:
            return Split(columns, targets.argmax(axis=-1).astype(np.float64))
        return Split(columns, (targets > 0.5 if self.objective.is_of_chances else targets).astype(np.float64))

    def _converted(self) -> tuple[Source, QuantizationTrial]:
        """The network, ready for conversion, and its float32 file: for any number of rows at once, or else for one."""
        failures = []
        for batch in (None, 1):
            source = self._prepared(self.network, batch)
            trial = QuantizationTrial(FLOAT32.name, UNREDUCED)
            attempt(trial, lambda source=source: source.file(FLOAT32.name))  # type: ignore[misc]
            reason = (self._why_it_fails(trial.content, batch) if trial.content else trial.reason) or ""
            if not reason:
                return source, trial
            failures.append(reason)
        raise InputError(f"network has no float32 .tflite of built-in operators that runs: {failures[-1]}")

    def _why_it_fails(self, content: bytes, batch: int | None) -> str | None:
        """The reason why the float32 file cannot be run in this batch; None if it can.

        Raises InputError if it does not answer as the network does: nothing could be judged then.
        """
        columns = {name: values[:ROWS_TO_COMPARE] for name, values in self.held_out.columns.items()}
        rows = Split(columns, self.held_out.labels[:ROWS_TO_COMPARE])
        expected = fine_tuning.predictions_of(self.network)(rows.batches).reshape(len(rows), -1)
        try:
            (answers,) = self._run(predictions, content, [columns], batch or FILE_ROWS)
            some = {name: values[:ROWS_ALONE] for name, values in columns.items()}
            (alone,) = self._run(predictions, content, [some], 1)
        except (ChildError, InputError) as error:
            return str(error).removeprefix("model=<bytes> must run on built-in TFLite ops: ")
        for each in (expected, answers):
            check_finite("network", each)
        gap = np.abs(answers.reshape(len(rows), -1) - expected).max()
        largest = float(np.abs(expected).max())
        if not gap <= MOST_ROUNDING * largest:
            raise InputError(
                f"network: its float32 .tflite answers otherwise, by up to {gap:.3g} of answers up to {largest:.3g}"
            )
        beside = np.abs(alone - answers[: len(alone)]).max()
        if not beside <= MOST_ROUNDING * largest:
            raise InputError(
                f"network must answer each row alone: beside other rows, its answers differ by up to {beside:.3g}"
            )
        return None

    def _prepared(self, network: keras.Model, batch: int | None) -> Source:
        output = self.network.output_names[0]
        return Source(network, None, self.calibration, output, run=self._run, batch=batch, keeps_names=self._keep_names)

    def _quantizer(self, budget: float | str) -> QuantizerSettings:
        only_weights = bool(self.covered.untraced)  # activations of rows that no id leads to cannot be calibrated
        return QuantizerSettings(
            max_rmse_increase=budget, seed=self.seed, portable=only_weights or self._portable,
            optimize_for=self._optimize_for, search_s=self._search_s, max_slowdown=self._max_slowdown,
        )  # fmt: skip

    def _share(self) -> float:
        """The whole budget, as a fraction of the network's error on the rows that choose."""
        error = examples_io.network_error(self.network, self.held_out.batches, self.objective).error
        if not np.isfinite(error):
            raise InputError(f"evaluation: {self.objective.metric} must be a number on its rows, got {error}")
        check_share(self.settings.max_rmse_increase, self.objective.metric, error)
        bound = self.settings.bound(error, is_of_points=self.objective.metric in POINTS)
        return max(bound / error - 1, 0.0) if error else 0.0

    def compressed(self, say: OnStep) -> Compression:
        """Reduces, prunes and quantizes, and chooses among all of it."""
        stages = Stages(
            self.fitting, self.held_out, self.unlabelled, self.covered, self.objective, self._share(), self.seed,
            self._allowance, self._memo,
        )  # fmt: skip
        networks, results = stages.candidates(self.network, say)
        say("quantizer", "")
        outcome = ladder.search(
            networks | {UNREDUCED: self.network},
            prepare=lambda network: (
                self.source if network is self.network else self._prepared(network, self.source.batch)
            ),
            judge=self.judge,
            train=self.fitting.batches,
            evaluation=self.held_out.batches,
            settings=self.settings,
            allowance=self._allowance,
            memo=self._memo,
            merges_rows=not self.covered.untraced,
        )
        return self._compression(outcome, results)

    @property
    def judge(self) -> Judge:
        """Judges files on the rows held out, and on rows with the ids that they lack."""
        return Judge(
            [(self.held_out.columns, self.held_out.labels)],
            self.objective,
            unlabelled=self.unlabelled or None,
            run=self._run,
            rows_at_once=self.source.batch or FILE_ROWS,
            memo=self._memo,
        )

    def _compression(self, outcome: ladder.QuantizationOutcome, results: Mapping[str, str]) -> Compression:
        notes = notes_of(
            outcome,
            self.objective,
            fitting=self.fitting,
            held_out=self.held_out,
            covered=self.covered,
            batch=self.source.batch,
            goal=self._optimize_for,
        )
        return Compression.of(outcome, self.resolution, optimize_for=self._optimize_for, notes=notes, **results)

    def tested(self, result: Compression, test: Split) -> confidence.Measured:
        """The errors on rows that chose nothing."""
        float32, shipped = (
            self.judge.predict(trial.content, [test.columns])[0]
            for trial in (result.outcome.trials[0], result.outcome.chosen)
        )
        return confidence.measured(self.objective, float32, shipped, test.labels, self.seed, bound=self._bound)

    def _bound(self, error: float) -> float:
        """The largest error that holds the budget over a float32 file's."""
        return self.settings.bound(error, is_of_points=self.objective.metric in POINTS)
