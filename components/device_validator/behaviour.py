"""What the file answers: on real rows, at the edges, again, alone, in a large batch, with other kernels and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.edges import edge_rows
from farebox.components.device_validator.request import Columns, Limits
from farebox.components.errors import Check, InputError
from farebox.components.tflite import interpreter

ROWS_ONE_BY_ONE = 16
LARGE_BATCH = 1000
NAMED = 5  # rows that a detail names
OTHER_RUNTIMES: dict[str, dict[str, Any]] = {"threads": {"num_threads": 2}, "delegate": {"delegates": False}}


def behaviour_checks(
    model: interpreter.TfliteModel, rows: Columns, outputs: npt.NDArray[Any], scale: float, limits: Limits
) -> list[Check]:
    """outputs: the model's on the rows, shape (n,); scale: the mean output, by which differences are measured."""
    tolerance = limits.settings.max_batch_difference * scale
    rows = {name: rows[name] for name in model.input_names}
    names, edges = edge_rows(rows, limits.edge_rows)
    return [
        *_value_checks("", outputs, [f"row {i}" for i in range(len(outputs))], limits),
        *_steadiness_checks("", model, rows, outputs, tolerance),
        *_value_checks("edge_", at_edges := model.predict(edges), names, limits),
        *_steadiness_checks("edge_", model, edges, at_edges, tolerance),
        *_runtime_checks(model, rows, outputs, scale, limits),
    ]


def _value_checks(kind: str, outputs: npt.NDArray[Any], names: list[str], limits: Limits) -> list[Check]:
    """Finite, and between the least and the largest believable output; says which row was worst."""
    bad = np.flatnonzero(~np.isfinite(outputs))
    finite = np.where(np.isfinite(outputs), outputs, np.clip(0.0, limits.min_output, limits.max_output))
    least, largest = int(finite.argmin()), int(finite.argmax())
    which = ", ".join(list(dict.fromkeys(names[i] for i in bad))[:NAMED])
    where = "hold missing and infinite inputs in the features" if kind else "look for a logarithm, a root or a division"
    limit = "clip the inputs to where trips are, or mend the bounds of a believable output"
    return [
        Check(
            f"{kind}not_finite", len(bad), 0, not len(bad),
            f"{len(bad)} of {len(outputs)} rows gave NaN or infinity" + (f": {which}" if which else ""), where,
        ),
        Check(
            f"{kind}smallest_output", float(finite[least]), limits.min_output,
            bool(finite[least] >= limits.min_output), names[least], limit, at_least=True,
        ),
        Check(
            f"{kind}largest_output", float(finite[largest]), limits.max_output,
            bool(finite[largest] <= limits.max_output), names[largest], limit,
        ),
    ]  # fmt: skip


def _steadiness_checks(
    kind: str, model: interpreter.TfliteModel, rows: Columns, outputs: npt.NDArray[Any], tolerance: float
) -> list[Check]:
    """The same batch again; rows alone, and among so many that they fill a large batch: kernels may sum in another
    order there, and no row may see another."""
    few = np.linspace(0, len(outputs) - 1, min(len(outputs), ROWS_ONE_BY_ONE)).astype(int)
    alone = np.concatenate([model.predict(at(rows, [i])) for i in few])
    places = np.resize(np.arange(len(outputs)), LARGE_BATCH)[::-1]
    batch_gap = max(gap(outputs[few], alone), gap(outputs[places], model.predict(at(rows, places))))
    model.predict(rows)  # a new size of batch may set a random seed anew: only the second run throws other dice
    repeat_gap = gap(outputs, model.predict(rows))
    return [
        Check(
            f"{kind}repeat_gap", repeat_gap, 0, repeat_gap == 0, "the same batch again",
            "take what is random out of the model",
        ),
        Check(
            f"{kind}batch_gap", batch_gap, tolerance, batch_gap <= tolerance,
            f"a row alone, in a batch of {len(outputs)} and of {LARGE_BATCH}",
            "let each row's output depend on that row only",
        ),
    ]  # fmt: skip


def _runtime_checks(
    model: interpreter.TfliteModel, rows: Columns, outputs: npt.NDArray[Any], scale: float, limits: Limits
) -> list[Check]:
    settings = limits.settings
    shares = {"threads": settings.max_batch_difference, "delegate": settings.max_delegate_difference}
    details = {"threads": "one thread and two", "delegate": "with XNNPACK and without"}
    found = []
    for kind, options in OTHER_RUNTIMES.items():
        bound = shares[kind] * scale
        hint = "try another rung (quantizer.mode): its kernels round more than a device may see"
        try:
            difference = gap(outputs, interpreter.TfliteModel(model.content, **options).predict(rows))
        except InputError as error:
            found.append(Check(f"runs_{kind}", 0, 1, ok=False, detail=f"{details[kind]}: {error}", hint=hint))
        else:
            found.append(Check(f"{kind}_gap", difference, bound, difference <= bound, details[kind], hint))
    return found


def at(rows: Columns, places: npt.NDArray[Any] | list[int]) -> dict[str, npt.NDArray[Any]]:
    """The rows at some places."""
    return {name: column[places] for name, column in rows.items()}


def gap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Largest |a - b| where both are finite: what is not finite has a check of its own."""
    finite = np.isfinite(a) & np.isfinite(b)
    return float(np.abs(a[finite] - b[finite]).max(initial=0))
