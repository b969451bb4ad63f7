"""Streams of rows, and errors summed over them."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.networks import examples_io
from farebox.components.networks.errors import RunningError


def test_running_error_by_hand():
    """Differences 1, -2, 2 in two batches: RMSE sqrt(9 / 3), MAE 5 / 3."""
    error = RunningError()
    error.update(np.array([[2.0], [1.0]]), np.array([1.0, 3.0]))
    error.update(np.array([4.0]), np.array([2.0]))
    assert (error.rows, error.rmse, error.mae) == (3, pytest.approx(3**0.5), pytest.approx(5 / 3))
    assert error.figures == pytest.approx({"rmse": 3**0.5, "mae": 5 / 3, "max_error": 2.0})


def test_a_split_reads_back_whole_and_in_order(toy_trips):
    batches = list(examples_io.numpy_batches(toy_trips.batches("train", 100, kind="raw")))
    assert [len(fares) for _, fares in batches] == [100] * 6 + [40]
    latitudes = np.concatenate([columns["pickup_latitude"] for columns, _ in batches])
    np.testing.assert_array_equal(latitudes, toy_trips.columns["train"]["pickup_latitude"])
    assert "fare" not in batches[0][0]


def test_network_error_equals_numpy(toy_trips, toy_network):
    ((columns, fares),) = examples_io.numpy_batches(toy_trips.batches("eval", 320))
    predicted = toy_network({name: columns[name] for name in toy_network.input_names}).numpy().reshape(-1)
    expected = float(np.sqrt(np.mean((predicted - fares) ** 2)))
    assert examples_io.network_error(toy_network, toy_trips.batches("eval", 64)).rmse == pytest.approx(
        expected, rel=1e-5
    )


def test_fitting_splits_are_in_memory_and_at_most_so_many(toy_trips, monkeypatch):
    """All rows in their order; or a uniform sample in their order, the same for the same seed."""
    from types import SimpleNamespace

    names = (("examples", "transformed"), ("transform_graph", "transform_graph"))
    inputs = {key: [SimpleNamespace(uri=str(toy_trips.folder / name))] for key, name in names}
    train, evaluation = examples_io.fitting_splits(inputs, "fare", 100, 5)
    fares = toy_trips.columns["train"]["fare"].reshape(-1)
    np.testing.assert_array_equal(train.labels.reshape(-1), fares)
    assert [len(labels) for _, labels in train] == [100] * 6 + [40] and len(evaluation) == 320
    monkeypatch.setattr(examples_io, "MAX_FITTING_ROWS", 150)
    monkeypatch.setattr(examples_io, "MAX_EVAL_ROWS", 40)
    assert [len(split) for split in examples_io.fitting_splits(inputs, "fare", 100, 5)] == [150, 40]
    sample, again, other = (
        examples_io.fitting_splits(inputs, "fare", 100, seed)[0].labels.reshape(-1) for seed in (5, 5, 6)
    )
    places = [int(np.flatnonzero(fares == fare)[0]) for fare in sample]
    assert len(sample) == 150 and places == sorted(places) and min(places) < 100 and max(places) > 500
    np.testing.assert_array_equal(sample, again)
    assert not np.array_equal(sample, other)


def test_shards_are_sorted_and_of_one_split(tmp_path):
    from types import SimpleNamespace

    for split, shard in (("eval", 1), ("eval", 0), ("eval2", 0)):
        (tmp_path / f"Split-{split}").mkdir(exist_ok=True)
        (tmp_path / f"Split-{split}" / f"trips-{shard}.gz").touch()
    files = examples_io.split_files(SimpleNamespace(uri=str(tmp_path)), "eval")
    assert files == [str(tmp_path / "Split-eval" / f"trips-{shard}.gz") for shard in (0, 1)]


def test_a_network_comes_back_from_its_artifact(make_network, tmp_path):
    from types import SimpleNamespace

    network, model = make_network(), SimpleNamespace(uri=str(tmp_path / "model"))
    examples_io.save_network(network, model)
    loaded = examples_io.load_network(model)
    assert loaded.input_names == network.input_names
    for weight, read in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, read)


def test_a_saved_model_of_keras_is_a_network(make_network, toy_trips, tmp_path):
    """With the transform's layer attached, as TFX's templates save it."""
    import tensorflow_transform as tft

    network = make_network()
    network.transform = tft.TFTransformOutput(toy_trips.transform_graph).transform_features_layer()
    network.save(tmp_path, save_format="tf")
    loaded = examples_io.network_at(str(tmp_path))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in make_network().layers]
    batches = toy_trips.batches("eval", 320)
    assert examples_io.network_error(loaded, batches).rmse == examples_io.network_error(network, batches).rmse


def test_a_saved_model_of_operators_alone_is_refused(tmp_path):
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(tmp_path))
    line = "must have network.keras or keras_metadata.pb: tf.saved_model.save keeps no layers; let run_fn call"
    with pytest.raises(InputError, match=line):
        examples_io.network_at(str(tmp_path))


def test_a_label_that_is_no_column_is_refused(toy_trips):
    with pytest.raises(InputError, match="^label=tips must be a column of the examples, got distance_km, .*fare"):
        examples_io.labelled([], examples_io.feature_spec_at(toy_trips.transform_graph), "tips", 10)
