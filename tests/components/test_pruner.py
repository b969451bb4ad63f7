"""Pruner: rows never trained, sparsity that is really there, and one `Do` on real artifacts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from components.pruner import pruning
from components.pruner.settings import PrunerSettings


def kernel(network, name: str) -> np.ndarray:
    return network.get_layer(name).get_weights()[0]


def test_trained_rows_are_those_that_occur(toy_trips, toy_network):
    batches = toy_trips.batches("train")
    trained, n_batches = pruning.trained_rows(toy_network, batches)
    ids = np.concatenate([columns["pair_cell"].numpy().reshape(-1) for columns, _ in batches])
    assert n_batches == 10  # 640 rows in batches of 64
    assert set(np.flatnonzero(trained["pair_cell_embedding"])) == set(ids.tolist())


def test_zeroing_rows_twice_is_zeroing_once(make_network):
    network = make_network()
    rows = np.zeros(81, bool)
    rows[[3, 40]] = True
    before = kernel(network, "pair_cell_embedding")
    for _ in range(2):
        pruning.zero_rows(network, {"pair_cell_embedding": rows})
        np.testing.assert_array_equal(kernel(network, "pair_cell_embedding")[rows], before[rows])
        assert not kernel(network, "pair_cell_embedding")[~rows].any()


def test_networks_without_embeddings_have_no_rows_to_train(toy_trips, make_network):
    assert pruning.trained_rows(make_network(embeddings={}), toy_trips.batches("train")) == ({}, 10)


def test_sparsity_by_hand(make_network):
    """8 of the 16 * 8 weights of hidden_1; untrained, the 16 + 8 + 1 biases are zero too."""
    network = make_network(embeddings={})
    weights = network.get_layer("hidden_1").get_weights()
    weights[0][0, :] = 0.0
    network.get_layer("hidden_1").set_weights(weights)
    assert pruning.sparsity(network) == {"hidden_0": 0.0, "hidden_1": 8 / 128, "fare": 0.0}
    assert pruning.total_sparsity(network) == (8 + 16 + 8 + 1) / (18 * 16 + 16 + 128 + 8 + 8 + 1)


@pytest.mark.slow
@pytest.mark.parametrize(("sparsity", "epochs"), [(0.5, 1), (0.9, 5)])
def test_short_runs_reach_their_sparsity(toy_trips, toy_network, sparsity, epochs):
    """10 or 50 steps: tfmot's own frequency of 100 would prune nothing. The best epoch of a ramp is its first, least
    sparse one, and may not be what stays. The source keeps every weight."""
    before = toy_network.get_weights()
    chosen = PrunerSettings(final_sparsity=sparsity, ramp_epochs=epochs, recover_epochs=1)
    pruned, _ = pruning.prune(toy_network, toy_trips.batches("train"), toy_trips.batches("eval"), 10, chosen)
    for name in ("hidden_0", "hidden_1"):
        weights = kernel(pruned, name)
        assert abs(int(np.sum(weights == 0)) - sparsity * weights.size) <= 1
    for old, new in zip(before, toy_network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in toy_network.layers]


def test_sparsity_that_was_not_reached_is_a_bug(make_network):
    with pytest.raises(RuntimeError, match="Pruner: hidden_1 has 0 zeros of 128, must have 64"):
        pruning.assert_reached(make_network(), ["hidden_1"], 0.5)


def test_patterns_choose_dense_layers(make_network):
    assert pruning.pruned_layers(make_network(), ("hidden_*",)) == ["hidden_0", "hidden_1"]
    with pytest.raises(
        ValueError, match=r"pruner.layers=\['conv_\*'\] must match a Dense layer, got none of \['hidden_0'"
    ):
        pruning.pruned_layers(make_network(), ("conv_*",))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"final_sparsity": 1.0}, "pruner.final_sparsity=1.0 must be below 1"),
        ({"initial_sparsity": 0.9}, "not below initial_sparsity=0.9"),
        ({"ramp_epochs": 0}, "pruner.ramp_epochs=0 and recover_epochs=6 must be at least 1"),
    ],
)
def test_settings_name_the_value(wrong, text):
    with pytest.raises(ValueError, match=text):
        PrunerSettings(**wrong)


@pytest.mark.slow
def test_do_writes_a_sparse_model(toy_network, run_node):
    from components import examples_io
    from components.pruner.component import PrunerSpec
    from components.pruner.executor import PrunerExecutor

    outputs = run_node(PrunerExecutor, PrunerSpec, {"model": toy_network}, {"ramp_epochs": 1, "recover_epochs": 1})
    summary = json.loads(Path(f"{outputs['pruning'].uri}/pruning.json").read_text())
    pruned = examples_io.load_network(outputs["pruned_model"])
    assert summary["sparsity"] == pruning.total_sparsity(pruned)
    assert summary["sparsity_by_layer"]["pair_cell_embedding"] >= summary["untrained_rows"]["pair_cell_embedding"] > 0.3
