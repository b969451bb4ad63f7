"""Validates a `.tflite` for devices in a child process, which imports neither TFX nor TensorFlow.

The child runs `python -m farebox.components.device_validator.validation REQUEST.json REPORT.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.device_validator import comparison, timing
from farebox.components.device_validator.behaviour import behaviour_checks
from farebox.components.device_validator.file_checks import file_checks
from farebox.components.device_validator.machine import machine
from farebox.components.device_validator.request import Numbers, Report, Request
from farebox.components.device_validator.runtimes.checks import runtime_checks
from farebox.components.errors import Check, InputError
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import gzip_bytes

TIMEOUT_S = 300
RUNTIME_HINT = "convert the model anew and run it once with the interpreter named in `measurements`"


def validate(request: Request, rows_file: Path) -> Report:
    """All checks of the file; a file that does not load fails one check. rows_file: the request's rows as .npz.

    Raises:
        RuntimeError: the reference cannot be read or run.
    """
    name, version = interpreter.runtime()
    measurements: dict[str, Any] = {"interpreter": {"name": name, "version": version}}
    try:
        model = interpreter.TfliteModel(request.model)
        measurements |= _file_facts(model)
        checks = [Check("loads", 1, 1, ok=True, hint=RUNTIME_HINT), *file_checks(model, request.rows, request.limits)]
    except interpreter.EndsError as error:
        hint = "give the model named numeric inputs of shape (n, 1) and one output"
        return Report((Check("ends", 0, 1, ok=False, detail=str(error), hint=hint),), measurements)
    except InputError as error:
        return Report((Check("loads", 0, 1, ok=False, detail=str(error), hint=RUNTIME_HINT),), measurements)
    try:
        run_checks, run_measurements = _run(model, request, rows_file)
    except InputError as error:
        run_checks, run_measurements = [Check("runs", 0, 1, ok=False, detail=str(error), hint=RUNTIME_HINT)], {}
    elsewhere, trials = runtime_checks(model, request.rows, request.limits)
    measurements |= run_measurements | {"runtimes": [dataclasses.asdict(trial) for trial in trials]}
    return Report((*checks, *run_checks, *elsewhere), measurements)


def _file_facts(model: interpreter.TfliteModel) -> dict[str, Any]:
    return {
        "sha256": hashlib.sha256(model.content).hexdigest(),
        "bytes": len(model.content),
        "gzip_bytes": gzip_bytes(model.content),
        "ops": model.op_names(),
        "inputs": model.input_names,
    }


def _run(model: interpreter.TfliteModel, request: Request, rows_file: Path) -> tuple[list[Check], dict[str, Any]]:
    """Checks and measurements that need the file to run."""
    rows, limits = request.rows, request.limits
    n_rows = min((len(column) for column in rows.values()), default=0)
    if not n_rows:
        detail, hint = "no rows to run the model on", "give an eval split with rows"
        return [Check("rows", 0, 1, ok=False, detail=detail, hint=hint)], {}
    outputs = model.predict(rows)
    width = outputs.shape[1] if outputs.ndim > 1 else 1
    checks = [
        Check("runs", 1, 1, ok=True, hint=RUNTIME_HINT),
        Check("output_width", width, 1, width == 1, "numbers a row", "let the model end in one unit"),
    ]
    if width > 1:
        return checks, {}
    measured = {**_output_facts(outputs), "machine": machine()}
    if request.reference is None:
        (latency,), scale = timing.medians(timing.interleaved_us([model], rows)), comparison.scale_of(outputs)
        measured["latency_us"] = timing.as_json(latency)
    else:
        compared, scale, facts = comparison.compare(model, outputs, request, rows_file)
        checks, measured = [*checks, *compared], measured | facts
    return [*checks, *behaviour_checks(model, rows, outputs, scale, limits)], measured


def _output_facts(outputs: Numbers) -> dict[str, Any]:
    finite = outputs[np.isfinite(outputs)]
    if not finite.size:
        return {}
    return {"output": {"rows": len(outputs), "min": float(finite.min()), "max": float(finite.max())}}


def validate_in_child(request: Request, folder: Path) -> Report:
    """`validate` in a child process: a file that crashes or hangs its runtime fails a check.

    Writes request and report to `folder`.

    Raises:
        RuntimeError: the child failed for another reason than the model; with the end of its stderr.
    """
    command = [sys.executable, "-I", "-m", __name__, str(request.write(folder)), str(folder / "report.json")]
    hint = "find the operator with the interpreter's own benchmark tool; another rung may not need it"
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Report((Check("survives", 0, 1, ok=False, detail=f"no answer within {TIMEOUT_S} s", hint=hint),), {})
    if child.returncode < 0:
        detail = f"the runtime died of signal {-child.returncode}"
        return Report((Check("survives", 0, 1, ok=False, detail=detail, hint=hint),), {})
    if child.returncode > 0:
        raise RuntimeError(f"{' '.join(command)} exited {child.returncode}: {child.stderr.strip()[-2000:]}")
    report = json.loads((folder / "report.json").read_text())
    return Report(tuple(Check(**check) for check in report["checks"]), report["measurements"])


def main(arguments: Sequence[str]) -> None:
    """The child process of `validate_in_child`."""
    request_path, report_path = map(Path, arguments)
    report = validate(Request.read(request_path), request_path.with_name("rows.npz"))
    report_path.write_text(json.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main(sys.argv[1:])
