"""How far the file stands behind the reference: its outputs, its time, its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator import memory, timing
from farebox.components.device_validator.request import Columns, Limits, Request
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.errors import Check, InputError
from farebox.components.tflite import interpreter

ATTEMPTS = 3  # a file is too slow if it is in each timing; other work is not there each time
SLOW = "choose a cheaper rung (quantizer.mode, or quantizer.optimize_for=latency) or ship the reference itself"


def compare(
    model: interpreter.TfliteModel, outputs: npt.NDArray[Any], request: Request, rows_file: Path
) -> tuple[list[Check], float, dict[str, Any]]:
    """Checks against the reference, its mean output, and what was measured; outputs: the model's on the rows.

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
    needed, base = (memory.growth_kib(each, rows_file) for each in (request.model, path))
    facts = {
        "latency_us": timing.as_json(times[0]),
        "memory_kib": needed,
        "reference": {
            "bytes": len(reference.content),
            "latency_us": timing.as_json(times[1]),
            "memory_kib": base,
        },
    }
    checks = [*parity_checks(outputs, expected, request.limits), *latency, memory_check(needed, base, settings)]
    return checks, scale_of(expected), facts


def parity_checks(outputs: npt.NDArray[Any], reference: npt.NDArray[Any], limits: Limits) -> list[Check]:
    """Mean difference as a share of the reference's mean, the largest as a share of the largest believable output."""
    settings = limits.settings
    both = np.isfinite(outputs) & np.isfinite(reference)
    differences = np.abs(outputs[both].astype(np.float64) - reference[both])
    comparable, mean_output = bool(both.any()), scale_of(reference)
    mean = float(differences.mean()) / mean_output if comparable and mean_output else 0.0
    largest = float(differences.max(initial=0)) / limits.max_output
    hint = "tighten what may be lost on the way (reducer.budget, pruner.budget, quantizer.max_rmse_increase)"
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


def scale_of(outputs: npt.NDArray[Any]) -> float:
    """The mean |output| of those that are finite."""
    finite = outputs[np.isfinite(outputs)]
    return float(np.abs(finite).mean()) if finite.size else 0.0


def latency_checks(
    model: interpreter.TfliteModel, reference: interpreter.TfliteModel, rows: Columns, settings: DeviceSettings
) -> tuple[list[Check], npt.NDArray[Any]]:
    """Two checks, and (p50, p99) in microseconds of file and reference, shape (2, 2)."""
    for _ in range(ATTEMPTS):
        found = timing.interleaved_us([model, reference], rows)
        checks = timing_checks(found, settings)
        if all(check.ok for check in checks):
            break
    return checks, timing.medians(found)


def timing_checks(found: npt.NDArray[Any], settings: DeviceSettings) -> list[Check]:
    """What the timings of the file and of the reference say; found: as from `interleaved_us`, shape (rounds, 2, 2)."""
    references = timing.medians(found)[1]
    bounds = (
        ("latency_p50_us", settings.max_latency_ratio, settings.latency_slack_us),
        ("latency_p99_us", settings.max_p99_ratio, settings.p99_slack_us),
    )
    checks = []
    for (name, ratio, slack), reference, multiple in zip(bounds, references, timing.against_last(found), strict=True):
        value, bound = float(multiple * reference), float(ratio * reference + slack)
        detail = f"{multiple:.2f} x the reference's {reference:.1f} µs, in turns"
        checks.append(Check(name, value, bound, value <= bound, detail, SLOW))
    return checks


def memory_check(found: float | None, base: float | None, settings: DeviceSettings) -> Check:
    """KiB of the file and of the reference; None where a process gave no answer, which refuses too."""
    hint = "look for a large intermediate tensor, or for weights that the runtime unpacks"
    if found is None or base is None:
        which = "file" if found is None else "reference"
        return Check("memory_kib", 0, None, ok=False, detail=f"the {which}'s process gave no answer", hint=hint)
    bound = settings.max_memory_ratio * base + settings.memory_slack_kib
    detail = f"{found / base:.2f} x the reference's {base:.0f} KiB, one row in a process of its own"
    return Check("memory_kib", found, bound, found <= bound, detail, hint)
