"""Reporter: its figures from a real evaluation of two real files."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import report_page

from farebox.components.errors import Check
from farebox.components.reporter.figures import Figures, RangeFigures, Rows, StageRmse
from farebox.components.tflite.bands import Bands
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.trip_example_gen.judging.losses import FileRows, Losses

ABOUT = json.dumps({"city": "toy", "currency": "EUR"})
YARDSTICKS = {
    "predict_mean": 9.5,
    "linear_on_distance": 4.0,
    "raw_dnn": 9.25,
    "no_embedding_dnn": 3.5,
    "lightgbm": 3.25,
}
TUNED = {"training.learning_rate": 0.004, "model.hidden": [64, 32]}
ERRORS = {"rmse": 2.5, "mae": 1.5, "bias": -0.125, "p95_absolute_error": 5.0}
SLICES = [{
    "slice": "pickup_hour=8", "rows": 20, **ERRORS, "coverage": 0.85, "range_width": 5.25,
    "intervals": {"rmse": [2.0, 3.0]},
}]  # fmt: skip
RATIO_CHECK = {
    "name": "max_ratio_to_yardstick", "value": 1.5, "bound": 2.0, "ok": True, "detail": "", "hint": "",
    "severity": "stop", "at_least": False, "lower": 1.25, "upper": 1.75,
}  # fmt: skip

RUNTIMES = [{
    "runtime": "compiled_model", "title": "CompiledModel", "version": "1.4.0", "result": "runs", "detail": "",
    "largest_difference": 1e-6, "arena_bytes": None,
}]  # fmt: skip

TRIAL = {
    "rung": "float32", "network": "reduced", "kept_float": [], "steps": [], "error": 1.5, "bytes": 100,
    "gzip_bytes": 60, "latency_us": None, "verdict": "chosen", "reason": "",
}  # fmt: skip

JUDGEMENT = {
    "sha256": "abc", "rows": 20, "metrics": ERRORS, "intervals": {"rmse": [2.25, 2.75]}, "baseline": None,
    "slices": SLICES, "yardsticks": YARDSTICKS, "checks": [RATIO_CHECK], "ratio": 1.5, "spans": [],
    "yardstick_intervals": {"lightgbm": [3.0, 3.5]}, "yardstick_ratios": {"lightgbm": [1.1, 1.0, 1.2]},
}  # fmt: skip


@pytest.fixture
def report(toy_network, run_node, tmp_path):
    """(artifacts of `evaluate`) -> figures.json of a `Do`, the other nodes' files written by hand."""
    from tfx.types import standard_artifacts

    from farebox.components.reporter.component import ReporterSpec
    from farebox.components.reporter.executor import ReporterExecutor

    left_behind = {
        "verdict/verdict.json": [{"name": "anomalies", "value": 0, "bound": 0, "ok": True, "detail": ""}],
        "infra_blessing/device.json": {
            "blessed": True,
            "checks": [],
            "measurements": {"latency_us": {"p50": 5, "p99": 9}, "runtimes": RUNTIMES, "machine": "a CPU"},
        },
        "gate_blessing/judgement.json": JUDGEMENT,
        "model_run/training.json": {"tuned": TUNED},
        "pruning/pruning.json": {"sparsity": 0.25, "why": "a quarter holds"},
        "projection/projection.json": {
            "k": 4, "method": "pca", "layer": "hidden_0", "space": "preactivation", "why": "budget", "features": [],
        },
        "trials/choice.json": {
            "mode": "float32", "network": "reduced", "steps": [], "bound": 2.0, "metric": "rmse", "why": "the smallest",
        },
        "trials/trials.jsonl": TRIAL,
        "trials/sensitivity.json": [],
    }  # fmt: skip
    for name, content in left_behind.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(json.dumps(content))
    networks = dict.fromkeys(("model", "reduced_model", "pruned_model"), toy_network)

    def figures(ready, yardsticks_hold=True):
        blessing = standard_artifacts.ModelBlessing()
        blessing.uri = str(tmp_path / "in" / "gate_blessing")
        blessing.set_int_custom_property("blessed", int(yardsticks_hold))
        outputs = run_node(
            ReporterExecutor, ReporterSpec, networks, None, ready | {"gate_blessing": blessing}, about=ABOUT
        )
        return json.loads(Path(f"{outputs['report'].uri}/figures.json").read_text())

    return figures


@pytest.fixture
def ready(fare_tflite, tmp_path) -> dict:
    """The file that may ship, which is the reference too."""
    from tfx.types import standard_artifacts

    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "file")
    Path(model.uri, "Format-Serving").mkdir(parents=True)
    Path(model.uri, "Format-Serving", "tflite").write_bytes(fare_tflite)
    return {"quantized_model": model, "reference_model": model}


@pytest.mark.slow
def test_what_was_judged_is_reported(toy_trips, report, ready, fare_tflite, tmp_path):
    """The networks' errors are measured here, on test."""
    figures = report(ready)
    assert figures["rmse"]["shipped"] == 2.5
    assert {key: figures[key] for key in ("mae", "bias", "p95_absolute_error", "slices", "baseline", "intervals")} == {
        "mae": 1.5, "bias": -0.125, "p95_absolute_error": 5.0, "slices": SLICES, "baseline": None,
        "intervals": {"rmse": [2.25, 2.75]},
    }  # fmt: skip
    fares = toy_trips.columns["test"]["fare"]
    assert 0 < figures["rmse"]["engineered"] == figures["rmse"]["pruned"] < fares.std() / 2
    assert figures["rows"] == {"read": 1290, "examples": 1280, "rejected": 10, "left_out": 0}
    assert figures["losses"]["by_reason"] == {"outside_city": 10}
    assert figures["pushed"] is None and figures["runtimes"] == RUNTIMES
    assert figures["yardstick_intervals"] == {"lightgbm": [3.0, 3.5]}
    assert (figures["yardstick_ratios"], figures["machine"]) == ({"lightgbm": [1.1, 1.0, 1.2]}, "a CPU")
    predicted = TfliteModel(fare_tflite).predict(toy_trips.columns["test"]).reshape(-1)
    expected = np.median(np.abs(predicted - fares.reshape(-1)))
    assert figures["median_absolute_error"] == pytest.approx(expected, rel=1e-5)
    content = json.loads((tmp_path / "out/report/content.json").read_text())
    assert (content["fares"]["rows"], content["fares"]["of"]) == (320, 20)  # of: as the judgement has it
    assert sum(content["ladder"]["parts"].values()) == len(fare_tflite)
    page = (tmp_path / "out/report/report.html").read_text()
    assert "Not shipped" in page and "Predicted against actual fare" in page
    assert f"toy · {datetime.date.today().isoformat()}" in page


@pytest.mark.slow
def test_yardsticks_are_reported_from_their_gate(report, ready, tmp_path):
    """Their published keys are those of before; a model that its gate refused is not blessed, whatever others say."""
    figures = report(ready)
    assert (figures["yardsticks"], figures["tuned"]) == (YARDSTICKS, TUNED)
    assert list(figures["rmse"]) == [
        "predict_mean", "linear_on_distance", "baseline", "engineered", "reduced", "pruned", "shipped",
    ]  # fmt: skip
    assert [figures["rmse"][key] for key in ("predict_mean", "linear_on_distance", "baseline")] == [9.5, 4.0, 9.25]
    assert figures["gates"][-1] == RATIO_CHECK
    assert (figures["model"]["k"], figures["model"]["mode"], figures["model"]["network"]) == (4, "float32", "reduced")
    choice = tmp_path / "in/trials/choice.json"
    chosen = json.loads(choice.read_text()) | {"mode": "int8", "network": "unreduced", "steps": ["look-ups"]}
    choice.write_text(json.dumps(chosen))
    assert report(ready)["model"]["k"] is None  # what the reducer did is not in the file
    assert figures["blessed"] and not report(ready, yardsticks_hold=False)["blessed"]


def test_a_refusal_of_pusher_is_among_the_gates(tmp_path):
    """Pusher leaves refusal.json only where it refused itself."""

    from farebox.components.reporter.executor import checks_of_push

    check = Check("rolled_back", 1.0, 0.0, ok=False, detail="version x was rolled back")
    pushed = SimpleNamespace(uri=str(tmp_path))
    assert checks_of_push(pushed) == []
    (tmp_path / "refusal.json").write_text(json.dumps([dataclasses.asdict(check)]))
    assert checks_of_push(pushed) == [check]


LOSSES = Losses(FileRows(22, 20, 0, Counter({("outside_city", "x"): 2})))
FIGURES = {
    "rows": {"read": 22, "examples": 20, "rejected": 2, "left_out": 0},
    "yardsticks": YARDSTICKS,
    "rmse": {
        "predict_mean": 9.5, "linear_on_distance": 4.0, "baseline": 9.25, "engineered": 3.75, "reduced": 3.5,
        "pruned": 3.0, "shipped": 2.5,
    },
    "mae": 1.5, "bias": -0.125, "p95_absolute_error": 5.0, "intervals": {"rmse": [2.25, 2.75]},
    "baseline": {"sha256": "def", "metrics": ERRORS}, "slices": SLICES, "tuned": TUNED,
    "model": {
        "path": "models/x/fare.tflite", "parameters": 9, "sparsity": 0.25, "k": 4, "mode": "int8", "network": "reduced",
        "steps": ["look-ups"], "sha256": "abc", "bytes": 100, "gzip_bytes": 60, "ops": {"ADD": 3},
    },
    "unreduced": {"bytes": 200, "gzip_bytes": 90}, "latency_us": {"p50": 5.0, "p99": 9.0},
    "ranges": {"bands": 7, "promised": 0.9, "covered": 0.88, "mean_width": 5.5},
    "runtimes": RUNTIMES, "yardstick_intervals": {"lightgbm": [3.0, 3.5]}, "median_absolute_error": 0.75,
    "yardstick_ratios": {"lightgbm": [1.1, 1.0, 1.2]}, "machine": "AMD, x86_64, 2 cores",
    "gates": [RATIO_CHECK], "blessed": True, "pushed": "models/x", "losses": LOSSES.to_json(),
}  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{}, {"baseline": None, "tuned": None, "latency_us": None, "pushed": None, "ranges": None}]
)
def test_figures_keep_their_json_keys_and_order(changes):
    content = FIGURES | changes
    assert json.dumps(Figures.from_json(content | {"lane": "CURRENT"}).to_json()) == json.dumps(content)


def test_figures_of_before_ranges_are_read():
    content = {key: value for key, value in FIGURES.items() if key != "ranges"}
    assert Figures.from_json(content).measured.ranges is None


def test_figures_of_before_losses_were_counted_are_read():
    content = {key: value for key, value in FIGURES.items() if key != "losses"}
    content |= {"rows": {"read": 22, "examples": 20, "rejected": 2}}
    figures = Figures.from_json(content)
    assert (figures.losses, figures.measured.rows) == (None, Rows(22, 20, 2, 0))


def test_ranges_are_reported_as_promised_and_as_measured():
    from farebox.components.reporter.executor import range_figures

    bands = Bands(0.9, (10.0,), (-1.0, -4.0), (2.0, 8.0), (100, 100))
    assert range_figures(bands, {"coverage": 0.88, "range_width": 5.5}) == RangeFigures(2, 0.9, 0.88, 5.5)
    assert range_figures(None, ERRORS) is None


def test_figures_of_a_run_before_there_were_runtimes_are_read():
    content = {key: value for key, value in FIGURES.items() if key != "runtimes"}
    assert Figures.from_json(content).measured.runtimes == ()


def test_the_raw_dnn_and_the_last_blessed_model_have_names_of_their_own():
    """Both are `baseline` in figures.json, one of them inside `rmse`."""
    measured = Figures.from_json(FIGURES).measured
    assert measured.rmse == StageRmse(9.5, 4.0, 9.25, 3.75, 3.5, 3.0, 2.5) and measured.rmse.raw_dnn == 9.25
    assert measured.baseline.sha256 == "def"


def test_a_run_that_a_gate_stopped_has_the_same_keys_and_no_measurements():
    check = Check("anomalies", 2, 0, ok=False, detail="")
    figures = Figures.of_refusal([check], LOSSES)
    content = figures.to_json()
    known = {key: value for key, value in content.items() if value is not None}
    assert known == {"gates": [dataclasses.asdict(check)], "blessed": False, "losses": LOSSES.to_json()}
    assert list(content) == list(FIGURES) and Figures.from_json(content) == figures


@pytest.mark.parametrize(
    ("gates", "pushed", "reasons"),
    [
        (
            [Check("max_rmse", 5.5, 5.0, ok=False, detail="of 20 rows"), Check("loads", 0, 1, ok=False, at_least=True)],
            None,
            "max_rmse 5.5, bound 5 (of 20 rows); loads 0, bound at least 1",
        ),
        ([Check("bias", 1.0, 0.5, ok=False, severity="warn")], None, "see the report"),
        ([Check("bias", 1.0, 0.5, ok=False, severity="warn")], "gs://b/models/chicago/abc", None),
    ],
)
def test_on_a_cluster_a_refused_model_fails_the_last_node(tmp_path, gates, pushed, reasons):
    """With the reasons; a warning refuses nothing."""
    from farebox.components.artifacts import Report
    from farebox.components.errors import GateError
    from farebox.components.reporter.outcome import OutcomeExecutor

    report = Report()
    report.uri = str(tmp_path)
    figures = Figures(None, tuple(gates), blessed=pushed is not None, pushed=pushed)
    (tmp_path / "figures.json").write_text(json.dumps(figures.to_json()))
    if reasons is None:
        return OutcomeExecutor().Do({"report": [report]}, {}, {})
    with pytest.raises(GateError, match=f"^{re.escape(f'the model was not pushed: {reasons}')}$") as refusal:
        OutcomeExecutor().Do({"report": [report]}, {}, {})
    assert [check.name for check in refusal.value.checks] == [check.name for check in gates if check.refuses]
    return None


def test_contents_that_cannot_be_gathered_are_a_fault_and_a_page_that_says_so():
    """A run without a single artifact."""
    from farebox.components.reporter.executor import drawn, sections_of

    sections = sections_of({})
    assert sections == {"fault": "KeyError: 'quantized_model'"}
    page = drawn(dataclasses.replace(report_page.page(), sections=sections))
    assert "could not be drawn: KeyError: &#39;quantized_model&#39;. The run itself is complete" in page


def test_a_page_that_cannot_be_drawn_says_why():
    from farebox.components.reporter.executor import drawn

    page = report_page.page()
    assert "Predicted against actual" in drawn(page)
    damaged = dataclasses.replace(page, sections={**page.sections, "ladder": {}})
    assert "could not be drawn: KeyError" in drawn(damaged)


def test_the_masks_are_of_the_network_that_shipped(tmp_path):
    """A dense layer and a table with zeros; a layer without any has no mask."""
    import tf_keras as keras

    from farebox.components.reporter import compression

    (tmp_path / "pruning.json").write_text('{"why": "skipped"}')
    table, pruned, dense = keras.layers.Embedding(4, 3), keras.layers.Dense(2), keras.layers.Dense(1)
    network = keras.Sequential([keras.layers.Input((5,)), table, keras.layers.Flatten(), pruned, dense])
    table.embeddings.assign(np.eye(4, 3))
    pruned.kernel.assign(np.arange(30).reshape(15, 2))
    found = compression.pruning(SimpleNamespace(uri=str(tmp_path)), network)
    assert {name: mask["kept"] for name, mask in found["masks"].items()} == {table.name: 0.25, pruned.name: 29 / 30}
    assert found["why"] == "skipped"
