"""Reporter: the yardsticks by hand, and its figures from a real evaluation of two real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.reporter import yardsticks
from components.tflite import TfliteModel


def test_line_through_known_points():
    """y = 2 + 3x exactly, in two batches; mean of 2, 5, 8, 11, 14 is 8."""
    x = np.arange(5.0)
    mean, slope, intercept = yardsticks.fit_line([(x[:2], 2 + 3 * x[:2]), (x[2:, None], 2 + 3 * x[2:, None])])
    assert (mean, slope, intercept) == pytest.approx((8.0, 3.0, 2.0))


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 100))
def test_the_line_is_numpys_however_the_rows_are_cut(seed, cut):
    random = np.random.default_rng(seed)
    x, y = random.gamma(2, 3, 100), random.normal(10, 4, 100)
    line = yardsticks.fit_line([(x[:cut], y[:cut]), (x[cut:], y[cut:])])
    assert line == pytest.approx((y.mean(), *np.polyfit(x, y, 1)), rel=1e-6, abs=1e-6)


def test_where_the_distance_never_varies_the_line_is_the_mean():
    """0.1 has no exact square: for most row counts the spread is rounding, at times 0, and a slope from it nonsense."""
    for n in range(3, 60):
        line = yardsticks.fit_line([(np.full(n, 0.1), np.arange(n) % 7 / 3)])
        assert line == pytest.approx((line[0], 0.0, line[0]))


def _evaluate(toy_trips, folder: Path, files: dict[str, bytes], max_rmse: float) -> dict:
    """TFX's Evaluator on the test split, with the pipeline's own config; its artifacts by Reporter's names."""
    from tfx.components.evaluator import executor
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.utils import proto_utils

    from pipeline import gates
    from pipeline.settings import GateSettings

    examples, evaluation = standard_artifacts.Examples(), standard_artifacts.ModelEvaluation()
    blessing = standard_artifacts.ModelBlessing()
    examples.uri, examples.split_names = str(toy_trips.folder / "raw"), artifact_utils.encode_split_names(["test"])
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    inputs = {"examples": [examples]}
    for number, (key, content) in enumerate(files.items(), start=1):
        model = standard_artifacts.Model()
        model.id, model.uri = number, str(folder / key)
        Path(model.uri, "Format-Serving").mkdir(parents=True)
        Path(model.uri, "Format-Serving", "tflite").write_bytes(content)
        inputs[key] = [model]
    config = gates.eval_config(GateSettings(max_rmse=max_rmse, max_rmse_increase=0.05))
    properties = {
        "eval_config": proto_utils.proto_to_json(config),
        "example_splits": '["test"]',
        "module_path": "modules.slicing",
        "fairness_indicator_thresholds": "null",
    }
    executor.Executor().Do(inputs, {"evaluation": [evaluation], "blessing": [blessing]}, properties)
    ready = {"evaluation": evaluation, "model_blessing": blessing, "quantized_model": inputs["model"][0]}
    return ready | {"reference_model": inputs["model"][0]}


@pytest.fixture
def report(toy_trips, toy_network, run_node, tmp_path):
    """(artifacts of `_evaluate`) -> figures.json of a `Do`, the other nodes' files written by hand."""
    from components.reporter.component import ReporterSpec
    from components.reporter.executor import ReporterExecutor
    from modules import model

    left_behind = {
        "verdict/verdict.json": [{"name": "anomalies", "value": 0, "bound": 0, "ok": True, "detail": ""}],
        "infra_blessing/device.json": {
            "blessed": True,
            "checks": [],
            "measurements": {"latency_us": {"p50": 5, "p99": 9}},
        },
        "pruning/pruning.json": {"sparsity": 0.25},
        "projection/projection.json": {"k": 4},
        "trials/trials.json": {"mode": "float32"},
    }
    for name, content in left_behind.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_text(json.dumps(content))
    (tmp_path / "in" / "model_run").mkdir()
    model.build_baseline(7).save(tmp_path / "in" / "model_run" / "baseline.keras")
    networks = dict.fromkeys(("model", "reduced_model", "pruned_model"), toy_network)

    def figures(ready):
        outputs = run_node(ReporterExecutor, ReporterSpec, networks, None, ready, distance="distance_km")
        return json.loads(Path(f"{outputs['report'].uri}/figures.json").read_text())

    return figures


def _error(content: bytes, columns: dict[str, np.ndarray]) -> np.ndarray:
    return TfliteModel(content).predict(columns) - columns["fare"].reshape(-1).astype(np.float64)


@pytest.mark.slow
def test_a_refusal_is_reported_with_its_numbers(toy_trips, fare_tflite, convert_tflite, report, tmp_path):
    """Candidate and baseline are `fare_tflite` and the same a dollar dearer; no RMSE is below 0.1."""
    columns = toy_trips.columns["test"]
    dearer = convert_tflite(lambda fare: fare + 1.0)
    ready = _evaluate(toy_trips, tmp_path, {"model": fare_tflite, "baseline_model": dearer}, max_rmse=0.1)
    figures = report(ready)
    errors = _error(fare_tflite, columns)
    rmse, baseline = (float(np.sqrt(np.mean(error**2))) for error in (errors, _error(dearer, columns)))
    assert figures["rmse"]["shipped"] == pytest.approx(rmse, rel=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert figures["rmse"]["predict_mean"] == pytest.approx(columns["fare"].std(), rel=0.02)  # of train's mean
    assert figures["rmse"]["engineered"] == figures["rmse"]["pruned"] < figures["rmse"]["linear_on_distance"]
    gates = {gate["name"]: gate for gate in figures["gates"]}
    assert (gates["max_rmse"]["bound"], gates["max_rmse"]["ok"]) == (0.1, False)
    assert gates["max_rmse_increase"]["value"] == pytest.approx(rmse - baseline, abs=1e-3)
    increase = gates["max_rmse_increase"]
    assert (increase["bound"], increase["ok"]) == (0.05, rmse - baseline <= 0.05)
    assert (figures["blessed"], figures["pushed"]) == (False, None)
    assert figures["rows"] == {"read": 1290, "examples": 1280, "rejected": 10}


@pytest.mark.slow
def test_slices_hold_every_row_and_a_first_model_has_no_rival(toy_trips, fare_tflite, report, tmp_path):
    figures = report(_evaluate(toy_trips, tmp_path, {"model": fare_tflite}, max_rmse=1000.0))
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
def test_a_blessing_that_contradicts_the_gates_is_a_bug(toy_trips, fare_tflite, report, tmp_path):
    ready = _evaluate(toy_trips, tmp_path, {"model": fare_tflite}, max_rmse=0.1)
    ready["model_blessing"].set_int_custom_property("blessed", 1)
    with pytest.raises(RuntimeError, match="^Reporter: Evaluator blessed=True must agree with the gates, got "):
        report(ready)
