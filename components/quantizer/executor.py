"""Quantizer's work on artifacts: the file that may ship, the unreduced float32 file, and how the choice was made."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from farebox.components.networks import examples_io
from farebox.components.networks.objective import objective_of
from farebox.components.quantizer import plots
from farebox.components.quantizer.conversion import Front, calibration_rows
from farebox.components.quantizer.ladder import Outcome, search
from farebox.components.quantizer.settings import REDUCED, UNREDUCED, QuantizerSettings
from farebox.components.tflite.files import serving_dir, tflite_path


class QuantizerExecutor(base_executor.BaseExecutor):
    """Network and transform graph in, one raw-input `.tflite` and its trial log out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `QuantizerSpec`."""
        settings = QuantizerSettings(**json.loads(exec_properties["settings"]))
        label = exec_properties["label"]
        networks = {
            REDUCED: examples_io.load_network(input_dict["model"][0]),
            UNREDUCED: examples_io.load_network(input_dict["unreduced_model"][0]),
        }
        transformed = tft.TFTransformOutput(input_dict["transform_graph"][0].uri)
        raw_spec = transformed.raw_feature_spec()
        asked = exec_properties["model_inputs"].split(",")
        front = Front(
            transformed.transform_features_layer(), {name: raw_spec[name].dtype for name in raw_spec if name in asked}
        )

        def raw(split: str) -> Iterable[tuple[dict[str, np.ndarray], np.ndarray]]:
            rows = examples_io.dataset(
                input_dict["raw_examples"][0], split, raw_spec, label, examples_io.EVAL_BATCH_ROWS
            )
            return examples_io.numpy_batches(rows)

        train, evaluation = examples_io.fitting_splits(input_dict, label, settings.batch_size, settings.seed)
        of_raw = settings.mode == "int8_io"  # the one rung that quantizes what stands before the network
        calibration = calibration_rows(
            raw("train") if of_raw else examples_io.numpy_batches(train), settings.calibration_rows
        )
        outcome = search(
            networks,
            front,
            calibration,
            (train, evaluation),
            list(at_most(raw("eval"), examples_io.MAX_EVAL_ROWS)),
            label,
            settings,
            bool(exec_properties["non_negative"]),
        )
        write_file(outcome.chosen.content, output_dict["quantized_model"][0])
        write_file(outcome.trials[0].content, output_dict["reference_model"][0])
        write_log(outcome, settings, objective_of(networks[UNREDUCED]).metric, output_dict["trials"][0].uri)


def at_most(
    batches: Iterable[tuple[dict[str, np.ndarray], np.ndarray]], n_rows: int
) -> Iterable[tuple[dict[str, np.ndarray], np.ndarray]]:
    """The batches until n_rows are reached."""
    seen = 0
    for columns, labels in batches:
        if seen >= n_rows:
            return
        seen += len(labels)
        yield columns, labels


def write_file(content: bytes, model: types.Artifact) -> None:
    """Makes the bytes the `.tflite` of a Model artifact."""
    tf.io.gfile.makedirs(serving_dir(model))
    with tf.io.gfile.GFile(tflite_path(model), "wb") as file:
        file.write(content)


def write_log(outcome: Outcome, settings: QuantizerSettings, metric: str, uri: str) -> None:
    """The files of a QuantizationTrials artifact."""
    fileio.makedirs(uri)
    chosen = outcome.chosen
    choice = {
        "mode": chosen.rung,
        "network": chosen.network,
        "steps": chosen.steps,
        "kept_float": chosen.kept_float,
        "why": outcome.why,
        "metric": metric,
        "bound": outcome.bound,
        "eval_error": {"unreduced": outcome.trials[0].error, "shipped": chosen.error},
        "bytes": chosen.bytes,
        "gzip_bytes": chosen.gzip_bytes,
        "optimize_for": settings.optimize_for,
    }
    texts = {
        "choice.json": json.dumps(choice, indent=2),
        "trials.jsonl": "".join(json.dumps(trial.as_json()) + "\n" for trial in outcome.trials),
        "sensitivity.json": json.dumps([dataclasses.asdict(harm) for harm in outcome.harms], indent=2),
    }
    for name, text in texts.items():
        with fileio.open(os.path.join(uri, name), "w") as file:
            file.write(text)
    with fileio.open(os.path.join(uri, "pareto.png"), "wb") as file:
        file.write(plots.pareto(outcome.trials, outcome.bound, metric))
