"""The order of operators: look-ups first, so that XNNPACK takes the rest as one part; and what a row costs."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.tflite.flatbuffer import code_of, opened, packed
from farebox.components.tflite.float16_weights import float16_weights
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.look_ups_first import look_ups_first
from farebox.components.tflite.row_cost import row_cost

RANDOM = np.random.default_rng(3)
TABLE, KERNEL, LAST = (RANDOM.normal(size=size).astype(np.float32) for size in ((9, 8), (4, 8), (8, 1)))


@pytest.fixture(scope="module")
def content() -> bytes:
    """relu(x K + the row of id + 1 of a table) L, as the converter writes it."""
    import tensorflow as tf

    @tf.function(input_signature=[{"x": tf.TensorSpec((1, 4), name="x"), "id": tf.TensorSpec((1,), tf.int32, "id")}])
    def serve(columns):
        rows = tf.gather(tf.constant(TABLE), columns["id"] + 1)
        return {"y": tf.nn.relu(columns["x"] @ KERNEL + rows) @ LAST}

    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()]).convert())


def kinds(model) -> list[str]:
    names = {code: name for name, code in vars(schema().BuiltinOperator).items()}
    return [names[code_of(model, operator)] for operator in model.subgraphs[0].operators]


def with_the_layer_first(content: bytes):
    """The file as objects, the Dense layer of the numbers before the look-up."""
    model = opened(content)
    (graph,) = model.subgraphs
    graph.operators.sort(key=lambda operator: "x" not in graph.tensors[int(operator.inputs[0])].name.decode())
    assert kinds(model)[0] == "FULLY_CONNECTED"
    return model


def test_what_a_look_up_needs_comes_first(content):
    model = with_the_layer_first(content)
    look_ups_first(model, model.subgraphs[0])
    assert kinds(model) == ["ADD", "GATHER", "FULLY_CONNECTED", "ADD", "FULLY_CONNECTED"]
    row = {"x": RANDOM.normal(size=(1, 4)).astype(np.float32), "id": np.array([5], np.int32)}
    np.testing.assert_array_equal(TfliteModel(packed(model)).predict(row), TfliteModel(content).predict(row))


def test_operators_with_a_state_keep_their_order(content):
    model = with_the_layer_first(content)
    model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex].builtinCode = schema().BuiltinOperator.CALL_ONCE
    before = kinds(model)
    look_ups_first(model, model.subgraphs[0])
    assert kinds(model) == before


def test_the_cost_of_a_row_by_hand(content):
    """The call, five operators, and 4 x 8 and 8 x 1 weights in thousands."""
    assert row_cost(content) == pytest.approx(15 + 5 + 0.032 + 0.008)


def test_the_cost_of_numbers_that_are_converted(content):
    """Looked-up int8 rows are converted in each call; int8 weights once, float16 weights in each call."""
    whole = row_cost(content)
    integers, halves = integer_weights(content), float16_weights(content)
    assert TfliteModel(integers).op_names()["DEQUANTIZE"] == 1 and row_cost(integers) == pytest.approx(whole + 0.25)
    assert row_cost(halves) == pytest.approx(whole + 2 * TfliteModel(halves).op_names()["DEQUANTIZE"])
