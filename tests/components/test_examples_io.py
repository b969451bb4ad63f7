"""Streams of rows, and errors summed over them."""

from __future__ import annotations

import numpy as np
import pytest

from components import examples_io


def test_running_error_by_hand():
    """Differences 1, -2, 2 in two batches: RMSE sqrt(9 / 3), MAE 5 / 3."""
    error = examples_io.RunningError()
    error.update(np.array([[2.0], [1.0]]), np.array([1.0, 3.0]))
    error.update(np.array([4.0]), np.array([2.0]))
    assert (error.rows, error.rmse, error.mae) == (3, pytest.approx(3**0.5), pytest.approx(5 / 3))


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
