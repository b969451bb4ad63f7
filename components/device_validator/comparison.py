"""Comparison of the file with the reference: outputs, latency, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.device_validator import memory, timing
from farebox.components.device_validator.request import Columns, Limits, Numbers, Request
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.device_validator.timing import Floats
from farebox.components.errors import Check, InputError
from farebox.components.tflite import interpreter

ATTEMPTS = 3  # a file is too slow only if every timing says so: other work on the machine disturbs some of them
SLOW = "choose a cheaper rung (quantizer.mode, or quantizer.optimize_for=latency) or ship the reference itself"


def compare(
    model: interpreter.TfliteModel, outputs: Numbers, request: Request, rows_file: Path
) -> tuple[list[Check], float, dict[str, Any]]:
    """Checks against the reference, its mean output, and measurements; outputs: of the model on the rows.

    Raises:
        RuntimeError: the reference cannot be read or run.
    """
    path, rows, settings = request.reference, request.rows, request.limits.settings
    assert path is not None
    try:
        reference = interpreter.TfliteModel(path)
        expected = reference.predict(rows)
    except InputError as error:
        raise RuntimeError(f"DeviceValidator: the reference must run: {error}") from error
    latency, times = latency_checks(model, reference, rows, settings)
    memory_kib, reference_kib = (memory.growth_kib(file, rows_file) for file in (request.model, path))
    facts = {
        "latency_us": timing.as_json(times[0]),
        "memory_kib": memory_kib,
        "reference": {
            "bytes": len(reference.content),
            "latency_us": timing.as_json(times[1]),
            "memory_kib": reference_kib,
        },
    }
    checks = [
        *parity_checks(outputs, expected, request.limits),
        *latency,
        memory_check(memory_kib, reference_kib, settings),
    ]
    return checks, scale_of(expected), facts


def parity_checks(outputs: Numbers, reference: Numbers, limits: Limits) -> list[Check]:
    """Checks of the mean difference over the mean reference output, and of the largest over the largest believable."""
    settings = limits.settings
    both = np.isfinite(outputs) & np.isfinite(reference)
    differences = np.abs(outputs[both].astype(np.float64) - reference[both])
    comparable, mean_output = bool(both.any()), scale_of(reference)
    mean = float(differences.mean()) / mean_output if comparable and mean_output else 0.0
    largest = float(differences.max(initial=0)) / limits.max_output
    hint = "reduce the losses that the settings allow (reducer.budget, pruner.budget, quantizer.max_rmse_increase)"
    return [
        Check(
            "mean_difference", mean, settings.max_mean_difference,
            comparable and mean <= settings.max_mean_difference,
            f"from the reference, as a share of its mean output {mean_output:.4g}", hint,
        ),
        Check(
            "max_difference", largest, settings.max_difference, comparable and largest <= settings.max_difference,
            f"{largest * limits.max_output:.4g} from the reference, as a share of {limits.max_output:.4g}", hint,
        ),
    ]  # fmt: skip


def scale_of(outputs: Numbers) -> float:
    """Mean |output| over the finite ones; 0 without any."""
    finite = outputs[np.isfinite(outputs)]
    return float(np.abs(finite).mean()) if finite.size else 0.0


def latency_checks(
    model: interpreter.TfliteModel, reference: interpreter.TfliteModel, rows: Columns, settings: DeviceSettings
) -> tuple[list[Check], Floats]:
    """Two checks, and (p50, p99) in microseconds of file and reference, shape (2, 2)."""
    for _ in range(ATTEMPTS):
        timings = timing.interleaved_us([model, reference], rows)
        checks = timing_checks(timings, settings)
        if all(check.ok for check in checks):
            break
    return checks, timing.medians(timings)


def timing_checks(timings: Floats, settings: DeviceSettings) -> list[Check]:
    """Checks of p50 and p99; timings: of file and reference from `interleaved_us`, shape (rounds, 2, 2)."""
    references = timing.medians(timings)[1]
    bounds = (
        ("latency_p50_us", settings.max_latency_ratio, settings.latency_slack_us),
        ("latency_p99_us", settings.max_p99_ratio, settings.p99_slack_us),
    )
    checks = []
    for (name, ratio, slack), reference, multiple in zip(bounds, references, timing.against_last(timings), strict=True):
        value, bound = float(multiple * reference), float(ratio * reference + slack)
        detail = f"{multiple:.2f} x the reference's {reference:.1f} µs, in turns"
        checks.append(Check(name, value, bound, value <= bound, detail, SLOW))
    return checks


def memory_check(memory_kib: float | None, reference_kib: float | None, settings: DeviceSettings) -> Check:
    """Check of the file's KiB against the reference's; fails if one is None: its process gave no answer."""
    hint = "look for a large intermediate tensor, or for weights that the runtime unpacks"
    if memory_kib is None or reference_kib is None:
        which = "file" if memory_kib is None else "reference"
        detail = f"the {which}'s process gave no answer"
        return Check("memory_kib", 0, None, ok=False, detail=detail, hint=hint)
    bound = settings.max_memory_ratio * reference_kib + settings.memory_slack_kib
    detail = (
        f"{memory_kib / reference_kib:.2f} x the reference's {reference_kib:.0f} KiB, one row in a process of its own"
    )
    return Check("memory_kib", memory_kib, bound, memory_kib <= bound, detail, hint)
