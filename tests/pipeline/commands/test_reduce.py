"""`farebox reduce`: what it asks of every method, its table, and bad input; one run of it over toy artifacts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.modules.feature_names import feature_names
from farebox.pipeline.commands import reduce


def row(space: str, method: str, **changes) -> dict:
    plain = {
        "space": space,
        "method": method,
        "k": 4,
        "n_features": 16,
        "folded": True,
        "why": "fixed by reducer.n_components",
        "variance_kept": 0.9123,
        "eval_rmse": {"folded": 3.75, "reduced": 3.25},
        "parameters": 1234,
        "needed": {"0.9": 4, "0.95": 7, "0.99": None},
        "cumulative": [0.5, 0.7, 0.8, 0.9123, 0.98],
    }
    return plain | changes


@pytest.fixture
def comparison() -> dict:
    unchanged = row("input", "pca", folded=False, why="skipped: no k holds", k=24, n_features=24)
    refused = {
        "space": "input",
        "method": "nmf",
        "k": None,
        "why": "reducer.method=nmf must have no negative feature",
    }
    rows = [row("preactivation", "pca"), row("preactivation", "lda", eval_rmse={"folded": 9.5, "reduced": 3.3})]
    source = {"eval_rmse": 3.0, "parameters": 2345}
    return {"city": "lisbon", "currency": "EUR", "source": source, "reductions": [*rows, unchanged, refused]}


def test_methods_of_a_space_are_asked_for_the_same_k():
    """lda has one direction fewer than bins, nmf takes neither scale nor whitening, but features below 0."""
    settings = ReducerSettings(n_components=0.9, label_bins=6, standardize=True, whiten=True)
    assert reduce.reducer_for(settings, "input", "pca", None) == dataclasses.replace(settings, space="input")
    asked = {method: reduce.reducer_for(settings, "input", method, 8) for method in ("ica", "lda", "nmf")}
    assert [one.n_components for one in asked.values()] == [8, 5, 8]
    assert asked["ica"].whiten and not asked["nmf"].whiten and not asked["nmf"].standardize
    assert asked["nmf"].shift and not asked["ica"].shift


def test_auto_becomes_a_share_of_the_variance_so_that_every_method_folds():
    settings = ReducerSettings(n_components="auto")
    assert reduce.reducer_for(settings, "preactivation", "pca", None).n_components == 0.98
    assert reduce.reducer_for(settings, "preactivation", "pls", 8).n_components == 8


def test_the_table_fits_a_terminal_and_says_why_there_are_dashes(comparison):
    console = Console(width=80)
    with console.capture() as captured:
        console.print(reduce.table(comparison))
    lines = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert lines[0] == ["reduction", "k", "kept", "folded", "tuned", "params", "90%", "95%", "99%"]
    assert lines[2] == ["preactivation", "pca", "4/16", "91.2%", "3.750", "3.250", "1,234", "4", "7", "–"]
    assert lines[4] == ["input", "pca", "24/24", "91.2%", "–", "–", "1,234", "4", "7", "–"]
    assert lines[5] == ["input", "nmf", *"–" * 8]
    headline = "lisbon: eval RMSE in EUR; of the unreduced network 3.000, 2,345 parameters"
    assert reduce.headline(comparison) == headline
    assert reduce.remarks(comparison)[1:] == [
        "input pca: skipped: no k holds", "input nmf: reducer.method=nmf must have no negative feature",
    ]  # fmt: skip


def test_the_picture_shows_near_errors_and_writes_far_ones(comparison, tmp_path):
    from farebox.components.pca_reducer import plots

    figure = plots.comparison(comparison)
    left, middle, right = figure.axes[:3]
    assert [line.get_label() for line in left.lines[:2]] == ["pca, ica", "lda"]
    assert list(middle.lines[0].get_ydata()) == [0.5, 0.7, 0.8, 0.9123, 0.98]
    assert [text.get_text() for text in right.texts] == ["3.75 →", "9.50 →"]  # the end is 1.15 * 3
    reduce.draw(tmp_path / "reduction.png", comparison)
    assert (tmp_path / "reduction.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--city", "atlantis"], "city=atlantis must be one of chicago, "),
        (["--data", "gone.csv"], "gone.csv: no such file or folder"),
        (["--set", "reducer.n_components=1.5"], "reducer.n_components=1.5 must be an int >= 1"),
        (["--set", "reducer.sample_rows=1"], "reducer.sample_rows=1 must be at least 2"),
        (["--out", "taken"], "out: taken cannot be written: "),
        (["--runs", "taken"], "taken/runs/chicago cannot be written: "),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    Path("taken").touch()
    code, out, err = call("reduce", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("farebox: ") and line in err


@pytest.fixture
def artifacts(toy_trips, toy_network, tmp_path, monkeypatch) -> None:
    """In place of the graph up to Trainer: the toy trips' artifacts."""
    from tfx.types import standard_artifacts

    from farebox.components.networks import examples_io

    model, examples, graph = (
        standard_artifacts.Model(), standard_artifacts.Examples(), standard_artifacts.TransformGraph(),
    )  # fmt: skip
    model.uri, examples.uri = str(tmp_path / "model"), str(toy_trips.folder / "transformed")
    graph.uri = toy_trips.transform_graph
    examples_io.save_network(toy_network, model)
    made = {"model": [model], "transformed_examples": [examples], "transform_graph": [graph]}
    monkeypatch.setattr(reduce.runs, "run_graph", lambda *_, **__: made)
    names = feature_names("course", ["ohare"], (), 0, {})
    monkeypatch.setattr(reduce, "names_of_features", lambda _settings: names)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_every_method_leaves_its_files(artifacts, call, tmp_path):
    """The toy network's numbers are standardized, hence negative: nmf takes them less their least values."""
    stale = tmp_path / "out" / "input-nmf" / "stale"
    stale.mkdir(parents=True)
    arguments = ["--out", "out", "--set", "reducer.fine_tune_epochs=1", "--set", "reducer.label_bins=4"]
    code, shown, _ = call("reduce", *arguments, "--json")
    comparison = json.loads(shown)
    assert code == 0 and json.loads((tmp_path / "out" / "reduction.json").read_text()) == comparison
    rows = {(row["space"], row["method"]): row for row in comparison["reductions"]}
    assert list(rows) == [(space, method) for space, methods in reduce.SPACES.items() for method in methods]
    assert not stale.exists()
    for place in (("input", "nmf"), ("input", "kernel_pca"), ("preactivation", "kernel_pca")):
        parts = rows.pop(place)
        assert not parts["folded"] and "for analysis only" in parts["why"] and 0.3 < parts["variance_kept"] <= 1
    names = json.loads((tmp_path / "out" / "preactivation-pca" / "projection.json").read_text())["features"]
    assert "haversine_km" in names and "pair_cell_embedding[0]" in names
    for (space, method), one in rows.items():
        assert one["k"] == (3 if method == "lda" else rows[space, "pca"]["k"])
        assert one["eval_rmse"]["reduced"] <= one["eval_rmse"]["folded"]
        for name in ("scree.png", "loadings.png", "codes.png", "projection.json", "projection.npz"):
            assert (tmp_path / "out" / f"{space}-{method}" / name).is_file()
    assert (tmp_path / "out" / "reduction.png").is_file()


def test_a_setting_that_not_even_pca_can_follow_is_bad_input(artifacts, call, tmp_path):
    code, _, err = call("reduce", "--out", "out", "--set", "reducer.n_components=17")
    assert (code, err) == (2, "farebox: reducer.n_components=17 must be between 1 and 16: method=pca has no more\n")
    assert not (tmp_path / "out" / "reduction.json").exists()
