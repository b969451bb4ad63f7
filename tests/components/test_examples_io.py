"""Streams of rows, and errors summed over them."""

from __future__ import annotations

import numpy as np
import pytest

from components import examples_io
from components.running_error import RunningError


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


def _transformed(toy_trips, seed: int | None) -> np.ndarray:
    """The fares of train in the order in which a node reads them."""
    from types import SimpleNamespace

    examples, graph = (SimpleNamespace(uri=str(toy_trips.folder / name)) for name in ("transformed", "transform_graph"))
    spec = examples_io.transformed_feature_spec(graph)
    batches = examples_io.dataset(examples, "train", spec, "fare", 100, shuffle_seed=seed)
    return np.concatenate([fares for _, fares in examples_io.numpy_batches(batches)])


def test_a_seed_shuffles_the_same_way_again(toy_trips):
    plain, shuffled, again, other = (_transformed(toy_trips, seed) for seed in (None, 5, 5, 6))
    np.testing.assert_array_equal(plain, toy_trips.columns["train"]["fare"].reshape(-1))
    np.testing.assert_array_equal(shuffled, again)
    np.testing.assert_array_equal(np.sort(shuffled), np.sort(plain))
    assert not np.array_equal(shuffled, plain) and not np.array_equal(shuffled, other)


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
