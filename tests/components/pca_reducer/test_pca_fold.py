"""The fold: at full rank nothing changes, at any rank what is projected is what the axes bring back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.pca_reducer import folding, methods
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.moments import Batch, Summary, position_hashes
from farebox.components.pca_reducer.settings import ReducerSettings

LAYER = "hidden_0"
SPACES = ("preactivation", "input")
AFFINE = ("pca", "svd", "ica", "pls", "lda")


def _random_axes(n: int, seed: int, k: int | None = None, **chosen) -> Axes:
    """Of 96 random rows that depend on each other; the label is their sum."""
    random = np.random.default_rng(seed)
    rows = random.laplace(2.0, 1.0, (96, n)) @ (np.eye(n) + 0.3 * random.normal(size=(n, n)))
    summary = Summary(n, 96)
    summary.update(Batch(position_hashes(seed, "a", 0, 96), rows, rows.sum(axis=1)))
    curve, best = methods.fit(ReducerSettings(**chosen), summary, 0)
    return best(k or len(curve))


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


def _preactivations(network, rows) -> np.ndarray:
    kernel, bias = network.get_layer(LAYER).get_weights()
    return _outputs(network, rows, LAYER) @ kernel + bias


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    hidden=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    embeddings=st.sampled_from([{}, {"pair_cell": 5}, {"pair_cell": 30}, {"pair_cell": 3, "hour_of_week": 2}]),
    space=st.sampled_from(SPACES),
    standardize=st.booleans(),
    whiten=st.booleans(),
)
def test_full_rank_computes_the_same_fares(make_network, seed, hidden, embeddings, space, standardize, whiten):
    network = make_network(seed, tuple(hidden), embeddings)
    n = folding.n_features(network, LAYER, space)
    axes = _random_axes(n, seed, standardize=standardize, whiten=whiten)
    folded = folding.fold(network, LAYER, axes, space)
    np.testing.assert_allclose(_outputs(folded, _rows(seed)), _outputs(network, _rows(seed)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["pca", "svd", pytest.param("ica", marks=pytest.mark.slow), "pls"])
def test_full_rank_of_every_method_is_exact(make_network, method, space):
    """lda has no full rank: it has one component fewer than classes."""
    network = make_network()
    axes = _random_axes(folding.n_features(network, LAYER, space), 5, method=method, standardize=True)
    folded = folding.fold(network, LAYER, axes, space)
    np.testing.assert_allclose(_outputs(folded, _rows(5)), _outputs(network, _rows(5)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", AFFINE)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("k", [1, 4, 9])
def test_rank_k_projects(make_network, k, space, method):
    """What is projected, in NumPy: mean + scale * (codes @ decoder), of pre-activations or before the kernel."""
    network, rows = make_network(), _rows(5)
    n = folding.n_features(network, LAYER, space)
    axes = _random_axes(n, 5, k, method=method, standardize=True, whiten=k == 4)
    folded = folding.fold(network, LAYER, axes, space)
    kernel, bias = network.get_layer(LAYER).get_weights()
    x = _outputs(network, rows, LAYER)
    before = x if space == "input" else x @ kernel + bias
    projected = axes.mean + axes.scale * (((before - axes.mean) / axes.scale) @ axes.components.T @ axes.decoder)
    expected = projected @ kernel + bias if space == "input" else projected
    assert folded.get_layer(LAYER).kernel.shape == (k, 16)
    np.testing.assert_allclose(_preactivations(folded, rows), expected, rtol=1e-4, atol=1e-3)


def test_the_fold_is_narrow_and_shares_nothing(make_network):
    """Table 81 * 4, numeric kernel 18 * 4, Dense 4 * 16 + 16, 16 * 8 + 8, 8 + 1."""
    network = make_network()
    before = network.get_weights()
    folded = folding.fold(network, LAYER, _random_axes(16, 1, 4), "preactivation")
    assert folded.count_params() == 324 + 72 + 80 + 136 + 9
    folded.set_weights([weight + 1 for weight in folded.get_weights()])
    for weight, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_a_table_no_wider_than_k_stays(make_network):
    """Its 6 dimensions and the 18 numbers share a kernel of 24 * 8; 81 * 8 would be more than 81 * 6."""
    network = make_network()
    folded = folding.fold(network, LAYER, _random_axes(16, 1, 8), "preactivation")
    before, after = (one.get_layer("pair_cell_embedding").get_weights()[0] for one in (network, folded))
    np.testing.assert_array_equal(after, before)
    assert folded.count_params() == 486 + 24 * 8 + (8 * 16 + 16) + 136 + 9


@pytest.mark.parametrize("k", [1, 4, 6, 8, 16])
def test_parameters_are_counted_without_a_fold(make_network, k):
    for embeddings in ({}, {"pair_cell": 6, "hour_of_week": 3}):
        network = make_network(embeddings=embeddings)
        folded = folding.fold(network, LAYER, _random_axes(16, 1, k), "preactivation")
        assert folding.folded_parameters(network, LAYER, k) == folded.count_params()


def test_extracted_features_are_the_layers_own(toy_trips, toy_network):
    """Through ReLU pre-activations are what the layer puts out; names go with columns."""
    import tf_keras as keras

    columns, _ = next(iter(toy_trips.batches("eval")))
    x, z = (folding.extractor(toy_network, LAYER, space)(columns) for space in ("input", "preactivation"))
    hidden = keras.Model(toy_network.inputs, toy_network.get_layer(LAYER).output)
    expected = hidden({name: columns[name] for name in toy_network.input_names}).numpy()
    np.testing.assert_allclose(np.maximum(z, 0), expected, atol=1e-4)
    assert z.min() < 0
    np.testing.assert_array_equal(x[:, :18], columns["numeric"].numpy())
    names = folding.feature_names(toy_network, LAYER, "input")
    assert (names[0], names[18], len(names)) == ("numeric[0]", "pair_cell_embedding[0]", 24)
    assert folding.feature_names(toy_network, LAYER, "preactivation")[15] == "hidden_0[15]"


def _upstream():
    """Two inputs; a normalization and a Dense before the layer, a table shared by two ids, and one read twice."""
    import tf_keras as keras

    source = keras.Input((3,), name="numbers")
    ids = [keras.Input((1,), dtype="int64", name=name) for name in ("from", "to")]
    several = keras.Input((2,), dtype="int64", name="words")
    flat = keras.layers.Flatten
    shared, spread = keras.layers.Embedding(7, 9, name="place"), keras.layers.Embedding(7, 9, name="word")
    normal = keras.layers.BatchNormalization(name="normal")(source)
    branches = [
        keras.layers.Dense(5, activation="tanh", name="before")(normal),
        *(flat()(shared(one)) for one in ids),
        flat()(spread(several)),
    ]
    x = keras.layers.Dense(8, activation="relu", name="first")(keras.layers.Concatenate(name="joined")(branches))
    x = keras.layers.Dropout(0.5, name="dropped")(x)
    network = keras.Model([source, *ids, several], keras.layers.Dense(3, activation="softmax", name="which")(x))
    random = np.random.default_rng(0)
    network.set_weights([random.uniform(0.1, 1, weight.shape) for weight in network.get_weights()])
    rows = {"numbers": random.normal(size=(20, 3)).astype(np.float32), "words": random.integers(0, 7, (20, 2))}
    return network, rows | {name: random.integers(0, 7, (20, 1)) for name in ("from", "to")}


def test_what_lies_before_the_layer_keeps_its_weights_and_shared_tables_stay(quick_keras):
    """A table read by two branches, or by one twice, would have to become two."""
    network, rows = _upstream()
    folded = folding.fold(network, "first", _random_axes(8, 2), "preactivation")
    np.testing.assert_allclose(_outputs(folded, rows), _outputs(network, rows), atol=1e-5)
    narrow = folding.fold(network, "first", _random_axes(8, 2, 2), "preactivation")
    assert narrow.get_layer("place").output_dim == narrow.get_layer("word").output_dim == 9
    assert folding.folded_parameters(network, "first", 2) == narrow.count_params()


def _toy(shape: str):
    """Three inputs, Dense `hidden_0`, and behind it what `shape` says."""
    import tf_keras as keras

    source = keras.Input((2, 3) if shape == "sequence" else (3,), name="numeric")
    x = keras.layers.Dense(4, name=LAYER, use_bias=shape != "without bias")(source)
    if shape == "branch":
        x = keras.layers.Add(name="joined")([x, keras.layers.ReLU(name="bent")(x)])
    if shape == "way around":
        x = keras.layers.Concatenate(name="joined")([x, source])
    return keras.Model(source, keras.layers.Dense(1, name="fare")(x))


@pytest.mark.parametrize(
    ("shape", "layer", "text"),
    [
        ("chain", "numeric", "reducer.layer=numeric must be a Dense layer with a bias, got InputLayer"),
        ("without bias", LAYER, "reducer.layer=hidden_0 must be a Dense layer with a bias, got Dense"),
        ("sequence", LAYER, r"reducer.layer=hidden_0 must have input of shape \(n, width\), got \(None, 2, 3\)"),
        ("branch", LAYER, "reducer.layer=hidden_0: the layers behind it must be a chain, got joined with a branch"),
        ("way around", LAYER, "reducer.layer=hidden_0: the layers behind it must be a chain, got a way around it"),
        ("chain", "hidden_9", "reducer.layer=hidden_9 must be a Dense layer with a bias, got none of that name"),
    ],
)
def test_what_cannot_be_taken_apart_is_named(shape, layer, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        folding.fold(_toy(shape), layer, _random_axes(4, 0), "preactivation")
