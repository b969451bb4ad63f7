"""Removal of whole units and channels, on networks with what stands between a layer and its readers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.candidates import Candidate
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Rows
from farebox.components.pruner import channels
from farebox.components.pruner.groups import groups_of, producers
from farebox.components.pruner.layers import copy_network
from farebox.components.pruner.pruning import prune
from farebox.components.pruner.selection import Search
from farebox.components.pruner.settings import PrunerSettings
from farebox.components.pruner.units import chosen_layers, unit_saliency, weights_by_unit

L = keras.layers
SHAPES = {"image": (8, 8, 3), "series": (12, 2), "numbers": (4,)}


def _network():
    """Convolutions with normalization, depthwise and separable ones, Flatten, pooling, a branch and a Concatenate."""
    keras.utils.set_random_seed(3)
    image, series, numbers = (keras.Input(shape, name=name) for name, shape in SHAPES.items())
    x = L.Conv2D(6, 3, padding="same", use_bias=False, name="first")(image)
    x = L.ReLU()(L.BatchNormalization(name="norm")(x))
    x = L.DepthwiseConv2D(3, padding="same", name="deep")(x)
    x = L.MaxPooling2D()(L.SeparableConv2D(5, 3, activation="relu", name="apart")(x))
    flat = L.Flatten()(x)
    y = L.Conv1D(4, 3, activation="tanh", name="along")(series)
    joined = L.Concatenate()([flat, L.GlobalAveragePooling1D()(y), numbers])
    x = L.Dropout(0.1)(L.Dense(9, activation="relu", name="wide")(joined))
    side = L.Dense(5, activation="softmax", name="mixed")(x)
    same = L.Dense(9, activation="relu", name="added")(numbers)
    head = L.Concatenate()([x, side, L.Add()([same, x])])
    network = keras.Model([image, series, numbers], L.Dense(1, name="last")(head))
    random = np.random.default_rng(0)
    network.get_layer("norm").set_weights([random.uniform(0.5, 1.5, 6) for _ in range(4)])
    return network


def _columns(n_rows: int = 16) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {name: random.normal(size=(n_rows, *shape)).astype(np.float32) for name, shape in SHAPES.items()}


def test_what_cannot_be_followed_is_left_alone(quick_keras):
    """`wide` and `added` are summed, and go together; `mixed` is a softmax, and `last` answers."""
    assert groups_of(_network()) == [("first",), ("apart",), ("along",), ("wide", "added")]
    assert [layer.name for layer in producers(_network())] == ["first", "apart", "along", "wide", "added"]


def _residual(*, is_fixed: bool):
    """A convolution, a block around which its output goes, and one more; the first input too, if is_fixed."""
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 6, 4), name="image")
    stem = L.ReLU()(L.Conv2D(4, 3, padding="same", name="stem")(image))
    if is_fixed:
        stem = L.Add()([stem, image])
    inner = L.Conv2D(5, 3, padding="same", activation="relu", name="inner")(stem)
    x = L.Add()([L.BatchNormalization()(L.Conv2D(4, 1, name="outer")(inner)), stem])
    x = L.Add()([L.Conv2D(4, 3, padding="same", name="again")(L.ReLU()(x)), x])
    return keras.Model(image, L.Dense(1, name="last")(L.GlobalAveragePooling2D()(x)))


def test_branches_of_a_sum_lose_their_units_together(quick_keras):
    network = _residual(is_fixed=False)
    assert groups_of(network) == [("stem", "outer", "again"), ("inner",)]
    gone = np.array([1, 2])
    for name in ("stem", "outer", "again"):
        layer = network.get_layer(name)
        layer.set_weights([_zeroed(weight, gone, is_pointwise=False) for weight in layer.get_weights()])
    smaller = channels.without(network, dict.fromkeys(("stem", "outer", "again"), gone))
    image = np.random.default_rng(0).normal(size=(5, 6, 6, 4)).astype(np.float32)
    np.testing.assert_allclose(smaller(image), network(image), atol=1e-5)
    assert smaller.get_layer("inner").kernel.shape == (3, 3, 2, 5)
    settings = PrunerSettings(criterion="units", final_sparsity=0.5, rounds=1, ramp_epochs=1, layers=("outer",))
    rows = Rows({"image": image}, network(image).numpy(), 5)
    pruned = prune(network, rows, rows, 1, settings).network
    assert [pruned.get_layer(name).filters for name in ("stem", "outer", "again", "inner")] == [2, 2, 2, 5]


def test_what_is_added_to_an_input_stays_and_is_named(quick_keras, caplog):
    with caplog.at_level("INFO", "absl"):
        assert groups_of(_residual(is_fixed=True)) == [("inner",)]
    assert "units of ['stem', 'outer', 'again'] stay" in caplog.text


@pytest.mark.parametrize("name", ["first", "apart", "along"])
def test_without_positions_that_are_zero_the_network_answers_the_same(quick_keras, name):
    """Their own weights are zero, so that their readers see nothing of them."""
    network, columns, gone = _network(), _columns(), np.array([0, 3])
    layer = network.get_layer(name)
    layer.set_weights([_zeroed(weight, gone, is_pointwise=name == "apart") for weight in layer.get_weights()])
    if name == "first":
        gamma, beta, mean, variance = network.get_layer("norm").get_weights()
        beta[gone], mean[gone] = 0.0, 0.0
        network.get_layer("norm").set_weights([gamma, beta, mean, variance])
        kernel, bias = network.get_layer("deep").get_weights()
        bias[gone] = 0.0
        network.get_layer("deep").set_weights([kernel, bias])
    smaller = channels.without(network, {name: gone})
    assert smaller.count_params() < network.count_params()
    assert channels.units_of(smaller.get_layer(name)) == channels.units_of(layer) - 2
    np.testing.assert_allclose(smaller(columns), network(columns), atol=1e-5)


def _zeroed(weight: np.ndarray, gone: np.ndarray, *, is_pointwise: bool) -> np.ndarray:
    if is_pointwise and weight.ndim == 4 and weight.shape[0] > 1:
        return weight  # the depthwise kernel, of input channels
    weight = weight.copy()
    weight[..., gone] = 0.0
    return weight


def test_saliency_is_the_loss_that_a_unit_takes_with_it(quick_keras):
    """A linear network: half the second derivative by a factor of a unit is the mean square of what it adds."""
    x = keras.Input((3,), name="x")
    network = keras.Model(x, L.Dense(1, name="last")(L.Dense(4, name="wide")(x)))
    values = np.random.default_rng(4).normal(size=(50, 3)).astype(np.float32)
    rows = Rows({"x": values}, np.zeros((50, 1), np.float32), 20)
    kernel, _ = network.get_layer("wide").get_weights()
    out, _ = network.get_layer("last").get_weights()
    found = unit_saliency(network, [("wide",)], rows, Objective())["wide",]
    np.testing.assert_allclose(found, np.mean((values @ kernel * out[:, 0]) ** 2, axis=0), rtol=1e-4)


def test_pruning_by_units_keeps_the_ones_that_matter(quick_keras):
    """Of twelve filters, nine are copies of noise that the head ignores: the smaller network is as good."""
    keras.utils.set_random_seed(0)
    x = keras.Input((6, 6, 1), name="x")
    conv = L.Conv2D(12, 3, activation="relu", name="conv")(x)
    network = keras.Model(x, L.Dense(1, name="last")(L.GlobalAveragePooling2D()(conv)))
    kernel, bias = network.get_layer("last").get_weights()
    kernel[3:] = 1e-4
    network.get_layer("last").set_weights([kernel, bias])
    values = np.random.default_rng(2).normal(size=(200, 6, 6, 1)).astype(np.float32)
    rows = Rows({"x": values}, network(values).numpy(), 50)
    settings = PrunerSettings(criterion="units", final_sparsity=0.75, rounds=2, ramp_epochs=1)
    smaller = prune(network, rows, rows, 4, settings).network
    assert smaller.get_layer("conv").filters == 3
    error = float(tf.reduce_mean((smaller(values) - rows.labels) ** 2)) ** 0.5
    assert error < 0.05 * rows.labels.std()
    np.testing.assert_allclose(
        smaller.get_layer("conv").get_weights()[0], network.get_layer("conv").get_weights()[0][..., :3], atol=0.1
    )


def test_the_smaller_network_is_handed_on_beside_what_the_reducer_handed_on(quick_keras):
    """Quantizer takes its networks from the candidates alone, if there are any."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    network = keras.Model(x, L.Dense(1, name="last")(L.Dense(8, activation="relu", name="wide")(x)))
    kernel, bias = network.get_layer("last").get_weights()
    kernel[2:] = 1e-5
    network.get_layer("last").set_weights([kernel, bias])
    values = np.random.default_rng(2).normal(size=(200, 4)).astype(np.float32)
    rows = Rows({"x": values}, network(values).numpy() + np.float32(0.5), 50)
    settings = PrunerSettings(criterion="units", final_sparsity="auto", budget=0.5, ramp_epochs=1, min_gzip_gain=0.0)
    sources = [Candidate(copy_network(network), 0.5, 0.5, k=3), Candidate(network, 0.5, 0.5)]
    outcome = Search(sources, rows, rows, settings, trained={}).outcome()
    assert outcome.kept.pruned.network.get_layer("wide").units < 8
    assert any(each.network is outcome.kept.pruned.network for each in outcome.candidates)


def test_a_unit_takes_its_own_weights_and_its_readers_with_it(quick_keras):
    """A filter of `first`: 9 of 3 inputs; 4 of the normalization, 9 and a bias of `deep`, 9 and 5 of `apart`."""
    assert weights_by_unit(_network(), ("first",)) == 27 + 4 + 10 + 9 + 5
    assert weights_by_unit(_network(), ("along",)) == 3 * 2 + 1 + 9


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (
            {"final_sparsity": {"a": 0.5}},
            r"final_sparsity=\{'a': 0.5\} must be auto or a fraction with criterion",
        ),
        ({"clusters": 8}, "clusters=8 must be None with criterion=units"),
        ({"begin_step": 3}, "begin_step=3 must be left out if criterion=units"),
    ],
)
def test_settings_of_single_weights_are_refused(chosen, text):
    with pytest.raises(ValueError, match=f"^pruner.{text}"):
        PrunerSettings(criterion="units", **chosen)


def test_a_layer_whose_units_cannot_go_is_named(quick_keras):
    with pytest.raises(InputError, match="^pruner.layers: mixed must match a layer whose units can go, got none of"):
        chosen_layers(_network(), ["mixed"])
