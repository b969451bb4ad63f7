"""The bytes of a real file by part."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.tflite import flatbuffer
from farebox.components.tflite.byte_shares import DESCRIPTION, STRUCTURE, byte_shares
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.metadata import described
from farebox.components.tflite.slim import packed_once, slim


@pytest.mark.parametrize("change", [slim, bytes])
def test_the_parts_sum_to_the_file(fare_tflite, change):
    file = change(fare_tflite)
    shares = byte_shares(file)
    assert sum(shares.values()) == len(file) and list(shares.values()) == sorted(shares.values(), reverse=True)
    assert min(shares.values()) > 0 and {"constants: FULLY_CONNECTED", "operators: FULLY_CONNECTED"} <= set(shares)


def test_a_larger_constant_and_a_description_count_where_they_are(fare_tflite):
    """A kilobyte is added to a weight's buffer; the description is a buffer of its own."""
    before = byte_shares(flatbuffer.packed(flatbuffer.opened(fare_tflite)))
    model = flatbuffer.opened(fare_tflite)
    graph = model.subgraphs[0]
    dense = next(each for each in graph.operators if len(each.inputs) == 3)
    buffer = model.buffers[graph.tensors[dense.inputs[1]].buffer]
    buffer.data = np.concatenate([np.asarray(buffer.data, np.uint8), np.zeros(1024, np.uint8)])
    after = byte_shares(flatbuffer.packed(model))
    name = "constants: FULLY_CONNECTED"
    assert after[name] - before[name] == 1024 and abs(after[STRUCTURE] - before[STRUCTURE]) <= 32  # gaps of alignment
    text = described(fare_tflite, Description(description="x" * 500, output=TensorDescription("fare")))
    assert byte_shares(text).get(DESCRIPTION, 0) > 500 > byte_shares(fare_tflite).get(DESCRIPTION, 0)


def test_an_operator_more_counts_for_its_kind(fare_tflite):
    """An operator that no other is like, after the first one: its record, its vectors and its tensor."""
    model = flatbuffer.opened(slim(fare_tflite))
    graph = model.subgraphs[0]
    before = byte_shares(slim(fare_tflite))
    assert "operators: SIGN" not in before
    added, code, tensor = schema().OperatorT(), schema().OperatorCodeT(), schema().TensorT()
    code.builtinCode, code.deprecatedBuiltinCode = schema().BuiltinOperator.SIGN, 127
    tensor.shape, tensor.name = np.array([7, 7], np.int32), b"a tensor with a name"
    added.opcodeIndex, added.inputs = len(model.operatorCodes), graph.operators[0].outputs
    added.outputs = np.array([len(graph.tensors)], np.int32)
    graph.operators.append(added), graph.tensors.append(tensor), model.operatorCodes.append(code)
    after = byte_shares(packed_once(model))
    assert 60 < after["operators: SIGN"] < 160 and abs(after[STRUCTURE] - before[STRUCTURE]) < 100
