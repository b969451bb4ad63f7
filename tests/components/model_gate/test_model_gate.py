"""ModelGate on toy trips: real networks and LightGBM, between TFX's own Evaluator and TFX's readers of the blessing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from farebox.components.files import progress
from farebox.components.model_gate.settings import ModelBounds, SliceBounds
from farebox.components.tflite.bands import Bands
from farebox.components.tflite.interpreter import TfliteModel

PROPERTIES = {"distance": "distance_km", "booster_inputs": "raw,numeric"}
NO_SLICES = SliceBounds(max_bias=None, max_rmse_increase=None, max_coverage_shortfall=None)
NAMES = ["predict_mean", "linear_on_distance", "raw_dnn", "no_embedding_dnn", "lightgbm"]


@pytest.fixture(scope="module")
def columns(toy_trips):
    """The transformed columns of train and test, with the label as float64 of shape (n,)."""
    ((train, train_fare),) = toy_trips.batches("train", 1000).as_numpy_iterator()
    ((test, test_fare),) = toy_trips.batches("test", 1000).as_numpy_iterator()
    fares = {"train": train_fare, "test": test_fare}
    return {
        split: features | {"fare": fares[split].astype(np.float64).reshape(-1)}
        for split, features in {"train": train, "test": test}.items()
    }


def _rmse(predictions, fares) -> float:
    return float(np.sqrt(np.mean((predictions - fares.astype(np.float64)) ** 2)))


def _inputs(columns):
    return np.concatenate([columns["raw"], columns["numeric"]], axis=1)


@pytest.fixture(scope="module")
def trained(toy_trips, quick_keras, columns, tmp_path_factory):
    """A ModelRun as Trainer writes it, and each yardstick's RMSE on test by numpy from the models in memory."""
    import lightgbm
    import tf_keras as keras
    from tfx.types import standard_artifacts

    train, test = columns["train"], columns["test"]
    model_run = standard_artifacts.ModelRun()
    model_run.uri = str(tmp_path_factory.mktemp("model_run"))
    predicted = {"predict_mean": train["fare"].mean()}
    slope, intercept = np.polyfit(train["distance_km"].reshape(-1).astype(np.float64), train["fare"], 1)
    predicted["linear_on_distance"] = slope * test["distance_km"].reshape(-1) + intercept
    for name, source in (("raw_dnn", "raw"), ("no_embedding_dnn", "numeric")):
        keras.utils.set_random_seed(1)
        inputs = keras.Input(train[source].shape[1:], name=source)
        network = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(8, activation="relu")(inputs)))
        network.compile(keras.optimizers.Adam(0.01), "mse")
        network.fit(train[source], train["fare"], epochs=5, verbose=0)
        network.save(f"{model_run.uri}/{name}.keras")
        predicted[name] = network(test[source]).numpy().reshape(-1)
    parameters = {"objective": "regression", "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(_inputs(train), train["fare"]), 30)
    Path(model_run.uri, "lightgbm.txt").write_text(booster.model_to_string())
    predicted["lightgbm"] = booster.predict(_inputs(test))
    return model_run, {name: _rmse(fares, test["fare"]) for name, fares in predicted.items()}


@pytest.fixture(scope="module")
def evaluated(evaluate, fare_tflite, toy_trips, tmp_path_factory):
    """Evaluator's artifacts for `fare_tflite`, and the file's RMSE on test by numpy."""
    ready = evaluate(tmp_path_factory.mktemp("evaluated"), {"model": fare_tflite}, max_rmse=1000.0)
    test = toy_trips.columns["test"]
    rmse = _rmse(TfliteModel(fare_tflite).predict(test), test["fare"].reshape(-1))
    judged = {key: ready[key] for key in ("evaluation", "model_blessing")}
    return judged | {"model": ready["quantized_model"]}, rmse


@pytest.fixture
def judge(trained, evaluated, run_node):
    """(max_ratio, artifacts) -> blessing and judgement.json of a `Do`; artifacts: instead of Evaluator's."""
    from farebox.components.model_gate.component import ModelGateSpec
    from farebox.components.model_gate.executor import ModelGateExecutor

    def run(max_ratio, max_rmse=1000.0, **others):
        bounds = ModelBounds(max_rmse=max_rmse, max_bias=None, max_ratio_to_yardstick=max_ratio, slices=NO_SLICES)
        artifacts = evaluated[0] | {"model_run": trained[0]} | others
        properties = PROPERTIES | {"bounds": json.dumps(dataclasses.asdict(bounds))}
        outputs = run_node(ModelGateExecutor, ModelGateSpec, {}, None, artifacts, **properties)
        blessing = outputs["blessing"]
        return blessing, json.loads(Path(blessing.uri, "judgement.json").read_text())

    return run


def _check(judgement) -> dict:
    (check,) = (check for check in judgement["checks"] if check["name"] == "max_ratio_to_yardstick")
    return check


def _files(blessing) -> set[str]:
    return {path.name for path in Path(blessing.uri).iterdir()}


def _may_be_pushed(blessing) -> bool:
    from tfx.components.pusher import executor

    return executor.Executor().CheckBlessing({"model_blessing": [blessing]})


def _latest_blessed(blessing) -> list[int]:
    """Ids of the models that TFX's strategy takes as blessed, among models 1 and 2."""
    from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
    from tfx.types import standard_artifacts

    models = [standard_artifacts.Model() for _ in range(2)]
    for number, model in enumerate(models, start=1):
        model.id = number
    channels = {"model": models, "model_blessing": [blessing]}
    return [model.id for model in LatestBlessedModelStrategy().resolve_artifacts(None, channels)["model"]]


@pytest.mark.slow
def test_a_good_model_is_blessed_and_every_number_equals_numpys(judge, trained, evaluated, monkeypatch):
    """The splits' 640 and 320 rows come in batches of 100, the last one smaller."""
    from farebox.components.networks import examples_io

    monkeypatch.setattr(examples_io, "EVAL_BATCH_ROWS", 100)
    rmse, shipped = trained[1], evaluated[1]
    expected_ratio = shipped / rmse["no_embedding_dnn"]
    heard: list[tuple] = []
    with progress.heard_by(lambda *step: heard.append(step)):
        blessing, judgement = judge(1.001 * expected_ratio)
    assert heard == [("trip", done, 320) for done in (100, 200, 300, 320)]
    assert list(judgement["yardsticks"]) == NAMES
    assert judgement["yardsticks"] == {name: pytest.approx(value, rel=1e-5) for name, value in rmse.items()}
    assert len({round(value, 3) for value in judgement["yardsticks"].values()}) == 5
    assert (judgement["metrics"]["rmse"], judgement["ratio"]) == pytest.approx((shipped, expected_ratio), rel=1e-4)
    for name, (ratio, lower, upper) in judgement["yardstick_ratios"].items():
        assert ratio == pytest.approx(shipped / rmse[name], rel=1e-4) and lower < ratio < upper
    check = _check(judgement)
    assert (check["value"], check["ok"], check["bound"]) == (judgement["ratio"], True, 1.001 * expected_ratio)
    for value in (judgement["metrics"]["rmse"], judgement["yardsticks"]["no_embedding_dnn"]):
        assert f"{value:.4f}" in check["detail"]
    assert _files(blessing) == {"judgement.json", "BLESSED"}
    assert blessing.get_string_custom_property("current_model").endswith("/model")
    assert _may_be_pushed(blessing) and _latest_blessed(blessing) == [1]


@pytest.mark.slow
def test_a_file_with_ranges_is_judged_by_their_coverage(judge, evaluate, fare_tflite, toy_trips, tmp_path):
    """Eight or nine of ten test labels in their ranges, by numpy; slices have their own coverage and width."""
    test = toy_trips.columns["test"]
    fares, predicted = test["fare"].reshape(-1), TfliteModel(fare_tflite).predict(test)
    lower, upper = (float(end) for end in np.quantile(fares - predicted, [0.1, 0.9]))
    for promised, ok in ((0.8, True), (0.99, False)):
        bands = Bands(promised, (), (min(lower, 0.0),), (max(upper, 0.0),), (100,))
        ready = evaluate(tmp_path / str(promised), {"model": fare_tflite}, max_rmse=1000.0, bands=bands)
        judged = {key: ready[key] for key in ("evaluation", "model_blessing")} | {"model": ready["quantized_model"]}
        blessing, judgement = judge(1000.0, **judged)
        covered = bands.covers(predicted, fares).mean()
        assert judgement["metrics"]["coverage"] == pytest.approx(covered, abs=0.01)  # float32 at the ends
        assert judgement["metrics"]["range_width"] == pytest.approx(bands.upper[0] - bands.lower[0], rel=1e-5)
        assert {check["name"]: check["ok"] for check in judgement["checks"]}["max_coverage_shortfall"] == ok
        assert blessing.get_int_custom_property("blessed") == ok
        assert all(0 <= each["coverage"] <= 1 and each["range_width"] > 0 for each in judgement["slices"])


def test_the_judgement_names_the_joined_spans():
    from tfx.types.standard_artifacts import Examples

    from farebox.components.model_gate.executor import spans_of

    examples = Examples()
    assert spans_of(examples) == []
    examples.set_string_custom_property("window", "[[3, 1], [5, 2]]")
    assert spans_of(examples) == [3, 5]


@pytest.mark.slow
def test_a_model_above_the_bound_is_refused(judge, trained, evaluated):
    """Evaluator blessed it. A ratio slightly above the bound is not refused: another test split might differ."""
    blessing, judgement = judge(0.7 * evaluated[1] / trained[1]["no_embedding_dnn"])
    assert evaluated[0]["model_blessing"].get_int_custom_property("blessed") == 1
    assert not _check(judgement)["ok"]
    assert _files(blessing) == {"judgement.json", "NOT_BLESSED"}
    assert not _may_be_pushed(blessing) and _latest_blessed(blessing) == []
    assert blessing.get_int_custom_property("current_model_id") == 1
    almost, _ = judge(0.999 * evaluated[1] / trained[1]["no_embedding_dnn"])
    assert _may_be_pushed(almost)


@pytest.mark.slow
def test_what_evaluator_refused_stays_refused(judge, evaluate, fare_tflite, tmp_path):
    """ModelGate's own check holds."""
    refused = evaluate(tmp_path / "refused", {"model": fare_tflite}, max_rmse=0.01)["model_blessing"]
    blessing, judgement = judge(1000.0, max_rmse=0.01, model_blessing=refused)
    assert _check(judgement)["ok"] and not judgement["checks"][0]["ok"]
    assert _files(blessing) == {"judgement.json", "NOT_BLESSED"}
    assert not _may_be_pushed(blessing) and _latest_blessed(blessing) == []


@pytest.mark.slow
def test_without_a_bound_only_evaluator_decides(judge):
    blessing, judgement = judge(None)
    check = _check(judgement)
    assert (check["bound"], check["ok"], check["value"]) == (None, True, judgement["ratio"])
    assert judgement["ratio"] > 1.02
    assert _may_be_pushed(blessing)


def test_on_kubeflow_the_judged_model_is_a_resource_name(tmp_path):
    """Kubeflow's container turns Evaluator's id of the model into a name, and reads numbers back as floats."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as kubeflow
    from tfx.types import standard_artifacts

    from farebox.components.model_gate.executor import bless

    name = "projects/1/artifacts/2"
    runtime = {
        "artifacts": [
            {
                "name": "projects/1/artifacts/3",
                "uri": "gs://bucket/blessing",
                "type": {"instanceSchema": "title: farebox.EvaluatorBlessing\ntype: object\n"},
                "metadata": {"blessed": 1.0, "current_model_id": name},
            }
        ]
    }
    parsed = json_format.ParseDict(runtime, pipeline_spec_pb2.ArtifactList())
    (evaluator_blessing,) = kubeflow.parse_raw_artifact_dict({"model_blessing": parsed})["model_blessing"]
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(tmp_path)
    bless(blessing, evaluator_blessing, holds=True)
    metadata = kubeflow.to_runtime_artifact(blessing, {}).metadata
    assert (metadata["blessed"], metadata["current_model_id"]) == (1, name)


@pytest.mark.slow
def test_the_judgement_is_about_the_bytes_that_evaluator_read(judge, fare_tflite):
    """The blessing, which Pusher reads, has the same digest."""
    blessing, judgement = judge(1000.0)
    assert judgement["sha256"] == hashlib.sha256(fare_tflite).hexdigest()
    assert blessing.get_string_custom_property("sha256") == judgement["sha256"]
    assert judgement["rows"] == 320 and judgement["baseline"] is None
    weekdays = [errors for errors in judgement["slices"] if errors["slice"].startswith("pickup_weekday=")]
    areas = [errors for errors in judgement["slices"] if errors["slice"].startswith("pickup_area=")]
    airport = [errors for errors in judgement["slices"] if errors["slice"].startswith("airport=")]
    for slices in (weekdays, areas, airport):
        assert sum(errors["rows"] for errors in slices) == 320
    assert {errors["slice"] for errors in airport} >= {"airport=none"} and len(areas) > 5


@pytest.mark.slow
def test_another_file_than_the_judged_one_is_a_bug(judge, nan_tflite, tmp_path):
    from tfx.types import standard_artifacts

    other = standard_artifacts.Model()
    other.uri = str(tmp_path / "other")
    Path(other.uri, "Format-Serving").mkdir(parents=True)
    Path(other.uri, "Format-Serving", "tflite").write_bytes(nan_tflite)
    with pytest.raises(RuntimeError, match="other must hold the bytes that Evaluator judged, got others$"):
        judge(None, model=other)


@pytest.mark.slow
def test_a_blessing_that_contradicts_the_bounds_is_a_bug(judge):
    with pytest.raises(RuntimeError, match="^ModelGate: Evaluator blessed=True must agree with max_rmse, got "):
        judge(None, max_rmse=0.1)


def test_the_component_refuses_a_bound_that_nothing_holds():
    from tfx.types import Channel

    from farebox.components.model_gate.component import ModelGate, ModelGateSpec

    inputs = {key: Channel(type=parameter.type) for key, parameter in ModelGateSpec.INPUTS.items()}
    with pytest.raises(ValueError, match="^gates.max_ratio_to_yardstick=0 must be above 0 and finite, or null$"):
        ModelGate(label="fare", bounds='{"max_ratio_to_yardstick": 0}', **PROPERTIES, **inputs)
