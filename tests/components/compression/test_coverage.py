"""Ids that the rows lack: found, put into rows, and left alone unless training never had them."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.compression.coverage import coverage_of, tables_of
from farebox.components.errors import InputError


@pytest.fixture(scope="module")
def network(quick_keras):
    """Ids of `shop` (20) and of `item` (a sequence of 3 of 9 numbers), a vocabulary of `code`, and two numbers."""
    import tf_keras as keras

    layers = keras.layers
    shop, item = keras.Input((1,), dtype="int64", name="shop"), keras.Input((3,), dtype="int64", name="item")
    code, x = keras.Input((1,), dtype="int64", name="code"), keras.Input((2,), name="x")
    parts = [
        layers.Flatten()(layers.Embedding(20, 2, name="shops")(shop)),
        layers.Flatten()(layers.Embedding(9, 2, name="items")(item)),
        layers.IntegerLookup(vocabulary=[5, 7], output_mode="one_hot")(code),
        x,
    ]
    return keras.Model([shop, item, code, x], layers.Dense(1)(layers.Concatenate()(parts)))


@pytest.fixture
def columns():
    random = np.random.default_rng(2)
    return {
        "shop": random.integers(0, 4, (50, 1)), "item": random.integers(0, 8, (50, 3)),
        "code": np.full((50, 1), 5), "x": random.normal(size=(50, 2)),
    }  # fmt: skip


def test_lacking_ids_are_found(network, columns):
    covered = coverage_of(network, columns, None)
    assert {name: ids.tolist() for name, ids in covered.lacking.items()} == {
        "shop": list(range(4, 20)), "item": [8], "code": [7, 8],  # 8 stands for all unknown codes
    }  # fmt: skip
    assert covered.lacking_text == "16 of 20 ids of shop, 1 of 9 ids of item, 2 of 3 ids of code"
    assert covered.trained == {} and covered.untraced == ()


def test_rows_have_every_lacking_id_and_are_real_otherwise(network, columns):
    covered = coverage_of(network, columns, None)
    made = covered.rows(columns, seed=1)
    assert set(made["shop"].ravel()) == set(range(4, 20)) and set(made["code"].ravel()) == {7, 8}
    assert 8 in made["item"] and made["item"].shape == (16, 3)
    assert {tuple(row) for row in made["x"]} <= {tuple(row) for row in columns["x"]}
    assert {name: values.dtype for name, values in made.items()} == {n: v.dtype for n, v in columns.items()}


def test_only_ids_that_training_had_are_kept(network, columns):
    covered = coverage_of(network, columns, {"shop": np.arange(10), "items": np.arange(8)})
    assert covered.lacking["shop"].tolist() == [4, 5, 6, 7, 8, 9] and "item" not in covered.lacking
    assert np.flatnonzero(covered.trained["shops"]).tolist() == list(range(10))
    assert np.flatnonzero(covered.trained["items"]).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (
            {"x": [1]},
            "trained_ids=x must be a table or an input that feeds one; the network has shops, items, shop, item",
        ),
        ({"shop": [20]}, "trained_ids: shop must be whole numbers from 0 to 19"),
        ({"shops": [0.5]}, "trained_ids: shops must be whole numbers from 0 to 19"),
    ],
)
def test_bad_trained_ids_are_named(network, columns, ids, text):
    with pytest.raises(InputError, match=f"^{text}$"):
        coverage_of(network, columns, ids)


def test_a_table_whose_ids_are_computed_is_untraced(quick_keras):
    import tf_keras as keras

    ids = keras.Input((1,), dtype="int64", name="shop")
    table = keras.layers.Embedding(10, 2, name="pairs")(ids * 2 + 1)
    made = keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(table)))
    columns = {"shop": np.array([[0], [1], [2]])}
    covered = coverage_of(made, columns, None)
    assert covered.untraced == (("table pairs", 3, 10),) and covered.untraced_text == "7 of 10 rows of table pairs"
    assert coverage_of(made, columns, {"pairs": [1, 3, 5]}).untraced_text == ""


def nested(keras, shop):
    table = keras.layers.Embedding(20, 2)
    return keras.Sequential([keras.Input((1,), dtype="int64"), table, keras.layers.Flatten()], name="inner")(shop)


def one_hot(keras, shop):
    import tensorflow as tf

    return keras.layers.Dense(2)(tf.one_hot(shop[:, 0], 20))


def next_one_hot(keras, shop):
    import tensorflow as tf

    return keras.layers.Dense(2)(tf.one_hot(shop[:, 0] + 1, 20))


def cast(keras, shop):
    import tensorflow as tf

    return keras.layers.Flatten()(keras.layers.Embedding(20, 2, name="shops")(tf.cast(shop, tf.int32)))


def bucket(keras, shop):
    import tensorflow as tf

    rows = tf.range(40.0)
    return tf.reshape(tf.gather(tf.reshape(rows, (20, 2)), tf.cast(shop, tf.int32) // 2), (-1, 2))


@pytest.mark.parametrize(("reader", "lacking", "untraced"), [
    (nested, {"shop": list(range(4, 20))}, ()),
    (cast, {"shop": list(range(4, 20))}, ()),
    (one_hot, {"shop": list(range(4, 20))}, ()),
    (next_one_hot, {}, (("20 one-hot numbers", 4, 20),)),
    (bucket, {}, (("a table of shape 20x2", 2, 20),)),
])  # fmt: skip
def test_ids_are_found_wherever_an_operator_reads_them(quick_keras, columns, reader, lacking, untraced):
    import tf_keras as keras

    from farebox.components.compression.file_coverage import coverage_of_file
    from farebox.components.quantizer.conversion import Source
    from farebox.components.quantizer.native import here

    shop = keras.Input((1,), dtype="int64", name="shop")
    network = keras.Model(shop, keras.layers.Dense(1)(reader(keras, shop)))
    content = Source(network, None, (), network.output_names[0]).file("float32")
    in_file = coverage_of_file(content, columns, here, 50, tables_of(network))
    covered = coverage_of(network, columns, None).joined(in_file)
    assert {name: ids.tolist() for name, ids in covered.lacking.items()} == lacking
    assert covered.untraced == untraced


def test_a_layer_that_many_ids_pass_is_followed(quick_keras):
    import tf_keras as keras

    flat, table = keras.layers.Flatten(), keras.layers.Embedding(5, 2)
    start, end = keras.Input((1,), dtype="int64", name="start"), keras.Input((1,), dtype="int64", name="end")
    network = keras.Model([start, end], keras.layers.Concatenate()([table(flat(start)), table(flat(end))]))
    ids = np.zeros((50, 1), np.int64)
    assert set(coverage_of(network, {"start": ids, "end": ids}, None).lacking) == {"start", "end"}


def test_rows_of_a_table_stay_where_no_id_of_the_rows_leads(quick_keras):
    """The examples look up 8 of the 80 rows of a table. The file must answer alike for the other 72."""
    import tensorflow as tf
    import tf_keras as keras

    from farebox.components import compress
    from farebox.components.tflite.interpreter import TfliteModel

    random, ids = np.random.default_rng(3), keras.Input((1,), dtype="int64", name="id")
    shops = keras.layers.Flatten()(keras.layers.Embedding(80, 8, name="shops")(tf.cast(ids, tf.int32) // 2))
    network = keras.Model(ids, keras.layers.Dense(1)(shops))
    network.get_layer("shops").set_weights([random.normal(size=(80, 8))])

    def rows(n: int):
        columns = {"id": random.integers(0, 16, (n, 1))}
        return columns, network(columns).numpy()[:, 0] + random.normal(size=n)

    result = compress(network, train=rows(60), evaluation=rows(60), budget="10%", portable=True)
    every = {"id": np.arange(160)[:, None]}
    np.testing.assert_allclose(TfliteModel(result.content).predict(every), network(every).numpy()[:, 0], atol=0.05)
    assert "72 of 80 rows of table shops, whose ids are computed: only formats" in result.notes[0]
