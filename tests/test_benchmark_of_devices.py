"""benchmarks/devices.py on a small real file: what is installed runs, what is missing is not tried."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from farebox.components.device_validator.golden import as_json
from farebox.components.device_validator.runtimes.table import RUNTIMES
from farebox.components.tflite.interpreter import TfliteModel

NOTHING = {"older": None, "kotlin": None, "python": None}


@pytest.fixture
def devices(monkeypatch):
    """The script as Python runs it, with its own folder on the path; RUNTIMES is restored afterwards."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    monkeypatch.setitem(RUNTIMES, "tflite_runtime", RUNTIMES["interpreter"])
    import devices

    devices.add_older(None)
    return devices


@pytest.fixture
def version(tmp_path, convert_tflite) -> Path:
    """A folder with a file and its golden rows."""
    content = convert_tflite(clips_inputs=True, batch=1, whole="int32")
    model, rng = TfliteModel(content), np.random.default_rng(0)
    columns = {end.name: rng.integers(0, 7, 12).astype(end.dtype) for end in model.inputs}
    fares = np.concatenate(
        [model.predict({name: each[i : i + 1] for name, each in columns.items()}) for i in range(12)]
    )
    (tmp_path / "fare.tflite").write_bytes(content)
    (tmp_path / "golden.json").write_text(as_json(columns, {"fare": fares}))
    return tmp_path


@pytest.fixture
def measured(devices, version, tmp_path):
    """() -> the rows by name, on a machine without npm's packages, Kotlin and other Pythons."""

    def measure():
        options = argparse.Namespace(npm=tmp_path / "npm", **NOTHING)
        return {re.sub(r" \d+\..*", "", row.name): row for row in devices.measure(str(version), options)}

    return measure


def test_what_is_missing_is_not_tried_and_the_rest_runs(measured):
    rows = measured()
    for name, package in {
        "tflite-runtime": "tflite-runtime is not installed",
        "litert-benchmark": "ai-edge-litert 2.3 (--python)",
        "@litertjs/core": "@litertjs/core (--npm)",
        "@tensorflow/tfjs-tflite": "@tensorflow/tfjs-tflite (--npm)",
        "source: kotlin": "the Kotlin compiler (--kotlin)",
    }.items():
        assert rows[name].verdict == f"not tried: {package}" and rows[name].difference is None
    for name in ("Interpreter", "Interpreter without XNNPACK", "CompiledModel", "tflite-micro", "source: python"):
        assert rows[name].verdict == "runs, equal to 0.0001", rows[name]
        assert rows[name].us > 0 and rows[name].runtime_bytes > 0
    for name, tool in {"source: c": "cc", "source: js": "node", "source: rust": "rustc"}.items():
        expected = "not tried: " + tool if shutil.which(tool) is None else "runs, equal to 0.0001"
        assert rows[name].verdict == expected
        assert rows[name].us is None or 0 < rows[name].us < 1000
    assert rows["tflite-micro"].arena_bytes > 1000


@pytest.mark.slow
def test_another_answer_is_told_everywhere(measured, version):
    golden = json.loads((version / "golden.json").read_text())
    golden["outputs"]["fare"][3] += 0.5
    (version / "golden.json").write_text(json.dumps(golden))
    rows = [row for row in measured().values() if row.difference is not None]
    assert "source: python" in {row.name for row in rows}
    assert all(row.difference == pytest.approx(0.5, abs=1e-4) for row in rows)
    assert not any(row.verdict.startswith("runs") for row in rows)


def test_the_table_has_a_line_for_each_row(devices):
    row = devices.Row("A 1.0", "runs, equal to 0.0001", 7.6e-6, 9_368_000, 5.944, 15_088)
    lines = devices.table("models/toy", [row, devices.Row("B", "not tried: b")]).splitlines()
    assert lines[-2:] == [
        "| A 1.0 | runs, equal to 0.0001 | 7.6e-06 | 9,368.0 | 5.94 | 15,088 |",
        "| B | not tried: b |  |  |  |  |",
    ]
