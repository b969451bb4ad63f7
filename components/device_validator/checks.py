"""Whether a `.tflite` can ship to devices; judged in a process of its own, which has neither TFX nor TensorFlow.

Run as `python -m components.device_validator.checks REQUEST.json REPORT.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components import tflite
from components.checks import Check
from components.errors import InputError

TIMEOUT_S = 300
LATENCY_REPEATS, LATENCY_WARMUP = 2000, 200
ROWS_ONE_BY_ONE = 16
BATCH_TOLERANCE = 0.01  # a cent: kernels may sum in another order on a batch, and the network may not see another row


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a device can take.

    input_names: the raw columns a device can provide; the file may ask for any of them, and for no other.
    max_bytes: of the file, uncompressed.
    max_output: the largest believable |fare| of a real trip, in the label's currency.
    """

    input_names: tuple[str, ...]
    max_bytes: int
    max_output: float


@dataclasses.dataclass(frozen=True)
class Report:
    """Every check, and what was measured without a bound: sha256, bytes, gzip_bytes, ops, latency_us, output."""

    checks: tuple[Check, ...]
    measurements: dict[str, Any]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def validate(path: Path, rows: Mapping[str, np.ndarray], limits: Limits) -> Report:
    """Judges the file at `path` on raw rows (columns of shape (n,)); a file that does not load fails one check."""
    try:
        model = tflite.TfliteModel(path)
    except InputError as error:
        return Report((Check("loads", 0, 1, False, str(error)),), {})
    checks = [Check("loads", 1, 1, True), *_static_checks(model, limits)]
    measurements: dict[str, Any] = {
        "sha256": hashlib.sha256(model.content).hexdigest(),
        "bytes": len(model.content),
        "gzip_bytes": tflite.gzip_bytes(model.content),
        "ops": model.op_names(),
        "inputs": model.input_names,
    }
    try:
        checks += _behaviour_checks(model, rows, limits.max_output)
        measurements |= _measure(model, rows)
    except InputError as error:
        checks.append(Check("runs", 0, 1, False, str(error)))
    return Report(tuple(checks), measurements)


def _static_checks(model: tflite.TfliteModel, limits: Limits) -> list[Check]:
    custom, n_bytes = model.custom_op_names, len(model.content)
    unknown = [name for name in model.input_names if name not in limits.input_names]
    return [
        Check("custom_ops", len(custom), 0, not custom, ", ".join(custom)),
        Check("bytes", n_bytes, limits.max_bytes, n_bytes <= limits.max_bytes),
        Check("unknown_inputs", len(unknown), 0, not unknown, ", ".join(unknown)),
    ]


def _behaviour_checks(model: tflite.TfliteModel, rows: Mapping[str, np.ndarray], max_output: float) -> list[Check]:
    n_rows = min((len(column) for column in rows.values()), default=0)
    if not n_rows:
        return [Check("rows", 0, 1, False, "no rows to try the model on")]
    batch, again = model.predict(rows), model.predict(rows)
    singles = [model.predict(_row(rows, i)) for i in range(min(n_rows, ROWS_ONE_BY_ONE))]
    one_by_one = np.concatenate(singles)
    infinite = int((~np.isfinite(batch)).sum())
    largest = float(np.abs(batch[np.isfinite(batch)]).max(initial=0))
    repeat_gap, batch_gap = _gap(batch, again), _gap(batch[: len(one_by_one)], one_by_one)
    return [
        Check("runs", 1, 1, True),
        Check("not_finite", infinite, 0, infinite == 0, f"{infinite} of {n_rows} rows gave NaN or infinity"),
        Check("largest_output", largest, max_output, largest <= max_output),
        Check("repeat_gap", repeat_gap, 0, repeat_gap == 0, "the same batch twice"),
        Check("batch_gap", batch_gap, BATCH_TOLERANCE, batch_gap <= BATCH_TOLERANCE, "a row alone and in a batch"),
    ]


def _row(rows: Mapping[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {name: column[i : i + 1] for name, column in rows.items()}


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    """Largest |a - b| where both are finite: what is not finite has a check of its own."""
    finite = np.isfinite(a) & np.isfinite(b)
    return float(np.abs(a[finite] - b[finite]).max(initial=0))


def _measure(model: tflite.TfliteModel, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
    outputs = model.predict(rows)
    finite = outputs[np.isfinite(outputs)]
    if not finite.size:
        return {}
    p50, p99 = tflite.measure_latency_us(model, _row(rows, 0), LATENCY_REPEATS, LATENCY_WARMUP)
    return {
        "latency_us": {"p50": p50, "p99": p99},
        "output": {"rows": len(outputs), "min": float(finite.min()), "max": float(finite.max())},
    }


def validate_apart(path: Path, rows: Mapping[str, np.ndarray], limits: Limits, folder: Path) -> Report:
    """`validate` in a fresh process, so that a file which crashes or hangs its runtime fails a check, and only that.

    Request and report lie in `folder`.

    Raises:
        RuntimeError: the child failed otherwise than by the model, with its last words.
    """
    np.savez(folder / "rows.npz", **rows)
    request = {"model": str(path), "rows": str(folder / "rows.npz"), "limits": dataclasses.asdict(limits)}
    (folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", __name__, str(folder / "request.json"), str(folder / "report.json")]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Report((Check("survives", 0, 1, False, f"no answer within {TIMEOUT_S} s"),), {})
    if child.returncode < 0:
        return Report((Check("survives", 0, 1, False, f"the runtime died of signal {-child.returncode}"),), {})
    if child.returncode > 0:
        raise RuntimeError(f"{' '.join(command)} exited {child.returncode}: {child.stderr.strip()[-2000:]}")
    report = json.loads((folder / "report.json").read_text())
    return Report(tuple(Check(**check) for check in report["checks"]), report["measurements"])


def main(arguments: Sequence[str]) -> None:
    """The child's side of `validate_apart`."""
    request_path, report_path = map(Path, arguments)
    request = json.loads(request_path.read_text())
    limits = Limits(**request["limits"] | {"input_names": tuple(request["limits"]["input_names"])})
    with np.load(request["rows"]) as rows:
        report = validate(Path(request["model"]), dict(rows), limits)
    report_path.write_text(json.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main(sys.argv[1:])
