"""One raw-input TFLite file from a transform graph and a network, in one of four number formats.

The transform graph's geo arithmetic stays float32 in all of them; what is quantized is the network behind it.
Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from components import fine_tuning
from components.quantizer.settings import Mode, QuantizerSettings
from components.slim import slim


class RawModel(tf.Module):
    """Raw columns, each of shape (n, 1), to the fare of shape (n, 1): transform graph, then network."""

    def __init__(
        self,
        transform: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
        network: keras.Model,
        raw_spec: Mapping[str, Any],
        output: str,
    ) -> None:
        super().__init__()
        self.transform, self.network, self.output = transform, network, output
        self.signature = {name: tf.TensorSpec((None, 1), spec.dtype, name) for name, spec in raw_spec.items()}

    def serving_fn(self) -> Any:
        """The function to export, traced on the raw columns."""

        @tf.function(input_signature=[self.signature])
        def serve(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            transformed = self.transform(raw)
            fare = self.network({name: transformed[name] for name in self.network.input_names}, training=False)
            return {self.output: fare}

        return serve


def to_tflite(model: RawModel, mode: Mode) -> bytes:
    """The TFLite file, slimmed. Built-in ops only: the converter raises where an op would need Flex."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures={"serving_default": model.serving_fn()})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if mode != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if mode == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return slim(converter.convert())


def quantization_aware(
    network: keras.Model, train: tf.data.Dataset, evaluation: tf.data.Dataset, settings: QuantizerSettings
) -> keras.Model:
    """A copy that has learned to live with int8 weights and activations; `network` stays as it is.

    For networks as PcaReducer writes them: branches that are added, then a chain of Dense layers. Only layers whose
    inputs are numbers are annotated, and embeddings get a config of their own: tfmot's registry would leave their
    tables float.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow_model_optimization as tfmot

    from components.quantizer.embedding_config import EmbeddingQuantizeConfig

    annotate = tfmot.quantization.keras.quantize_annotate_layer

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.Embedding):
            return annotate(layer, EmbeddingQuantizeConfig())
        if isinstance(layer, (keras.layers.Dense, keras.layers.Add, keras.layers.Concatenate)):
            return annotate(layer)
        return layer

    keras.utils.set_random_seed(settings.seed)
    with tfmot.quantization.keras.quantize_scope({"EmbeddingQuantizeConfig": EmbeddingQuantizeConfig}):
        annotated = keras.models.clone_model(network, clone_function=wrap)
        annotated.set_weights(network.get_weights())
        aware = tfmot.quantization.keras.quantize_apply(annotated)
    calibrate(aware, network, train)
    fine_tuning.fine_tune(
        aware, fine_tuning.imitating(train, network), evaluation, settings.epochs, settings.learning_rate
    )
    return aware


def output_ranges(network: keras.Model, batches: tf.data.Dataset) -> dict[str, tuple[float, float]]:
    """Smallest and largest output of every layer over the batches, 0 included, in the float network."""
    outputs = {layer.name: layer.output for layer in network.layers if layer.output.dtype == tf.float32}
    run = tf.function(keras.Model(network.inputs, outputs))
    ranges = dict.fromkeys(outputs, (0.0, 0.0))
    for columns, _ in batches:
        for name, values in run({key: columns[key] for key in network.input_names}).items():
            low, high = ranges[name]
            ranges[name] = (min(low, float(tf.reduce_min(values))), max(high, float(tf.reduce_max(values))))
    return ranges


def calibrate(aware: keras.Model, network: keras.Model, batches: tf.data.Dataset) -> None:
    """Starts the activation ranges of `aware` where the float network's are.

    tfmot starts them at -6..6 and moves them by 0.1 % a step: in a short run every fare above 6 would saturate.
    """
    for name, (low, high) in output_ranges(network, batches).items():
        wrapper = next((layer for layer in aware.layers if layer.name == f"quant_{name}"), None)
        for weight in wrapper.weights if wrapper else ():
            if weight.name.endswith(("post_activation_min:0", "output_min:0")):
                weight.assign(low)
            elif weight.name.endswith(("post_activation_max:0", "output_max:0")):
                weight.assign(high)
