"""Low rank of several layers at once: exact where the rank is low, the best k axes where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.rows import Rows
from farebox.components.pruner import ranks
from farebox.components.pruner.pruning import prune
from farebox.components.pruner.settings import PrunerSettings

L = keras.layers


@pytest.fixture(scope="module")
def network(quick_keras):
    """A Dense on every place, a 1x1 convolution that strides, one of lines, and a way around; all of rank 4 but `full`.

    `tail` answers, and takes too little to be divided.
    """
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 12), name="image")
    x = L.Dense(24, activation="relu", name="dense")(image)
    x = L.Conv2D(20, 1, strides=2, use_bias=False, activation="relu", name="one")(x)
    x = L.Conv1D(20, 1, name="line")(L.Reshape((9, 20))(x))
    x = L.GlobalAveragePooling1D()(L.Add()([L.Conv1D(20, 3, padding="same", name="three")(x), x]))
    made = keras.Model(image, L.Dense(2, name="tail")(L.Dense(32, activation="tanh", name="full")(x)))
    random = np.random.default_rng(1)
    for name in ("dense", "one", "line"):
        kernel, *bias = made.get_layer(name).get_weights()
        left, right = random.normal(size=(kernel.shape[-2], 4)), random.normal(size=(4, kernel.shape[-1])) / 4
        made.get_layer(name).set_weights([(left @ right).reshape(kernel.shape), *bias])
    return made


@pytest.fixture(scope="module")
def rows(network):
    values = np.random.default_rng(2).normal(size=(96, 6, 6, 12)).astype(np.float32)
    return Rows({"image": values}, network(values).numpy(), 32)


def test_layers_of_low_rank_are_divided_and_answer_the_same(network, rows):
    """288 + 480 + 400 weights become 4 x (36 + 44 + 40); `full` reads 12 axes, so it loses nothing at rank 12, too."""
    names = ranks.chosen_layers(network, None)
    assert names == ["dense", "one", "line", "full"]
    smaller = ranks.of_low_rank(network, names, rows, 0.3)
    assert [smaller.get_layer(f"{name}_narrow").kernel.shape[-1] for name in names[:3]] == [4, 4, 4]
    assert smaller.get_layer("full_narrow").units == 12
    np.testing.assert_allclose(smaller(rows.columns["image"]), rows.labels, atol=1e-4)


def test_a_layer_keeps_what_its_first_axes_keep(network, rows):
    """Pre-activations of the divided layer are those of the source, projected onto k principal axes about the mean."""
    smaller = ranks.of_low_rank(network, ["full"], rows, 0.5)
    k = smaller.get_layer("full_narrow").units
    assert k * (20 + 32) <= 0.5 * 20 * 32
    probe = keras.Model(network.inputs, network.get_layer("full").input)(rows.columns["image"]).numpy()
    z = probe @ network.get_layer("full").get_weights()[0] + network.get_layer("full").get_weights()[1]
    axes = np.linalg.svd(z - z.mean(axis=0))[2][:k]
    projected = z.mean(axis=0) + (z - z.mean(axis=0)) @ axes.T @ axes
    inner = keras.Model(smaller.inputs, smaller.get_layer("full").output)(rows.columns["image"]).numpy()
    np.testing.assert_allclose(inner, np.tanh(projected), atol=1e-4)


def test_low_rank_is_a_criterion(network, rows):
    settings = PrunerSettings(criterion="low_rank", final_sparsity=0.3, ramp_epochs=1, recover_epochs=1)
    pruned = prune(network, rows, rows, 3, settings)
    assert pruned.network.count_params() < network.count_params() and not pruned.masks
    with pytest.raises(InputError, match="^pruner.layers: three must match a Dense layer or 1x1 convolution that pays"):
        prune(network, rows, rows, 3, PrunerSettings(criterion="low_rank", final_sparsity=0.3, layers=("three",)))
