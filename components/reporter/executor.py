"""Reporter's work on artifacts: one table of figures from what every node left behind."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from farebox.components.networks import examples_io
from farebox.components.quantizer.settings import REDUCED
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import FARE_FILE, gzip_bytes, tflite_path


class ReporterExecutor(base_executor.BaseExecutor):
    """Every node's artifacts in, figures.json out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `ReporterSpec`."""
        inputs = {name: artifacts[0] for name, artifacts in input_dict.items()}
        (report,) = output_dict["report"]
        judged = read_json(inputs["gate_blessing"], "judgement.json")
        yardsticks = judged["yardsticks"]
        device = read_json(inputs["infra_blessing"], "device.json")
        pushed = inputs["pushed_model"]
        figures = {
            "rows": {
                key: read_json(inputs["raw_examples"], "counts.json")[key] for key in ("read", "examples", "rejected")
            },
            "yardsticks": yardsticks,
            "rmse": {
                "predict_mean": yardsticks["predict_mean"],
                "linear_on_distance": yardsticks["linear_on_distance"],
                "baseline": yardsticks["raw_dnn"],
                **network_errors(inputs, exec_properties["label"]),
                "shipped": judged["metrics"]["rmse"],
            },
            "mae": judged["metrics"]["mae"],
            "bias": judged["metrics"]["bias"],
            "p95_absolute_error": judged["metrics"]["p95_absolute_error"],
            "intervals": judged["intervals"],
            "baseline": judged["baseline"],
            "slices": judged["slices"],
            "tuned": read_json(inputs["model_run"], "training.json")["tuned"],
            "model": {"path": shipped_path(inputs), **model_facts(inputs), **file_facts(inputs["quantized_model"])},
            "unreduced": {key: file_facts(inputs["reference_model"])[key] for key in ("bytes", "gzip_bytes")},
            "latency_us": device["measurements"].get("latency_us"),
            "gates": [
                *read_json(inputs["verdict"], "verdict.json"),
                *judged["checks"],
                *device["checks"],
                *refusal(pushed),
            ],
            "blessed": bool(inputs["gate_blessing"].get_int_custom_property("blessed")) and device["blessed"],
            "pushed": pushed.get_string_custom_property("pushed_destination") or None,
        }
        examples_io.write_json(report, "figures.json", figures)
        logging.info("Reporter: %s", figures["rmse"])


def refusal(pushed: types.Artifact) -> list[Any]:
    """Pusher's own checks, where they refused: it leaves none where it pushed, or another gate refused."""
    refused = tf.io.gfile.exists(os.path.join(pushed.uri, "refusal.json"))
    return read_json(pushed, "refusal.json") if refused else []


def read_json(artifact: types.Artifact, name: str) -> Any:
    """The content of `{artifact.uri}/{name}`."""
    with tf.io.gfile.GFile(os.path.join(artifact.uri, name)) as file:
        return json.loads(file.read())


def network_errors(inputs: dict[str, types.Artifact], label: str) -> dict[str, float]:
    """RMSE on the test split of the float network at each stage."""
    spec = examples_io.transformed_feature_spec(inputs["transform_graph"])
    test = examples_io.dataset(inputs["examples"], "test", spec, label, examples_io.EVAL_BATCH_ROWS)
    stages = {"engineered": "model", "reduced": "reduced_model", "pruned": "pruned_model"}
    return {
        stage: examples_io.network_error(examples_io.load_network(inputs[key]), test).error
        for stage, key in stages.items()
    }


def shipped_path(inputs: dict[str, types.Artifact]) -> str:
    """Where the pushed file lies; the judged one where nothing was pushed. Their bytes are the same."""
    pushed = inputs["pushed_model"].get_string_custom_property("pushed_destination")
    return os.path.join(pushed, FARE_FILE) if pushed else tflite_path(inputs["quantized_model"])


def model_facts(inputs: dict[str, types.Artifact]) -> dict[str, Any]:
    """How the shipped network came to be; k is None where the reduced one was not worth it."""
    choice = read_json(inputs["trials"], "choice.json")
    is_reduced = choice["network"] == REDUCED
    network = examples_io.load_network(inputs["pruned_model" if is_reduced else "model"])
    weights = network.get_weights()
    return {
        "parameters": network.count_params(),
        "sparsity": sum(int(np.sum(weight == 0.0)) for weight in weights) / network.count_params(),
        "k": read_json(inputs["projection"], "projection.json")["k"] if is_reduced else None,
        **{key: choice[key] for key in ("mode", "network", "steps")},
    }


def file_facts(model: types.Artifact) -> dict[str, Any]:
    """Digest, sizes and ops of a Model artifact's `.tflite`."""
    with tf.io.gfile.GFile(tflite_path(model), "rb") as file:
        content = file.read()
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "gzip_bytes": gzip_bytes(content),
        "ops": interpreter.TfliteModel(content).op_names(),
    }
