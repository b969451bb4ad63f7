"""Checks of the file's outputs: real rows, edge rows, repeats, single rows, a large batch, other kernels, threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.edges import edge_rows
from farebox.components.device_validator.request import Columns, Limits, Numbers
from farebox.components.errors import Check, InputError
from farebox.components.tflite import interpreter

ROWS_ONE_BY_ONE = 16
LARGE_BATCH = 1000
MAX_NAMED_ROWS = 5  # in a detail
OTHER_RUNTIMES: dict[str, dict[str, Any]] = {"threads": {"num_threads": 2}, "delegate": {"delegates": False}}


def behaviour_checks(
    model: interpreter.TfliteModel, rows: Columns, outputs: Numbers, scale: float, limits: Limits
) -> list[Check]:
    """All checks of outputs; outputs: on the rows, shape (n,); scale: the mean output, the unit of gaps."""
    tolerance = limits.settings.max_batch_difference * scale
    rows = {name: rows[name] for name in model.input_names}
    names, edges = edge_rows(rows, limits.edge_rows)
    return [
        *_value_checks("", outputs, [f"row {i}" for i in range(len(outputs))], limits),
        *_repeat_checks("", model, rows, outputs, tolerance),
        *_value_checks("edge_", edge_outputs := model.predict(edges), names, limits),
        *_repeat_checks("edge_", model, edges, edge_outputs, tolerance),
        *_runtime_checks(model, rows, outputs, scale, limits),
    ]


def _value_checks(kind: str, outputs: Numbers, names: list[str], limits: Limits) -> list[Check]:
    """Outputs are finite and between the least and the largest believable output; details name the worst rows."""
    bad = np.flatnonzero(~np.isfinite(outputs))
    finite = np.where(np.isfinite(outputs), outputs, np.clip(0.0, limits.min_output, limits.max_output))
    least, largest = int(finite.argmin()), int(finite.argmax())
    which = ", ".join(list(dict.fromkeys(names[i] for i in bad))[:MAX_NAMED_ROWS])
    finite_hint = "handle missing and infinite inputs in the features"
    if not kind:
        finite_hint = "look for a logarithm, a root or a division"
    range_hint = "clip the inputs to the range of trips, or correct the bounds of a believable output"
    return [
        Check(
            f"{kind}not_finite", len(bad), 0, not len(bad),
            f"{len(bad)} of {len(outputs)} rows gave NaN or infinity" + (f": {which}" if which else ""), finite_hint,
        ),
        Check(
            f"{kind}smallest_output", float(finite[least]), limits.min_output,
            bool(finite[least] >= limits.min_output), names[least], range_hint, at_least=True,
        ),
        Check(
            f"{kind}largest_output", float(finite[largest]), limits.max_output,
            bool(finite[largest] <= limits.max_output), names[largest], range_hint,
        ),
    ]  # fmt: skip


def _repeat_checks(
    kind: str, model: interpreter.TfliteModel, rows: Columns, outputs: Numbers, tolerance: float
) -> list[Check]:
    """A repeated batch, single rows and a large batch give the same outputs.

    In another batch size, kernels may sum in another order; a row's output must not depend on other rows.
    """
    few = np.linspace(0, len(outputs) - 1, min(len(outputs), ROWS_ONE_BY_ONE)).astype(int)
    singles = np.concatenate([model.predict(at(rows, [i])) for i in few])
    indices = np.resize(np.arange(len(outputs)), LARGE_BATCH)[::-1]
    batch_gap = max(gap(outputs[few], singles), gap(outputs[indices], model.predict(at(rows, indices))))
    model.predict(rows)  # a new batch size may reset a random seed: only the second run draws other numbers
    repeat_gap = gap(outputs, model.predict(rows))
    return [
        Check(
            f"{kind}repeat_gap", repeat_gap, 0, repeat_gap == 0, "the same batch again",
            "remove random operators from the model",
        ),
        Check(
            f"{kind}batch_gap", batch_gap, tolerance, batch_gap <= tolerance,
            f"a row alone, in a batch of {len(outputs)} and of {LARGE_BATCH}",
            "let each row's output depend on that row only",
        ),
    ]  # fmt: skip


def _runtime_checks(
    model: interpreter.TfliteModel, rows: Columns, outputs: Numbers, scale: float, limits: Limits
) -> list[Check]:
    settings = limits.settings
    shares = {"threads": settings.max_batch_difference, "delegate": settings.max_delegate_difference}
    details = {"threads": "one thread and two", "delegate": "with XNNPACK and without"}
    checks = []
    for kind, options in OTHER_RUNTIMES.items():
        bound = shares[kind] * scale
        hint = "try another rung (quantizer.mode): its kernels round more than the bound allows"
        try:
            difference = gap(outputs, interpreter.TfliteModel(model.content, **options).predict(rows))
        except InputError as error:
            checks.append(Check(f"runs_{kind}", 0, 1, ok=False, detail=f"{details[kind]}: {error}", hint=hint))
        else:
            checks.append(Check(f"{kind}_gap", difference, bound, difference <= bound, details[kind], hint))
    return checks


def at(rows: Columns, indices: npt.NDArray[np.intp] | list[int]) -> dict[str, Numbers]:
    """The rows at these indices."""
    return {name: column[indices] for name, column in rows.items()}


def gap(a: Numbers, b: Numbers) -> float:
    """Largest |a - b| over elements that are finite in both; another check refuses those that are not."""
    finite = np.isfinite(a) & np.isfinite(b)
    return float(np.abs(a[finite] - b[finite]).max(initial=0))
