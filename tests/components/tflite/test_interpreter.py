"""The interpreter door: names, numbers worked out by hand, and errors by their text."""

from __future__ import annotations

import gzip
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import gzip_bytes

FARES = [15.0, 3.0, 19.5]


@pytest.fixture
def model(fare_tflite):
    return interpreter.TfliteModel(fare_tflite)


def test_input_names_are_plain_columns(model):
    assert set(model.input_names) == {
        "pickup_longitude",
        "pickup_latitude",
        "dropoff_longitude",
        "dropoff_latitude",
        "passenger_count",
        "pickup_hour",
        "pickup_weekday",
    }


@pytest.mark.parametrize("options", [{"num_threads": 2}, {"delegates": False}])
def test_other_threads_and_kernels_agree(fare_tflite, trip_rows, options):
    np.testing.assert_allclose(interpreter.TfliteModel(fare_tflite, **options).predict(trip_rows), FARES, rtol=1e-6)


def test_without_delegates_xnnpack_stays_out(fare_tflite, tmp_path):
    """The runtime says on stderr that it took the delegate."""
    (tmp_path / "fare.tflite").write_bytes(fare_tflite)
    for delegates in (True, False):
        code = f"""
import numpy as np
from farebox.components.tflite import interpreter
model = interpreter.TfliteModel({str(tmp_path / "fare.tflite")!r}, delegates={delegates})
model.predict({{name: np.zeros(1, np.int64) for name in model.input_names}})
"""
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ("XNNPACK" in result.stderr) == delegates


def test_the_runtime_is_named():
    name, version = interpreter.runtime()
    assert name == "ai-edge-litert" and version == importlib.metadata.version("ai-edge-litert")


def test_predict_matches_the_arithmetic_for_both_column_shapes(model, trip_rows):
    fares = model.predict(trip_rows)
    assert fares.dtype == np.float32 and fares.shape == (3,)
    np.testing.assert_allclose(fares, FARES, rtol=1e-6)
    as_columns = {name: values[:, None] for name, values in trip_rows.items()}
    np.testing.assert_array_equal(model.predict(as_columns), fares)


def test_predict_casts_to_what_each_input_wants(model, trip_rows):
    as_float64 = {name: values.astype(np.float64) for name, values in trip_rows.items()}
    np.testing.assert_allclose(model.predict(as_float64), FARES, rtol=1e-6)


def test_batches_are_put_together_in_order(model, trip_rows, monkeypatch):
    monkeypatch.setattr(interpreter, "BATCH_ROWS", 4)
    many = {name: np.tile(values, 5) for name, values in trip_rows.items()}  # 15 rows: 4 + 4 + 4 + 3
    np.testing.assert_allclose(model.predict(many), FARES * 5, rtol=1e-6)
    np.testing.assert_allclose(model.predict(trip_rows), FARES, rtol=1e-6)


def test_no_rows_give_no_fares(model, trip_rows):
    fares = model.predict({name: values[:0] for name, values in trip_rows.items()})
    assert fares.shape == (0,) and fares.dtype == np.float32


def test_a_missing_column_is_named_with_what_the_file_asks_for(model, trip_rows):
    del trip_rows["pickup_hour"]
    with pytest.raises(
        InputError, match=r"^column pickup_hour is missing: <bytes> asks for .*pickup_hour.*, got pickup"
    ):
        model.predict(trip_rows)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array(["8", "9", "x"]), r"column pickup_hour must be numbers of shape \(n,\) or \(n, 1\), got <U1 \(3,\)"),
        (np.zeros((3, 2)), r"column pickup_hour must be numbers of shape .*, got float64 \(3, 2\)"),
        (np.array([8.0, np.nan, 9.0]), "column pickup_hour must be whole numbers, got NaN or infinity"),
        (np.array([8, 9]), "rows=2 must be 3|rows=3 must be 2"),
    ],
)
def test_a_bad_column_is_named(model, trip_rows, values, text):
    with pytest.raises(InputError, match=text):
        model.predict(trip_rows | {"pickup_hour": values})


def test_ops_are_counted_by_their_built_in_names(model):
    assert model.op_names() == {"CAST": 3, "CONCATENATION": 1, "FULLY_CONNECTED": 1}
    assert model.is_builtin_only


def _predict_in_a_child(path) -> subprocess.CompletedProcess:
    """Predicts one row of ones; exits with the names of heavy packages that came along."""
    code = (
        "import sys; from farebox.components.tflite.interpreter import TfliteModel; "
        f"model = TfliteModel({str(path)!r}); "
        "print(model.predict({name: [1] for name in model.input_names})); "
        "sys.exit([name for name in ('tensorflow', 'tfx', 'tf_keras') if name in sys.modules] or None)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_predicting_imports_no_tensorflow(fare_tflite, tmp_path):
    (tmp_path / "fare.tflite").write_bytes(fare_tflite)
    child = _predict_in_a_child(tmp_path / "fare.tflite")
    assert child.returncode == 0, child.stderr
    assert child.stdout == "[4.15]\n"  # 2.5 - 0.1 + 1 + 0.5 + 0.25


def test_a_flex_op_is_named(flex_tflite):
    model = interpreter.TfliteModel(flex_tflite)
    assert model.op_names()["FlexAtan"] == 1
    assert model.custom_op_names == ("FlexAtan",) and not model.is_builtin_only


def test_a_flex_op_does_not_run_without_tensorflow(flex_tflite, tmp_path):
    """In a child: where TensorFlow happens to be loaded, its Flex delegate would run the file after all."""
    (tmp_path / "flex.tflite").write_bytes(flex_tflite)
    child = _predict_in_a_child(tmp_path / "flex.tflite")
    assert "flex.tflite must run on built-in TFLite ops: it needs FlexAtan" in child.stderr


@pytest.mark.parametrize("content", [b"TFL3", b"not a model" * 99, None])
def test_what_is_no_tflite_file_is_one_line_with_its_path(tmp_path, content):
    path = tmp_path / "fare.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"^model=.*fare\.tflite must be a .*file.*$") as caught:
        interpreter.TfliteModel(path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "fare.tflite").touch()
    with pytest.raises(InputError, match=r"^model=.*fare\.tflite must be a TFLite file, got 0 bytes$"):
        interpreter.TfliteModel(tmp_path / "fare.tflite")


def test_a_truncated_file_is_refused(fare_tflite):
    with pytest.raises(InputError, match="must be a TFLite file, got: "):
        interpreter.TfliteModel(fare_tflite[: len(fare_tflite) // 2])


def test_latency_is_positive_and_ordered(model, trip_rows):
    one_row = {name: values[:1] for name, values in trip_rows.items()}
    p50, p99 = interpreter.measure_latency_us(model, one_row, repeats=50, warmup=5)
    assert 0 < p50 <= p99


def test_gzip_bytes_is_the_length_of_a_level_9_stream_and_repeatable():
    content = bytes(range(256)) * 40
    assert gzip_bytes(content) == len(gzip.compress(content, 9, mtime=0)) == gzip_bytes(content)
    assert gzip_bytes(content) < len(content) / 10
