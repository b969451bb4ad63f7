"""A network of the same function with fewer kinds of layers, for whatever changes kernels.

A BatchNormalization goes into the layer before it, whose kernel and bias take its factors (Jacob et al. 2018, section
3.2); a SeparableConv2D becomes its two convolutions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

L = keras.layers
FOLDABLE = (L.Dense, L.Conv1D, L.Conv2D, L.DepthwiseConv2D, L.SeparableConv1D, L.SeparableConv2D)
Weights = list[npt.NDArray[Any]]


def with_plain_kernels(network: keras.Model) -> keras.Model:
    """Returns the network itself if there is nothing to change, else a copy."""
    folded = {layer.name: norm for layer in network.layers if (norm := _norm_behind(network, layer)) is not None}
    separable = {layer.name for layer in network.layers if type(layer) is L.SeparableConv2D}
    if not folded and not separable:
        return network
    gone, made = {norm.name for norm in folded.values()}, dict[str, list[keras.layers.Layer]]()
    weights: dict[str, Weights] = {}
    for layer in network.layers:
        if layer.name in gone:
            made[layer.name] = []
            continue
        config, values = layer.get_config(), layer.get_weights()
        if layer.name in folded:
            config["use_bias"], values = True, _folded(layer, values, folded[layer.name])
        made[layer.name] = [type(layer).from_config(config)]
        if layer.name in separable:
            made[layer.name] = _parted(config)
            first, *values = values
            weights[made[layer.name][0].name] = [first]
        weights[layer.name] = values
    return weighted(rebuilt(network, made), weights)


def weighted(network: keras.Model, weights: dict[str, Weights]) -> keras.Model:
    """The network itself, with the weights of each layer."""
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])
    return network


def _norm_behind(network: keras.Model, layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The BatchNormalization that alone reads a layer and can go into it, None without one."""
    is_linear = type(layer) in FOLDABLE and layer.activation is keras.activations.linear
    if not is_linear or len(layer.inbound_nodes) != 1 or getattr(layer, "data_format", "") == "channels_first":
        return None
    readers = [node.layer for node in layer.outbound_nodes if node in _nodes(network)]
    if len(readers) != 1 or type(readers[0]) is not L.BatchNormalization or len(readers[0].inbound_nodes) != 1:
        return None
    norm = readers[0]
    is_last_axis = list(np.ravel(norm.axis)) == [len(layer.output.shape) - 1]
    is_output = any(each is tensor for each in network.outputs for tensor in (layer.output, norm.output))
    return norm if is_last_axis and not is_output else None


def _folded(layer: keras.layers.Layer, values: Weights, norm: keras.layers.Layer) -> Weights:
    """A layer's weights, bias last, that compute what the layer and its normalization do."""
    factor = 1 / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    if norm.scale:
        factor = factor * norm.gamma.numpy()
    shift = norm.beta.numpy() if norm.center else 0.0
    *kernels, bias = values if layer.use_bias else [*values, np.zeros(factor.shape)]
    *others, kernel = kernels
    by_unit = factor.reshape(kernel.shape[-2:]) if type(layer) is L.DepthwiseConv2D else factor
    return [*others, kernel * by_unit, (bias - norm.moving_mean.numpy()) * factor + shift]


def _parted(config: dict[str, Any]) -> list[keras.layers.Layer]:
    """The two convolutions of a SeparableConv2D; the second one keeps its name."""
    window = {key: config[key] for key in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")}
    across = {key: config[key] for key in ("filters", "activation", "use_bias", "dtype", "name")}
    name = f"{config['name']}_depthwise"
    return [
        L.DepthwiseConv2D(**window, use_bias=False, dtype=config["dtype"], name=name),
        L.Conv2D(kernel_size=1, **across),
    ]


def with_images(network: keras.Model) -> keras.Model:
    """Returns the network with each Conv1D as a Conv2D of images one line high, in which tfmot trains kernels for int8;
    the network itself without any."""
    lines = [layer for layer in network.layers if type(layer) is L.Conv1D and None not in layer.input.shape[1:]]
    lines = [layer for layer in lines if len(layer.input.shape) == 3 and len(layer.inbound_nodes) == 1]
    if not lines:
        return network
    made = {layer.name: [type(layer).from_config(layer.get_config())] for layer in network.layers}
    made |= {layer.name: _image_layers(layer) for layer in lines}
    weights = {layer.name: layer.get_weights() for layer in network.layers}
    for layer in lines:
        kernel, *bias = layer.get_weights()
        weights[layer.name] = [kernel[None], *bias]
    return weighted(rebuilt(network, made), weights)


def _image_layers(layer: keras.layers.Conv1D) -> list[keras.layers.Layer]:
    config = layer.get_config()
    kept = {key: config[key] for key in ("filters", "activation", "use_bias", "groups", "name")}
    for key in ("kernel_size", "strides", "dilation_rate"):
        kept[key] = (1, *config[key])
    is_causal = config["padding"] == "causal"
    before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0] if is_causal else 0
    kept["padding"] = "valid" if is_causal else config["padding"]
    padded = [L.ZeroPadding2D(((0, 0), (before, 0)), name=f"{layer.name}_padded")] if before else []
    return [
        L.Reshape((1, *layer.input.shape[1:]), name=f"{layer.name}_image"),
        *padded,
        L.Conv2D(**kept),
        L.Reshape(layer.output.shape[1:], name=f"{layer.name}_line"),
    ]


def _nodes(network: keras.Model) -> list[Any]:
    return [node for depth in sorted(network._nodes_by_depth, reverse=True) for node in network._nodes_by_depth[depth]]


def rebuilt(network: keras.Model, made: dict[str, list[keras.layers.Layer]]) -> keras.Model:
    """The network with a chain of other layers, or none, in place of each layer."""
    named = zip(network.inputs, network.input_names, strict=True)
    inputs = [keras.Input(batch_shape=each.shape, dtype=each.dtype, name=name) for each, name in named]
    tensors = {id(before): after for before, after in zip(network.inputs, inputs, strict=True)}
    for node in _nodes(network):
        if node.is_input:
            continue
        called = node.call_args, node.call_kwargs
        arguments, options = tf.nest.map_structure(lambda each: tensors.get(id(each), each), called)
        chain, (answer, *rest) = made[node.layer.name], arguments
        for layer in chain:
            answer = layer(answer, *rest, **options)
        for before, after in zip(tf.nest.flatten(node.outputs), tf.nest.flatten(answer), strict=True):
            tensors[id(before)] = after
    return keras.Model(inputs, [tensors[id(each)] for each in network.outputs], name=network.name)
