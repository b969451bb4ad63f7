"""Equal rows of tables are stored once, whatever converter wrote the file, and no answer changes."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.tflite.distinct_rows import distinct_rows
from farebox.components.tflite.flatbuffer import code_of, opened, packed
from farebox.components.tflite.float16_weights import float16_weights
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import TfliteModel, op_names, schema
from farebox.components.tflite.slim import slim
from farebox.components.tflite.weight_grids import grid_of


def table_file(table: np.ndarray, *, is_read_otherwise: bool = False) -> bytes:
    """A file that answers row `id` of a table; it may add the table's sum."""
    import tensorflow as tf

    rows = tf.constant(table)
    added = lambda out: out + tf.reduce_sum(rows * out[:1]) if is_read_otherwise else out  # noqa: E731
    spec = [tf.TensorSpec([None], tf.int32, "id")]
    function = tf.function(lambda ids: added(tf.gather(rows, ids)), input_signature=spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    return bytes(converter.convert())


def with_embedding_lookup(content: bytes) -> bytes:
    """The file with EMBEDDING_LOOKUP in place of GATHER, as litert-torch 0.10 writes nn.Embedding."""
    model, read = opened(content), schema()
    (graph,) = model.subgraphs
    for operator in graph.operators:
        if code_of(model, operator) == read.BuiltinOperator.GATHER:
            code = model.operatorCodes[operator.opcodeIndex]
            code.builtinCode = code.deprecatedBuiltinCode = read.BuiltinOperator.EMBEDDING_LOOKUP
            operator.inputs = operator.inputs[::-1].copy()
            operator.builtinOptions, operator.builtinOptionsType = None, 0
    return packed(model)


@pytest.mark.parametrize("change", [lambda content: content, with_embedding_lookup], ids=["gather", "embedding"])
@pytest.mark.parametrize(("rows", "distinct"), [(300, 7), (600, 200), (2000, 400)])  # int8, int8 shifted, int16
def test_each_distinct_row_is_stored_once(rows, distinct, change):
    random = np.random.default_rng(1)
    table = random.normal(size=(distinct, 16)).astype(np.float32)[random.integers(0, distinct, rows)]
    before = change(table_file(table))
    after = distinct_rows(before)
    assert after is not None
    n_distinct = len(np.unique(table, axis=0))
    assert len(slim(after)) < 64 * n_distinct + rows * (2 if n_distinct > 256 else 1) + 1200 < len(slim(before))
    ids = {TfliteModel(before).input_names[0]: np.arange(rows, dtype=np.int32)}
    np.testing.assert_array_equal(TfliteModel(slim(after)).predict(ids), table)


def test_tables_without_equal_rows_or_with_other_readers_stay():
    random = np.random.default_rng(1)
    different = random.normal(size=(300, 16)).astype(np.float32)
    assert distinct_rows(table_file(different)) is None
    assert distinct_rows(table_file(different[np.arange(300) % 7], is_read_otherwise=True)) is None


def test_float16_weights_halve_the_file_and_round():
    table = np.random.default_rng(1).normal(size=(300, 16)).astype(np.float32)
    before = table_file(table)
    after = slim(float16_weights(before))
    assert len(after) < len(before) - 300 * 16 * 2 + 500 and op_names(after)["DEQUANTIZE"] == 1
    answers = TfliteModel(after).predict({TfliteModel(after).input_names[0]: np.arange(300, dtype=np.int32)})
    np.testing.assert_array_equal(answers, table.astype(np.float16).astype(np.float32))
    huge = table_file(table * 1e6)
    assert "DEQUANTIZE" not in op_names(float16_weights(huge)), "beyond float16's range"
    sparse = opened(before)
    sparse.subgraphs[0].tensors[largest_tensor(sparse)].sparsity = schema().SparsityParametersT()
    assert "DEQUANTIZE" not in op_names(float16_weights(packed(sparse))), "its bytes are not the numbers of a table"


def largest_tensor(model) -> int:
    """The place of the tensor with the most bytes."""
    tensors = model.subgraphs[0].tensors
    sizes = [0 if (data := model.buffers[each.buffer].data) is None else len(data) for each in tensors]
    return int(np.argmax(sizes))


def test_an_embedding_look_up_reads_integers_by_itself():
    """As its kernel of LiteRT does for a table of int8 and an output of float32: no operator is added. In tflite-micro,
    too."""
    from tflite_micro import runtime

    table = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    before = with_embedding_lookup(table_file(table))
    after = slim(integer_weights(before))
    assert op_names(after) == op_names(before) and len(after) < len(slim(before)) - 3 * 300 * 16 + 200
    ids, real = np.arange(300, dtype=np.int32), grid_of(table, 8, with_channels=False).real(table)
    np.testing.assert_allclose(TfliteModel(after).predict({TfliteModel(after).input_names[0]: ids}), real, atol=1e-6)
    micro = runtime.Interpreter.from_bytes(after)
    micro.set_input(ids[7:8], 0)
    micro.invoke()
    np.testing.assert_allclose(micro.get_output(0)[0], real[7], atol=1e-6)
