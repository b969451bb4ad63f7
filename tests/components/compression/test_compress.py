"""`compress` as a library function: its result, what it refuses, and what it leaves as it was."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.tflite.interpreter import TfliteModel


@pytest.fixture(scope="module")
def rows():
    """x of six standard normal numbers, and y = 1 x0 + ... + 5 x5 + 3; 200 rows to fit, 60 to choose."""
    x = np.random.default_rng(1).normal(size=(260, 6)).astype(np.float32)
    y = x @ np.arange(6) + 3
    return {"train": (x[:200], y[:200]), "evaluation": (x[200:], y[200:])}


@pytest.fixture(scope="module")
def line(quick_keras):
    """The network of that function: one Dense layer."""
    import tf_keras as keras

    x = keras.Input((6,), name="x")
    network = keras.Model(x, keras.layers.Dense(1, name="y")(x), name="line")
    network.get_layer("y").set_weights([np.arange(6, dtype=np.float32)[:, None], np.array([3.0])])
    return network


@pytest.fixture(scope="module")
def classifier(quick_keras):
    """Two inputs to three classes, untrained."""
    import tf_keras as keras

    size, colour = keras.Input((2,), name="size"), keras.Input((1,), dtype="int64", name="colour")
    table = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(colour))
    output = keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()([size, table]))
    return keras.Model([size, colour], output)


@pytest.fixture(scope="module")
def compressed(line, rows):
    """(result, steps) of one call."""
    from farebox.components import compress

    steps = []
    weights = line.get_weights()
    result = compress(line, **rows, budget=0.05, on_step=lambda *step: steps.append(step))
    for before, after in zip(weights, line.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    return result, steps


def test_the_file_computes_what_the_network_does(compressed, rows, tmp_path):
    result, _ = compressed
    result.save(tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == result.content
    x, y = rows["evaluation"]
    error = float(np.sqrt(np.mean((TfliteModel(tmp_path / "m.tflite").predict({"x": x}) - y) ** 2)))
    assert error == pytest.approx(result.eval_error.shipped, rel=1e-3) and error <= result.eval_error.bound
    assert (len(result.content), result.metric) == (result.bytes.shipped, "rmse")
    assert result.bytes.shipped <= result.bytes.float32


def test_the_result_is_typed_and_frozen_and_has_a_log(compressed, tmp_path):
    result, _ = compressed
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mode = "int8"
    summary = json.loads(json.dumps(result.as_json()))
    assert list(summary) == [
        "mode", "network", "why", "eval_error", "test", "bytes", "gzip_bytes", "reducer", "pruner", "objective",
        "metric", "optimize_for", "notes",
    ]  # fmt: skip
    assert summary["eval_error"] == dataclasses.asdict(result.eval_error)
    result.save_log(tmp_path / "log")
    assert json.loads((tmp_path / "log" / "choice.json").read_text())["mode"] == result.mode
    assert (tmp_path / "log" / "pareto.png").is_file()


def test_each_step_is_reported_as_it_begins_and_ends(compressed):
    result, steps = compressed
    assert steps == [
        ("reducer", ""), ("reducer", result.reducer), ("pruner", ""), ("pruner", result.pruner), ("quantizer", ""),
    ]  # fmt: skip
    assert result.pruner.startswith("skipped: pruner.layers must name what to prune")


CALL = """
import json, os, sys
import numpy as np
import tf_keras as keras

def state():
    descriptors = [(os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (1, 2)]
    opened = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    streams = [id(stream) for stream in (sys.stdout, sys.stderr, sys.stdin)]
    return {"fds": [descriptors, opened], "streams": streams, "environment": dict(os.environ),
            "hooks": [str(hook) for hook in sys.meta_path], "path_hooks": [str(hook) for hook in sys.path_hooks],
            "path": list(sys.path)}

x = np.random.default_rng(1).normal(size=(260, 6)).astype(np.float32)
y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
inputs = keras.Input((6,), name="x")
inner = keras.layers.Dense(16, activation="relu", name="first")(inputs)
network = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inner))
network.compile("adam", "sparse_categorical_crossentropy")
network.fit(x, y, epochs=2, verbose=0)
before = state()
from farebox.components.compression.compress import compress
result = compress(network, train=(x[:200], y[:200]), evaluation=(x[200:], y[200:]), budget="-99%")
after = state()
print(json.dumps({
    "changed": [name for name in before if before[name] != after[name]],
    "rungs": [trial.rung for trial in result.outcome.trials],
    "tfx": "tfx" in sys.modules,
}))
"""


@pytest.mark.slow
def test_a_call_changes_nothing_of_its_process():
    """In a fresh process; the budget is impossible, so that all of tfmot is used: pruning and training for int8."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    ended = subprocess.run([sys.executable, "-c", CALL], check=False, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, "it printed to stdout"
    report = json.loads(lines[0])
    assert report["changed"] == [] and not report["tfx"]
    assert {"qat", "pqat"} <= set(report["rungs"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"budget": "a lot"}, "budget=a lot must be a number or a percentage such as 1%"),
        ({"optimize_for": "speed"}, "optimize_for=speed must be one of size, gzip, latency, balanced"),
        ({"train": (np.zeros((50, 5)), np.zeros(50))}, "train: x must hold 6 numbers a row, got 5"),
        ({"train": (np.zeros((39, 6)), np.zeros(39))}, "train: rows=39 must be at least 40"),
        ({"train": (np.zeros((50, 6)), np.zeros(60))}, "train: x must have 60 rows, as the label has, got 50"),
        ({"evaluation": (np.zeros((9, 6)), np.zeros(9))}, "evaluation: rows=9 must be at least 10"),
        ({"evaluation": ({"z": np.zeros((50, 6))}, np.zeros(50))}, "evaluation: input x is missing, got z"),
        ({"evaluation": (np.full((50, 6), "a"), np.zeros(50))}, "evaluation: x must be numbers, got 'a' in row 0"),
        ({"evaluation": (np.zeros((50, 6)), np.full(50, np.inf))}, "evaluation: y must be finite, got inf in row 0"),
    ],
)
def test_bad_rows_and_budgets_are_named(line, rows, change, text):
    from farebox.components import compress

    with pytest.raises(InputError, match=f"^{text}"):
        compress(line, **{**rows, **change})


def test_a_classifier_takes_a_dict_and_class_ids(classifier):
    from farebox.components import compress

    x, y = {"size": np.zeros((50, 2)), "colour": np.zeros((50, 1))}, np.zeros(50)
    with pytest.raises(InputError, match="labels must be class ids from 0 to 2, got 3; set objective to"):
        compress(classifier, train=(x, y + 3), evaluation=(x, y))
    with pytest.raises(
        InputError, match="^train: x must be a dict of arrays by input name, size, colour, got ndarray$"
    ):
        compress(classifier, train=(np.zeros((50, 2)), y), evaluation=(x, y))


def test_networks_that_cannot_be_compressed_are_named(rows):
    import tf_keras as keras

    from farebox.components import compress

    x, text, any_width = keras.Input((6,)), keras.Input((1,), dtype="string", name="t"), keras.Input((None,), name="w")
    two = keras.Model(x, [keras.layers.Dense(1, name="a")(x), keras.layers.Dense(1, name="b")(x)])

    def named(*names: str) -> keras.Model:
        inputs = [keras.Input((6,), name=name) for name in names]
        return keras.Model(inputs, sum(inputs))

    for network, wrong in (
        (keras.Model(), "network must be a functional tf_keras model, got Model"),
        (two, r"network must have one output, got \['a', 'b'\]"),
        (keras.Model(text, text), "network must have numeric inputs of known width, got t"),
        (keras.Model(any_width, any_width), "network must have numeric inputs of known width, got w"),
        (
            named("prix en €", "x"),
            "network must have inputs named with A-Z, a-z, 0-9, _, -, . and /, .*, got prix en €",
        ),
        (named("serving_default_x"), "network must have inputs named with .*, got serving_default_x"),
        (named("a/b", "a_b"), "network must have inputs whose names differ in letters, got a/b, a_b"),
    ):
        with pytest.raises(InputError, match=f"^{wrong}$"):
            compress(network, **rows)


@pytest.mark.slow
def test_an_interrupted_call_goes_on(quick_keras, rows, tmp_path, monkeypatch):
    """What was trained before is not trained again; in a third call, with another budget, nothing is converted but the
    reference."""
    import tf_keras as keras

    from farebox.components import compress
    from farebox.components.networks import fine_tuning
    from farebox.components.quantizer.conversion import Source

    x = keras.Input((6,), name="x")
    hidden = keras.layers.Dense(12, activation="relu", name="wide")(x)
    network = keras.Model(x, keras.layers.Dense(1, name="y")(hidden), name="net")
    made = []
    fit, file = fine_tuning.fine_tune, Source.file
    monkeypatch.setattr(fine_tuning, "fine_tune", lambda *a, **k: [made.append("fit"), fit(*a, **k)][1])
    monkeypatch.setattr(Source, "file", lambda *a, **k: [made.append("file"), file(*a, **k)][1])

    def interrupt(step: str, result: str) -> None:
        if step == "quantizer" and not result:
            raise KeyboardInterrupt

    call = {**rows, "budget": 0.5, "portable": True, "cache": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        compress(network, **call, on_step=interrupt)
    assert "fit" in made
    made.clear()
    whole = compress(network, **call)
    assert "fit" not in made and made.count("file") > 3
    made.clear()
    again = compress(network, **{**call, "budget": 0.4})
    assert made == ["file"]
    assert [trial.sha256 for trial in again.outcome.trials] == [trial.sha256 for trial in whole.outcome.trials]
    assert [trial.error for trial in again.outcome.trials] == [trial.error for trial in whole.outcome.trials]
