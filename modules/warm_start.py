"""A network that begins with another one's weights, as far as they fit."""

from __future__ import annotations

import tf_keras as keras


def begin_with(network: keras.Model, base: keras.Model, mean: float, scale: float) -> float:
    """Copies the weights of layers that have the same name and shapes, in place; the share of weights copied.

    mean, scale: the network's targets are fares less `mean`, over `scale`, while `base` predicts fares: the last layer
    is copied as one that predicts such targets.
    """
    others = {layer.name: layer.get_weights() for layer in base.layers}
    last, copied = network.layers[-1].name, 0
    for layer in network.layers:
        weights = others.get(layer.name, [])
        if weights and [each.shape for each in weights] == [each.shape for each in layer.get_weights()]:
            if layer.name == last:
                kernel, bias = weights
                weights = [kernel / scale, (bias - mean) / scale]
            layer.set_weights(weights)
            copied += layer.count_params()
    return copied / network.count_params()
