"""Pruner on real artifacts: what `Do` reads, writes and draws, for our network and for a stranger's."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from farebox.components.pruner import layers, plots


@pytest.fixture
def prune(run_node):
    """(network, settings) -> outputs of a `Do`."""
    from farebox.components.pruner.component import PrunerSpec
    from farebox.components.pruner.executor import PrunerExecutor

    quick = {"ramp_epochs": 1, "recover_epochs": 1}
    return lambda network, chosen, **properties: run_node(
        PrunerExecutor, PrunerSpec, {"model": network}, quick | chosen, **properties
    )


def written(outputs) -> tuple[dict, dict[str, np.ndarray], set[str]]:
    """pruning.json, masks.npz, and the names of the pictures."""
    folder = Path(outputs["pruning"].uri)
    pictures = {file.name for file in folder.glob("*.png")}
    return json.loads((folder / "pruning.json").read_text()), dict(np.load(folder / "masks.npz")), pictures


@pytest.fixture(scope="session")
def stranger(quick_keras):
    """Which of nine cells a trip starts in, untrained: a network that shares no layer's name with ours."""
    import tf_keras as keras

    from farebox.modules import columns

    keras.utils.set_random_seed(4)
    pair, numbers = keras.Input((1,), dtype="int64", name="pair_cell"), keras.Input((18,), name=columns.NUMERIC)
    vector = keras.layers.Reshape((3,))(keras.layers.Embedding(81, 3, name="pairs/table")(pair))
    x = keras.layers.Concatenate()([vector, keras.layers.Dense(5, activation="tanh", name="first")(numbers)])
    return keras.Model([pair, numbers], keras.layers.Dense(9, activation="softmax", name="cell")(x))


def test_do_writes_a_sparse_model_its_masks_and_pictures(toy_trips, toy_network, prune):
    from farebox.components.networks import examples_io

    outputs = prune(toy_network, {"final_sparsity": 0.25})
    summary, masks, pictures = written(outputs)
    pruned = examples_io.load_network(outputs["pruned_model"])
    assert summary["sparsity"] == layers.total_sparsity(pruned)
    assert summary["sparsity_by_layer"]["pair_cell_embedding"] >= summary["untrained_rows"]["pair_cell_embedding"] > 0.3
    assert summary["sparsity_by_layer"]["hidden_1"] == summary["steps"]["hidden_1"][-1]["reached"] == 0.25
    assert [(trial["sparsity"], trial["is_kept"]) for trial in summary["trials"]] == [(0.25, True)]
    assert summary["gzip_bytes"]["pruned"] < summary["gzip_bytes"]["unpruned"]
    assert summary["trials"][0]["expected_error"] > summary["eval_error"]["source"]
    error = examples_io.network_error(pruned, toy_trips.batches("eval")).error
    assert (summary["metric"], summary["eval_error"]["pruned"]) == ("rmse", pytest.approx(error, rel=1e-5))
    assert set(masks) == {"hidden_0", "hidden_1", "pair_cell_embedding"}
    assert pictures == {"ramp.png", *(f"mask-{name}.png" for name in masks)}
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, layers.matrix(pruned, name) != 0)


@pytest.mark.slow
@pytest.mark.parametrize(("criterion", "most"), [("saliency", 1.5), ("lottery_ticket", 3.0)])
def test_do_prunes_a_strangers_classifier(stranger, prune, criterion, most):
    """Log loss on class ids; its label is a number of the trips, its table's name a path. Rows never trained are zero
    even where the ticket's initialization filled them."""
    from farebox.components.networks import examples_io

    chosen = {"final_sparsity": {"first": 0.5}, "criterion": criterion, "rounds": 2}
    outputs = prune(stranger, chosen, label="pickup_cell")
    summary, masks, pictures = written(outputs)
    assert summary["metric"] == "log_loss" and summary["criterion"] == criterion
    assert summary["eval_error"]["pruned"] < summary["eval_error"]["source"] * most
    assert (~masks["first"]).sum() == 45 and set(masks) == {"first", "pairs/table"}
    assert pictures == {"ramp.png", "mask-first.png", "mask-pairs-table.png"}
    table = layers.matrix(examples_io.load_network(outputs["pruned_model"]), "pairs/table")
    assert (~table.any(axis=1)).mean() == summary["untrained_rows"]["pairs/table"] > 0.3


def test_do_hands_on_candidates_of_the_whole_budget(toy_network, run_node):
    """From PcaReducer to Quantizer: errors are over the unchanged network, which PcaReducer hands on as the last."""
    from farebox.components.networks.candidates import load_candidates
    from farebox.components.pca_reducer.component import PcaReducerSpec
    from farebox.components.pca_reducer.executor import PcaReducerExecutor
    from farebox.components.pruner.component import PrunerSpec
    from farebox.components.pruner.executor import PrunerExecutor
    from farebox.components.quantizer.executor import networks_of
    from farebox.components.quantizer.settings import QuantizerSettings

    reduced = run_node(
        PcaReducerExecutor, PcaReducerSpec, {"model": toy_network}, {"budget": 9.0, "fine_tune_epochs": 1}
    )["reduced_model"]
    sources = load_candidates(reduced)
    assert [each.name for each in sources] == ["k=4", ""] and sources[0].expected_error > sources[1].error
    quick = {"ramp_epochs": 1, "recover_epochs": 1, "budget": 9.0, "candidates": [0.5, 0.25]}
    outputs = run_node(PrunerExecutor, PrunerSpec, {}, quick, ready={"model": reduced})
    summary, masks, _ = written(outputs)
    handed_on = load_candidates(outputs["pruned_model"])
    assert [each.name for each in handed_on][:2] == ["k=4, 50% pruned", "k=4"]
    assert [trial["k"] for trial in summary["trials"]] == [4], "the unchanged network cannot become sparser than 50 %"
    assert summary["eval_error"]["source"] == pytest.approx(sources[1].error, rel=1e-5)
    names = networks_of(outputs["pruned_model"], toy_network, QuantizerSettings())
    assert set(names) >= {"k=4, 50% pruned", "k=4"} and (layers.matrix(names["k=4"], "hidden_1") != 0).all()
    assert list(names)[-1] == "unreduced"
    fixed = networks_of(outputs["pruned_model"], toy_network, QuantizerSettings(mode="int8"))
    assert list(fixed) == ["reduced", "unreduced"]
    assert masks["hidden_1"].mean() == 0.5


def test_do_skips_what_saves_too_little(stranger, prune):
    """Never-trained rows are zeroed all the same; all else is the source's."""
    from farebox.components.networks import examples_io

    outputs = prune(
        stranger, {"final_sparsity": "auto", "candidates": [0.5], "min_gzip_gain": 0.9}, label="pickup_cell"
    )
    summary, masks, pictures = written(outputs)
    passed = examples_io.load_network(outputs["pruned_model"])
    assert summary["why"].startswith("skipped, as no candidate has eval and expected error at most")
    assert [(trial["sparsity"], trial["is_kept"]) for trial in summary["trials"]] == [(0.5, False)]
    assert summary["eval_error"]["pruned"] == pytest.approx(summary["eval_error"]["source"], abs=0.1)
    assert summary["steps"] == {} and set(masks) == {"pairs/table"} and pictures == {"mask-pairs-table.png"}
    np.testing.assert_array_equal(layers.matrix(passed, "first"), layers.matrix(stranger, "first"))
    table = layers.matrix(passed, "pairs/table")
    np.testing.assert_array_equal(table, np.where(masks["pairs/table"], layers.matrix(stranger, "pairs/table"), 0))
    assert summary["untrained_rows"] == {"pairs/table": float((~table.any(axis=1)).mean())}


def pixels(png: bytes) -> np.ndarray:
    """Brightness in 0 to 1, of shape (height, width)."""
    from matplotlib import image

    return image.imread(io.BytesIO(png))[:, :, :3].mean(axis=2)


def test_black_is_a_weight_that_is_kept():
    """A sixteenth of the weights more is black after pruning than where all go; pictures of the same are the same."""
    before, after = np.zeros((16, 8), bool), np.zeros((16, 8), bool)
    none = (pixels(plots.mask("wide", before, after)) < 0.1).mean()
    after[:1] = True
    some = (pixels(plots.mask("wide", before, after)) < 0.1).mean()
    after[:] = True
    everything = (pixels(plots.mask("wide", before, after)) < 0.1).mean()
    assert everything > none and (some - none) / (everything - none) == pytest.approx(1 / 16, rel=0.2)
    assert plots.mask("wide", before, after) == plots.mask("wide", before, after)


def test_the_ramp_is_drawn_for_every_layer():
    changes = [{"step": 1, "target": 0.1, "reached": 0.1}, {"step": 9, "target": 0.5, "reached": 0.5}]
    one, two = (pixels(plots.ramp(steps)) for steps in ({"a": changes}, {"a": changes, "b": changes[:1]}))
    assert (one < 0.99).sum() < (two < 0.99).sum()
