"""Latency of one row for several files, on a machine that does other work too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.behaviour import at
from farebox.components.device_validator.request import Columns
from farebox.components.tflite import interpreter

ROUNDS, INVOKES, FEWEST = 21, 300, 8
ROUND_US = 20_000  # a slow file gets fewer invokes per round

Floats = npt.NDArray[np.float64]


def interleaved_us(models: Sequence[interpreter.TfliteModel], rows: Columns) -> Floats:
    """p50 and p99 of one row in microseconds by round and model, shape (ROUNDS, n_models, 2).

    In a round, all models run the same row; the next round runs another row in the opposite order. So a busy machine or
    a changed clock affects all models alike.
    """
    n_rows = len(next(iter(rows.values())))
    row_us = [interpreter.measure_latency_us(model, at(rows, [0]), 1, 1)[0] for model in models]
    invokes = [int(np.clip(ROUND_US / each, FEWEST, INVOKES)) for each in row_us]
    timings = np.empty((ROUNDS, len(models), 2))
    for i in range(ROUNDS):
        row = at(rows, [i * n_rows // ROUNDS])
        order = range(len(models)) if i % 2 else reversed(range(len(models)))
        for k in order:
            timings[i, k] = interpreter.measure_latency_us(models[k], row, invokes[k], invokes[k] // 10)
    return timings


def medians(timings: Floats) -> Floats:
    """(p50, p99) by model, the median over rounds, shape (n_models, 2)."""
    return np.asarray(np.median(timings, axis=0))


def against_last(timings: Floats) -> Floats:
    """(p50, p99) of the first model as a multiple of the last one's: the median of each round's ratio, shape (2,)."""
    return np.asarray(np.median(timings[:, 0] / timings[:, -1], axis=0))


def as_json(times: Floats) -> dict[str, float]:
    """(p50, p99) by name."""
    return {"p50": float(times[0]), "p99": float(times[1])}
