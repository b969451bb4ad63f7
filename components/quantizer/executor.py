"""Quantizer's work on artifacts: the file that may ship, and the unreduced float32 file it is compared with."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from components import examples_io, tflite
from components.quantizer import quantization
from components.quantizer.settings import Mode, QuantizerSettings
from components.running_error import RunningError


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
        (graph,), (raw_examples,) = input_dict["transform_graph"], input_dict["raw_examples"]
        transformed = tft.TFTransformOutput(graph.uri)
        raw_spec = transformed.raw_feature_spec()
        inputs = {name: spec for name, spec in raw_spec.items() if name in exec_properties["model_inputs"].split(",")}

        def convert(network: keras.Model, mode: Mode) -> bytes:
            raw = quantization.RawModel(transformed.transform_features_layer(), network, inputs, label)
            return quantization.to_tflite(raw, mode)

        network = examples_io.load_network(input_dict["model"][0])
        if settings.mode == "qat":
            train, evaluation = examples_io.fitting_splits(input_dict, label, settings.batch_size, settings.seed)
            network = quantization.quantization_aware(network, train, evaluation, settings)
        shipped = convert(network, settings.mode)
        reference = convert(examples_io.load_network(input_dict["unreduced_model"][0]), "float32")

        raw_eval = examples_io.dataset(raw_examples, "eval", raw_spec, label, examples_io.EVAL_BATCH_ROWS)
        trials = [trial(settings.mode, shipped, raw_eval), trial("unreduced", reference, raw_eval)]
        logging.info("Quantizer: %s", trials)
        write_file(shipped, output_dict["quantized_model"][0])
        write_file(reference, output_dict["reference_model"][0])
        log = {"mode": settings.mode, "trials": [dataclasses.asdict(entry) for entry in trials]}
        examples_io.write_json(output_dict["trials"][0], "trials.json", log)


@dataclasses.dataclass(frozen=True)
class QuantizationTrial:
    """A candidate file: RMSE on eval in the label's unit, sizes, op counts."""

    mode: str
    rmse: float
    bytes: int
    gzip_bytes: int
    ops: dict[str, int]


def trial(mode: str, content: bytes, raw_eval: tf.data.Dataset) -> QuantizationTrial:
    """Runs the very bytes in the interpreter over the raw eval split."""
    model = tflite.TfliteModel(content)
    error = RunningError()
    for columns, label in examples_io.numpy_batches(raw_eval):
        error.update(model.predict(columns), label)
    return QuantizationTrial(mode, error.rmse, len(content), tflite.gzip_bytes(content), model.op_names())


def write_file(content: bytes, model: types.Artifact) -> None:
    """Makes the bytes the `.tflite` of a Model artifact."""
    tf.io.gfile.makedirs(examples_io.serving_dir(model))
    with tf.io.gfile.GFile(examples_io.tflite_path(model), "wb") as file:
        file.write(content)
