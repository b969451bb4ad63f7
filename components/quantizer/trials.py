"""A candidate file and its judge: the error over eval rows, the bytes and the latency of the file itself."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.networks.objective import Objective
from farebox.components.quantizer.settings import Goal
from farebox.components.tflite import files, interpreter
from farebox.components.tflite.flatbuffer import opened

Content = bytes  # a field of a trial is called bytes
ROUNDS, INVOKES = 5, 300  # of timing, the files in turn


@dataclasses.dataclass
class QuantizationTrial:
    """A candidate file: a rung of a network.

    rung: a name in `RUNGS`. network: its name. steps: what else was done to it. error, figures: on eval, in the label's
    unit or in nats. latency_us: p50 and p99 of one row. verdict: chosen, holds, misses or failed, with its reason.
    """

    rung: str
    network: str
    kept_float: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    error: float = math.nan
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    bytes: int = 0
    gzip_bytes: int = 0
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
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        trial.content = make()
    except InputError:
        raise
    except (ConverterError, RuntimeError, ValueError) as error:  # raised by the converter and by tfmot
        trial.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    return trial


class Judge:
    """Runs files over rows in memory. Equal bytes are run once.

    batches: columns that the files take, and labels of shape (n,).
    """

    def __init__(
        self, batches: Sequence[tuple[Mapping[str, npt.NDArray[Any]], npt.NDArray[Any]]], objective: Objective
    ) -> None:
        self._batches, self._objective = batches, objective
        self._known: dict[str, tuple[float, dict[str, float]]] = {}

    def measure(self, trials: Sequence[QuantizationTrial]) -> None:
        """Fills in errors, sizes, operators and types, one trial per core at once. Failed trials stay as they are."""
        ready = [trial for trial in trials if trial.content]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(self._measure, ready))

    def _measure(self, trial: QuantizationTrial) -> None:
        trial.set_content(trial.content)
        model = interpreter.TfliteModel(trial.content)
        trial.ops, trial.dtypes = model.op_names(), dtypes(trial.content)
        if trial.sha256 not in self._known:
            error = self._objective.running()
            try:
                for columns, labels in self._batches:
                    error.update(model.predict(columns), labels)
            except InputError as refusal:  # a runtime may refuse ranges that the converter accepted
                trial.error, trial.reason = math.inf, str(refusal)
                return
            self._known[trial.sha256] = error.error, error.figures
        trial.error, trial.figures = self._known[trial.sha256]

    def time(self, trials: Sequence[QuantizationTrial]) -> None:
        """Fills in p50 and p99 of one row, µs. The files take turns, so that a busy machine slows all of them."""
        columns, _ = self._batches[0]
        row = {name: values[:1] for name, values in columns.items()}
        models = [interpreter.TfliteModel(trial.content) for trial in trials]
        rounds: list[list[tuple[float, float]]] = [[] for _ in models]
        for _ in range(ROUNDS):
            for model, times in zip(models, rounds, strict=True):
                times.append(interpreter.measure_latency_us(model, row, INVOKES, INVOKES // 10))
        for trial, times in zip(trials, rounds, strict=True):
            p50, p99 = np.median(times, axis=0)
            trial.latency_us = {"p50": float(p50), "p99": float(p99)}


def dtypes(content: bytes) -> dict[str, int]:
    """Counts the file's tensors by type."""
    kinds = vars(interpreter.schema().TensorType)
    names = {code: name.lower() for name, code in kinds.items() if isinstance(code, int)}
    counts = collections.Counter(names[tensor.type] for graph in opened(content).subgraphs for tensor in graph.tensors)
    return dict(sorted(counts.items()))


def cost(trial: QuantizationTrial, goal: Goal) -> tuple[float, ...]:
    """Returns the goal's cost, then bytes and gzip bytes to decide between equal costs."""
    p50 = trial.latency_us["p50"] if trial.latency_us else math.inf
    first = {"size": trial.bytes, "latency": p50, "balanced": trial.bytes * p50}[goal]
    return first, trial.bytes, trial.gzip_bytes
