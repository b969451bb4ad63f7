"""PcaReducer on real artifacts: what `Do` reads, chooses and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from farebox.components.pca_reducer import axes as axes_module
from farebox.components.pca_reducer import folding


@pytest.fixture
def reduce(toy_network, run_node):
    """Settings -> outputs of a `Do` on the toy network."""
    from farebox.components.pca_reducer.component import PcaReducerSpec
    from farebox.components.pca_reducer.executor import PcaReducerExecutor

    return lambda **chosen: run_node(PcaReducerExecutor, PcaReducerSpec, {"model": toy_network}, chosen)


def projection_of(outputs) -> dict:
    return json.loads(Path(f"{outputs['projection'].uri}/projection.json").read_text())


def rows_of(network, toy_trips, space: str, split: str = "train") -> np.ndarray:
    extract = folding.extractor(network, "hidden_0", space)
    return np.concatenate([extract(columns) for columns, _ in toy_trips.batches(split)])


def test_do_writes_a_narrower_model_and_its_projection(toy_trips, toy_network, reduce):
    from farebox.components.networks import examples_io

    outputs = reduce(n_components=4, fine_tune_epochs=2)
    uri = outputs["projection"].uri
    projection, arrays = projection_of(outputs), np.load(f"{uri}/projection.npz")
    reduced = examples_io.load_network(outputs["reduced_model"])
    assert projection["k"] == 4 and projection["why"] == "fixed by reducer.n_components" and projection["folded"]
    assert arrays["components"].shape == arrays["decoder"].shape == (4, 16)
    assert arrays["loadings_covariance"].shape == (4, len(projection["features"])) == (4, 24)
    x, z = (rows_of(toy_network, toy_trips, space) for space in ("input", "preactivation"))
    codes = (z - arrays["mean"]) @ arrays["components"].T
    expected = np.corrcoef(np.concatenate([codes, x], axis=1).T)[:4, 4:]
    moves = x.std(axis=0) > 1e-6
    np.testing.assert_allclose(arrays["loadings_correlation"][:, moves], expected[:, moves], atol=1e-6)
    assert arrays["mean"].shape == arrays["explained_variance"].shape == (16,)
    share = arrays["explained_variance"][:4].sum() / arrays["explained_variance"].sum()
    assert projection["explained_variance_ratio"] == pytest.approx(share)
    assert reduced.get_layer("pair_cell_embedding").output_dim == 4
    assert projection["parameters"] == {"source": toy_network.count_params(), "reduced": reduced.count_params()}
    rmse = examples_io.network_error(reduced, toy_trips.batches("eval")).rmse
    assert rmse == pytest.approx(projection["eval_error"]["reduced"], rel=1e-4)
    assert projection["eval_error"]["folded"] >= projection["eval_error"]["reduced"]
    for name in ("scree.png", "loadings.png", "codes.png"):
        assert Path(uri, name).read_bytes().startswith(b"\x89PNG")
    assert not Path(uri, "aside").exists()


def test_the_pass_gives_scikit_learns_numbers(toy_trips, toy_network, reduce):
    """Over the same 640 rows, read by Beam from the shard; and what the codes lose is what they do not explain."""
    from sklearn.decomposition import PCA

    outputs = reduce(n_components=3, space="input", fine_tune_epochs=1)
    arrays = np.load(f"{outputs['projection'].uri}/projection.npz")
    rows = rows_of(toy_network, toy_trips, "input")
    reference = PCA().fit(rows)
    np.testing.assert_allclose(arrays["mean"], reference.mean_, atol=1e-6)
    np.testing.assert_allclose(arrays["explained_variance"], reference.explained_variance_, atol=1e-6)
    np.testing.assert_allclose(np.abs(arrays["components"] @ reference.components_[:3].T), np.eye(3), atol=1e-6)
    axes = axes_module.load_projection(outputs["projection"].uri)
    lost = axes.total_variance - axes.explained_variance.sum()
    assert axes_module.reconstruction_error(axes, rows) == pytest.approx(lost * 639 / 640, rel=1e-6)


def test_do_with_auto_holds_its_budget(reduce):
    """16 units on 24 inputs pay at k = 4 and 8; bisection tries 4 first."""
    projection = projection_of(reduce(n_components="auto", budget=9.0, fine_tune_epochs=1))
    errors = {trial["k"]: trial["eval_error"] for trial in projection["trials"]}
    assert next(iter(errors)) == 4 and projection["k"] in errors
    assert all(trial["expected_error"] > projection["eval_error"]["source"] for trial in projection["trials"])
    assert errors[projection["k"]] == projection["eval_error"]["reduced"] <= 10 * projection["eval_error"]["source"]


def test_a_reduction_that_does_not_pay_is_skipped(toy_network, reduce):
    """Two classes of fares have one direction, and at this learning rate no epoch mends what it loses."""
    from farebox.components.networks import examples_io

    chosen = {"n_components": "auto", "method": "lda", "label_bins": 2, "budget": 0.0}
    outputs = reduce(**chosen, fine_tune_epochs=1, learning_rate=1e-9)
    projection = projection_of(outputs)
    assert not projection["folded"] and (projection["k"], projection["explained_variance_ratio"]) == (16, 1)
    (trial,) = projection["trials"]
    source = projection["eval_error"]["source"]
    assert trial["eval_error"] > source == projection["eval_error"]["reduced"]
    assert projection["why"] == (
        f"skipped: none of the k that shrink the network, up to 1, holds the budget of 0.00% over eval error "
        f"{source:.4f}; the best, k=1, has {trial['eval_error']:.4f} and is "
        f"expected to have {trial['expected_error']:.4f}, bound {source:.4f}; "
        "the network is passed on unchanged"
    )
    passed_on = examples_io.load_network(outputs["reduced_model"])
    assert passed_on.get_config() == toy_network.get_config()
    for weight, kept in zip(passed_on.get_weights(), toy_network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, kept)


@pytest.mark.parametrize(("layer", "got"), [("concatenated", "Concatenate"), ("hidden_7", "none of that name")])
def test_do_names_a_layer_that_it_cannot_reduce(reduce, layer, got):
    with pytest.raises(ValueError, match=f"^reducer.layer={layer} must be a Dense layer with a bias, got {got}$"):
        reduce(layer=layer)
