"""Embedding tables without equal rows: a look-up of small integers, and each distinct row once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

LOOKUP_BYTES = 150  # of its operators
INT8 = np.iinfo(np.int8)  # tflite-micro gathers int8 and float32 alone
MOST_ROWS = INT8.max - INT8.min + 1  # that a look-up counts to


class LookupEmbedding(keras.layers.Layer):
    """An embedding that looks up the distinct row of each id: all unused cells, which are zero, share a row.

    rows: the index of each id's distinct row, shape (input_dim,).
    """

    def __init__(self, rows: list[int], n_distinct: int, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.n_distinct, self.output_dim = list(rows), n_distinct, output_dim

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 - Keras's signature
        self.embeddings = self.add_weight(name="embeddings", shape=(self.n_distinct, self.output_dim))
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        lookup = tf.constant((np.array(self.rows) - self._offset).astype(np.int8))
        return tf.gather(self.embeddings, tf.cast(tf.gather(lookup, ids), tf.int32) + self._offset)

    @property
    def _offset(self) -> int:
        """Number to add to the look-up's integers, so that int8 counts to 256."""
        return 0 if self.n_distinct <= -INT8.min else -INT8.min

    def get_config(self) -> dict[str, Any]:
        own = {"rows": self.rows, "n_distinct": self.n_distinct, "output_dim": self.output_dim}
        return {**super().get_config(), **own}


def with_lookups(network: keras.Model) -> keras.Model | None:
    """Returns a network with the same outputs and a look-up before each table that it makes smaller in int8.

    None if it makes no table smaller. Distinct rows are sorted, so that neighbours are alike and gzip saves more.
    """
    tables: dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]] = {}
    for layer in network.layers:
        if isinstance(layer, keras.layers.Embedding):
            (table,) = layer.get_weights()
            distinct, rows = np.unique(table, axis=0, return_inverse=True)
            if len(distinct) <= MOST_ROWS and rows.size + distinct.size + LOOKUP_BYTES < table.size:
                tables[layer.name] = distinct, rows.reshape(-1)
    if not tables:
        return None

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in tables:
            return type(layer).from_config(layer.get_config())
        distinct, rows = tables[layer.name]
        return LookupEmbedding(rows.tolist(), *distinct.shape, name=layer.name)

    thin = keras.models.clone_model(network, clone_function=replace)
    for layer in network.layers:
        weights = [tables[layer.name][0]] if layer.name in tables else layer.get_weights()
        thin.get_layer(layer.name).set_weights(weights)
    return thin
