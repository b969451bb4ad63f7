"""Rows in memory: all of them, or a uniform sample that depends on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.networks.rows import Rows, in_memory


def batches(n_rows: int, size: int):
    import tensorflow as tf

    columns = {"x": np.arange(n_rows, dtype=np.float32)[:, None]}
    return tf.data.Dataset.from_tensor_slices((columns, np.arange(n_rows))).batch(size)


def test_all_rows_in_their_order_and_in_batches_again():
    rows = in_memory(batches(25, 10))
    np.testing.assert_array_equal(rows.labels, np.arange(25))
    np.testing.assert_array_equal(rows.columns["x"].reshape(-1), np.arange(25))
    assert [label.numpy().tolist() for _, label in rows] == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert in_memory(rows) is rows


def test_a_sample_is_uniform_and_keeps_columns_and_labels_together():
    """Of 1000 rows 100, over 60 seeds: each tenth of the rows gives a tenth of them, within 5 standard deviations."""
    counts = np.zeros(10)
    for seed in range(60):
        rows = in_memory(batches(1000, 70), 100, seed)
        assert len(rows) == 100 and (np.diff(rows.labels) > 0).all()
        np.testing.assert_array_equal(rows.columns["x"].reshape(-1), rows.labels)
        counts += np.bincount(rows.labels // 100, minlength=10)
    assert np.abs(counts - 600).max() < 5 * np.sqrt(600 * 0.9)


def test_a_sample_depends_on_the_seed_and_not_on_the_batches():
    once, again, reseeded = (in_memory(batches(100, n), 10, seed) for n, seed in ((7, 3), (50, 3), (7, 4)))
    assert once.labels.tolist() == again.labels.tolist() != reseeded.labels.tolist()


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="^a split has no rows"):
        in_memory([])


def test_iteration_gives_tensors():
    ((columns, labels),) = Rows({"x": np.ones((2, 3))}, np.ones(2), 5)
    assert tuple(columns["x"].shape) == (2, 3) and tuple(labels.shape) == (2,)
