"""How long one row takes a file, beside another file, on a machine that does other work too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.behaviour import at
from farebox.components.device_validator.request import Columns
from farebox.components.tflite import interpreter

ROUNDS, INVOKES, FEWEST = 21, 300, 8
ROUND_US = 20_000  # a file that takes a millisecond a row is timed by fewer invokes


def interleaved_us(models: Sequence[interpreter.TfliteModel], rows: Columns) -> npt.NDArray[Any]:
    """p50 and p99 of one row in microseconds, by round and model: shape (ROUNDS, n_models, 2).

    In a round all models run the same row, the next round runs another row in the opposite order, so that a machine
    that is busy, or changes its clock, does so for all of them.
    """
    n_rows = len(next(iter(rows.values())))
    one_us = [interpreter.measure_latency_us(model, at(rows, [0]), 1, 1)[0] for model in models]
    invokes = [int(np.clip(ROUND_US / each, FEWEST, INVOKES)) for each in one_us]
    found = np.empty((ROUNDS, len(models), 2))
    for i in range(ROUNDS):
        row = at(rows, [i * n_rows // ROUNDS])
        order = range(len(models)) if i % 2 else reversed(range(len(models)))
        for k in order:
            found[i, k] = interpreter.measure_latency_us(models[k], row, invokes[k], invokes[k] // 10)
    return found


def medians(found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(p50, p99) by model, the median of the rounds: shape (n_models, 2)."""
    return np.asarray(np.median(found, axis=0))


def against_last(found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(p50, p99) of the first model as a multiple of the last one's, the median of the rounds' own ratios."""
    return np.asarray(np.median(found[:, 0] / found[:, -1], axis=0))


def as_json(times: npt.NDArray[Any]) -> dict[str, float]:
    """(p50, p99) by name."""
    return {"p50": float(times[0]), "p99": float(times[1])}
