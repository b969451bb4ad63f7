"""Low rank: kernels of Dense layers and 1x1 convolutions as products of two narrow ones.

A layer's pre-activations z = xW + b, of all rows and places, are projected onto their first k principal axes P of shape
(units, k), about their mean m: x(WP)P' + m + (b - m)PP'. No other k axes lose less of them.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks import fine_tuning
from farebox.components.networks.convolutions import rebuilt, weighted
from farebox.components.networks.rows import Batch
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.methods import principal_axes
from farebox.components.pca_reducer.moments import Moments
from farebox.components.pruner.layers import copy_network, weight_of
from farebox.components.pruner.magnitude import Task

MULTIPLE = 4  # kernels of the interpreter work in blocks of four
LEAST_LOSS = 1e-12  # of variance; a smaller one is rounding
Array = npt.NDArray[Any]
L = keras.layers


def by_rank(task: Task) -> keras.Model:
    """A fine-tuned copy whose kernels are of lower rank, so that the share of their weights is gone."""
    (share,) = set(task.targets.values())
    keras.utils.set_random_seed(task.settings.seed)
    network = of_low_rank(task.network, list(task.targets), task.train, share)
    fine_tuning.fine_tune(
        network,
        task.train,
        task.evaluation,
        epochs=task.settings.ramp_epochs + task.settings.recover_epochs,
        learning_rate=task.settings.learning_rate,
        shuffle=task.shuffle,
        objective=task.objective,
    )
    return network


def chosen_layers(network: keras.Model, patterns: Sequence[str] | None) -> list[str]:
    """Names of the layers to divide. Raises InputError if a pattern matches none, or there is none."""
    names = [layer.name for layer in network.layers if _is_dividable(layer)]
    for pattern in patterns or ():
        if not fnmatch.filter(names, pattern):
            raise InputError(
                f"pruner.layers: {pattern} must match a Dense layer or 1x1 convolution that pays at rank {MULTIPLE}, "
                f"got none of {names}"
            )
    chosen = [name for name in names if patterns is None or any(fnmatch.fnmatch(name, each) for each in patterns)]
    if not chosen:
        raise InputError(
            f"pruner.criterion=low_rank must have a Dense layer or 1x1 convolution that pays at rank {MULTIPLE}: the "
            "network has none"
        )
    return chosen


def of_low_rank(network: keras.Model, names: Sequence[str], batches: Iterable[Batch], share: float) -> keras.Model:
    """The network with the layers divided, all at the same loss of variance: the least at which `share` of their
    weights is gone, or as many as can go."""
    moments = pre_activation_moments(network, names, batches)
    axes = {name: principal_axes(each, np.ones(len(each.mean))) for name, each in moments.items()}
    losses = {name: _losses(each) for name, each in axes.items()}
    shapes = {name: _shape(network.get_layer(name)) for name in names}
    wanted = share * sum(inputs * units for inputs, units in shapes.values())
    chosen: dict[str, int] = {}
    for bound in sorted({float(loss) for each in losses.values() for loss in each}):
        ranks = {name: _rank(losses[name], bound) for name in names}
        chosen = {name: k for name, k in ranks.items() if k * sum(shapes[name]) < np.prod(shapes[name])}
        if sum(np.prod(shapes[name]) - k * sum(shapes[name]) for name, k in chosen.items()) >= wanted:
            break
    made = {layer.name: [type(layer).from_config(layer.get_config())] for layer in network.layers}
    weights = {layer.name: layer.get_weights() for layer in network.layers}
    for name, k in chosen.items():
        layer = network.get_layer(name)
        made[name] = _divided(layer, k)
        narrow, wide = _weights(layer, axes[name].first(k))
        weights |= {made[name][0].name: narrow, name: wide}
    return weighted(rebuilt(network, made), weights)


def pre_activation_moments(network: keras.Model, names: Sequence[str], batches: Iterable[Batch]) -> dict[str, Moments]:
    """Mean and covariance of the pre-activations of each layer, over all rows and places."""
    network = copy_network(network)
    layers = [network.get_layer(name) for name in names]
    run = tf.function(keras.Model(network.inputs, [layer.input for layer in layers]), autograph=False)
    moments = {layer.name: Moments(_shape(layer)[1]) for layer in layers}
    for columns, _ in batches:
        read = tf.nest.flatten(run({key: columns[key] for key in network.input_names}))
        for layer, values in zip(layers, read, strict=True):
            kernel, bias = _kernel_and_bias(layer)
            moments[layer.name].update(values.numpy().reshape(-1, len(kernel)).astype(np.float64) @ kernel + bias)
    return moments


def _losses(axes: Axes) -> Array:
    """The share of the variance that the first 0, 1, ... axes lose."""
    losses = 1 - np.concatenate([[0.0], np.cumsum(axes.explained_variance_ratio)])
    return np.where(losses < LEAST_LOSS, 0.0, losses)


def _rank(losses: Array, bound: float) -> int:
    """The fewest axes, a multiple of four, that lose at most `bound`."""
    fewest = int(np.argmax(losses <= bound))
    return max(-(-fewest // MULTIPLE) * MULTIPLE, MULTIPLE)


def _is_dividable(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a Dense or a 1x1 convolution that is called once and has fewer weights at the least rank."""
    is_kind = type(layer) is L.Dense or (type(layer) in (L.Conv1D, L.Conv2D) and set(layer.kernel_size) == {1})
    if not is_kind or weight_of(layer) is None or len(layer.inbound_nodes) != 1:
        return False
    inputs, units = _shape(layer)
    return MULTIPLE * (inputs + units) < inputs * units


def _shape(layer: keras.layers.Layer) -> tuple[int, int]:
    return int(layer.kernel.shape[-2]), int(layer.kernel.shape[-1])


def _kernel_and_bias(layer: keras.layers.Layer) -> tuple[Array, Array]:
    kernel = layer.kernel.numpy().astype(np.float64).reshape(_shape(layer))
    return kernel, layer.bias.numpy().astype(np.float64) if layer.use_bias else np.zeros(kernel.shape[1])


def _divided(layer: keras.layers.Layer, k: int) -> list[keras.layers.Layer]:
    """A layer of k units, and one with the layer's own name, units and activation; the first one strides."""
    wide = {**layer.get_config(), "use_bias": True}
    narrow: dict[str, Any] = {**wide, "use_bias": False, "activation": "linear", "name": f"{layer.name}_narrow"}
    narrow["units" if type(layer) is L.Dense else "filters"] = k
    if type(layer) is not L.Dense:
        wide["strides"] = [1] * len(wide["strides"])
    return [type(layer).from_config(narrow), type(layer).from_config(wide)]


def _weights(layer: keras.layers.Layer, axes: Axes) -> tuple[list[Array], list[Array]]:
    """Weights of the two layers, from the axes that stay."""
    kernel, bias = _kernel_and_bias(layer)
    place, down, up = layer.kernel.shape[:-2], axes.encoder, axes.scaled_decoder
    narrow, wide = (kernel @ down).reshape(*place, len(kernel), -1), up.reshape(*place, len(axes), -1)
    return [narrow], [wide, axes.mean + (bias - axes.mean) @ down @ up]
