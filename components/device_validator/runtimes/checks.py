"""Checks of the runtimes that must run the file, on the golden rows and on edge rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from farebox.components.device_validator.behaviour import at
from farebox.components.device_validator.comparison import scale_of
from farebox.components.device_validator.edges import LARGEST, edge_rows
from farebox.components.device_validator.golden import golden_rows
from farebox.components.device_validator.request import Columns, Limits, Numbers
from farebox.components.device_validator.runtimes.table import RUNTIMES, RuntimeTrial
from farebox.components.device_validator.runtimes.trials import try_runtimes
from farebox.components.errors import Check, InputError
from farebox.components.tflite import arithmetic, interpreter

EDGE_ROWS = 100


def runtime_checks(
    model: interpreter.TfliteModel, rows: Columns, limits: Limits
) -> tuple[list[Check], tuple[RuntimeTrial, ...]]:
    """A check of each runtime that must run the file, and the trials of all.

    Empty if nothing can be tried: no rows, rows without a column or of another type, more than one number a row. Other
    checks say so.
    """
    rows = {name: column for name, column in rows.items() if name in model.input_names and len(column)}
    if len(rows) < len(model.inputs):
        return [], ()
    chosen, real = trial_rows(model, rows, limits)
    try:
        model.feed(chosen)
    except InputError:
        return [], ()
    expected = _row_by_row(model, chosen)
    if expected is not None and expected.ndim > 1:
        return [], ()
    tolerance = tolerance_of(model, 0.0 if expected is None else scale_of(expected[real]), limits)
    trials = try_runtimes(model, chosen, expected, tolerance)
    return checks_of(trials, tolerance, limits), trials


def _row_by_row(model: interpreter.TfliteModel, rows: Columns) -> Numbers | None:
    """The Interpreter's outputs, shape (n,), a row at a time as the other runtimes do it; None if it refuses."""
    try:
        outputs = [model.predict(at(rows, [i])) for i in range(len(next(iter(rows.values()))))]
    except InputError:
        return None
    return np.asarray(np.concatenate(outputs))


def trial_rows(model: interpreter.TfliteModel, rows: Columns, limits: Limits) -> tuple[dict[str, Numbers], slice]:
    """The golden rows, then edge rows, spread over all there are: columns of shape (n,); and where the real ones are.

    Without whole numbers of two billion: outputs must be believable for them (`edge_largest_output`), but each
    runtime's sine gives another number.
    """
    try:
        outputs = model.predict(rows)
    except InputError:
        outputs = np.zeros(len(next(iter(rows.values()))))
    golden, n_extremes = golden_rows(model, rows, outputs.reshape(len(outputs), -1)[:, 0], limits.edge_rows)
    names, edges = edge_rows(rows, limits.edge_rows)
    believable = [i for i, name in enumerate(names) if str(LARGEST) not in name]
    spread = np.linspace(0, len(believable) - 1, min(EDGE_ROWS, len(believable))).astype(int)
    edges = at(edges, [believable[i] for i in spread])
    columns = {name: np.concatenate([golden[name], edges[name]]) for name in golden}
    return columns, slice(n_extremes, len(next(iter(golden.values()))))


def tolerance_of(model: interpreter.TfliteModel, scale: float, limits: Limits) -> float:
    """The largest difference from the Interpreter's outputs, in their unit: integer kernels may round differently."""
    settings, is_exact = limits.settings, not arithmetic.has_integer_kernels(model.content)
    share = settings.max_runtime_difference
    return scale * (share if is_exact else max(share, settings.max_delegate_difference))


def checks_of(trials: Iterable[RuntimeTrial], tolerance: float, limits: Limits) -> list[Check]:
    """A check of each runtime that must run the file: those that are installed, or those that the settings name."""
    named = limits.settings.runtimes
    return [
        _check(trial, tolerance)
        for trial in trials
        if (trial.runtime in named if named is not None else trial.result != "not tried")
    ]


def _check(trial: RuntimeTrial, tolerance: float) -> Check:
    """The largest difference with its bound; 0 of 1 if there is none to speak of."""
    name, hint = f"runs_on_{trial.runtime}", RUNTIMES[trial.runtime].hint
    where = f"{trial}: {trial.detail}" if trial.detail else f"{trial}, from the Interpreter, row by row"
    if trial.result == "not tried":
        hint = f"install {RUNTIMES[trial.runtime].package}, or leave {trial.runtime} out of device.runtimes"
    elif trial.largest_difference is not None and (trial.result == "runs" or trial.largest_difference > tolerance):
        is_close = trial.largest_difference <= tolerance
        return Check(name, trial.largest_difference, tolerance, is_close, where, hint)
    return Check(name, 0, 1, ok=False, detail=where, hint=hint, at_least=True)
