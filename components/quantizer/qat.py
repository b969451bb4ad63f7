"""Quantization-aware training: a network is fine-tuned with int8 weights and activations.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks import fine_tuning
from farebox.components.networks.convolutions import with_images
from farebox.components.networks.model_optimization import import_tfmot
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch
from farebox.components.quantizer.settings import QuantizerSettings

tfmot: Any = import_tfmot()
L = keras.layers
POOLS = (L.MaxPooling2D, L.AveragePooling2D, L.GlobalAveragePooling1D, L.GlobalAveragePooling2D)
QUANTIZED = (
    *(L.Dense, L.Conv2D, L.DepthwiseConv2D, L.Embedding, L.Add, L.Concatenate),
    *(L.ReLU, L.Activation, L.Reshape, *POOLS),
)


class EmbeddingQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Quantizes the table to int8 and leaves the result of the look-up float; tfmot's registry leaves the table float.

    Symmetric with one scale, as TFLite's GATHER has one.
    """

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        quantizers = tfmot.quantization.keras.quantizers
        quantizer = quantizers.LastValueQuantizer(num_bits=8, symmetric=True, narrow_range=True, per_axis=False)
        return [(layer.embeddings, quantizer)]

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:  # noqa: ARG002 - tfmot's signature
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        layer.embeddings = quantize_weights[0]

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002 - tfmot's signature
        return []

    def get_config(self) -> dict[str, Any]:
        return {}


def quantization_aware(
    network: keras.Model,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    settings: QuantizerSettings,
    *,
    objective: Objective | None = None,
    keeps_zeros: bool = False,
) -> keras.Model:
    """Returns a copy fine-tuned with int8 weights and activations; `network` stays as it is.

    It quantizes the layers that `qat_layers` matches and whose type is in QUANTIZED, and Conv1D, as Conv2D. objective:
    by default as the last layer says. keeps_zeros: zero weights stay zero (tfmot's prune-preserving scheme); otherwise
    training fills them again.

    Raises InputError if no layer matches.
    """
    network, patterns = with_images(network), settings.qat_layers
    chosen = {
        layer.name
        for layer in network.layers
        if isinstance(layer, QUANTIZED)
        and _is_real(layer)
        and any(fnmatch.fnmatch(layer.name, pattern) for pattern in patterns)
    }
    if not chosen:
        names = [layer.name for layer in network.layers if isinstance(layer, QUANTIZED)]
        raise InputError(f"quantizer.qat_layers={list(patterns)} must match a layer, got none of {names}")
    annotate = tfmot.quantization.keras.quantize_annotate_layer

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in chosen:
            return layer
        if isinstance(layer, keras.layers.Embedding):
            return annotate(layer, EmbeddingQuantizeConfig())
        if isinstance(layer, L.Reshape):
            return annotate(layer, _output_alone())
        return annotate(layer)

    keras.utils.set_random_seed(settings.seed)
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme() if keeps_zeros else None
    with tfmot.quantization.keras.quantize_scope({"EmbeddingQuantizeConfig": EmbeddingQuantizeConfig}):
        annotated = keras.models.clone_model(network, clone_function=wrap)
        annotated.set_weights(network.get_weights())
        apply = tfmot.quantization.keras.quantize_apply
        aware = apply(annotated, scheme) if scheme else apply(annotated)
    calibrate(aware, network, train)
    fine_tuning.fine_tune(
        aware,
        fine_tuning.imitating(train, network, objective),
        evaluation,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        shuffle=np.random.RandomState(settings.seed),
        objective=objective,
    )
    return aware


def _is_real(layer: keras.layers.Layer) -> bool:
    """Whether a layer answers with real numbers, not with ids."""
    return bool(layer.output.dtype.is_floating)


def _output_alone() -> Any:
    """The configuration that quantizes a layer's answer alone, without which a reshaped input stays float."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_registry

    return default_8bit_quantize_registry.Default8BitQuantizeConfig([], [], quantize_output=True)


def output_ranges(network: keras.Model, batches: Iterable[Batch]) -> dict[str, tuple[float, float]]:
    """Returns the smallest and the largest output of every layer over the batches, 0 included, by layer."""
    outputs = {layer.name: layer.output for layer in network.layers if layer.output.dtype == tf.float32}
    run = tf.function(keras.Model(network.inputs, outputs), autograph=False)
    ranges = dict.fromkeys(outputs, (0.0, 0.0))
    for columns, _ in batches:
        for name, values in run({key: columns[key] for key in network.input_names}).items():
            low, high = ranges[name]
            ranges[name] = (min(low, float(tf.reduce_min(values))), max(high, float(tf.reduce_max(values))))
    return ranges


def calibrate(aware: keras.Model, network: keras.Model, batches: Iterable[Batch]) -> None:
    """Sets the activation ranges of `aware` to those of the float network.

    tfmot starts them at -6..6 and moves them by 0.1 % a step: in a short run every fare above 6 would saturate.
    """
    for name, (low, high) in output_ranges(network, batches).items():
        wrapper = next((layer for layer in aware.layers if layer.name == f"quant_{name}"), None)
        for weight in wrapper.weights if wrapper else ():
            if weight.name.endswith(("post_activation_min:0", "output_min:0")):
                weight.assign(low)
            elif weight.name.endswith(("post_activation_max:0", "output_max:0")):
                weight.assign(high)
