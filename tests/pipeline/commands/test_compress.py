"""`farebox compress` on networks that know no taxi: numbers and classes, several inputs, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from farebox.components.compression.rows import inputs_of
from farebox.components.compression.tables import read_rows
from farebox.components.errors import InputError
from farebox.components.tflite.interpreter import TfliteModel
from farebox.pipeline.commands import compress


@pytest.fixture(scope="module")
def folder(quick_keras, tmp_path_factory):
    """Two fitted networks and their rows: `flowers.keras` (width, length and a colour's id to three classes) with
    flowers.npz, and `line.keras` (one input of six numbers to a number) with line.csv."""
    import tf_keras as keras

    directory = tmp_path_factory.mktemp("compress")
    random = np.random.default_rng(1)
    keras.utils.set_random_seed(1)
    size, colour = random.normal(size=(600, 2)).astype(np.float32), random.integers(0, 40, (600, 1))
    kinds = (size[:, 0] > 0).astype(int) + (colour[:, 0] > 20)
    sizes, ids = keras.Input((2,), name="size"), keras.Input((1,), dtype="int64", name="colour")
    table = keras.layers.Flatten()(keras.layers.Embedding(500, 8, name="colours")(ids))
    x = keras.layers.Dense(32, activation="relu", name="first")(keras.layers.Concatenate()([sizes, table]))
    x = keras.layers.Dense(16, activation="relu", name="second")(x)
    flowers = keras.Model([sizes, ids], keras.layers.Dense(3, activation="softmax", name="kind")(x))
    flowers.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    flowers.fit({"size": size, "colour": colour}, kinds, epochs=12, verbose=0)
    flowers.save(directory / "flowers.keras")
    np.savez(directory / "flowers.npz", size=size, colour=colour, kind=kinds)

    numbers = random.normal(size=(400, 6)).astype(np.float32)
    y = numbers @ np.arange(6) + 3
    x = keras.Input((6,), name="x")
    line = keras.Model(x, keras.layers.Dense(1, name="y")(x))
    line.get_layer("y").set_weights([np.arange(6, dtype=np.float32)[:, None], np.array([3.0])])
    line.save(directory / "line.keras")
    rows = "\n".join(",".join(f"{value:.6f}" for value in (*row, label)) for row, label in zip(numbers, y, strict=True))
    (directory / "line.csv").write_text("a,b,c,d,e,f,y\n" + rows + "\n")
    return directory


def request(folder, model: str, examples: str, label: str, budget: str = "10%", **others) -> compress.CompressRequest:
    return compress.CompressRequest(
        str(folder / model), str(folder / examples), label, budget, str(folder / f"out-{model}"), **others
    )


@pytest.mark.slow
def test_a_classifier_of_two_inputs_becomes_a_small_file_within_the_budget(folder):
    summary = compress.run(request(folder, "flowers.keras", "flowers.npz", "kind"))
    out = folder / "out-flowers.keras"
    assert json.loads((out / "compression.json").read_text()) == summary
    assert summary["metric"] == "log_loss" and summary["eval_error"]["shipped"] <= summary["eval_error"]["bound"]
    assert summary["bytes"]["shipped"] < summary["bytes"]["float32"] / 2
    model = TfliteModel(out / "model.tflite")
    assert len(model.content) == summary["bytes"]["shipped"]
    rows = dict(np.load(folder / "flowers.npz"))
    chances = model.predict({name: rows[name] for name in ("size", "colour")})
    assert chances.shape == (600, 3) and np.mean(chances.argmax(axis=1) == rows["kind"]) > 0.8
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=0.02)
    assert {"choice.json", "trials.jsonl", "sensitivity.json", "pareto.png"} <= {path.name for path in out.iterdir()}
    assert (out / "log.txt").is_file()


@pytest.mark.slow
def test_columns_of_a_table_are_the_one_inputs_numbers(folder):
    """A network of a single Dense layer cannot be pruned, which is said; float32 errs by nothing but rounding."""
    summary = compress.run(request(folder, "line.keras", "line.csv", "y", "0.05"))
    assert summary["pruner"].startswith("skipped: pruner.layers must name what to prune")
    assert (
        summary["eval_error"]["float32"] < 1e-4 and summary["eval_error"]["shipped"] <= summary["eval_error"]["bound"]
    )


def test_one_row_in_five_chooses_and_another_one_only_measures():
    splits = compress.split_rows(103, seed=5)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 63, "evaluation": 20, "test": 20}
    assert sorted(np.concatenate(list(splits.values()))) == list(range(103))
    assert not np.array_equal(splits["test"], compress.split_rows(103, seed=6)["test"])


def test_labels_may_be_several_columns_an_array_or_an_input(folder, tmp_path):
    import tf_keras as keras

    network = keras.models.load_model(folder / "line.keras", compile=False)
    (tmp_path / "two.csv").write_text("a,b,c,d,e,f,y,z\n" + "1,2,3,4,5,6,7,8\n" * 80)
    inputs = inputs_of(network)
    columns, labels = read_rows(tmp_path / "two.csv", "y,z", inputs)
    assert columns["x"].shape == (80, 6) and labels.shape == (80, 2) and labels[0].tolist() == [7, 8]
    np.savez(tmp_path / "own.npz", x=np.ones((80, 6)), y=np.ones((80, 2, 3)))
    assert read_rows(tmp_path / "own.npz", "y", inputs)[1].shape == (80, 2, 3)
    columns, labels = read_rows(tmp_path / "own.npz", "x", inputs)  # an autoencoder's
    assert columns["x"].shape == labels.shape == (80, 6)


def test_the_page_tells_the_error_on_rows_that_chose_nothing_and_how_sure_it_is():
    """Accuracy is shown, whose error is 1 - accuracy: 0.1 (0.05 to 0.2) is 0.9 (0.8 to 0.95)."""
    interval = {"value": 0.1, "low": 0.05, "high": 0.2}
    test = {"rows": 40, "confidence": 0.95, "float32": interval, "shipped": interval, "increase": interval}
    test |= {"holds": 0.8, "half_rows": 10}
    errors = {"float32": 0.1, "shipped": 0.12, "bound": 0.15}
    sizes = {"float32": 4000, "shipped": 1000}
    summary = {
        "mode": "int8", "network": "reduced", "model": "m", "metric": "accuracy", "objective": "classes: as set",
        "bytes": sizes, "gzip_bytes": sizes, "eval_error": errors, "test": test, "notes": ("one row at a time",),
        "budget": "5%",
        "parts": {"a": 1, "b": 900}, "page": "p.html",
        "runtimes": [{"runtime": "x", "title": "X", "version": "1", "result": "runs"}],
    }  # fmt: skip
    page = compress.page_of(summary).splitlines()
    assert page[1] == "accuracy 0.88, float32 0.9, bound 0.85, on the rows that chose it"
    assert page[2].startswith(
        "accuracy 0.9 (0.8 to 0.95), float32 0.9 (0.8 to 0.95), change -0.1 (-0.2 to -0.05) on 40"
    )
    assert page[3] == "the budget of 5% holds on other rows like these with a probability of 80.0%"
    ending = ["objective classes: as set", "one row at a time", "bytes: b 900, a 1", "runs on X 1"]
    ending.append("all files that were tried: p.html")
    assert page[4:] == ending
    for holds, words in ((1.0, "of more than 99.9%"), (0.0, "of less than 0.1%")):
        assert compress.page_of({**summary, "test": {**test, "holds": holds}}).splitlines()[3].endswith(words)
    page = compress.page_of({**summary, "test": {**test, "half_rows": 2}}).splitlines()
    assert page[3].startswith("2 of these rows make half of the error: on others it may lie outside of the brackets")
    page = compress.page_of({**summary, "metric": "rmse", "test": None}).splitlines()
    assert page[1:] == [
        "rmse 0.12, float32 0.1, bound 0.15, on the rows that chose it",
        *ending,
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model": "none.keras"}, "--model=.*none.keras must be a .keras, .h5, .tflite or SavedModel that exists"),
        ({"model": "line.csv"}, "--model=.*line.csv must be a .keras, .h5, .tflite or SavedModel that can be loaded: "),
        ({"examples": "line.txt"}, "--examples=.*line.txt must be a file that exists: .npz, .csv, .csv.gz, .parquet, "),
        ({"label": "z"}, "line.csv: label=z must be one of its columns, got a, b, c, d, e, f, y"),
        ({"examples": "nan.csv"}, "nan.csv: b must be finite, got nan in row 1"),
        ({"examples": "text.csv"}, "text.csv: b must be numbers, got 'two' in row 1"),
        ({"examples": "few.csv"}, "few.csv: rows=2 must be at least 70"),
        ({"examples": "flowers.npz", "label": "kind"}, "flowers.npz: x must hold 6 numbers a row, got 3"),
        ({"search_s": 0.0}, "--search-s=0 must be above 0 and finite"),
        ({"budget": "a lot"}, "--budget=a lot must be a number or a percentage such as 1%"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, change, text):
    rows = "1,2,1,1,1,1,1\n1,{},1,1,1,1,1\n"
    (folder / "nan.csv").write_text("a,b,c,d,e,f,y\n" + rows.format("nan") + rows.format(1) * 40)
    (folder / "text.csv").write_text("a,b,c,d,e,f,y\n" + rows.format("two") + rows.format(1) * 40)
    (folder / "few.csv").write_text("a,b,c,d,e,f,y\n" + rows.format(1))
    arguments = {"model": "line.keras", "examples": "line.csv", "label": "y", **change}
    with pytest.raises(InputError, match=text) as caught:
        compress.run(request(folder, **arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [
    OSError(28, "No space left on device"),
    type("ResourceExhaustedError", (Exception,), {})("o/choice.json; No space left on device"),
])  # fmt: skip
def test_a_full_disk_is_one_line(folder, tmp_path, monkeypatch, error):
    def full(*_) -> None:
        raise error

    monkeypatch.setattr(compress, "compress_files", full)
    request = compress.CompressRequest(
        str(folder / "line.keras"), str(folder / "line.csv"), "y", "1%", str(tmp_path / "out")
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="^--out=.*/out cannot be written: No space left on device$"):
        compress.run(request, quiet=True)
