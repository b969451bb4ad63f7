"""Paths of the positions of a layer's last axis to all that reads them, and networks without some of them.

A position is a unit of a Dense layer or a channel (filter) of a convolution. What removes one must cut it from all that
reads it; a layer with a reader that is not known here stays as it is. Layers whose outputs are added lose the same
positions together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

Positions = npt.NDArray[np.intp]
L = keras.layers

CONVOLUTIONS = (L.Conv1D, L.Conv2D)
SEPARABLE = (L.SeparableConv1D, L.SeparableConv2D)
DEPTHWISE = (L.DepthwiseConv1D, L.DepthwiseConv2D)
PRODUCERS = (L.Dense, *CONVOLUTIONS, *SEPARABLE)
POINTWISE = (L.ReLU, L.LeakyReLU, L.ELU, L.ThresholdedReLU, L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D,
             L.GaussianNoise, L.GaussianDropout)  # fmt: skip
POOLS = (L.MaxPooling1D, L.MaxPooling2D, L.AveragePooling1D, L.AveragePooling2D, L.GlobalMaxPooling1D,
         L.GlobalMaxPooling2D, L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.ZeroPadding1D, L.ZeroPadding2D,
         L.Cropping1D, L.Cropping2D, L.UpSampling1D, L.UpSampling2D)  # fmt: skip
MERGES = (L.Add, L.Average, L.Maximum, L.Minimum, L.Multiply, L.Subtract)  # of equal positions of several inputs
MIXING = ("softmax", "log_softmax")  # activations that are of all positions together
NONE = np.empty(0, np.intp)


def has_equal_inputs(layer: keras.layers.Layer) -> bool:
    """Whether all that a layer reads has one shape."""
    return len({tuple(each.shape) for each in inputs_of(layer)}) == 1


def keeps_places(layer: keras.layers.Layer) -> bool:
    """Whether a layer's one output has its one input's positions, in their places."""
    return (isinstance(layer, (*POOLS, *DEPTHWISE)) or keeps_each(layer)) and _is_plain(layer)


def is_producer(layer: keras.layers.Layer) -> bool:
    """Whether a layer makes each position of its output by itself, from weights of its own."""
    return isinstance(layer, PRODUCERS) and _is_plain(layer) and not _mixes(layer)


def units_of(layer: keras.layers.Layer) -> int:
    """The number of a producer's positions."""
    return int(layer.units if isinstance(layer, L.Dense) else layer.filters)


def readers(network: keras.Model, tensor: Any) -> list[keras.layers.Layer]:
    """The layers of the network that take the tensor."""
    return [layer for layer in network.layers if any(tensor is each for each in inputs_of(layer))]


def keeps_each(layer: keras.layers.Layer) -> bool:
    """Whether a layer computes each number from the same position alone, and leaves their places."""
    if isinstance(layer, L.Activation):
        return not _mixes(layer)
    return isinstance(layer, POINTWISE) or _is_normalization(layer)


def _is_normalization(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, L.BatchNormalization) and list(np.ravel(layer.axis)) == [len(layer.input.shape) - 1]


def inputs_of(layer: keras.layers.Layer) -> list[Any]:
    """The tensors that a layer reads, in all calls."""
    if isinstance(layer, L.InputLayer):
        return []
    return [tensor for node in layer.inbound_nodes for tensor in listed(node.input_tensors)]


def listed(tensors: Any) -> list[Any]:
    """One tensor or several, as a list."""
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _mixes(layer: keras.layers.Layer) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "") in MIXING


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Whether a layer is called once, and a convolution has its channels last, in one group."""
    is_plain = getattr(layer, "data_format", "channels_last") == "channels_last" and getattr(layer, "groups", 1) == 1
    return is_plain and len(layer.inbound_nodes) == 1 and getattr(layer, "depth_multiplier", 1) == 1


def is_followed(network: keras.Model, tensor: Any, *, is_in_place: bool = True) -> bool:
    """Whether every reader of a tensor, and of what hands its positions on, is known.

    is_in_place: whether positions are where their producer has them; sums need that.
    """
    following = readers(network, tensor)
    is_output = any(tensor is each for each in network.outputs)
    return bool(following) and not is_output and all(_can_cut(network, each, is_in_place) for each in following)


def _can_cut(network: keras.Model, layer: keras.layers.Layer, is_in_place: bool) -> bool:
    if not _is_plain(layer):
        return False
    if isinstance(layer, PRODUCERS):
        return True
    if isinstance(layer, MERGES) and not (is_in_place and has_equal_inputs(layer)):
        return False
    keeps = is_in_place and (isinstance(layer, MERGES) or keeps_places(layer))
    return _hands_on(layer) and is_followed(network, layer.output, is_in_place=keeps)


def _hands_on(layer: keras.layers.Layer) -> bool:
    """Whether a layer's output has its input's positions, in places that `_handed_on` knows."""
    if isinstance(layer, L.Concatenate):
        return layer.axis in (-1, len(layer.output.shape) - 1)
    if isinstance(layer, L.Flatten | L.Reshape):
        return len(layer.output.shape) == 2 and all(layer.input.shape[1:])
    return isinstance(layer, (*POOLS, *DEPTHWISE, *MERGES)) or keeps_each(layer)


def without(network: keras.Model, removed: Mapping[str, Positions]) -> keras.Model:
    """A smaller network with the same weights but those of the removed positions, by producer; those of a group are
    equal."""
    absent: dict[int, Positions] = {}  # by tensor, positions of its last axis
    cut: dict[str, list[npt.NDArray[Any]]] = {}
    for layer in in_order(network):
        before = absent.get(id(layer.input), NONE) if len(inputs_of(layer)) == 1 else NONE
        own = removed.get(layer.name, NONE)
        cut[layer.name] = _cut_weights(layer, before, own)
        if own.size or _hands_on_any(layer, absent):
            absent[id(layer.output)] = own if layer.name in removed else _handed_on(layer, absent)

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(_config(layer, removed.get(layer.name, NONE)))

    smaller = keras.models.clone_model(network, clone_function=clone)
    for layer in smaller.layers:
        if layer.weights:
            layer.set_weights(cut[layer.name])
    return smaller


def in_order(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers, each behind those that it reads."""
    for depth in sorted(network._nodes_by_depth, reverse=True):
        yield from dict.fromkeys(node.layer for node in network._nodes_by_depth[depth])


def _hands_on_any(layer: keras.layers.Layer, absent: Mapping[int, Positions]) -> bool:
    is_reader = any(absent.get(id(tensor), NONE).size for tensor in inputs_of(layer))
    return is_reader and not isinstance(layer, PRODUCERS)


def _handed_on(layer: keras.layers.Layer, absent: Mapping[int, Positions]) -> Positions:
    """The positions that a layer's output lacks."""
    if isinstance(layer, L.Concatenate):
        widths = [int(tensor.shape[-1]) for tensor in layer.input]
        starts = np.cumsum([0, *widths[:-1]])
        parts = [absent.get(id(each), NONE) + start for each, start in zip(layer.input, starts, strict=True)]
        return np.concatenate(parts)
    if isinstance(layer, MERGES):
        return absent[id(layer.input[0])]
    before = absent[id(layer.input)]
    if isinstance(layer, L.Flatten | L.Reshape):
        width, places = int(layer.input.shape[-1]), int(np.prod(layer.input.shape[1:-1]))
        return (np.arange(places)[:, None] * width + before).reshape(-1)
    return before


def _config(layer: keras.layers.Layer, own: Positions) -> dict[str, Any]:
    config = dict(layer.get_config())
    if isinstance(layer, L.Reshape) and len(layer.output.shape) == 2:
        config["target_shape"] = (-1,)
    if own.size:
        config["units" if isinstance(layer, L.Dense) else "filters"] = units_of(layer) - own.size
    return config


def _cut_weights(layer: keras.layers.Layer, before: Positions, own: Positions) -> list[npt.NDArray[Any]]:
    """A layer's weights without the positions that its input lacks, and without its own."""
    weights = [np.asarray(weight) for weight in layer.get_weights()]
    if not before.size and not own.size:
        return weights
    if isinstance(layer, PRODUCERS):
        kernels, biases = (weights[:-1], weights[-1:]) if layer.use_bias else (weights, [])
        kernels = [np.delete(kernel, before, axis=-2) for kernel in kernels]
        kernels[-1] = np.delete(kernels[-1], own, axis=-1)
        return [*kernels, *(np.delete(bias, own) for bias in biases)]
    if isinstance(layer, DEPTHWISE):
        return [np.delete(weight, before, axis=-2 if weight.ndim > 1 else 0) for weight in weights]
    return [np.delete(weight, before) for weight in weights]  # of a normalization, one number a position
