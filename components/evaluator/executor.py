"""FileEvaluator's work: TFX's own, with the digest of what was judged taken before and after."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from typing import Any

from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components.evaluator import executor as tfx_evaluator
from tfx.dsl.io import fileio
from tfx.utils import proto_utils

from farebox.components.evaluator.metrics import JUDGED_FILE
from farebox.components.files import progress
from farebox.components.files.artifact_json import write_json
from farebox.components.tflite.bands import Bands
from farebox.components.tflite.files import tflite_path
from farebox.components.tflite.metadata import bands_of
from farebox.components.trip_example_gen.files import COUNTS_FILE

TEST = "test"
ERRORS_CLASS = "RegressionErrors"
FILES = {"candidate": "model", "baseline": "baseline_model"}


class FileEvaluatorExecutor(tfx_evaluator.Executor):
    """Evaluates, and writes `judged.json`; `sha256` of the candidate is a custom property of both outputs."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises RuntimeError if a file changed while it was judged."""
        if slicing := exec_properties.get("slicing"):
            importlib.import_module(exec_properties["module_path"]).configure(json.loads(slicing))
        input_dict = without_missing_baseline(input_dict)
        if bands := bands_of(content_of(input_dict["model"][0])):
            exec_properties = {**exec_properties, "eval_config": with_bands(exec_properties["eval_config"], bands)}
        before = digests(input_dict)
        with progress.counted("trip", rows_of(input_dict["examples"][0], TEST)):
            super().Do(input_dict, output_dict, exec_properties)
        if digests(input_dict) != before:
            raise RuntimeError(f"Evaluator: a file changed while it was judged, from {before} to {digests(input_dict)}")
        (evaluation,), (blessing,) = output_dict["evaluation"], output_dict["blessing"]
        write_json(evaluation, JUDGED_FILE, before)
        for artifact in (evaluation, blessing):
            artifact.set_string_custom_property("sha256", str(before["candidate"]))


def rows_of(examples: types.Artifact, split: str) -> int:
    """Number of rows of a split, for progress; 0 for examples that do not count them."""
    path = os.path.join(examples.uri, COUNTS_FILE)
    if not fileio.exists(path):
        return 0
    with fileio.open(path) as file:
        return int(json.loads(file.read()).get("by_split", {}).get(split, 0))


def with_bands(eval_config: str, bands: Bands) -> str:
    """TFMA's EvalConfig, as JSON, whose RegressionErrors also measure these bands: a graph cannot name them."""
    config = config_pb2.EvalConfig()
    proto_utils.json_to_proto(eval_config, config)
    for metric in (metric for spec in config.metrics_specs for metric in spec.metrics):
        if metric.class_name == ERRORS_CLASS:
            metric.config = json.dumps({**json.loads(metric.config or "{}"), "bands": bands.to_json()})
    return str(proto_utils.proto_to_json(config))


def without_missing_baseline(input_dict: dict[str, list[types.Artifact]]) -> dict[str, list[types.Artifact]]:
    """The inputs without a baseline that has no file: LatestPushed leaves such an artifact before the first push."""
    baseline = input_dict.get("baseline_model")
    if baseline and not fileio.exists(tflite_path(baseline[0])):
        return {name: artifacts for name, artifacts in input_dict.items() if name != "baseline_model"}
    return input_dict


def digests(input_dict: dict[str, list[types.Artifact]]) -> dict[str, str | None]:
    """SHA-256 of each model's `.tflite`; None without such a model."""
    return {name: digest(input_dict[key][0]) if input_dict.get(key) else None for name, key in FILES.items()}


def digest(model: types.Artifact) -> str:
    """SHA-256 of a Model artifact's `.tflite`."""
    return hashlib.sha256(content_of(model)).hexdigest()


def content_of(model: types.Artifact) -> bytes:
    """The bytes of a Model artifact's `.tflite`."""
    with fileio.open(tflite_path(model), "rb") as file:
        return bytes(file.read())
