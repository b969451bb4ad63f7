"""Look-ups in pages: fewer bytes, more operators; taken only if a row may cost that much."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.tflite.interpreter import TfliteModel

N_IDS = 4000


@pytest.fixture(scope="module")
def shipped(quick_keras):
    """A search of one network of 4,000 ids, 30 of which have rows of their own: (max_slowdown) -> the shipped file."""
    import tensorflow as tf
    import tf_keras as keras

    from farebox.components.networks.objective import objective_of
    from farebox.components.quantizer import conversion, ladder
    from farebox.components.quantizer.trials import Judge

    random, ids = np.random.default_rng(1), keras.Input((1,), dtype="int64", name="id")
    vector = keras.layers.Flatten()(keras.layers.Embedding(N_IDS, 8, name="e")(ids))
    network = keras.Model(ids, keras.layers.Dense(1, name="y")(vector))
    table = np.zeros((N_IDS, 8), np.float32)
    table[1000:1030] = random.normal(size=(30, 8))
    network.get_layer("e").set_weights([table])
    columns = {"id": random.integers(950, 1080, (256, 1))}
    labels = network.predict(columns, verbose=0).reshape(-1) + random.normal(size=256).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((columns, labels[:, None])).batch(64)

    def run(max_slowdown: float) -> bytes:
        outcome = ladder.search(
            {"unreduced": network},
            prepare=lambda each: conversion.Source(each, None, [], "y"),
            judge=Judge([(columns, labels)], objective_of(network)),
            train=batches,
            evaluation=batches,
            settings=QuantizerSettings(max_slowdown=max_slowdown, max_rmse_increase="1%"),
        )
        return outcome.chosen.content

    return run


def test_pages_only_where_a_row_may_cost_their_operators(shipped):
    """Two look-ups of an id for three; the file without pages has a byte for each id."""
    flat, paged = shipped(0.15), shipped(20.0)
    assert (TfliteModel(flat).op_names()["GATHER"], TfliteModel(paged).op_names()["GATHER"]) == (2, 3)
    assert len(paged) < N_IDS < len(flat)
