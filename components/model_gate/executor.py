"""ModelGate's work on artifacts: judges on the test split, as Evaluator does, and chooses nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_executor
from tfx.utils import io_utils

from farebox.components.errors import Check
from farebox.components.evaluator import metrics
from farebox.components.evaluator.error_sums import NAMES
from farebox.components.files import progress
from farebox.components.files.artifact_json import write_json
from farebox.components.model_gate import model_checks, yardsticks
from farebox.components.model_gate.judgement import JUDGEMENT_FILE, Judgement, LastBlessed, SliceErrors
from farebox.components.model_gate.settings import ModelBounds
from farebox.components.networks import examples_io
from farebox.components.tflite.files import tflite_path
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import bands_of

MODEL_PROPERTIES = (
    constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY,
    constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
    constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY,
    constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY,
)


class ModelGateExecutor(base_executor.BaseExecutor):
    """Measures the yardsticks on test, checks the shipped file's metrics against the bounds, blesses or refuses."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `ModelGateSpec`."""
        inputs = {name: artifacts[0] for name, artifacts in input_dict.items()}
        (blessing,) = output_dict["blessing"]
        bounds = ModelBounds(**json.loads(exec_properties["bounds"]))
        uri = inputs["evaluation"].uri
        bands = bands_of(shipped_file(inputs))
        evidence = model_checks.Evidence(
            metrics.by_slice(uri), metrics.by_slice(uri, is_baseline=True), bands.coverage if bands else None
        )
        n_rows = int(evidence.candidate[metrics.OVERALL][metrics.COUNT].value)
        with progress.counted("trip", n_rows):
            errors = errors_on_test(inputs, exec_properties)
        names = [name for name in errors.squared if name != yardsticks.SHIPPED]
        rmse = {name: errors.rmse_estimate(name) for name in names}
        bounded = model_checks.judge(evidence, bounds)
        check_agreement(inputs["model_blessing"], bounded)
        ratio = yardsticks.judge(errors, bounds.max_ratio_to_yardstick, bounds.confidence)
        checks = [*bounded, ratio]
        judgement = judgement_of(
            evidence=evidence,
            digests=metrics.judged_digests(uri),
            rmse=rmse,
            checks=checks,
            ratio=ratio.value,
            ratios={name: errors.ratio(yardsticks.SHIPPED, name) for name in names},
            spans=spans_of(inputs["raw_examples"]),
        )
        write_json(blessing, JUDGEMENT_FILE, judgement.to_json())
        bless(blessing, inputs["model_blessing"], holds=all(check.ok for check in checks))
        blessing.set_string_custom_property("sha256", str(judgement.sha256))
        logging.info(
            "ModelGate: yardsticks %s, failed: %s", values_of(rmse), [check for check in checks if not check.ok]
        )


def judgement_of(
    *,
    evidence: model_checks.Evidence,
    digests: Mapping[str, str | None],
    rmse: Mapping[str, metrics.Estimate],
    checks: Sequence[Check],
    ratio: float,
    ratios: Mapping[str, metrics.Estimate],
    spans: Sequence[int],
) -> Judgement:
    """The record of measurements and checks; digests: SHA-256 of candidate and baseline; rmse: of the yardsticks;
    ratios: of the file's RMSE over theirs."""
    overall = evidence.candidate[metrics.OVERALL]
    last_blessed = evidence.baseline.get(metrics.OVERALL)
    return Judgement(
        sha256=digests["candidate"],
        rows=int(overall[metrics.COUNT].value),
        metrics={name: value for name, value in values_of(overall).items() if name != metrics.COUNT},
        intervals={name: (estimate.lower, estimate.upper) for name, estimate in overall.items()},
        baseline=LastBlessed(digests["baseline"], values_of(last_blessed)) if last_blessed else None,
        slices=tuple(
            slice_errors(key, estimates)
            for key, estimates in sorted(evidence.slices.items(), key=lambda item: str(item[0]))
        ),
        yardsticks=values_of(rmse),
        yardstick_intervals={name: (estimate.lower, estimate.upper) for name, estimate in rmse.items()},
        yardstick_ratios={name: (each.value, each.lower, each.upper) for name, each in ratios.items()},
        checks=tuple(checks),
        ratio=ratio,
        spans=tuple(spans),
    )


def spans_of(examples: types.Artifact) -> list[int]:
    """Numbers of the spans that were joined or ingested together; empty if the trips do not come in spans."""
    return [span for span, _ in json.loads(examples.get_string_custom_property("window") or "[]")]


def values_of(estimates: Mapping[str, metrics.Estimate]) -> dict[str, float]:
    """The metrics without their intervals."""
    return {name: estimate.value for name, estimate in estimates.items()}


def slice_errors(key: metrics.SliceKey, estimates: metrics.Metrics) -> SliceErrors:
    """Number of rows and errors of a slice, without the differences from the baseline."""
    return SliceErrors(
        slice=metrics.describe(key),
        rows=int(estimates[metrics.COUNT].value),
        rmse=estimates[metrics.RMSE].value,
        mae=estimates[metrics.MAE].value,
        bias=estimates[metrics.BIAS].value,
        p95_absolute_error=estimates[metrics.P95].value,
        coverage=estimates[metrics.COVERAGE].value if metrics.COVERAGE in estimates else None,
        range_width=estimates[metrics.RANGE_WIDTH].value if metrics.RANGE_WIDTH in estimates else None,
        intervals={name: (estimates[name].lower, estimates[name].upper) for name in NAMES if name in estimates},
    )


def errors_on_test(inputs: dict[str, types.Artifact], exec_properties: dict[str, Any]) -> yardsticks.GroupedErrors:
    """Errors of the shipped file and of each yardstick on test; one pass over train fits the trivial yardsticks."""
    label = exec_properties["label"]
    spec = examples_io.transformed_feature_spec(inputs["transform_graph"])
    train = examples_io.dataset(inputs["examples"], "train", spec, label, examples_io.EVAL_BATCH_ROWS)
    predictors = {
        **yardsticks.fit_trivial(examples_io.numpy_batches(train), exec_properties["distance"]),
        yardsticks.RAW_DNN: network_predictor(inputs["model_run"], yardsticks.RAW_DNN),
        yardsticks.NO_EMBEDDING_DNN: network_predictor(inputs["model_run"], yardsticks.NO_EMBEDDING_DNN),
        yardsticks.LIGHTGBM: booster_predictor(inputs["model_run"], exec_properties["booster_inputs"].split(",")),
        yardsticks.SHIPPED: lambda columns: columns[yardsticks.SHIPPED],
    }
    return yardsticks.grouped_errors(predictors, judged_rows(inputs, label))


def judged_rows(
    inputs: dict[str, types.Artifact], label: str
) -> Iterator[tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.float64]]]:
    """Batches of test: transformed columns with the shipped file's predictions, and fares.

    Raises RuntimeError if the file is not the one that Evaluator judged.
    """
    output = tft.TFTransformOutput(inputs["transform_graph"].uri)
    layer, spec = output.transform_features_layer(), output.raw_feature_spec()
    content = shipped_file(inputs)
    if hashlib.sha256(content).hexdigest() != metrics.judged_digests(inputs["evaluation"].uri)["candidate"]:
        raise RuntimeError(f"ModelGate: {inputs['model'].uri} must hold the bytes that Evaluator judged, got others")
    shipped = TfliteModel(content)
    rows = examples_io.dataset(inputs["raw_examples"], "test", spec, label, examples_io.EVAL_BATCH_ROWS)
    for raw, fares in examples_io.numpy_batches(rows):
        transformed = layer({name: tf.constant(values) for name, values in raw.items()})
        columns = {name: values.numpy() for name, values in transformed.items()}
        yield {**columns, yardsticks.SHIPPED: shipped.predict(raw)}, fares
        progress.add(len(fares))


def shipped_file(inputs: dict[str, types.Artifact]) -> bytes:
    """The bytes of the shipped file."""
    with tf.io.gfile.GFile(tflite_path(inputs["model"]), "rb") as file:
        return bytes(file.read())


def network_predictor(model_run: types.Artifact, name: str) -> yardsticks.Predictor:
    """Predictions of `{model_run.uri}/{name}.keras`."""
    network = keras.models.load_model(os.path.join(model_run.uri, f"{name}.keras"), compile=False)
    predict = tf.function(lambda columns: network(columns, training=False), autograph=False)
    return lambda columns: predict({key: tf.constant(columns[key]) for key in network.input_names}).numpy()


def booster_predictor(model_run: types.Artifact, names: list[str]) -> yardsticks.Predictor:
    """Predictions of LightGBM's text model; names: its inputs, in the order of training."""
    import lightgbm

    with tf.io.gfile.GFile(os.path.join(model_run.uri, yardsticks.LIGHTGBM_FILE)) as file:
        booster = lightgbm.Booster(model_str=file.read())
    return lambda columns: np.asarray(booster.predict(np.concatenate([columns[name] for name in names], axis=1)))


def check_agreement(evaluator_blessing: types.Artifact, checks: Sequence[Check]) -> None:
    """Raises RuntimeError if Evaluator, which checks max_rmse too, disagrees."""
    accurate = (
        evaluator_blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE
    )
    (max_rmse,) = (check for check in checks if check.name == "max_rmse")
    if accurate != max_rmse.ok:
        raise RuntimeError(f"ModelGate: Evaluator blessed={accurate} must agree with max_rmse, got {max_rmse}")


def bless(blessing: types.Artifact, evaluator_blessing: types.Artifact, *, holds: bool) -> None:
    """Marks the artifact as tfx.components.evaluator.executor does: blessed if Evaluator blesses and this gate holds.

    Copies the judged model's properties as MLMD has them: a number locally, a resource name on Kubeflow.
    """
    properties = evaluator_blessing.mlmd_artifact.custom_properties
    for key in MODEL_PROPERTIES:
        if key in properties:
            blessing.mlmd_artifact.custom_properties[key].CopyFrom(properties[key])
    accurate = (
        evaluator_blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE
    )
    blessed = holds and accurate
    value, name = (
        (constants.BLESSED_VALUE, constants.BLESSED_FILE_NAME)
        if blessed
        else (constants.NOT_BLESSED_VALUE, constants.NOT_BLESSED_FILE_NAME)
    )
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
