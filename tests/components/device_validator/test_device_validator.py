"""DeviceValidator: a good file, the fresh process, edge rows, bounds, and the blessing that TFX's Pusher reads.

Files that it must refuse are in tests/planted_faults/test_device_faults.py.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.device_validator import comparison, timing, validation
from farebox.components.device_validator.edges import BASES, edge_rows
from farebox.components.device_validator.request import Limits, Report, Request
from farebox.components.device_validator.runtimes.table import RUNTIMES
from farebox.components.device_validator.settings import DeviceSettings

INPUTS = (
    "pickup_longitude",
    "pickup_latitude",
    "dropoff_longitude",
    "dropoff_latitude",
    "passenger_count",
    "pickup_hour",
    "pickup_weekday",
)
LIMITS = Limits(INPUTS, max_output=1000.0, min_output=-1000.0, settings=DeviceSettings(max_bytes=10_000))
ALONE = (
    "not_finite", "smallest_output", "largest_output", "repeat_gap", "batch_gap",
    "edge_not_finite", "edge_smallest_output", "edge_largest_output", "edge_repeat_gap", "edge_batch_gap",
    "threads_gap", "delegate_gap",
)  # fmt: skip
OF_THE_FILE = (
    "loads", "custom_ops", "bytes", "gzip_bytes", "unknown_inputs", "input_types", "runs", "output_width",
)  # fmt: skip
ELSEWHERE = tuple(f"runs_on_{name}" for name in RUNTIMES)
COMPARED = ("mean_difference", "max_difference", "latency_p50_us", "latency_p99_us", "memory_kib")


@pytest.fixture
def request_of(tmp_path, trip_rows):
    """(file, reference, rows, limits) -> a Request and its folder."""

    def make(content: bytes, reference: bytes | None = None, rows=None, limits=LIMITS) -> tuple[Request, Path]:
        paths = [tmp_path / f"{name}.tflite" for name in ("model", "reference")]
        for path, written in zip(paths, (content, reference), strict=True):
            if written is not None:
                path.write_bytes(written)
        return Request(paths[0], paths[1] if reference else None, trip_rows if rows is None else rows, limits), tmp_path

    return make


def _names(report: Report) -> tuple[str, ...]:
    """The names of the checks; the runtimes that this machine lacks count as tried."""
    tried = tuple(check.name for check in report.checks if not check.name.startswith("runs_on_"))
    return (*tried, *ELSEWHERE)


def _failed(report: Report) -> dict[str, validation.Check]:
    return {check.name: check for check in report.checks if not check.ok}


def test_a_good_file_passes_and_is_measured(request_of, held_tflite):
    report = validation.validate_in_child(*request_of(held_tflite, held_tflite))
    assert report.ok and not _failed(report)
    assert _names(report) == (*OF_THE_FILE, *COMPARED, *ALONE, *ELSEWHERE)
    assert all(check.hint for check in report.checks)
    measured = report.measurements
    assert measured["bytes"] == len(held_tflite) > measured["gzip_bytes"] > 0
    assert measured["ops"]["FULLY_CONNECTED"] == 1 and "FlexAtan" not in measured["ops"]
    assert 0 < measured["latency_us"]["p50"] <= measured["latency_us"]["p99"]
    assert measured["machine"].endswith((" core", " cores")) and platform.machine() in measured["machine"]
    assert measured["output"] == {"rows": 3, "min": pytest.approx(3.0), "max": pytest.approx(19.5)}
    assert measured["reference"]["bytes"] == len(held_tflite) and measured["memory_kib"] > 0


def test_without_a_reference_nothing_is_compared(request_of, held_tflite):
    report = validation.validate_in_child(*request_of(held_tflite))
    assert report.ok and _names(report) == (*OF_THE_FILE, *ALONE, *ELSEWHERE)
    assert report.measurements["latency_us"]["p50"] > 0 and "reference" not in report.measurements


def test_the_child_needs_neither_tensorflow_nor_tfx(request_of, held_tflite):
    """Where ai-edge-litert is installed, which both lanes have."""
    request, folder = request_of(held_tflite, held_tflite)
    code = f"""
import json, sys
from farebox.components.device_validator import validation
validation.main([{str(request.write(folder))!r}, {str(folder / "report.json")!r}])
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(child.stdout.splitlines()[-1]))
    assert "ai_edge_litert" in modules and modules.isdisjoint({"tensorflow", "tfx", "tf_keras", "apache_beam"})
    report = json.loads((folder / "report.json").read_text())
    assert report["measurements"]["interpreter"]["name"] == "ai-edge-litert"
    assert report["measurements"]["interpreter"]["version"].count(".") == 2


@pytest.mark.parametrize(
    ("limits", "name", "value", "bound"),
    [
        (dataclasses.replace(LIMITS, settings=DeviceSettings(max_bytes=100)), "bytes", None, 100),
        (Limits(INPUTS[1:], 1000.0, -1000.0), "unknown_inputs", 1, 0),
        (Limits(INPUTS, 1000.0, 3.5), "smallest_output", 3.0, 3.5),
    ],
)
def test_each_limit_refuses_by_its_bound(request_of, held_tflite, limits, name, value, bound):
    failed = _failed(validation.validate(*request_of(held_tflite, limits=limits)))
    assert set(failed) - {"edge_smallest_output"} == {name}
    assert failed[name].bound == bound
    assert failed[name].value == pytest.approx(len(held_tflite) if value is None else value)


def test_no_rows_is_not_a_pass(request_of, held_tflite, trip_rows):
    empty = {name: column[:0] for name, column in trip_rows.items()}
    assert set(_failed(validation.validate(*request_of(held_tflite, rows=empty)))) == {"rows"}


@pytest.mark.parametrize(
    ("child", "detail"),
    [("kill -SEGV $$", "the runtime died of signal 11"), ("sleep 30", "no answer within 1 s")],
)
def test_a_crash_or_a_hang_is_a_failed_check(tmp_path, request_of, held_tflite, monkeypatch, child, detail):
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nexec 2>&-\n{child}\n".replace("sleep", "exec sleep"))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(validation, "TIMEOUT_S", 1)
    report = validation.validate_in_child(*request_of(held_tflite))
    assert not report.ok and report.checks[0].detail == detail


def test_a_fault_of_ours_in_the_child_is_raised(request_of, held_tflite, trip_rows):
    with pytest.raises(RuntimeError, match="Object arrays cannot be loaded"):
        validation.validate_in_child(*request_of(held_tflite, rows=trip_rows | {"fare": np.array([None])}))


def test_a_reference_that_does_not_run_is_no_verdict_on_the_file(request_of, held_tflite):
    with pytest.raises(RuntimeError, match="DeviceValidator: the reference must run: model=.*must be a TFLite file"):
        validation.validate_in_child(*request_of(held_tflite, b"not a model" * 9))


def test_edge_rows_by_hand():
    """Two real rows: each change is made to both, what it does not name stays, and dtypes are kept."""
    rows = {"x": np.array([1, 2], np.float32), "y": np.array([3, 4], np.float32), "n": np.array([5, 6], np.int64)}
    names, edges = edge_rows(rows, {"swapped": {"x": "y", "y": "x"}, "far": {"x": 90.0}, "other": {"absent": 1.0}})
    by_change = {name: [tuple(edges[c][i] for c in rows) for i, n in enumerate(names) if n == name] for name in names}
    assert by_change["swapped"] == [(3, 1, 5), (4, 2, 6)]
    assert by_change["far"] == [(90, 3, 5), (90, 4, 6)]
    assert by_change["other"] == [(1, 3, 5), (2, 4, 6)]
    assert by_change["n=-1"] == [(1, 3, -1), (2, 4, -1)]
    assert np.isnan(by_change["x=nan"][0][0]) and by_change["x=nan"][1][1:] == (4, 6)
    assert by_change["all decimals=inf"] == [(np.inf, np.inf, 5), (np.inf, np.inf, 6)]
    assert {name: str(column.dtype) for name, column in edges.items()} == {"x": "float32", "y": "float32", "n": "int64"}


def test_edge_rows_change_few_rows_of_many():
    names, edges = edge_rows({"x": np.arange(1000, dtype=np.float32)}, {"same": {}})
    assert names.count("same") == BASES
    assert [edges["x"][i] for i, name in enumerate(names) if name == "same"] == [0, 333, 666, 999]


def _timings(file: tuple[float, float], reference: tuple[float, float]) -> np.ndarray:
    """(p50, p99) of both in every round."""
    return np.tile(np.array([file, reference]), (timing.ROUNDS, 1, 1))


def test_latency_bounds_are_a_ratio_and_a_slack():
    """1.5 x 4 + 1 = 7; 2 x 6 + 3 = 15."""
    settings = DeviceSettings(max_latency_ratio=1.5, latency_slack_us=1.0, max_p99_ratio=2.0, p99_slack_us=3.0)
    checks = {check.name: check for check in comparison.timing_checks(_timings((7.0, 15.5), (4.0, 6.0)), settings)}
    p50, p99 = checks["latency_p50_us"], checks["latency_p99_us"]
    assert (p50.value, p50.bound, p50.ok) == (7.0, 7.0, True)
    assert (p99.value, p99.bound, p99.ok) == (15.5, 15.0, False)
    assert p50.detail == "1.75 x the reference's 4.0 µs, in turns"


def test_rounds_in_which_the_machine_was_busy_change_nothing():
    """A third of the rounds ten times slower, for the file alone."""
    disturbed = _timings((5.0, 6.0), (4.0, 6.0))
    disturbed[::3, 0] *= 10
    np.testing.assert_array_equal(timing.against_last(disturbed), [1.25, 1.0])


def test_a_file_is_too_slow_only_if_every_timing_says_so(monkeypatch, held_tflite, trip_rows):
    slow, quick = _timings((40.0, 60.0), (4.0, 6.0)), _timings((4.0, 6.0), (4.0, 6.0))
    for timings, ok in (([slow, slow, quick], True), ([slow] * comparison.ATTEMPTS, False)):
        waiting = iter(timings)
        monkeypatch.setattr(timing, "interleaved_us", lambda models, rows, waiting=waiting: next(waiting))
        judged, times = comparison.latency_checks(None, None, trip_rows, DeviceSettings())
        assert all(check.ok for check in judged) == ok and next(waiting, None) is None
        assert times[0, 0] == (4.0 if ok else 40.0)


@pytest.mark.parametrize(
    ("file_kib", "base", "ok", "detail"),
    [
        (1300.0, 1000.0, True, "1.30 x the reference's 1000 KiB"),
        (1301.0, 1000.0, False, "1.30 x the reference's 1000 KiB"),
        (None, 1000.0, False, "the file's process gave no answer"),
        (1.0, None, False, "the reference's process gave no answer"),
    ],
)
def test_memory_bound_is_a_ratio_and_a_slack(file_kib, base, ok, detail):
    check = comparison.memory_check(file_kib, base, DeviceSettings(max_memory_ratio=1.2, memory_slack_kib=100))
    assert check.ok == ok and detail in check.detail


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("max_latency_ratio", 0, "device.max_latency_ratio=0 must be above 0 and finite"),
        ("max_memory_ratio", float("inf"), "device.max_memory_ratio=inf must be above 0 and finite"),
        ("p99_slack_us", -1, "device.p99_slack_us=-1 must be at least 0 and finite"),
        ("max_difference", float("nan"), "device.max_difference=nan must be at least 0 and finite"),
        ("max_gzip_bytes", 0, "device.max_gzip_bytes=0 must be at least 1, or null"),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting, value, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        DeviceSettings(**{setting: value})


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"max_output": 0.0}, "max_output=0.0 must be positive and above min_output=0.0, in DeviceValidator"),
        ({"settings": '{"max_bytes": 0}'}, "device.max_bytes=0 must be at least 1"),
        ({"min_output": 600.0}, "max_output=500.0 must be positive and above min_output=600.0"),
        ({"edge_rows": {"odd": {"x": "z"}}}, "edge_rows.odd.x=z must be a number, nan, inf, -inf or one of the inputs"),
        ({"settings": '{"max_p99_ratio": 0}'}, "device.max_p99_ratio=0 must be above 0"),
    ],
)
def test_the_node_refuses_contradictions_when_it_is_defined(properties, text):
    from tfx.types import Channel, standard_artifacts

    from farebox.components.device_validator.component import DeviceValidator

    given = {
        "model": Channel(type=standard_artifacts.Model),
        "examples": Channel(type=standard_artifacts.Examples),
        "input_names": ["x", "y"],
        "max_output": 500.0,
    }
    with pytest.raises(ValueError, match=text):
        DeviceValidator(**given | properties)
    assert set(DeviceValidator(**given).outputs) == {"blessing"}


def _run_validator(folder, model: bytes, rows: dict[str, np.ndarray]):
    """Runs the executor on artifacts in `folder`; returns the blessing and device.json."""
    import tensorflow as tf

    from farebox.components.device_validator.component import DeviceValidatorSpec
    from farebox.components.device_validator.executor import DeviceValidatorExecutor

    inputs = {key: [parameter.type()] for key, parameter in DeviceValidatorSpec.INPUTS.items()}
    outputs = {key: [parameter.type()] for key, parameter in DeviceValidatorSpec.OUTPUTS.items()}
    for key, (artifact,) in (inputs | outputs).items():
        artifact.uri = str(folder / key)
    for part in ("model/Format-Serving", "reference_model/Format-Serving", "examples/Split-eval", "blessing"):
        (folder / part).mkdir(parents=True)
    (folder / "model/Format-Serving/tflite").write_bytes(model)
    (folder / "reference_model/Format-Serving/tflite").write_bytes(model)
    with tf.io.TFRecordWriter(str(folder / "examples" / "Split-eval" / "data.gz"), "GZIP") as writer:
        for i in range(len(rows["fare"])):
            writer.write(_example({name: column[i] for name, column in rows.items()}))
    exec_properties = {
        "input_names": json.dumps(INPUTS), "min_output": -1e3, "max_output": 1e3,
        "edge_rows": json.dumps({"nobody": {"passenger_count": 0}}), "settings": '{"max_bytes": 10000}',
        "code_digest": "",
    }  # fmt: skip
    assert set(exec_properties) == set(DeviceValidatorSpec.PARAMETERS)
    DeviceValidatorExecutor().Do(inputs, outputs, exec_properties)
    return outputs["blessing"][0], json.loads((folder / "blessing" / "device.json").read_text())


def _example(row: dict[str, np.generic]) -> bytes:
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in row.items():
        feature = example.features.feature[name]
        values = feature.int64_list.value if np.issubdtype(value.dtype, np.integer) else feature.float_list.value
        values.append(value.item())
    return example.SerializeToString()


def test_executor_blesses_a_good_file_as_infra_validator_does(tmp_path, held_tflite, trip_rows):
    from tfx.components.util import model_utils

    blessing, device = _run_validator(tmp_path, held_tflite, trip_rows)
    assert model_utils.is_infra_validated(blessing)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    assert device["blessed"] and device["measurements"]["output"]["rows"] == 3
    assert {check["name"] for check in device["checks"]} >= set(COMPARED)
    assert device["measurements"]["output"]["max"] == pytest.approx(19.5)
    assert blessing.get_string_custom_property("sha256") == device["measurements"]["sha256"]
    golden = json.loads((tmp_path / "blessing" / "golden.json").read_text())
    assert set(golden["inputs"]) == set(INPUTS) and 0 in golden["inputs"]["passenger_count"]


@pytest.mark.parametrize("kind", ["flex_tflite", "nan_tflite"])
def test_executor_does_not_bless(tmp_path, trip_rows, kind, request):
    from tfx.components.util import model_utils

    blessing, device = _run_validator(tmp_path, request.getfixturevalue(kind), trip_rows)
    assert not model_utils.is_infra_validated(blessing)
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    assert not (tmp_path / "blessing" / "golden.json").exists()
    assert not device["blessed"] and not all(check["ok"] for check in device["checks"])
