"""PcaReducer on real artifacts: what `Do` reads, chooses and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from components.pca_reducer import pca


@pytest.fixture
def reduce(toy_network, run_node):
    """Settings -> outputs of a `Do` on the toy network."""
    from components.pca_reducer.component import PcaReducerSpec
    from components.pca_reducer.executor import PcaReducerExecutor

    return lambda **chosen: run_node(PcaReducerExecutor, PcaReducerSpec, {"model": toy_network}, chosen)


def projection_of(outputs) -> dict:
    return json.loads(Path(f"{outputs['projection'].uri}/projection.json").read_text())


def test_do_writes_a_narrower_model_and_its_projection(toy_trips, reduce):
    from components import examples_io

    outputs = reduce(n_components=4, fine_tune_epochs=2)
    projection, arrays = projection_of(outputs), np.load(f"{outputs['projection'].uri}/projection.npz")
    reduced = examples_io.load_network(outputs["reduced_model"])
    assert projection["k"] == 4 and projection["why"] == "fixed by reducer.n_components"
    assert arrays["components"].shape == (4, 16) and arrays["mean"].shape == arrays["explained_variance"].shape == (16,)
    share = arrays["explained_variance"][:4].sum() / arrays["explained_variance"].sum()
    assert projection["explained_variance_ratio"] == pytest.approx(share)
    assert reduced.get_layer("pair_cell_embedding").output_dim == 4
    rmse = examples_io.network_error(reduced, toy_trips.batches("eval")).rmse
    assert rmse == pytest.approx(projection["eval_error"]["reduced"], rel=1e-4)


def test_do_with_auto_holds_its_budget(reduce):
    """16 units: k is one of 4, 8, 12, 16, and bisection tries 8 first."""
    projection = projection_of(reduce(n_components="auto", budget=0.5, fine_tune_epochs=1))
    errors = {trial["k"]: trial["eval_error"] for trial in projection["trials"]}
    assert next(iter(errors)) == 8 and projection["k"] in errors
    assert errors[projection["k"]] == projection["eval_error"]["reduced"] <= 1.5 * projection["eval_error"]["source"]


@pytest.mark.parametrize(("layer", "got"), [("concatenated", "Concatenate"), ("hidden_7", "none of that name")])
def test_do_names_a_layer_that_it_cannot_reduce(reduce, layer, got):
    with pytest.raises(ValueError, match=f"^reducer.layer={layer} must be a Dense layer with a bias, got {got}$"):
        reduce(layer=layer)


def test_fewer_axes_lose_more(toy_network, toy_trips):
    ((batch, _),) = toy_trips.batches("eval", 320)
    moments = pca.Moments(16)
    for rows in pca.preactivations(toy_network, "hidden_0", toy_trips.batches("train")):
        moments.update(rows)
    axes = pca.principal_axes(moments)
    networks = [toy_network, *(pca.fold(toy_network, "hidden_0", axes, k) for k in (2, 8, 16))]
    full, *fares = (net({name: batch[name] for name in net.input_names}).numpy() for net in networks)
    gaps = [np.abs(fare - full).mean() for fare in fares]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-4
