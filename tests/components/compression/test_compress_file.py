"""`compress` on `.tflite` files of other converters: what it ships, and what it refuses in one line.

Files as litert-torch, onnx2tf and jax2tf write them: FAREBOX_LITERT_TORCH and FAREBOX_ONNX2TF name Pythons that have
these packages (6 GB and 2 GB); without them the tests of their files skip.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from farebox.components import compress
from farebox.components.compression.file_network import batch_of, file_network
from farebox.components.compression.tables import read_rows
from farebox.components.errors import InputError
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.tflite.float16_weights import float16_weights
from farebox.components.tflite.interpreter import TfliteModel

SHOPS, KINDS = 400, 9
GENERATOR = Path(__file__).with_name("foreign_files.py")


def file_of(function, *specs) -> bytes:
    """The `.tflite` of a function, converted with a signature."""
    import tensorflow as tf

    module = tf.Module()
    module.f = tf.function(function, input_signature=specs, autograph=False)
    concrete = module.f.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert())


def spec(name: str, *shape, dtype="float32"):
    import tensorflow as tf

    return tf.TensorSpec(shape, dtype, name)


@pytest.fixture(scope="module")
def shops():
    """(file, x, y): sales of 400 shops of nine kinds, whose table repeats."""
    import tensorflow as tf

    random = np.random.default_rng(3)
    kinds, kind = random.normal(size=(KINDS, 24)).astype(np.float32), random.integers(0, KINDS, SHOPS)
    table, kernel = tf.constant(kinds[kind]), tf.constant(random.normal(size=(28, 32)).astype(np.float32))
    head = tf.constant(random.normal(size=(32, 1)).astype(np.float32))

    def sales(shop, x):
        hidden = tf.nn.relu(tf.concat([tf.reshape(tf.gather(table, shop), [1, 24]), x], 1) @ kernel)
        return {"sales": tf.reshape(hidden @ head, [1, 1])}

    content = file_of(sales, spec("shop", 1, dtype="int32"), spec("x", 1, 4))
    x = {"shop": np.arange(500) % 100, "x": random.normal(size=(500, 4)).astype(np.float32)}
    y = TfliteModel(content).predict(x) + 30 * random.normal(size=500)
    return content, x, y


def split(x, y):
    """300 rows to fit, 100 to choose, 100 to test."""
    return {
        name: ({key: values[part] for key, values in x.items()}, y[part])
        for name, part in (
            ("train", slice(0, 300)),
            ("evaluation", slice(300, 400)),
            ("test", slice(400, 500)),
        )
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="module")
def compressed(shops, cache):
    content, x, y = shops
    return compress(content, **split(x, y), budget="1%", cache=cache)


def test_weights_become_integers_and_equal_rows_one(compressed, shops):
    content, x, y = shops
    assert (RUNGS[compressed.mode].weight_bits, compressed.bytes.float32) == (8, len(content))
    assert compressed.outcome.chosen.steps == ("look-ups to distinct rows",)
    assert len(compressed.content) == compressed.bytes.shipped < len(content) / 8
    small = TfliteModel(compressed.content)
    assert small.input_names == ("shop", "x")
    error, whole = (np.sqrt(np.mean((each.predict(x) - y) ** 2)) for each in (small, TfliteModel(content)))
    assert error < 1.01 * whole
    assert compressed.outcome.trials[0].content == content
    assert [trial.rung for trial in compressed.outcome.trials if trial.verdict == "failed"] == []


def test_weights_of_four_bits_are_tried_where_they_may_be_slow(shops, compressed):
    """LiteRT computes them without XNNPACK: a row took 1.15 to 4.7 times as long on six networks."""
    content, x, y = shops
    slow = compress(content, **split(x, y), budget="1%", max_slowdown=4)
    tried = [{trial.rung for trial in each.outcome.trials} for each in (compressed, slow)]
    assert tried[1] - tried[0] == {"int4_weights"}
    assert slow.mode == "int4_weights" and slow.gzip_bytes.shipped < compressed.gzip_bytes.shipped
    with pytest.raises(InputError, match="max_slowdown=-1 must be at least 0 and finite"):
        compress(content, **split(x, y), max_slowdown=-1)


def test_ids_that_the_rows_lack_are_judged_and_said(compressed, shops):
    content, _, _ = shops
    lacking = {"shop": np.arange(100, SHOPS), "x": np.zeros((300, 4), np.float32)}
    small, whole = (TfliteModel(each).predict(lacking) for each in (compressed.content, content))
    errors = compressed.eval_error
    assert np.hypot(errors.float32, np.sqrt(np.mean((small - whole) ** 2))) < errors.bound
    assert any(f"the rows lack {SHOPS - 100} of {SHOPS} ids of shop" in note for note in compressed.notes)


def test_finished_trials_are_used_again(shops, compressed, cache, monkeypatch):
    """With another budget, too; a file that was not written any more, as after kill -9, is made again."""
    from farebox.components.compression import file_task

    content, x, y = shops
    kept = {path.name for path in cache.iterdir()}
    reference, *trials = compressed.outcome.trials
    assert len(kept) == len(trials) + len({trial.sha256 for trial in trials} - {reference.sha256})
    of_float16 = next(path for path in cache.iterdir() if path.read_bytes().endswith(float16_weights(content)))
    of_float16.unlink()
    made = []
    for name in ("integer_weights", "float16_weights"):
        function = getattr(file_task, name)
        monkeypatch.setattr(file_task, name, lambda *a, f=function, n=name, **k: [made.append(n), f(*a, **k)][1])
    again = compress(content, **split(x, y), budget="1e-9", cache=cache)
    assert made == ["float16_weights"]
    assert kept == {path.name for path in cache.iterdir()}
    assert [trial.error for trial in again.outcome.trials] == [trial.error for trial in compressed.outcome.trials]
    assert [trial.steps for trial in again.outcome.trials] == [trial.steps for trial in compressed.outcome.trials]
    assert again.outcome.bound < compressed.outcome.bound and again.content != compressed.content


def test_a_fixed_batch_is_filled_up():
    """Reversed within a batch, rows of another batch size would be mixed up."""
    import tensorflow as tf

    content = file_of(lambda x: tf.reshape(tf.reverse(x, [0]), [4, 1]), spec("x", 4, 1))
    x = {"x": np.arange(10, dtype=np.float32)}
    assert batch_of(content, x) == (4, 1)
    answers = TfliteModel(content, rows_at_once=4).predict(x)
    assert answers.tolist() == [3, 2, 1, 0, 7, 6, 5, 4, 9, 9]


def test_names_of_the_signature_and_of_the_tensor_are_taken(shops, tmp_path):
    content, x, y = shops
    names = [each.other_names for each in file_network(content).inputs]
    assert names == [("serving_default_shop:0",), ("serving_default_x:0",)]
    np.savez(tmp_path / "rows.npz", **{"serving_default_shop:0": x["shop"], "x": x["x"], "label": y})
    columns, _ = read_rows(tmp_path / "rows.npz", "label", file_network(content).inputs)
    np.testing.assert_array_equal(columns["shop"], x["shop"])


def test_what_a_table_of_numbers_cannot_feed_is_refused_in_one_line(shops):
    import tensorflow as tf

    two = file_of(lambda x: {"a": x + 1, "b": x * 2}, spec("x", None, 2))
    any_width = file_of(lambda x: tf.reduce_sum(x, 1), spec("words", 1, None))
    for content, text in (
        (two, "network must have one output, got (a, b|b, a)$"),
        (any_width, r"network: input words must be float32, .* of known width, got float32 \(1, -1\)"),
        (b"PK\3\4 zip", "network must be a .tflite file, got 8 bytes of something else"),
        (two[:40] + bytes(len(two) - 40), "network must be a .tflite file, it is damaged: "),
    ):
        with pytest.raises(InputError, match=f"^{text}") as caught:
            file_network(content)
        assert "\n" not in str(caught.value)
    content, x, y = shops
    rows = {"train": (x, y), "evaluation": (x, y)}
    with pytest.raises(InputError, match="^trained_ids must be left out for a .tflite"):
        compress(content, **rows, trained_ids={"shop": [1]})
    with pytest.raises(InputError, match="^train: shop must be int32 whole numbers, got 0.5$"):
        compress(content, train=(x | {"shop": x["shop"] + 0.5}, y), evaluation=(x, y))


def test_axes_in_another_order_are_refused():
    import tensorflow as tf

    content = file_of(lambda image: tf.reduce_sum(image, [1, 2, 3]), spec("image", 1, 3, 8, 8))
    rows = np.zeros((50, 8, 8, 3)), np.zeros(50)
    message = r"^train: image must have shape \(n, 3, 8, 8\), got \(n, 8, 8, 3\): transpose it$"
    with pytest.raises(InputError, match=message):
        compress(content, train=rows, evaluation=rows)


def test_signatures_that_no_row_goes_through_are_named(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(np.random.default_rng(2).normal(size=(6, 1)).astype(np.float32))
    spec = [tf.TensorSpec((None, 6), tf.float32, "x")]
    functions = {
        name: tf.function(lambda x, change=change: {"y": change(x @ module.kernel)}, input_signature=spec)
        for name, change in (("plain", tf.identity), ("squashed", tf.tanh))
    }
    tf.saved_model.save(module, str(tmp_path), signatures=functions)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    x = np.random.default_rng(3).normal(size=(600, 6)).astype(np.float32)
    result = compress(content, **split({"x": x}, x.sum(axis=1)), portable=True)
    assert result.notes[-1] == "weights of further signatures changed unseen: squashed"


@pytest.mark.slow
@pytest.mark.parametrize(("converter", "variable"), [
    ("litert_torch", "FAREBOX_LITERT_TORCH"), ("onnx2tf", "FAREBOX_ONNX2TF"), ("jax", "FAREBOX_ONNX2TF"),
])  # fmt: skip
def test_files_of_other_converters(converter, variable, tmp_path):
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} must name a Python that has {converter}")
    subprocess.run([python, GENERATOR, converter, tmp_path], check=True, capture_output=True, timeout=300)
    files = sorted(tmp_path.glob("*.tflite"))
    assert files
    for file in files:
        content = file.read_bytes()
        inputs = file_network(content).inputs
        columns, labels = read_rows(file.with_suffix(".npz"), "label", inputs)
        part = lambda rows: ({name: values[rows] for name, values in columns.items()}, labels[rows])  # noqa: B023, E731
        result = compress(content, train=part(slice(0, 200)), evaluation=part(slice(200, 300)), budget="2%")
        assert result.bytes.shipped < 0.6 * len(content), file.name
        assert not [trial for trial in result.outcome.trials if trial.verdict == "failed"], file.name
