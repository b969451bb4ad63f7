"""Look-ups in one, products in the weights, and joins in one: the same answers from fewer operators."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from farebox.components.tflite import merged_look_ups
from farebox.components.tflite.concatenations import join_concatenations
from farebox.components.tflite.flatbuffer import code_of, opened, packed
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.merged_look_ups import with_merged_look_ups
from farebox.components.tflite.portable import portable
from farebox.components.tflite.scale_folding import without_scaling
from farebox.components.tflite.slim import slim

NEVER_DIRECT = 1_000_000  # bytes
N_IDS = {"a": 40, "b": 30, "c": 60}
WIDTHS = {"a": 3, "b": 2, "c": 3}
ROWS = {"x": np.linspace(-1, 1, 80, dtype=np.float32).reshape(20, 4)} | {
    name: np.linspace(-0.2, 1.2, 20, dtype=np.float32).reshape(20, 1) * n for name, n in N_IDS.items()
}


def saved(serve, signature, folder) -> bytes:
    """The float32 file of a function."""
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(folder), signatures=tf.function(serve, input_signature=[signature]))
    return portable(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert(), tuple(signature))


def file_of(folder, most=(39.0, 29.0, 59.0), least=0.0, widths=WIDTHS) -> bytes:
    """6 x beside rows of three tables, one of them looked up by numbers of rows, weighted twice; float32.

    most, least: what the ids are held between. widths: of the rows.
    """
    import tensorflow as tf

    random = np.random.default_rng(5)
    tables = {name: random.normal(size=(N_IDS[name], width)).astype(np.float32) for name, width in widths.items()}
    distinct, numbers = tables["c"][:20], np.arange(60) % 20
    weights, last = (
        random.normal(size=(4 + sum(widths.values()), 8)).astype(np.float32),
        random.normal(size=(8, 1)).astype(np.float32),
    )

    def serve(columns):
        counted = tf.floor(tf.concat([columns[name] for name in N_IDS], axis=1))
        held = tf.minimum(tf.maximum(counted, least), np.array(most, np.float32))
        ids = dict(zip(N_IDS, tf.split(tf.cast(held @ np.eye(3, dtype=np.float32), tf.int32), 3, axis=1), strict=True))
        ids["c"] = tf.cast(tf.gather(tf.constant(numbers.astype(np.int8)), ids["c"]), tf.int32)
        rows = [tf.gather(distinct if name == "c" else tables[name], ids[name]) for name in N_IDS]
        flat = [tf.reshape(each, [-1, widths[name]]) for each, name in zip(rows, N_IDS, strict=True)]
        return {"y": tf.nn.relu(tf.concat([columns["x"] * 6.0, *flat], axis=1) @ weights) @ last}

    signature = {"x": tf.TensorSpec((None, 4), tf.float32, "x")}
    signature |= {name: tf.TensorSpec((None, 1), tf.float32, name) for name in N_IDS}
    return slim(saved(serve, signature, folder))


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> bytes:
    return file_of(tmp_path_factory.mktemp("saved"))


def predicted(content: bytes) -> np.ndarray:
    return TfliteModel(content).predict(ROWS)


def integers(content: bytes) -> list[bytes]:
    """The int8 constants, sorted."""
    model = opened(content)
    buffers = (model.buffers[each.buffer].data for each in model.subgraphs[0].tensors if each.type == 9)
    return sorted(bytes(data) for data in buffers if data is not None)


@pytest.mark.parametrize("change", [lambda content: content, integer_weights], ids=["float32", "int8"])
def test_weights_take_a_factor_and_tables_its_reciprocal(network, change):
    """Integers stay."""
    before = change(network)
    after = without_scaling(before)
    assert TfliteModel(before).op_names().get("MUL") == 1 and "MUL" not in TfliteModel(after).op_names()
    assert integers(after) == integers(before)
    np.testing.assert_allclose(predicted(after), predicted(before), rtol=1e-4, atol=1e-4)


def test_a_factor_stays_where_its_product_is_read_twice(network):
    model = opened(network)
    (graph,) = model.subgraphs
    numbers = {index for index, tensor in enumerate(graph.tensors) if tensor.shape is None or not len(tensor.shape)}
    product = next(each for each in graph.operators if len(each.inputs) == 2 and int(each.inputs[1]) in numbers)
    graph.outputs = np.array([*graph.outputs, product.outputs[0]], np.int32)
    content = packed(model)
    assert len(opened(without_scaling(content)).subgraphs[0].operators) == len(graph.operators)


@pytest.mark.parametrize(("numbers_bytes", "n_look_ups"), [(100, 1), (-NEVER_DIRECT, 2)])
def test_look_ups_become_one(network, monkeypatch, numbers_bytes, n_look_ups):
    """Rows of 2 numbers become 3 wide, with a column of zeros in the weights."""
    monkeypatch.setattr(merged_look_ups, "NUMBERS_BYTES", numbers_bytes)
    before = integer_weights(network)
    after = with_merged_look_ups(before)
    assert (TfliteModel(before).op_names()["GATHER"], TfliteModel(after).op_names()["GATHER"]) == (4, n_look_ups)
    np.testing.assert_allclose(predicted(after), predicted(before), rtol=1e-5, atol=1e-5)
    assert len(slim(after)) < len(slim(before))


def test_single_numbers_are_looked_up_side_by_side(tmp_path, monkeypatch):
    """No operator makes them flat."""
    monkeypatch.setattr("farebox.components.tflite.integer_weights.MIN_WEIGHTS", 20)
    before = integer_weights(file_of(tmp_path, widths=dict.fromkeys(N_IDS, 1)))
    after = with_merged_look_ups(before)
    names = TfliteModel(after).op_names()
    assert names["GATHER"] == 1 and "RESHAPE" not in names
    np.testing.assert_allclose(predicted(after), predicted(before), rtol=1e-5, atol=1e-5)


def test_the_product_of_the_ids_counts_them_on(network):
    """Its bias does; no operator takes the ids apart and joins them again."""
    names = TfliteModel(slim(with_merged_look_ups(integer_weights(network)))).op_names()
    assert "SPLIT" not in names and "ADD" not in names and names["CONCATENATION"] == 2


@pytest.mark.parametrize(("most", "least"), [((39.0, 30.0, 59.0), 0.0), ((39.0, 29.0, 59.0), -1.0)])
def test_ids_that_may_be_beyond_their_table_stay_apart(tmp_path, most, least):
    """The runtime refuses a row that the table lacks; of one table for all it would read another's."""
    before = integer_weights(file_of(tmp_path, most, least))
    after = with_merged_look_ups(before)
    assert TfliteModel(after).op_names()["GATHER"] == TfliteModel(before).op_names()["GATHER"] == 4
    with pytest.raises(Exception, match="gather index out of bounds"):
        predicted(after)


def test_look_ups_that_the_file_answers_too_stay_apart(network):
    """Rows of a table as a second output."""
    model = opened(integer_weights(network))
    (graph,) = model.subgraphs
    gather = schema().BuiltinOperator.GATHER
    rows = next(int(each.outputs[0]) for each in graph.operators if code_of(model, each) == gather)
    graph.outputs = np.array([*graph.outputs, rows], np.int32)
    after = opened(with_merged_look_ups(packed(model)))
    assert len(after.subgraphs[0].operators) == len(graph.operators)


def test_more_rows_than_an_int8_counts_stay_apart(network, monkeypatch):
    before = integer_weights(network)
    monkeypatch.setattr(merged_look_ups, "NUMBERS_BYTES", -NEVER_DIRECT)
    monkeypatch.setattr(merged_look_ups, "MOST_ROWS", 89)  # there are 40, 30 and 20
    assert TfliteModel(with_merged_look_ups(before)).op_names() == TfliteModel(before).op_names()


def test_rows_beyond_127_are_counted_from_minus_128(network, monkeypatch):
    monkeypatch.setattr(merged_look_ups, "NUMBERS_BYTES", -NEVER_DIRECT)
    before = integer_weights(network)
    plain = with_merged_look_ups(before)
    monkeypatch.setattr(merged_look_ups, "LEAST_OF_SHIFTED", 10)
    after = with_merged_look_ups(before)
    assert TfliteModel(after).op_names()["ADD"] == 1 and "ADD" not in TfliteModel(plain).op_names()
    np.testing.assert_allclose(predicted(after), predicted(before), rtol=1e-5, atol=1e-5)


def test_concatenations_of_concatenations_are_one(network):
    """Up to ten inputs, on one axis."""
    model = opened(network)
    (graph,) = model.subgraphs
    join = next(
        each
        for each in graph.operators
        if each.builtinOptions is not None and hasattr(each.builtinOptions, "axis") and len(each.inputs) == 4
    )
    inner, tensor = copy.copy(join), copy.copy(graph.tensors[join.outputs[0]])
    inner.inputs, inner.outputs = join.inputs[1:], np.array([len(graph.tensors)], np.int32)
    tensor.shape = np.array([1, 8], np.int32)
    graph.tensors.append(tensor)
    join.inputs = np.array([join.inputs[0], len(graph.tensors) - 1], np.int32)
    graph.operators.insert(graph.operators.index(join), inner)
    nested = packed(model)
    join_concatenations(model, graph)
    names = TfliteModel(network).op_names()
    assert TfliteModel(packed(model)).op_names() == names
    assert TfliteModel(nested).op_names()["CONCATENATION"] == names["CONCATENATION"] + 1
    np.testing.assert_array_equal(predicted(packed(model)), predicted(nested))
