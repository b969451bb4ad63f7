"""A network of the same function in float32 whose layers convert to built-in operators, where Keras' own do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks.convolutions import with_plain_kernels

MOST_WORDS = 4096  # each number is compared with all of them
OTHER_FLOATS = ("float16", "bfloat16", "float64")  # in which layers compute; of mixed precision, weights are float32
MODES = ("int", "one_hot", "multi_hot")


class PlainCategories(keras.layers.Layer):
    """IntegerLookup, CategoryEncoding or Discretization by comparisons.

    words: the number of each category; None with boundaries, which divide numbers into categories. has_unknown: what is
    none of the words is category 0. output_mode: one of MODES, as Keras has them.
    """

    def __init__(
        self,
        words: list[int] | None = None,
        boundaries: list[float] | None = None,
        has_unknown: bool = False,
        output_mode: str = "int",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.words, self.boundaries, self.has_unknown, self.output_mode = words, boundaries, has_unknown, output_mode

    def call(self, x: tf.Tensor) -> tf.Tensor:
        hits = self._hits(x)
        if self.output_mode == "int":
            positions = tf.constant(np.arange(hits.shape[-1]), tf.float32)
            return tf.cast(tf.reduce_sum(hits * positions, axis=-1), tf.int64)
        if self.output_mode == "multi_hot":
            return tf.reduce_max(hits, axis=-2)
        return hits[..., 0, :] if x.shape[-1] == 1 else hits

    def _hits(self, x: tf.Tensor) -> tf.Tensor:
        """1 for the category of each number, 0 for the others; shape (..., n_categories)."""
        if self.boundaries is not None:
            is_above = tf.cast(
                tf.cast(x, tf.float32)[..., None] >= tf.constant(self.boundaries, tf.float32), tf.float32
            )
            above = tf.reduce_sum(is_above, axis=-1, keepdims=True)
            return tf.cast(tf.equal(above, tf.constant(np.arange(len(self.boundaries) + 1), tf.float32)), tf.float32)
        hits = tf.cast(tf.equal(tf.cast(x, tf.int64)[..., None], tf.constant(self.words, tf.int64)), tf.float32)
        if not self.has_unknown:
            return hits
        return tf.concat([1.0 - tf.reduce_sum(hits, axis=-1, keepdims=True), hits], axis=-1)

    def get_config(self) -> dict[str, Any]:
        names = ("words", "boundaries", "has_unknown", "output_mode")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def listed(network: keras.Model) -> keras.Model:
    """The network itself, or one of the same layers whose inputs have their own names, not those of a dict, and whose
    output is a tensor."""
    is_named = not isinstance(network.input, Mapping) or set(network.input) == set(network.input_names)
    if is_named and not isinstance(network.output, Mapping | list | tuple):
        return network
    made, loss = keras.Model(network.inputs, network.outputs, name=network.name), getattr(network, "loss", None)
    if isinstance(loss, Mapping | list | tuple) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, Mapping) else loss
    if loss:
        made.compile(loss=loss)
    return made


def plain_network(network: keras.Model) -> keras.Model:
    """Returns the network itself if there is nothing to change, else a copy."""
    return with_plain_kernels(_with_plain_layers(network))


def _with_plain_layers(network: keras.Model) -> keras.Model:
    replacements = {layer.name: made for layer in network.layers if (made := _plain_layer(layer)) is not None}
    if not replacements:
        return network

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        made = replacements.get(layer.name)
        return made if made is not None else type(layer).from_config(layer.get_config())

    plain = keras.models.clone_model(network, clone_function=replace)
    for layer in network.layers:
        made = plain.get_layer(layer.name)
        if layer.weights and not isinstance(made, PlainCategories):
            made.set_weights(layer.get_weights())
    return plain


def _plain_layer(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The layer in place of another one; None if that can stay, or nothing can replace it."""
    categories = _categories(layer)
    if categories is not None:
        return PlainCategories(**categories, name=layer.name)
    if getattr(layer, "compute_dtype", None) in OTHER_FLOATS:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})
    return None


def _categories(layer: keras.layers.Layer) -> dict[str, Any] | None:
    """Arguments of PlainCategories; None for a layer that it does not replace."""
    mode = getattr(layer, "output_mode", None)
    if mode not in MODES or getattr(layer, "sparse", False):
        return None
    if isinstance(layer, keras.layers.IntegerLookup):
        words = [int(word) for word in layer.get_vocabulary(include_special_tokens=False)]
        if layer.mask_token is None and layer.num_oov_indices <= 1 and len(words) <= MOST_WORDS:
            return {"words": words, "has_unknown": layer.num_oov_indices == 1, "output_mode": mode}
    if isinstance(layer, keras.layers.CategoryEncoding) and layer.num_tokens <= MOST_WORDS:
        return {"words": list(range(layer.num_tokens)), "output_mode": mode}
    if isinstance(layer, keras.layers.Discretization) and layer.bin_boundaries is not None:
        return {"boundaries": [float(each) for each in layer.bin_boundaries], "output_mode": mode}
    return None
