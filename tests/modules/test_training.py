"""Fitting: the mean to start at, and that the best epoch is what stays."""

from __future__ import annotations

import numpy as np
import pytest

from modules import training
from modules.settings import TrainingSettings


def test_mean_fare_weighs_rows_not_batches():
    import tensorflow as tf

    fares = np.array([[1.0], [2.0], [6.0]], np.float32)  # batches of 2 and 1 row: the mean of their means is 3.75
    dataset = tf.data.Dataset.from_tensor_slices(({"x": fares}, fares)).batch(2)
    assert training.mean_fare(dataset) == pytest.approx(3.0)


def test_the_best_epoch_stays(toy_trips, make_network):
    """At a learning rate this high the eval error jumps about, and the last of 8 epochs is not the best."""
    from components import examples_io

    network = make_network()
    settings = TrainingSettings(epochs=8, patience=8, learning_rate=0.2)
    figures = training.fit(network, toy_trips.batches("train"), toy_trips.batches("eval"), settings)
    errors = network.history.history["val_rmse"]
    assert len(errors) == figures["epochs"] == 8 and errors[-1] > min(errors) == figures["eval_rmse"]
    kept = examples_io.network_error(network, toy_trips.batches("eval")).rmse
    assert kept == pytest.approx(figures["eval_rmse"], rel=1e-4)
    # (18 + 6) * 16 + 16, 16 * 8 + 8, 8 + 1 and the table of 81 * 6
    assert figures["parameters"] == 400 + 136 + 9 + 486
