"""The networks' shapes, what follows the feature set and the data, and that ids are hidden from tfmot."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.modules import columns, model
from farebox.modules.settings import ModelSettings

NOTHING_SET = ModelSettings()


def test_ids_pass_a_flatten_on_their_way_to_an_embedding():
    """Parameters by hand: tables 16 * 4 and 168 * 2, Dense on 5 numbers and 4 + 2 dimensions, then to 1."""
    import tf_keras as keras

    crosses = {columns.PAIR_CELL: 4, columns.HOUR_OF_WEEK: 2}
    network = model.build_network((8,), crosses, columns.cardinalities(2), width=5)
    embeddings = [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    assert all(isinstance(layer.input.node.layer, keras.layers.Flatten) for layer in embeddings)
    assert network.input_names == [columns.NUMERIC, columns.PAIR_CELL, columns.HOUR_OF_WEEK]
    assert network.count_params() == 16 * 4 + 168 * 2 + (11 * 8 + 8) + (8 + 1)


def test_the_raw_network_is_the_courses_baseline():
    hidden = model.resolved(NOTHING_SET, "raw", {columns.PAIR_CELL: 2}).hidden
    network = model.build_network(hidden, {}, {}, width=7, source=columns.RAW)
    assert network.input_names == [columns.RAW]
    assert [layer.units for layer in network.layers[1:]] == [32, 8, 1]
    assert [layer.activation.__name__ for layer in network.layers[1:]] == ["relu", "relu", "linear"]


def test_the_course_set_has_the_courses_embedding():
    chosen = model.resolved(NOTHING_SET, "course", {})
    assert chosen == model.Architecture((64, 32), {columns.PAIR_CELL: 100})


@pytest.mark.parametrize(
    ("rows_per_cell", "dimensions"),
    [([29, 30], None), ([30, 30], 1), ([899, 900], 1), ([900, 900], 2), ([950, 1, 1], 2), ([27_001], 3), ([10**6], 3)],
)
def test_dimensions_follow_the_rows_of_the_cells_seen(rows_per_cell, dimensions):
    """A mean of 30 rows for each id gives one dimension. 900 rows give two, and 27,000 rows give three.

    The mean is over cells with at least 2 rows: in [950, 1, 1], only the first cell counts.
    """
    ids = np.repeat(np.arange(len(rows_per_cell)), rows_per_cell)[:, None]
    chosen = model.embeddings_by_data({columns.PAIR_CELL: ids}, min_rows=2)
    assert chosen == ({columns.PAIR_CELL: dimensions} if dimensions else {})
    assert model.resolved(NOTHING_SET, "full", chosen).embeddings == chosen


@pytest.mark.parametrize("feature_set", ["raw", "course", "full"])
def test_what_is_set_stays(feature_set):
    chosen = ModelSettings((3,), {columns.HOUR_OF_WEEK: 1})
    assert model.resolved(chosen, feature_set, {columns.PAIR_CELL: 2}) == model.Architecture(
        chosen.hidden, chosen.embeddings
    )


def test_the_average_cell_is_the_row_of_zeros():
    """Cells 0 and 1 are seen 6 and 3 times, 2 once, 3 never: fares in 0 and 1 stay, 2 and 3 get the average cell's."""
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    crosses = {columns.PICKUP_CELL: 3, columns.HOUR_OF_WEEK: 2}
    network = model.build_network((8,), crosses, columns.cardinalities(2), width=5)
    numbers = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    rows = {columns.NUMERIC: numbers, columns.PICKUP_CELL: np.arange(4)[:, None]}
    rows[columns.HOUR_OF_WEEK] = np.full((4, 1), 7)
    before, (table,) = network(rows).numpy(), network.get_layer("pickup_cell_embedding").get_weights()
    seen = np.array([0] * 6 + [1] * 3 + [2])[:, None]
    ids = {columns.PICKUP_CELL: seen, columns.HOUR_OF_WEEK: np.full((10, 1), 7)}
    model.centre_embeddings(network, ids, min_rows=2)
    np.testing.assert_allclose(network(rows).numpy()[:2], before[:2], rtol=1e-5, atol=1e-6)
    (centred,) = network.get_layer("pickup_cell_embedding").get_weights()
    average = (6 * table[0] + 3 * table[1]) / 9
    np.testing.assert_allclose(centred, [table[0] - average, table[1] - average, [0] * 3, [0] * 3], atol=1e-6)
    (hours,) = network.get_layer("hour_of_week_embedding").get_weights()
    assert not hours.any()  # the only hour there is
