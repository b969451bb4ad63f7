"""Look-ups in pages: fewer bytes, more operators; taken only if a row may cost that much."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.quantizer.trials import QuantizationTrial, cost
from farebox.components.tflite.interpreter import TfliteModel

N_IDS = 4000


@pytest.fixture(scope="module")
def shipped(quick_keras):
    """A search of one network of 4,000 ids, 30 of which have rows of their own: (max_slowdown) -> the outcome."""
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

    def run(max_slowdown: float) -> ladder.QuantizationOutcome:
        return ladder.search(
            {"unreduced": network},
            prepare=lambda each: conversion.Source(each, None, [], "y"),
            judge=Judge([(columns, labels)], objective_of(network)),
            train=batches,
            evaluation=batches,
            settings=QuantizerSettings(max_slowdown=max_slowdown, max_rmse_increase="1%"),
        )

    return run


def look_ups(content: bytes) -> int:
    return TfliteModel(content).op_names()["GATHER"]


def test_pages_only_where_a_row_may_cost_their_operators(shipped):
    """Two look-ups of an id for three; the file without pages has a byte for each id."""
    flat, paged = (shipped(share).chosen.content for share in (0.2, 20.0))
    assert (look_ups(flat), look_ups(paged)) == (2, 3)
    assert len(paged) < N_IDS < len(flat)


@pytest.mark.slow
def test_a_file_that_is_too_slow_does_not_ship_and_is_named(shipped):
    """A look-up before the table takes two operators more. The call and three others are 18: a tenth of the time."""
    outcome = shipped(0.05)
    slow = min((trial for trial in outcome.trials if trial.verdict == "slow"), key=lambda trial: trial.bytes)
    assert (
        look_ups(outcome.chosen.content) == 1 and 0.05 < slow.slowdown < 0.2 and slow.bytes < outcome.chosen.bytes / 4
    )
    needed = slow.reason.split("max_slowdown=")[1].split(" ")[0]
    assert outcome.smaller_but_slow("size").startswith(f"{slow.bytes:,} bytes are possible: {slow.name}; by a count of")
    assert shipped(float(needed)).chosen.sha256 == slow.sha256


def test_a_few_bytes_buy_no_time():
    files = [
        QuantizationTrial("float32", name, bytes=size, slowdown=share)
        for name, size, share in (("same", 2768, 0.0), ("layer more", 2704, 0.04), ("faster", 2780, -0.5))
    ]
    assert [trial.network for trial in sorted(files, key=lambda trial: cost(trial, "size"))] == [
        "same", "faster", "layer more",
    ]  # fmt: skip
