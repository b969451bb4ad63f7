"""Notes on a result: sentences that its user should read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from farebox.components.compression.coverage import Coverage
from farebox.components.compression.rows import Array, Input, Split
from farebox.components.errors import InputError
from farebox.components.networks.objective import POINTS, Objective
from farebox.components.quantizer.ladder import QuantizationOutcome
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.quantizer.settings import Goal
from farebox.components.tflite.interpreter import has_state


def check_expectable(covered: Coverage, objective: Objective) -> None:
    """Raises InputError if the rows lack ids, and the error on these cannot be expected without labels."""
    if covered.lacking and not objective.is_additive:
        raise InputError(
            f"metric={objective.metric} must be another one: the rows lack {covered.lacking_text}, and it cannot be "
            "expected without their labels"
        )


def check_share(budget: float | str, metric: str, error: float) -> None:
    """Raises InputError for a percentage of an error below 0, which only custom ones are: more of it would be less."""
    if "%" in str(budget) and error < 0:
        raise InputError(
            f"budget={budget} must be a number in the unit of {metric}, whose error is {error:.4g}; is it lower for a "
            "better network?"
        )


def notes_of(
    outcome: QuantizationOutcome,
    objective: Objective,
    *,
    fitting: Split,
    held_out: Split,
    covered: Coverage,
    batch: int | None,
    goal: Goal,
) -> tuple[str, ...]:
    """Returns the notes of a compression; batch: rows that the file takes at once, None for any number; goal: what the
    file is the smallest in."""
    notes = []
    reference, chosen = outcome.trials[0], outcome.chosen
    if covered.lacking and chosen.expected_error is not None:
        notes.append(
            f"the rows lack {covered.lacking_text}; on rows made with them the file departs from float32 so little "
            f"that {objective.metric} {_shown(objective, chosen.expected_error)} is expected"
        )
    if covered.untraced:
        notes.append(
            f"the rows lack {covered.untraced_text}, whose ids are computed: only formats were tried that change each "
            "weight alone"
        )
    if constant := constant_columns(fitting.columns):
        notes.append(f"never changes in the rows, so that no other value was tried: {', '.join(constant)}")
    naive = naive_error(objective, held_out.labels)
    if naive is not None and reference.error > naive:
        notes.append(
            f"the float32 network errs more than a constant answer ({reference.error:.4g}, constant {naive:.4g}): "
            "are label, objective and inputs its own?"
        )
    if smaller := outcome.smaller_but_slow(goal):
        notes.append(smaller)
    if batch is not None:
        rows = "one row" if batch == 1 else f"{batch} rows"
        notes.append(f"the file takes {rows} at a time: its operators need a fixed batch")
    if has_state(chosen.content):
        notes.append("the file keeps state between calls: reset its variables before each row")
    if chosen.rung in RUNGS and (limit := RUNGS[chosen.rung].runtimes):
        notes.append(f"{chosen.rung}: {limit}; try portable for a file that runs everywhere")
    return tuple(notes)


def of_types(inputs: Sequence[Input]) -> list[str]:
    """Notes on inputs that the file takes as numbers of another type."""
    return [
        f"the file takes {each.name} as {each.stored}, not as {each.dtype}"
        for each in inputs
        if each.stored not in (each.dtype, "int64")
    ]


def _shown(objective: Objective, error: float) -> str:
    return f"{1 - error:.4g}" if objective.metric in POINTS else f"{error:.4g}"


def constant_columns(columns: Mapping[str, Array]) -> list[str]:
    """Names of the inputs' numbers that have one value in all rows, as `x[3]`; at most 5 and a count."""
    names = []
    for name, values in columns.items():
        flat = values.reshape(len(values), -1)
        (positions,) = np.nonzero((flat == flat[0]).all(axis=0))
        names += [name if flat.shape[1] == 1 else f"{name}[{i}]" for i in positions]
    return names if len(names) <= 5 else [*names[:5], f"and {len(names) - 5} more"]


def naive_error(objective: Objective, labels: Array) -> float | None:
    """The error of the best constant answer; None for metrics that have no simple one."""
    flat = labels.reshape(len(labels), -1)
    if objective.kind == "regression":
        centre = np.median(flat, axis=0) if objective.metric == "mae" else flat.mean(axis=0)
        losses = np.abs(flat - centre) if objective.metric == "mae" else (flat - centre) ** 2
        return objective.of_mean_loss(float(losses.mean()))
    if not (objective.is_of_chances and objective.is_additive):
        return None
    if objective.kind == "multilabel":
        shares = np.stack([1 - flat.mean(axis=0), flat.mean(axis=0)], axis=1)
    else:
        shares = np.bincount(flat.reshape(-1).astype(int), minlength=objective.n_classes)[None] / flat.size
    if objective.metric == "accuracy":
        return float(1 - shares.max(axis=1).mean())
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1).mean())
