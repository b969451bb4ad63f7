"""The network learns more than a plane, keeps its best epoch, and hides ids from tfmot."""

from __future__ import annotations

import numpy as np
import pytest

from modules import columns, model, training
from modules.settings import ModelSettings, TrainingSettings


@pytest.fixture(scope="module")
def saddle():
    """fare = 10 + 4 x y on a grid: no plane explains any of its variance (its standard deviation is 1.4)."""
    import tensorflow as tf

    x, y = (axis.reshape(-1).astype(np.float32) for axis in np.meshgrid(*[np.linspace(-1, 1, 32)] * 2))
    features = {columns.NUMERIC: np.stack([x, y], axis=1)}
    return tf.data.Dataset.from_tensor_slices((features, (10 + 4 * x * y)[:, None])).batch(64)


def test_it_fits_what_no_plane_can_and_keeps_its_best_epoch(quick_keras, saddle):
    import tf_keras as keras

    from components import examples_io

    keras.utils.set_random_seed(3)
    network = model.build_network(ModelSettings((16, 8), {}), 2, {}, mean_fare=10.0)
    figures = training.fit(network, saddle, saddle, TrainingSettings(epochs=30, patience=30, learning_rate=0.01))
    reached = examples_io.network_error(network, saddle).rmse
    assert reached < 0.25
    assert reached == pytest.approx(figures["eval_rmse"], rel=1e-4)
    assert figures["parameters"] == (2 * 16 + 16) + (16 * 8 + 8) + (8 + 1)


def test_an_untrained_network_says_about_the_mean():
    network = model.build_network(ModelSettings((4,), {}), 2, {}, mean_fare=12.5)
    assert network(np.zeros((1, 2), np.float32)).numpy().item() == pytest.approx(12.5)


def test_ids_pass_a_reshape_on_their_way_to_an_embedding():
    """Parameters by hand: tables 16 * 4 and 168 * 2, Dense on 5 numbers and 4 + 2 dimensions, then to 1."""
    import tf_keras as keras

    crosses = {columns.PAIR_CELL: 4, columns.HOUR_OF_WEEK: 2}
    network = model.build_network(ModelSettings((8,), crosses), 5, columns.cardinalities(2), 0.0)
    embeddings = [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    assert all(isinstance(layer.input.node.layer, keras.layers.Reshape) for layer in embeddings)
    assert network.input_names == [columns.NUMERIC, columns.PAIR_CELL, columns.HOUR_OF_WEEK]
    assert network.count_params() == 16 * 4 + 168 * 2 + (11 * 8 + 8) + (8 + 1)


def test_the_baseline_is_the_courses_network():
    network = model.build_baseline(7)
    assert [layer.units for layer in network.layers[1:]] == [32, 8, 1]
    assert [layer.activation.__name__ for layer in network.layers[1:]] == ["relu", "relu", "linear"]
