"""A candidate file and its judge: the error over eval rows, the bytes and the latency of the file itself."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import Objective
from farebox.components.quantizer.child import ChildError
from farebox.components.quantizer.native import Columns, Run, here, latencies_us, predictions
from farebox.components.quantizer.settings import Goal, QuantizerSettings
from farebox.components.tflite import files, interpreter
from farebox.components.tflite.flatbuffer import opened
from farebox.components.tflite.row_cost import row_cost

EXPECTED = ("rmse", "log_loss")  # metrics whose increase is estimated from departures; for others that is a bound
Errors = tuple[float, dict[str, float], float | None]  # on eval, their figures, and the expected error
SLOW = "slow"
Content = bytes  # a field of a trial is called bytes


@dataclasses.dataclass
class QuantizationTrial:
    """A candidate file: a rung of a network.

    rung: a name in `RUNGS`. network: its name. steps: what else was done to it. error, figures: on eval, in the label's
    unit or in nats. expected_error: on other rows, from how far the predictions move from the first file's; None if the
    objective gives no such estimate. slowdown: share of one row's time that it adds to
    the first file's, by `tflite.row_cost`; below 0 if it takes less. latency_us: p50 and p99 of one row.
    verdict: chosen, holds, slow (it holds the budget, but a row costs too much), misses or failed, with its reason.
    """

    rung: str
    network: str
    kept_float: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    error: float = math.nan
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    expected_error: float | None = None
    bytes: int = 0
    gzip_bytes: int = 0
    slowdown: float = 0.0
    latency_us: dict[str, float] | None = None
    ops: dict[str, int] = dataclasses.field(default_factory=dict)
    dtypes: dict[str, int] = dataclasses.field(default_factory=dict)
    sha256: str = ""
    verdict: str = ""
    reason: str = ""
    content: Content = b""

    @property
    def name(self) -> str:
        kept = f" ({len(self.kept_float)} nodes float)" if self.kept_float else ""
        return " + ".join((f"{self.rung} of the {self.network} network{kept}", *self.steps))

    def set_content(self, content: Content) -> None:
        """Replaces the file, with its digest and sizes; it must compute the same."""
        self.content, self.sha256 = content, hashlib.sha256(content).hexdigest()
        self.bytes, self.gzip_bytes = len(content), files.gzip_bytes(content)

    def as_json(self) -> dict[str, Any]:
        """Returns all fields except the content."""
        fields = dataclasses.asdict(self)
        del fields["content"]
        return {**fields, "error": self.error if math.isfinite(self.error) else None}


def attempt(trial: QuantizationTrial, make: Callable[[], bytes]) -> QuantizationTrial:
    """Returns the trial with the bytes that `make` returns, or with the reason why it failed. Passes InputError on."""
    try:
        trial.content = make()
    except InputError:
        raise
    except ChildError as error:
        trial.reason = str(error)
    except Exception as error:  # the converter and tfmot raise errors of all kinds for layers that they do not know
        trial.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    return trial


class Judge:
    """Runs files over rows in memory. Equal bytes are run once.

    batches: columns that the files take, and labels of shape (n, ...). unlabelled: further columns, on which a file is
    compared with the first one that was measured. run: calls the interpreter. rows_at_once: that the files take. memo:
    keeps errors by file; its basis must have all rows and the first file.
    """

    def __init__(
        self,
        batches: Sequence[tuple[Columns, npt.NDArray[Any]]],
        objective: Objective,
        *,
        unlabelled: Columns | None = None,
        run: Run = here,
        rows_at_once: int = interpreter.BATCH_ROWS,
        memo: Memo | None = None,
    ) -> None:
        self._memo = memo or Memo()
        self._batches, self.objective, self._run, self._rows_at_once = batches, objective, run, rows_at_once
        self._unlabelled = [unlabelled] if unlabelled else []
        self._first: tuple[float, list[npt.NDArray[Any]]] | None = None
        self._first_cost = 0.0
        self._known: dict[str, Errors] = {}

    def measure(self, trials: Sequence[QuantizationTrial]) -> None:
        """Fills in errors, sizes, operators and types, one trial per core at once. Failed trials stay as they are."""
        ready = [trial for trial in trials if trial.content]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(self._measure, ready))

    def _measure(self, trial: QuantizationTrial) -> None:
        trial.set_content(trial.content)
        trial.dtypes = dtypes(trial.content)
        if trial.sha256 not in self._known and not self._run_over_rows(trial):
            return
        trial.error, trial.figures, trial.expected_error = self._known[trial.sha256]
        trial.ops = interpreter.op_names(trial.content)
        self._first_cost = self._first_cost or row_cost(trial.content)
        trial.slowdown = row_cost(trial.content) / self._first_cost - 1

    def _run_over_rows(self, trial: QuantizationTrial) -> bool:
        """Whether the file runs; if it does, its errors are known then."""
        try:
            errors = self._judged(trial) if self._first is None else self._kept(trial)
        except InputError as refusal:  # a runtime may refuse ranges that the converter accepted
            trial.error, trial.reason = math.inf, str(refusal)
            return False
        except ChildError as death:
            trial.content, trial.reason = b"", str(death)
            return False
        self._known[trial.sha256] = errors
        return True

    def _kept(self, trial: QuantizationTrial) -> Errors:
        """The errors that the memo has, if it has them; the first file always runs, as others are compared with it."""
        content = self._memo.content(lambda: json.dumps(self._judged(trial)).encode(), "errors", trial.content)
        error, figures, expected = json.loads(content)
        return error, figures, expected

    def _judged(self, trial: QuantizationTrial) -> Errors:
        """Runs a file over the rows."""
        labelled = [columns for columns, _ in self._batches]
        answers = self.predict(trial.content, [*labelled, *self._unlabelled])
        if self._first is not None and not all(np.isfinite(values).all() for values in answers):
            raise InputError("its answers must be numbers, got NaN or infinity")
        error = self.objective.running()
        for values, (_, labels) in zip(answers, self._batches, strict=False):
            error.update(values, labels)
        return error.error, error.figures, self._expected(error.error, answers)

    def _expected(self, error: float, answers: list[npt.NDArray[Any]]) -> float | None:
        """The error expected on other rows, from how far predictions are from the first file's: the largest of that on
        rows like the labelled ones and that on the unlabelled ones."""
        self._first = self._first or (error, answers)
        n_labelled = len(self._batches)
        compared = [slice(n_labelled, None)] if self._unlabelled else []
        if self.objective.metric in EXPECTED:
            compared.append(slice(n_labelled))
        return max((self._departed(answers[part], self._first[1][part]) for part in compared), default=None)

    def _departed(self, answers: Sequence[npt.NDArray[Any]], before: Sequence[npt.NDArray[Any]]) -> float:
        assert self._first is not None
        departure = self.objective.running_departure()
        for values, expected in zip(answers, before, strict=True):
            departure.update(values, expected)
        return self.objective.with_departure(self._first[0], departure.error)

    def predict(self, content: bytes, batches: Sequence[Columns]) -> list[npt.NDArray[Any]]:
        """Returns a file's predictions of each batch of columns."""
        answers: list[npt.NDArray[Any]] = self._run(predictions, content, batches, self._rows_at_once)
        return answers

    def time(self, trials: Sequence[QuantizationTrial]) -> None:
        """Fills in p50 and p99 of one row, µs, of the files that have run over the rows."""
        trials = [trial for trial in trials if trial.sha256 in self._known]
        columns, _ = self._batches[0]
        row = {name: values[:1] for name, values in columns.items()}
        try:
            times = self._run(latencies_us, [trial.content for trial in trials], row)
        except ChildError:  # the files have answered before; without a time they cost the most
            return
        for trial, (p50, p99) in zip(trials, times, strict=True):
            trial.latency_us = {"p50": p50, "p99": p99}


def too_slow(trial: QuantizationTrial, settings: QuantizerSettings) -> str:
    """Why a file that holds the budget does not ship, in words."""
    share = math.ceil(100 * trial.slowdown) / 100
    return (
        f"by a count of operators, one row would take {share:.0%} longer, which max_slowdown={share:g} allows; it is "
        f"{settings.max_slowdown:g}"
    )


def dtypes(content: bytes) -> dict[str, int]:
    """Counts the file's tensors by type."""
    kinds = vars(interpreter.schema().TensorType)
    names = {code: name.lower() for name, code in kinds.items() if isinstance(code, int)}
    counts = collections.Counter(names[tensor.type] for graph in opened(content).subgraphs for tensor in graph.tensors)
    return dict(sorted(counts.items()))


def cost(trial: QuantizationTrial, goal: Goal) -> tuple[float, ...]:
    """Returns the goal's cost, then bytes and gzip bytes to decide between equal costs.

    A file that takes longer than the first one must be smaller by at least that share: a few bytes buy no time.
    """
    p50, share = trial.latency_us["p50"] if trial.latency_us else math.inf, 1 + max(trial.slowdown, 0)
    first = {
        "size": trial.bytes * share, "gzip": trial.gzip_bytes * share, "latency": p50, "balanced": trial.bytes * p50,
    }[goal]  # fmt: skip
    return first, trial.bytes, trial.gzip_bytes
