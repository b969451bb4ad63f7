"""What a candidate file is judged by: its error over eval rows, its bytes, its latency. The very bytes are run."""

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

from farebox.components.errors import InputError
from farebox.components.networks.objective import Objective
from farebox.components.quantizer.settings import Goal, Rung
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import gzip_bytes

Content = bytes  # a field of a trial is called bytes
ROUNDS, INVOKES = 5, 300  # of the interleaved timing


@dataclasses.dataclass
class Trial:
    """A candidate. network: which one it is of; steps: what else was done to it; figures: errors on eval, in the
    label's unit or in nats; verdict: chosen, holds, misses, failed or reference."""

    rung: Rung
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

    def as_json(self) -> dict[str, Any]:
        """Everything but the bytes themselves."""
        found = dataclasses.asdict(self)
        del found["content"]
        return {**found, "error": self.error if math.isfinite(self.error) else None}


def attempt(trial: Trial, make: Callable[[], bytes]) -> Trial:
    """The trial with the bytes that `make` gives, or with the reason why there are none. InputError is passed on."""
    from tensorflow.lite.python.convert_phase import ConverterError

    try:
        trial.content = make()
    except InputError:
        raise
    except (ConverterError, RuntimeError, ValueError) as error:  # what converter and tfmot raise of what they cannot
        trial.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    return trial


class Judge:
    """Runs files over rows that are in memory. Equal bytes are run once.

    batches: columns that the files take, and labels of shape (n,).
    """

    def __init__(self, batches: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]], objective: Objective) -> None:
        self._batches, self._objective = batches, objective
        self._known: dict[str, tuple[float, dict[str, float]]] = {}

    def measure(self, trials: Sequence[Trial]) -> None:
        """Fills in what the bytes of the trials say, as many at once as there are cores; those that failed stay."""
        ready = [trial for trial in trials if trial.content]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(self._measure, ready))

    def _measure(self, trial: Trial) -> None:
        trial.sha256 = hashlib.sha256(trial.content).hexdigest()
        trial.bytes, trial.gzip_bytes = len(trial.content), gzip_bytes(trial.content)
        model = interpreter.TfliteModel(trial.content)
        trial.ops, trial.dtypes = model.op_names(), dtypes(trial.content)
        if trial.sha256 not in self._known:
            error = self._objective.running()
            try:
                for columns, labels in self._batches:
                    error.update(model.predict(columns), labels)
            except InputError as refused:  # a runtime may refuse ranges that the converter let pass
                trial.error, trial.reason = math.inf, str(refused)
                return
            self._known[trial.sha256] = error.error, error.figures
        trial.error, trial.figures = self._known[trial.sha256]

    def time(self, trials: Sequence[Trial]) -> None:
        """p50 and p99 of one row in microseconds, the files in turn, so that a busy machine is busy for all."""
        columns, _ = self._batches[0]
        row = {name: values[:1] for name, values in columns.items()}
        models = [interpreter.TfliteModel(trial.content) for trial in trials]
        found: list[list[tuple[float, float]]] = [[] for _ in models]
        for _ in range(ROUNDS):
            for model, times in zip(models, found, strict=True):
                times.append(interpreter.measure_latency_us(model, row, INVOKES, INVOKES // 10))
        for trial, times in zip(trials, found, strict=True):
            p50, p99 = np.median(times, axis=0)
            trial.latency_us = {"p50": float(p50), "p99": float(p99)}


def dtypes(content: bytes) -> dict[str, int]:
    """How many tensors of each type the file has."""
    read = interpreter.schema()
    names = {code: name.lower() for name, code in vars(read.TensorType).items() if isinstance(code, int)}
    model = read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))
    found = collections.Counter(names[tensor.type] for graph in model.subgraphs for tensor in graph.tensors)
    return dict(sorted(found.items()))


def cost(trial: Trial, goal: Goal) -> tuple[float, ...]:
    """What the goal wants small; what is equal is decided by bytes, then by gzip."""
    p50 = trial.latency_us["p50"] if trial.latency_us else math.inf
    first = {"size": trial.bytes, "latency": p50, "balanced": trial.bytes * p50}[goal]
    return first, trial.bytes, trial.gzip_bytes
