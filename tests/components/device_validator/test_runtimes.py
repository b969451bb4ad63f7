"""The runtimes that DeviceValidator tries a file in: real files in the real runtimes, each in its own process."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.device_validator import validation
from farebox.components.device_validator.golden import golden as make_golden
from farebox.components.device_validator.request import Limits, Request
from farebox.components.device_validator.runtimes import child, trials
from farebox.components.device_validator.runtimes.checks import runtime_checks, trial_rows
from farebox.components.device_validator.runtimes.table import RUNTIMES, RuntimeTrial, describe_trials, trials_from_json
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.tflite import arithmetic, interpreter

INPUTS = (
    "pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude", "passenger_count", "pickup_hour",
    "pickup_weekday",
)  # fmt: skip


def installed(name: str) -> bool:
    try:
        importlib.metadata.version(RUNTIMES[name].package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_micro = pytest.mark.skipif(not installed("tflite_micro"), reason="needs tflite-micro")


def limits(**settings) -> Limits:
    return Limits(INPUTS, max_output=1000.0, min_output=-1000.0, settings=DeviceSettings(**settings))


@pytest.fixture(scope="module")
def judged() -> dict[tuple, tuple]:
    return {}


@pytest.fixture
def judge(trip_rows, judged):
    """(file, settings) -> checks by name, trials by name; made once for each file, settings and table."""

    def run(content: bytes, **settings):
        key = (content, *settings.items(), *RUNTIMES.items())
        if key not in judged:
            judged[key] = runtime_checks(interpreter.TfliteModel(content), trip_rows, limits(**settings))
        checks, tried = judged[key]
        return {check.name: check for check in checks}, {trial.runtime: trial for trial in tried}

    return run


@needs_micro
def test_a_file_of_the_contract_runs_everywhere(judge, held_tflite):
    checks, tried = judge(held_tflite)
    assert list(checks) == [f"runs_on_{name}" for name in RUNTIMES] and all(check.ok for check in checks.values())
    for name, trial in tried.items():
        assert (trial.result, trial.detail) == ("runs", "")
        assert trial.version == importlib.metadata.version(RUNTIMES[name].package)
        assert trial.largest_difference <= 1e-5
        assert (trial.arena_bytes is not None) == (name == "tflite_micro")


@needs_micro
def test_the_arena_is_the_smallest_that_works(judge, held_tflite):
    from tflite_micro import runtime

    arena = judge(held_tflite)[1]["tflite_micro"].arena_bytes
    assert child.LEAST_ARENA <= arena < len(held_tflite) * 10
    runtime.Interpreter.from_bytes(held_tflite, arena_size=arena).invoke()
    with pytest.raises(RuntimeError, match="allocate"):
        runtime.Interpreter.from_bytes(held_tflite, arena_size=arena - child.ARENA_STEP)


@pytest.fixture(scope="module")
def planted(convert_tflite) -> dict[str, bytes]:
    """Files with one thing that a runtime lacks."""
    import tensorflow as tf

    contract = {"clips_inputs": True, "batch": 1, "whole": "int32"}
    return {
        "int64": convert_tflite(**contract | {"whole": "int64"}),
        "batch": convert_tflite(**contract | {"batch": None}),
        "flex": convert_tflite(tf.atan, select_tf_ops=True, **contract),
        "atan2": convert_tflite(lambda fare: fare + 1e-6 * tf.atan2(fare, tf.abs(fare)), **contract),
    }


@pytest.mark.parametrize(
    ("fault", "runtime", "words"),
    [
        ("int64", "compiled_model", "CompiledModel VERSION: Unsupported dtype: int64"),
        ("int64", "tflite_micro", "tflite-micro VERSION: Input type INT64 (4) not supported."),
        ("batch", "compiled_model", " is -1, not 1"),
        ("flex", "interpreter", "Interpreter VERSION: Select TensorFlow op(s), included in the given model,"),
        ("flex", "interpreter_without_xnnpack", "Interpreter without XNNPACK VERSION: Select TensorFlow op(s)"),
        ("flex", "compiled_model", "CompiledModel VERSION: Select TensorFlow op(s)"),
        ("flex", "tflite_micro", "tflite-micro VERSION: Failed to get registration from op code CUSTOM"),
        ("atan2", "tflite_micro", "tflite-micro VERSION: Didn't find op for builtin opcode 'ATAN2'"),
    ],
)
def test_a_runtime_refuses_in_its_own_words(judge, planted, fault, runtime, words):
    if not installed(runtime):
        pytest.skip(f"needs {RUNTIMES[runtime].package}")
    checks, tried = judge(planted[fault])
    check = checks[f"runs_on_{runtime}"]
    assert check.refuses and check.hint
    assert words.replace("VERSION", importlib.metadata.version(RUNTIMES[runtime].package)) in check.detail
    assert (tried[runtime].result, tried[runtime].largest_difference) == ("refused", None) or fault == "batch"
    if fault == "atan2":
        assert [name for name, each in checks.items() if each.refuses] == ["runs_on_tflite_micro"]


@needs_micro
def test_a_runtime_that_is_not_required_refuses_nothing(tmp_path, planted, trip_rows):
    """It is tried and reported all the same."""
    (tmp_path / "model.tflite").write_bytes(planted["atan2"])
    device = limits(runtimes=("interpreter", "compiled_model"))
    report = validation.validate_in_child(Request(tmp_path / "model.tflite", None, trip_rows, device), tmp_path)
    assert report.ok, [check for check in report.checks if not check.ok]
    assert [check.name for check in report.checks if check.name.startswith("runs_on")] == [
        "runs_on_interpreter", "runs_on_compiled_model",
    ]  # fmt: skip
    results = {trial["runtime"]: trial["result"] for trial in report.measurements["runtimes"]}
    assert results == dict.fromkeys(RUNTIMES, "runs") | {"tflite_micro": "refused"}


def added(monkeypatch, **changes) -> None:
    """Puts a runtime named `further` beside the Interpreter; without the others, which take a process each."""
    for name in set(RUNTIMES) - {"interpreter"}:
        monkeypatch.delitem(RUNTIMES, name)
    monkeypatch.setitem(RUNTIMES, "further", dataclasses.replace(RUNTIMES["interpreter"], title="Further", **changes))


def test_what_is_not_installed_is_not_tried(judge, held_tflite, monkeypatch):
    """And refuses the file only if the settings name it."""
    added(monkeypatch, package="no-such-runtime")
    checks, tried = judge(held_tflite)
    assert "runs_on_further" not in checks
    assert tried["further"] == RuntimeTrial(
        "further", "Further", None, "not tried", "no-such-runtime is not installed"
    )  # fmt: skip
    check = judge(held_tflite, runtimes=("further",))[0]["runs_on_further"]
    assert check.refuses and check.detail == "Further: no-such-runtime is not installed"
    assert check.hint == "install no-such-runtime, or leave further out of device.runtimes"


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("kill -ABRT $$", "died of signal 6"),
        ("echo 'F0000 bad tensor' >&2; kill -SEGV $$", "died of signal 11: F0000 bad tensor"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_crash_is_that_runtimes_alone(judge, held_tflite, tmp_path, monkeypatch, script, detail):
    added(monkeypatch, command=(program(tmp_path, script),))
    checks, tried = judge(held_tflite)
    assert [name for name, check in checks.items() if check.refuses] == ["runs_on_further"]
    assert (tried["further"].result, tried["further"].detail) == ("refused", detail)


def program(folder: Path, script: str) -> str:
    """The path of a shell script."""
    (folder / "runtime").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "runtime").chmod(0o755)
    return str(folder / "runtime")


def test_a_hang_ends(judge, held_tflite, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "TIMEOUT_S", 1)
    added(monkeypatch, command=(program(tmp_path, "exec sleep 30"),))
    trial = judge(held_tflite)[1]["further"]
    assert (trial.result, trial.detail) == ("refused", "no answer within 1 s")


@pytest.mark.parametrize(
    "answer",
    [
        "", "{", "[]", "{}", '{"version": "1"}', '{"version": "1", "outputs": []}',
        '{"version": "1", "outputs": [1.0]}', '{"version": "1", "outputs": [null, "a", 1]}',
    ],
)  # fmt: skip
def test_a_runtime_that_ends_without_its_answers_is_refused(judge, held_tflite, tmp_path, monkeypatch, answer):
    """Exit code 0, and no file, half a file, or fewer numbers than rows: neither a pass nor a traceback."""
    script = "for last; do :; done\nprintf '%s' '" + answer + '\' > "$last"' if answer else "exit 0"
    added(monkeypatch, command=(program(tmp_path, script),))
    checks, tried = judge(held_tflite)
    assert checks["runs_on_further"].refuses and tried["further"].result == "refused"
    assert re.fullmatch(r"it ended without an answer of \d+ numbers", tried["further"].detail)


def test_a_program_that_is_not_there_is_no_pass(judge, held_tflite, tmp_path, monkeypatch):
    added(monkeypatch, command=(str(tmp_path / "absent"),))
    assert "No such file or directory" in judge(held_tflite)[0]["runs_on_further"].detail


def test_a_runtime_that_cannot_be_imported_is_refused_not_skipped(judge, held_tflite, tmp_path, monkeypatch):
    """Installed, and broken: a wheel for another system."""
    (tmp_path / "broken_runtime").mkdir()
    (tmp_path / "broken_runtime/__init__.py").write_text("raise ImportError('libm.so.7: cannot open shared object')")
    (tmp_path / "broken_runtime-1.5.dist-info").mkdir()
    (tmp_path / "broken_runtime-1.5.dist-info/METADATA").write_text("Name: broken-runtime\nVersion: 1.5\n")
    command = ("env", f"PYTHONPATH={tmp_path}", sys.executable, child.__file__)
    added(monkeypatch, package="broken-runtime", command=command)
    trial = judge(held_tflite)[1]["further"]
    assert (trial.version, trial.result, trial.detail) == ("1.5", "refused", "libm.so.7: cannot open shared object")


def test_a_runtime_that_answers_otherwise_is_refused(judge, held_tflite, tmp_path, monkeypatch):
    """A program of its own, one dollar too dear on every row."""
    script = tmp_path / "dear.py"
    script.write_text(
        "import json, sys\n"
        f"sys.path.insert(0, {str(Path(child.__file__).parent)!r})\n"
        "import child\n"
        "child.main(sys.argv[1:])\n"
        "answer = json.load(open(sys.argv[-1]))\n"
        "answer['outputs'] = [output + 1 for output in answer['outputs']]\n"
        "json.dump(answer, open(sys.argv[-1], 'w'))\n"
    )
    added(monkeypatch, command=(sys.executable, str(script)))
    check = judge(held_tflite)[0]["runs_on_further"]
    assert check.refuses and check.value == pytest.approx(1.0, abs=1e-5)
    assert check.bound == pytest.approx(1e-4 * (15.0 + 3.0 + 19.5) / 3)  # a share of the mean output
    assert "the Interpreter gives" in check.detail


def test_rows_that_the_file_does_not_take_are_not_tried(judge, convert_tflite, held_tflite, trip_rows):
    """A missing coordinate where the file has whole numbers; a column that the rows lack; no rows."""
    assert judge(convert_tflite(types={"pickup_latitude": "int32"})) == ({}, {})
    model = interpreter.TfliteModel(held_tflite)
    assert runtime_checks(model, {**trip_rows, "pickup_hour": trip_rows["pickup_hour"][:0]}, limits()) == ([], ())


def test_differences_by_hand():
    nan, inf = np.nan, np.inf
    differences = trials.differences(
        np.array([1.0, nan, nan, inf, inf, 2.0]), np.array([1.5, nan, 1.0, inf, 1.0, -inf])
    )
    np.testing.assert_array_equal(differences, [0.5, 0.0, inf, 0.0, inf, inf])


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "INFO: [environment.cc:29] Creating\n└ more\nERROR: [litert/runtime/tensor_buffer.cc:98] No bytes\n"
            "Traceback (most recent call last):\n  File\nRuntimeError: code=3",
            "No bytes",
        ),
        ("WARNING: x\nTraceback (most recent call last):\n  File\nValueError: Unsupported dtype: int64",
         "Unsupported dtype: int64"),
        ("Didn't find op 'ATAN2'\nFailed to get\n \nTraceback (most recent call last):\n", "Didn't find op 'ATAN2'"),
        ("tensorflow/lite/micro/kernels/x.cc:42 a == b was not true.\n", "a == b was not true."),
        ("", ""),
        ("x " * 200, "x " * 78 + "..."),
    ],
)  # fmt: skip
def test_the_first_line_about_an_error(stderr, words):
    assert trials.first_error(stderr) == words


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_child_imports_tensorflow(held_tflite, trip_rows, tmp_path, name):
    if not installed(name):
        pytest.skip(f"needs {RUNTIMES[name].package}")
    (tmp_path / "model.tflite").write_bytes(held_tflite)
    np.save(tmp_path / "rows.npy", trials.structured(interpreter.TfliteModel(held_tflite), trip_rows))
    runtime = RUNTIMES[name]
    arguments = [runtime.how, runtime.package, "model.tflite", "rows.npy", "float32", "answer.json"]
    code = f"import sys; from farebox.components.device_validator.runtimes import child; child.main({arguments}); "
    code += "print([name for name in ('tensorflow', 'tfx', 'tf_keras') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert json.loads((tmp_path / "answer.json").read_text())["outputs"] == pytest.approx([15.0, 3.0, 19.5])


def test_rows_are_the_golden_ones_and_edges_without_two_billion(held_tflite, trip_rows):
    model = interpreter.TfliteModel(held_tflite)
    rows, real = trial_rows(model, {name: trip_rows[name] for name in INPUTS}, limits())
    golden = json.loads(make_golden(held_tflite, trip_rows, limits().edge_rows))["inputs"]
    for name in INPUTS:
        expected = np.array([np.nan if value is None else value for value in golden[name]], rows[name].dtype)
        np.testing.assert_array_equal(rows[name][: real.stop], expected)
    assert real.stop - real.start == 3 and real.stop < len(rows["pickup_hour"]) <= 300
    assert np.isnan(rows["dropoff_latitude"]).any() and np.isinf(rows["pickup_longitude"]).any()
    assert -1 in rows["pickup_weekday"] and np.abs(rows["pickup_weekday"]).max() < 2**31 - 1


def test_integer_kernels_are_found(convert_tflite, held_tflite):
    """The weights of a layer of 2,500; smaller ones stay float32."""
    import tensorflow as tf

    def wide(fare):
        hidden = tf.tile(fare, [1, 50])
        weights = np.random.default_rng(0).normal(0, 0.1, (50, 50)).astype(np.float32)
        return tf.reduce_mean(tf.matmul(hidden, weights), axis=1, keepdims=True)

    hybrid = convert_tflite(wide, optimizations=[tf.lite.Optimize.DEFAULT])
    assert arithmetic.has_integer_kernels(hybrid)
    assert not arithmetic.has_integer_kernels(held_tflite)
    assert not arithmetic.has_integer_kernels(convert_tflite(wide))


def test_an_unknown_runtime_is_refused_by_name():
    choices = "interpreter, interpreter_without_xnnpack, compiled_model, tflite_micro"
    with pytest.raises(ValueError, match=rf"^device.runtimes.1=coral must be one of {choices}$"):
        DeviceSettings(runtimes=["interpreter", "coral"])
    assert DeviceSettings(runtimes=["tflite_micro"]).runtimes == ("tflite_micro",)


def test_trials_in_words():
    tried = (
        RuntimeTrial("a", "A", "1.0", "runs"),
        RuntimeTrial("b", "B", "2.0", "runs", arena_bytes=12345),
        RuntimeTrial("c", "C", "3.0", "refused", "it lacks X"),
        RuntimeTrial("d", "D", None, "not tried", "d is not installed"),
    )
    text = "runs on A 1.0, B 2.0 (arena 12,345 B); refused by C 3.0 (it lacks X); not tried: D"
    assert describe_trials(tried) == text
    assert trials_from_json(json.loads(json.dumps([dataclasses.asdict(trial) for trial in tried]))) == tried
    assert describe_trials([]) == ""
