"""Files with one planted fault each, as real as the converter makes them: which check refuses it, and in what words."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farebox.components.device_validator import validation
from farebox.components.device_validator.request import Limits, Report, Request
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.tflite import interpreter

pytestmark = pytest.mark.slow  # a conversion and a process for each

INPUTS = (
    "pickup_longitude",
    "pickup_latitude",
    "dropoff_longitude",
    "dropoff_latitude",
    "passenger_count",
    "pickup_hour",
    "pickup_weekday",
)
CONTRACT = {"batch": 1, "whole": "int32"}  # of a file that every runtime takes
N_ROWS = 400
MAX_BYTES, MAX_GZIP, MAX_FARE = 100_000, 50_000, 600.0


@dataclasses.dataclass(frozen=True)
class Fault:
    """make: from `_convert` of conftest.py, and the sound file, to the file; checks: those that may refuse it, of which
    one does; words: in its detail."""

    make: Callable[[Callable[..., bytes], bytes], bytes]
    checks: tuple[str, ...]
    words: str
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)


def step(last_step: Callable[[Any], Any], **options: Any) -> Callable[[Callable[..., bytes], bytes], bytes]:
    """The sound file with something done to its fare."""
    return lambda convert, sound: convert(last_step, clips_inputs=True, **options)


def changed(change: Callable[[Any], None]) -> Callable[[Callable[..., bytes], bytes], bytes]:
    """The sound file's flatbuffer with something done to it."""

    def make(convert: Callable[..., bytes], sound: bytes) -> bytes:
        import flatbuffers

        read = interpreter.schema()
        model = read.ModelT.InitFromObj(read.Model.GetRootAs(sound, 0))
        change(model)
        builder = flatbuffers.Builder(len(sound))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return make


def tf() -> Any:
    import tensorflow

    return tensorflow


def of_weights(fare: Any, width: int, layers: int) -> Any:
    """The same fare after dense layers of random weights that change it by nothing to speak of."""
    random = np.random.default_rng(0)
    hidden = tf().tile(fare, [1, width])
    for _ in range(layers):
        hidden = tf().tanh(tf().matmul(hidden, random.normal(0, 0.1, (width, width)).astype(np.float32)))
    return fare + 1e-6 * tf().reduce_mean(hidden, axis=1, keepdims=True)


def last_bit_counts(fare: Any) -> Any:
    """A tenth more where the last bit of a hyperbolic tangent is 1: kernels differ in it."""
    return fare + 40.0 * tf().math.floormod(tf().floor(tf().tanh(fare / 20.0) * 2.0**24), 2.0)


def large_tensor(fare: Any) -> Any:
    """The same fare by way of 2^22 numbers."""
    n_rows = tf().shape(fare)[0]
    numbers = tf().range(2**22 + 0 * n_rows)
    return fare + 1e-30 * tf().cast(tf().reduce_max(numbers), tf().float32)


def last_operator_writes_nowhere(model: Any) -> None:
    model.subgraphs[0].operators[-1].outputs = [56_687]


def first_operator_is_custom(model: Any) -> None:
    code = model.operatorCodes[model.subgraphs[0].operators[0].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = interpreter.schema().BuiltinOperator.CUSTOM
    code.customCode = b"SecretSauce"


def ends_are_plain_int8(model: Any) -> None:
    """Bytes without scale and zero point: nobody knows which fare 17 stands for."""
    graph = model.subgraphs[0]
    for i in graph.inputs:
        graph.tensors[i].type = interpreter.schema().TensorType.INT8


FAULTS = {
    "flex operator": Fault(
        lambda convert, sound: convert(lambda fare: tf().atan(fare), clips_inputs=True, select_tf_ops=True),
        ("custom_ops",), "FlexAtan",
    ),
    "custom operator": Fault(changed(first_operator_is_custom), ("custom_ops",), "SecretSauce"),
    "whole numbers of 64 bits": Fault(
        lambda convert, sound: convert(clips_inputs=True, whole="int64"),
        ("runs_on_compiled_model",), "Unsupported dtype: int64",
    ),
    "a batch that is not fixed": Fault(
        lambda convert, sound: convert(clips_inputs=True, batch=None), ("runs_on_compiled_model",), "is -1, not 1",
    ),
    "an operator that microcontrollers lack": Fault(
        step(lambda fare: fare + 1e-6 * tf().atan2(fare, tf().abs(fare))), ("runs_on_tflite_micro",),
        "Didn't find op for builtin opcode 'ATAN2'",
    ),
    "NaN on real rows": Fault(
        step(lambda fare: tf().math.log(-tf().abs(fare) - 1.0)), ("not_finite",), "400 of 400 rows gave NaN",
    ),
    "infinite where an input is": Fault(
        lambda convert, sound: convert(), ("edge_not_finite",), "pickup_longitude=nan",
    ),
    "absurd where only the caller looks": Fault(
        step(lambda fare: tf().where(tf().abs(fare + 64.0) < 10.0, -1e6, fare)), ("edge_smallest_output",), "a debt",
        {"edge_rows": {"a debt": {"passenger_count": -80}}},
    ),
    "a fare below nothing": Fault(
        step(lambda fare: fare - 15.0), ("smallest_output",), "row ", {"min_output": 0.0},
    ),
    "a fare beyond belief": Fault(step(lambda fare: fare * 40.0), ("largest_output",), "row "),
    "sees the other rows": Fault(
        step(lambda fare: 0.9 * fare + 0.1 * tf().reduce_mean(fare, axis=0, keepdims=True), batch=None),
        ("batch_gap",), "a row alone",
    ),
    "rolls dice": Fault(
        step(lambda fare: fare + 0.001 * tf().random.uniform(tf().shape(fare), seed=1)),
        ("repeat_gap",), "the same batch again",
    ),
    "asks for the tip": Fault(
        lambda convert, sound: convert(clips_inputs=True, types={"tips": "float32"}), ("unknown_inputs",), "tips",
    ),
    "whole hours as decimals": Fault(
        lambda convert, sound: convert(clips_inputs=True, types={"pickup_hour": "float32"}), ("input_types",),
        "pickup_hour is float32, must be int64 or int32",
    ),
    "coordinates as whole numbers": Fault(
        lambda convert, sound: convert(clips_inputs=True, types={"pickup_latitude": "int32"}),
        ("input_types",),
        "pickup_latitude is int32, must be float32",
    ),
    "ends of an unknown type": Fault(
        changed(ends_are_plain_int8), ("ends",), "must be float32, int32, int64 or quantized",
    ),
    "two outputs": Fault(step(lambda fare: [fare, fare + 1.0]), ("ends",), "one output"),
    "two numbers a row": Fault(
        step(lambda fare: tf().concat([fare, fare], axis=1)), ("output_width",), "numbers a row",
    ),
    "one number for all rows": Fault(
        step(lambda fare: tf().reduce_mean(fare, axis=0, keepdims=True), batch=None),
        ("runs",), "must run on built-in TFLite ops",
    ),
    "too many bytes": Fault(step(lambda fare: of_weights(fare, 200, 1)), ("bytes",), "uncompressed"),
    "too many bytes in transit": Fault(
        step(lambda fare: of_weights(fare, 200, 1)), ("gzip_bytes",), "in transit", {"max_bytes": 10**6},
    ),
    "a truncated download": Fault(
        lambda convert, sound: sound[: len(sound) // 2], ("loads",), "must be a TFLite file",
    ),
    "an error page": Fault(
        lambda convert, sound: b"<!DOCTYPE html><title>404 Not Found</title>", ("loads",), "must be a TFLite file",
    ),
    "an empty file": Fault(lambda convert, sound: b"", ("loads",), "got 0 bytes"),
    "slower than float32": Fault(
        step(lambda fare: of_weights(fare, 64, 30)), ("latency_p50_us",), "x the reference's",
        {"max_bytes": 10**6, "max_gzip_bytes": None},
    ),
    "optimized, yet slower than float32": Fault(
        lambda convert, sound: convert(
            lambda fare: of_weights(fare, 64, 30), clips_inputs=True, optimizations=[tf().lite.Optimize.DEFAULT]
        ),
        ("latency_p50_us",), "x the reference's", {"max_bytes": 10**6, "max_gzip_bytes": None},
    ),
    "dearer everywhere": Fault(step(lambda fare: fare * 1.25), ("mean_difference",), "as a share of its mean output"),
    "broken in one region": Fault(
        step(lambda fare: tf().where(fare > 21.0, fare + 60.0, fare)), ("max_difference",), "60 from the reference",
    ),
    "other kernels, other fares": Fault(step(last_bit_counts), ("delegate_gap",), "with XNNPACK and without"),
    "wants a lot of memory": Fault(
        step(large_tensor, batch=None), ("memory_kib",), "x the reference's",
    ),
    "crashes the runtime": Fault(
        changed(last_operator_writes_nowhere), ("survives", "runs", "loads"), "",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """Trips with fares of 5 to 25 by the arithmetic of conftest.py's files."""
    random = np.random.default_rng(3)
    columns = {
        "pickup_longitude": random.uniform(-74.1, -73.7, N_ROWS),
        "pickup_latitude": random.uniform(40.6, 40.9, N_ROWS),
        "dropoff_longitude": random.uniform(-74.1, -73.7, N_ROWS),
        "dropoff_latitude": random.uniform(40.6, 40.9, N_ROWS),
        "tips": random.uniform(0, 3, N_ROWS),
    }
    whole = {
        "passenger_count": random.integers(1, 5, N_ROWS),
        "pickup_hour": random.integers(0, 24, N_ROWS),
        "pickup_weekday": random.integers(0, 7, N_ROWS),
    }
    return {name: values.astype(np.float32) for name, values in columns.items()} | whole


@pytest.fixture
def judge(tmp_path, held_tflite, rows) -> Callable[..., Report]:
    """judge(file, ...) gives DeviceValidator's report, with the sound file as reference and with these limits."""

    def validate(
        content: bytes, max_bytes: int = MAX_BYTES, max_gzip_bytes: int | None = MAX_GZIP, **limits: Any
    ) -> Report:
        paths = [tmp_path / "model.tflite", tmp_path / "reference.tflite"]
        for path, written in zip(paths, (content, held_tflite), strict=True):
            Path(path).write_bytes(written)
        settings = DeviceSettings(max_bytes=max_bytes, max_gzip_bytes=max_gzip_bytes)
        device = Limits(INPUTS, settings=settings, **{"max_output": MAX_FARE, "min_output": -200.0, **limits})
        return validation.validate_in_child(Request(*paths, rows, device), tmp_path)

    return validate


def test_the_sound_file_passes(judge, held_tflite):
    assert [check for check in judge(held_tflite).checks if not check.ok] == []


@pytest.mark.parametrize("name", FAULTS)
def test_planted(judge, convert_tflite, held_tflite, name):
    fault = FAULTS[name]
    convert = functools.partial(convert_tflite, **CONTRACT)
    report = judge(fault.make(convert, held_tflite), **fault.limits)
    refused = {check.name: check for check in report.checks if check.refuses}
    refusals = [refused[check] for check in fault.checks if check in refused]
    assert not report.ok and refusals, f"refused by {list(refused)}"
    assert fault.words in refusals[0].detail and refusals[0].hint
