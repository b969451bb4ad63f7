"""DeviceValidator: each check on real files, the fresh process, and the blessing that TFX's Pusher reads."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from components.device_validator import checks

INPUTS = (
    "pickup_longitude",
    "pickup_latitude",
    "dropoff_longitude",
    "dropoff_latitude",
    "passenger_count",
    "pickup_hour",
    "pickup_weekday",
)
LIMITS = checks.Limits(INPUTS, max_bytes=10_000, max_output=1000.0)


@pytest.fixture
def model_file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "tflite"
        path.write_bytes(content)
        return path

    return write


def _failed(report: checks.Report) -> dict[str, checks.Check]:
    return {check.name: check for check in report.checks if not check.ok}


def test_a_good_file_passes_and_is_measured(model_file, fare_tflite, trip_rows):
    report = checks.validate_apart(path := model_file(fare_tflite), trip_rows, LIMITS, path.parent)
    assert report.ok
    assert [check.name for check in report.checks] == [
        "loads", "custom_ops", "bytes", "unknown_inputs", "runs",
        "not_finite", "largest_output", "repeat_gap", "batch_gap",
    ]  # fmt: skip
    measured = report.measurements
    assert measured["bytes"] == len(fare_tflite) > measured["gzip_bytes"] > 0
    assert measured["ops"] == {"CAST": 3, "CONCATENATION": 1, "FULLY_CONNECTED": 1}
    assert 0 < measured["latency_us"]["p50"] <= measured["latency_us"]["p99"]
    assert measured["output"] == {"rows": 3, "min": pytest.approx(3.0), "max": pytest.approx(19.5)}


def test_a_flex_file_fails_by_name(model_file, flex_tflite, trip_rows):
    report = checks.validate_apart(path := model_file(flex_tflite), trip_rows, LIMITS, path.parent)
    failed = _failed(report)
    assert failed["custom_ops"].detail == "FlexAtan"
    assert "it needs FlexAtan" in failed["runs"].detail
    assert report.measurements["bytes"] == len(flex_tflite)


def test_nan_fails_and_is_counted(model_file, nan_tflite, trip_rows):
    failed = _failed(checks.validate(model_file(nan_tflite), trip_rows, LIMITS))
    assert set(failed) == {"not_finite"}
    assert failed["not_finite"].value == 3


@pytest.mark.parametrize(
    ("limits", "name", "value", "bound"),
    [
        (checks.Limits(INPUTS, 100, 1000.0), "bytes", None, 100),
        (checks.Limits(INPUTS[1:], 10_000, 1000.0), "unknown_inputs", 1, 0),
        (checks.Limits(INPUTS, 10_000, 19.0), "largest_output", 19.5, 19.0),
    ],
)
def test_each_limit_refuses_alone(model_file, fare_tflite, trip_rows, limits, name, value, bound):
    failed = _failed(checks.validate(model_file(fare_tflite), trip_rows, limits))
    assert set(failed) == {name}
    assert failed[name].bound == bound
    assert failed[name].value == pytest.approx(len(fare_tflite) if value is None else value)


@pytest.mark.parametrize(("kind", "name"), [("peeking_tflite", "batch_gap"), ("dicing_tflite", "repeat_gap")])
def test_a_fare_that_depends_on_more_than_its_row_fails(model_file, trip_rows, kind, name, request):
    failed = _failed(checks.validate(model_file(request.getfixturevalue(kind)), trip_rows, LIMITS))
    assert set(failed) == {name} and failed[name].value > failed[name].bound


def test_a_corrupt_file_fails_to_load(model_file, trip_rows):
    report = checks.validate_apart(path := model_file(b"not a model" * 9), trip_rows, LIMITS, path.parent)
    assert [check.name for check in report.checks] == ["loads"] and not report.ok
    assert "must be a TFLite file" in report.checks[0].detail


def test_no_rows_is_not_a_pass(model_file, fare_tflite, trip_rows):
    empty = {name: column[:0] for name, column in trip_rows.items()}
    assert set(_failed(checks.validate(model_file(fare_tflite), empty, LIMITS))) == {"rows"}


@pytest.mark.parametrize(
    ("child", "detail"),
    [("kill -SEGV $$", "the runtime died of signal 11"), ("sleep 30", "no answer within 1 s")],
)
def test_a_crash_or_a_hang_is_a_failed_check(tmp_path, trip_rows, monkeypatch, child, detail):
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nexec 2>&-\n{child}\n".replace("sleep", "exec sleep"))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(checks, "TIMEOUT_S", 1)
    report = checks.validate_apart(tmp_path / "tflite", trip_rows, LIMITS, tmp_path)
    assert not report.ok and report.checks[0].detail == detail


def test_a_fault_of_ours_in_the_child_is_raised(tmp_path, model_file, fare_tflite, trip_rows):
    path = model_file(fare_tflite)
    with pytest.raises(RuntimeError, match="Object arrays cannot be loaded"):
        checks.validate_apart(path, trip_rows | {"fare": np.array([None])}, LIMITS, tmp_path)


def _run_validator(folder, model: bytes, rows: dict[str, np.ndarray]):
    """Runs the executor on artifacts in `folder`; returns the blessing and device.json."""
    import tensorflow as tf

    from components.device_validator.component import DeviceValidatorSpec
    from components.device_validator.executor import DeviceValidatorExecutor

    inputs = {key: [parameter.type()] for key, parameter in DeviceValidatorSpec.INPUTS.items()}
    outputs = {key: [parameter.type()] for key, parameter in DeviceValidatorSpec.OUTPUTS.items()}
    for key, (artifact,) in (inputs | outputs).items():
        artifact.uri = str(folder / key)
    for part in ("model/Format-Serving", "examples/Split-eval", "blessing"):
        (folder / part).mkdir(parents=True)
    (folder / "model" / "Format-Serving" / "tflite").write_bytes(model)
    with tf.io.TFRecordWriter(str(folder / "examples" / "Split-eval" / "data.gz"), "GZIP") as writer:
        for i in range(len(rows["fare"])):
            writer.write(_example({name: column[i] for name, column in rows.items()}))
    exec_properties = {"input_names": json.dumps(INPUTS), "max_bytes": 10_000, "max_output": 1e3, "code_digest": ""}
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


def test_executor_blesses_a_good_file_as_infra_validator_does(tmp_path, fare_tflite, trip_rows):
    from tfx.components.util import model_utils

    blessing, device = _run_validator(tmp_path, fare_tflite, trip_rows)
    assert model_utils.is_infra_validated(blessing)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    assert device["blessed"] and device["measurements"]["output"]["rows"] == 3
    assert device["measurements"]["output"]["max"] == pytest.approx(19.5)
    assert blessing.get_string_custom_property("sha256") == device["measurements"]["sha256"]


@pytest.mark.parametrize("kind", ["flex_tflite", "nan_tflite"])
def test_executor_does_not_bless(tmp_path, trip_rows, kind, request):
    from tfx.components.util import model_utils

    blessing, device = _run_validator(tmp_path, request.getfixturevalue(kind), trip_rows)
    assert not model_utils.is_infra_validated(blessing)
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
    assert not device["blessed"] and not all(check["ok"] for check in device["checks"])
