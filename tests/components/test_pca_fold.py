"""The fold: at full rank nothing changes, at any rank the pre-activations are the projected ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.pca_reducer import pca

LAYER = "hidden_0"


def _random_axes(units: int, seed: int) -> pca.Axes:
    moments = pca.Moments(units)
    moments.update(np.random.default_rng(seed).normal(2.0, 1.0, (64, units)))
    return pca.principal_axes(moments)


def _rows(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "numeric": random.normal(size=(50, 18)).astype(np.float32),
        "pair_cell": random.integers(0, 81, (50, 1)),
        "hour_of_week": random.integers(0, 168, (50, 1)),
    }


def _outputs(network, rows, layer: str | None = None) -> np.ndarray:
    import tf_keras as keras

    model = keras.Model(network.inputs, network.get_layer(layer).input) if layer else network
    return model({name: rows[name] for name in network.input_names}).numpy()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    hidden=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    embeddings=st.sampled_from([{}, {"pair_cell": 5}, {"pair_cell": 3, "hour_of_week": 2}]),
)
def test_full_rank_computes_the_same_fares(make_network, seed, hidden, embeddings):
    network = make_network(seed, tuple(hidden), embeddings)
    folded = pca.fold(network, LAYER, _random_axes(hidden[0], seed), hidden[0])
    rows = _rows(seed)
    np.testing.assert_allclose(_outputs(folded, rows), _outputs(network, rows), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [1, 4, 15])
def test_rank_k_projects_the_preactivations(make_network, k):
    """m + (z - m) C'C with the k first axes, in NumPy."""
    network, axes, rows = make_network(), _random_axes(16, 5), _rows(5)
    folded = pca.fold(network, LAYER, axes, k)
    kernel, bias = network.get_layer(LAYER).get_weights()
    z, basis = _outputs(network, rows, LAYER) @ kernel + bias, axes.components[:k]
    expected = axes.mean + (z - axes.mean) @ basis.T @ basis
    kernel, bias = folded.get_layer(LAYER).get_weights()
    assert kernel.shape == (k, 16)
    np.testing.assert_allclose(_outputs(folded, rows, LAYER) @ kernel + bias, expected, atol=1e-4)


def test_the_fold_is_narrow_and_shares_nothing(make_network):
    """Table 81 * 4, numeric kernel 18 * 4, Dense 4 * 16 + 16, 16 * 8 + 8, 8 + 1."""
    network = make_network()
    before = network.get_weights()
    folded = pca.fold(network, LAYER, _random_axes(16, 1), 4)
    assert folded.count_params() == 324 + 72 + 80 + 136 + 9
    folded.set_weights([weight + 1 for weight in folded.get_weights()])
    for weight, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_a_table_no_wider_than_k_stays(make_network):
    """Its 6 dimensions and the 18 numbers share a kernel of 24 * 8; 81 * 8 would be more than 81 * 6."""
    network = make_network()
    folded = pca.fold(network, LAYER, _random_axes(16, 1), 8)
    before, after = (one.get_layer("pair_cell_embedding").get_weights()[0] for one in (network, folded))
    np.testing.assert_array_equal(after, before)
    assert folded.count_params() == 486 + 24 * 8 + (8 * 16 + 16) + 136 + 9


def test_preactivations_are_the_layers_own(toy_trips, toy_network):
    """Through ReLU they are what the layer puts out."""
    import tf_keras as keras

    columns, _ = next(iter(toy_trips.batches("eval")))
    z = next(iter(pca.preactivations(toy_network, LAYER, toy_trips.batches("eval"))))
    hidden = keras.Model(toy_network.inputs, toy_network.get_layer(LAYER).output)
    expected = hidden({name: columns[name] for name in toy_network.input_names}).numpy()
    np.testing.assert_allclose(np.maximum(z, 0), expected, atol=1e-4)
    assert z.min() < 0


def _toy(shape: str):
    """Three inputs, Dense `hidden_0`, and behind it what `shape` says."""
    import tf_keras as keras

    source = keras.Input((3,), name="numeric")
    x = keras.layers.Dense(4, name=LAYER, use_bias=shape != "without bias")(source)
    if shape == "branch":
        x = keras.layers.Add(name="joined")([x, keras.layers.ReLU(name="bent")(x)])
    if shape == "way around":
        x = keras.layers.Concatenate(name="joined")([x, source])
    return keras.Model(source, keras.layers.Dense(1, name="fare")(x))


@pytest.mark.parametrize(
    ("shape", "layer", "k", "text"),
    [
        ("chain", "numeric", 2, "reducer.layer=numeric must be a Dense layer with a bias, got InputLayer"),
        ("without bias", LAYER, 2, "reducer.layer=hidden_0 must be a Dense layer with a bias, got Dense"),
        ("chain", LAYER, 0, "reducer.n_components=0 must be between 1 and units=4 of hidden_0"),
        ("chain", LAYER, 5, "reducer.n_components=5 must be between 1 and units=4 of hidden_0"),
        ("branch", LAYER, 2, "reducer.layer=hidden_0: the layers behind it must be a chain, got joined with a branch"),
        ("way around", LAYER, 2, "reducer.layer=hidden_0: the layers behind it must be a chain, got a way around it"),
        ("chain", "hidden_9", 2, "reducer.layer=hidden_9 must be a Dense layer with a bias, got none of that name"),
    ],
)
def test_what_cannot_be_taken_apart_is_named(shape, layer, k, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        pca.fold(_toy(shape), layer, _random_axes(4, 0), k)
