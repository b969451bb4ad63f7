"""Optimal brain damage: how much the loss rises when a weight becomes zero.

LeCun, Denker, Solla 1989, "Optimal Brain Damage", equation 5: h w² / 2 with h the diagonal of the loss's Hessian, all
other terms neglected. h is taken in the Gauss-Newton form, which needs no labels and is never negative: with output f,
2 (df/dw)² for squared error, and for classes the sum over classes of p (d log p / dw)², which is Fisher's information.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks.ids import inputs_of
from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch
from farebox.components.pruner.layers import copy_network, matrix, weight_of

SMALLEST = 1e-7  # of a probability, as Keras clips it


def saliency(
    network: keras.Model, layers: Sequence[str], batches: Iterable[Batch], objective: Objective | None = None
) -> dict[str, npt.NDArray[Any]]:
    """The rise of the mean loss by weight, shaped as the layer's matrix; squared units of the label, or nats."""
    return {
        name: diagonal * matrix(network, name).astype(np.float64) ** 2 / 2
        for name, diagonal in curvature(network, layers, batches, objective).items()
    }


def curvature(
    network: keras.Model, layers: Sequence[str], batches: Iterable[Batch], objective: Objective | None = None
) -> dict[str, npt.NDArray[Any]]:
    """The diagonal of the Gauss-Newton Hessian of the mean loss, by layer, shaped as its matrix.

    Exact if a row uses a weight once. Positions of a sequence, and calls of a shared layer, count as rows.
    """
    network = copy_network(network)
    chosen, objective = [network.get_layer(name) for name in layers], objective or objective_of(network)
    probes = keras.Model(network.inputs, [network.output, [_calls(layer) for layer in chosen]])
    squares = tf.function(lambda columns: _squared_gradients(columns, probes, chosen, objective), autograph=False)
    total, n_rows = {name: np.zeros(matrix(network, name).shape) for name in layers}, 0
    for columns, label in batches:
        n_rows += len(label)
        for name, values in zip(layers, squares({key: columns[key] for key in network.input_names}), strict=True):
            total[name] += values.numpy()
    return {name: values / n_rows for name, values in total.items()}


def _calls(layer: keras.layers.Layer) -> list[list[keras.KerasTensor]]:
    return [[before, layer.get_output_at(call)] for call, before in enumerate(inputs_of(layer))]


def _squared_gradients(
    columns: Mapping[str, tf.Tensor], probes: keras.Model, layers: Sequence[keras.layers.Layer], objective: Objective
) -> list[tf.Tensor]:
    """The sum over rows of what the squared gradients of each weight add to the diagonal, by layer."""
    with tf.GradientTape(persistent=True) as tape:
        output, calls = probes(columns, training=False)
        weighted = terms(output, objective)
    totals = []
    for layer, called in zip(layers, calls, strict=True):
        totals.append(tf.zeros((np.prod(weight_of(layer).shape[:-1]), weight_of(layer).shape[-1])))
        for before, after in called:
            for weight, term in weighted:
                slope = tape.gradient(term, after, unconnected_gradients="zero")
                totals[-1] += _of_weights(layer, before, slope, weight)
    return totals


def terms(output: tf.Tensor, objective: Objective) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """(weight, term), each of shape (n,): the diagonal is the sum over them of weight times squared gradient."""
    columns = tf.unstack(output, axis=-1)
    if not objective.is_of_chances:
        return [(tf.fill(tf.shape(column), 2.0 / len(columns)), column) for column in columns]
    if objective.is_one_hot:
        chances = tf.unstack(tf.nn.softmax(output) if objective.is_logits else output, axis=-1)
    else:
        chances = [tf.sigmoid(column) if objective.is_logits else column for column in columns]
        chances += [1 - chance for chance in chances]
    chances = [tf.maximum(chance, SMALLEST) for chance in chances]
    return [(chance, tf.math.log(chance)) for chance in chances]


def _of_weights(layer: keras.layers.Layer, before: tf.Tensor, slope: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """One call's share in a layer's diagonal. slope: gradient at the layer's output, one per row."""
    slope = tf.reshape(slope, (-1, tf.shape(slope)[-1]))
    weight = tf.repeat(weight, tf.shape(slope)[0] // tf.shape(weight)[0])[:, None]
    if isinstance(layer, keras.layers.Embedding):
        ids = tf.cast(tf.reshape(before, (-1,)), tf.int64)
        return tf.math.unsorted_segment_sum(weight * slope**2, ids, layer.input_dim)
    read = _read(layer, before)
    before = tf.reshape(read, (-1, read.shape[-1]))
    with tf.GradientTape() as tape:
        summed = before @ tf.reshape(weight_of(layer), (read.shape[-1], -1)) + (layer.bias if layer.use_bias else 0.0)
        tape.watch(summed)
        activated = layer.activation(summed)
    slope = tape.gradient(activated, summed, output_gradients=slope)
    return tf.matmul(before**2, weight * slope**2, transpose_a=True)


def _read(layer: keras.layers.Layer, before: tf.Tensor) -> tf.Tensor:
    """The numbers that each unit's weights multiply, in the order of the kernel's rows; shape (n, ..., inputs)."""
    if isinstance(layer, keras.layers.Dense):
        return before
    is_1d = len(layer.kernel_size) == 1
    size, stride, rate = ([*each] * 2 if is_1d else [*each] for each in _window(layer))
    if layer.padding == "causal":
        before = tf.pad(before, [(0, 0), (rate[0] * (size[0] - 1), 0), (0, 0)])
    image = before[:, None] if is_1d else before
    padding = "SAME" if layer.padding == "same" else "VALID"
    if isinstance(layer, keras.layers.SeparableConv1D | keras.layers.SeparableConv2D):
        kernel = layer.depthwise_kernel[None] if is_1d else layer.depthwise_kernel
        return tf.nn.depthwise_conv2d(image, kernel, [1, *stride, 1], padding, dilations=rate)
    size = [1, size[0]] if is_1d else size
    return tf.image.extract_patches(image, [1, *size, 1], [1, *stride, 1], [1, *rate, 1], padding)


def _window(layer: keras.layers.Layer) -> tuple[Any, Any, Any]:
    return layer.kernel_size, layer.strides, layer.dilation_rate
