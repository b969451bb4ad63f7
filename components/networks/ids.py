"""Ids that rows look up in the embeddings of a network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks.rows import Batch


def id_counts(network: keras.Model, batches: Iterable[Batch]) -> dict[str, npt.NDArray[np.int64]]:
    """Returns how often the batches look up each row of each embedding; shape (input_dim,)."""
    embeddings = [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    counts = {layer.name: np.zeros(layer.input_dim, np.int64) for layer in embeddings}
    if not embeddings:
        return counts
    inputs = keras.Model(network.inputs, {layer.name: inputs_of(layer) for layer in embeddings})
    ids = tf.function(inputs, autograph=False)
    for columns, _ in batches:
        for name, calls in ids({key: columns[key] for key in network.input_names}).items():
            for values in calls:
                flat = values.numpy().astype(np.int64).reshape(-1)
                counts[name] += np.bincount(flat, minlength=len(counts[name]))
    return counts


def inputs_of(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """The inputs of a layer; several if it is shared."""
    return [layer.get_input_at(call) for call in range(len(layer.inbound_nodes))]
