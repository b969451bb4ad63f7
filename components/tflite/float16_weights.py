"""float16 weights in a float network: half the bytes, arithmetic as with float32."""

from __future__ import annotations

import copy

import numpy as np

from farebox.components.tflite.flatbuffer import add_buffer, add_operator, constant, opened, packed
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.slim import DEQUANTIZE_BYTES


def float16_weights(content: bytes) -> bytes:
    """The float32 file with its larger constants as float16, and a DEQUANTIZE behind each.

    Constants beyond float16's range, sparse ones and those that the graph itself returns stay. Each reader of a
    constant gets the wide numbers, look-ups among them.
    """
    read, model = schema(), opened(content)
    for graph in model.subgraphs:
        rewired: dict[int, int] = {}
        made = []
        for index, tensor in enumerate(list(graph.tensors)):
            is_dense = tensor.type == read.TensorType.FLOAT32 and tensor.sparsity is None
            data = constant(model, tensor) if is_dense and index not in graph.outputs else None
            if data is None or len(data) <= 2 * DEQUANTIZE_BYTES:
                continue
            values = data.view(np.float32)
            if not (np.abs(values) <= np.finfo(np.float16).max).all():
                continue
            wide = copy.copy(tensor)
            wide.buffer = 0
            tensor.type, tensor.buffer = read.TensorType.FLOAT16, add_buffer(model, values.astype(np.float16))
            graph.tensors.append(wide)
            rewired[index] = len(graph.tensors) - 1
            made.append(add_operator(model, "DEQUANTIZE", (index,), rewired[index], version=3))
        for operator in graph.operators:
            if operator.inputs is not None:
                operator.inputs = np.array([rewired.get(int(i), int(i)) for i in operator.inputs], np.int32)
        graph.operators = made + list(graph.operators)
    return packed(model)
