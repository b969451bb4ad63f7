"""Reporter: its figures from a real evaluation of two real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from components.tflite import TfliteModel

YARDSTICKS = {
    "predict_mean": 9.5,
    "linear_on_distance": 4.0,
    "raw_dnn": 9.25,
    "no_embedding_dnn": 3.5,
    "lightgbm": 3.25,
}
TUNED = {"training.learning_rate": 0.004, "model.hidden": [64, 32]}
RATIO_CHECK = {"name": "max_ratio_to_yardstick", "value": 1.5, "bound": 2.0, "ok": True, "detail": ""}


@pytest.fixture
def report(toy_network, run_node, tmp_path):
    """(artifacts of `evaluate`) -> figures.json of a `Do`, the other nodes' files written by hand."""
    from tfx.types import standard_artifacts

    from components.reporter.component import ReporterSpec
    from components.reporter.executor import ReporterExecutor

    left_behind = {
        "verdict/verdict.json": [{"name": "anomalies", "value": 0, "bound": 0, "ok": True, "detail": ""}],
        "infra_blessing/device.json": {
            "blessed": True,
            "checks": [],
            "measurements": {"latency_us": {"p50": 5, "p99": 9}},
        },
        "gate_blessing/yardsticks.json": {"rmse": YARDSTICKS, "checks": [RATIO_CHECK]},
        "model_run/training.json": {"tuned": TUNED},
        "pruning/pruning.json": {"sparsity": 0.25},
        "projection/projection.json": {"k": 4},
        "trials/choice.json": {"mode": "float32", "network": "reduced", "steps": []},
    }
    for name, content in left_behind.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_text(json.dumps(content))
    networks = dict.fromkeys(("model", "reduced_model", "pruned_model"), toy_network)

    def figures(ready, yardsticks_hold=True):
        blessing = standard_artifacts.ModelBlessing()
        blessing.uri = str(tmp_path / "in" / "gate_blessing")
        blessing.set_int_custom_property("blessed", int(yardsticks_hold))
        outputs = run_node(ReporterExecutor, ReporterSpec, networks, None, ready | {"gate_blessing": blessing})
        return json.loads(Path(f"{outputs['report'].uri}/figures.json").read_text())

    return figures


def _error(content: bytes, columns: dict[str, np.ndarray]) -> np.ndarray:
    return TfliteModel(content).predict(columns) - columns["fare"].reshape(-1).astype(np.float64)


@pytest.mark.slow
def test_a_refusal_is_reported_with_its_numbers(toy_trips, evaluate, fare_tflite, convert_tflite, report, tmp_path):
    """Candidate and baseline are `fare_tflite` and the same a dollar dearer; no RMSE is below 0.1."""
    columns = toy_trips.columns["test"]
    dearer = convert_tflite(lambda fare: fare + 1.0)
    ready = evaluate(tmp_path, {"model": fare_tflite, "baseline_model": dearer}, max_rmse=0.1)
    figures = report(ready)
    errors = _error(fare_tflite, columns)
    rmse, baseline = (float(np.sqrt(np.mean(error**2))) for error in (errors, _error(dearer, columns)))
    assert figures["rmse"]["shipped"] == pytest.approx(rmse, rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert figures["rmse"]["engineered"] == figures["rmse"]["pruned"] < columns["fare"].std() / 2
    gates = {gate["name"]: gate for gate in figures["gates"]}
    assert (gates["max_rmse"]["bound"], gates["max_rmse"]["ok"]) == (0.1, False)
    assert gates["max_rmse_increase"]["value"] == pytest.approx(rmse - baseline, abs=1e-3)
    increase = gates["max_rmse_increase"]
    assert (increase["bound"], increase["ok"]) == (0.05, rmse - baseline <= 0.05)
    assert (figures["blessed"], figures["pushed"]) == (False, None)
    assert figures["rows"] == {"read": 1290, "examples": 1280, "rejected": 10}


@pytest.mark.slow
def test_slices_hold_every_row_and_a_first_model_has_no_rival(toy_trips, evaluate, fare_tflite, report, tmp_path):
    figures = report(evaluate(tmp_path, {"model": fare_tflite}, max_rmse=1000.0))
    assert figures["blessed"]
    gates = {gate["name"]: gate for gate in figures["gates"]}
    assert gates["max_rmse"]["ok"] and gates["max_rmse_increase"]["bound"] is None
    hours = {one["slice"]: one for one in figures["slices"] if one["slice"].startswith("pickup_hour=")}
    bands = [one for one in figures["slices"] if one["slice"].startswith("distance_band=")]
    assert sum(one["rows"] for one in hours.values()) == sum(one["rows"] for one in bands) == 320
    test = toy_trips.columns["test"]
    at_eight = {name: values[test["pickup_hour"].reshape(-1) == 8] for name, values in test.items()}
    rmse = np.sqrt(np.mean(_error(fare_tflite, at_eight) ** 2))
    assert hours["pickup_hour=8"]["rmse"] == pytest.approx(rmse, rel=1e-4)


@pytest.mark.slow
def test_a_blessing_that_contradicts_the_gates_is_a_bug(evaluate, fare_tflite, report, tmp_path):
    ready = evaluate(tmp_path, {"model": fare_tflite}, max_rmse=0.1)
    ready["model_blessing"].set_int_custom_property("blessed", 1)
    with pytest.raises(RuntimeError, match="^Reporter: Evaluator blessed=True must agree with the gates, got "):
        report(ready)


@pytest.mark.slow
def test_yardsticks_are_reported_from_their_gate(evaluate, fare_tflite, report, tmp_path):
    """Their published keys are those of before; a model that its gate refused is not blessed, whatever others say."""
    ready = evaluate(tmp_path, {"model": fare_tflite}, max_rmse=1000.0)
    figures = report(ready)
    assert (figures["yardsticks"], figures["tuned"]) == (YARDSTICKS, TUNED)
    assert list(figures["rmse"]) == [
        "predict_mean", "linear_on_distance", "baseline", "engineered", "reduced", "pruned", "shipped",
    ]  # fmt: skip
    assert [figures["rmse"][key] for key in ("predict_mean", "linear_on_distance", "baseline")] == [9.5, 4.0, 9.25]
    assert figures["gates"][-1] == RATIO_CHECK
    assert (figures["model"]["k"], figures["model"]["mode"], figures["model"]["network"]) == (4, "float32", "reduced")
    choice = tmp_path / "in/trials/choice.json"
    choice.write_text(json.dumps({"mode": "int8", "network": "unreduced", "steps": ["look-ups"]}))
    assert report(ready)["model"]["k"] is None  # what the reducer did is not in the file
    assert figures["blessed"] and not report(ready, yardsticks_hold=False)["blessed"]


def test_a_refusal_of_pusher_is_among_the_gates(tmp_path):
    """Pusher leaves refusal.json only where it refused itself."""
    from types import SimpleNamespace

    from components.reporter.executor import refusal

    check = {"name": "rolled_back", "value": 1.0, "bound": 0.0, "ok": False, "detail": "version x was rolled back"}
    pushed = SimpleNamespace(uri=str(tmp_path))
    assert refusal(pushed) == []
    (tmp_path / "refusal.json").write_text(json.dumps([check]))
    assert refusal(pushed) == [check]
