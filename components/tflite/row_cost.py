"""An estimate of a file's time for one row that is the same on every machine: no clock is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import code_of, constant, opened
from farebox.components.tflite.interpreter import schema

PRODUCTS = 1000  # of a Dense layer that take as long as an operator of one number, some 45 ns on x86-64
CALL = 15.0  # operators that take as long as the rest of a call: 0.7 µs
COMPUTED, HALVES = 0.25, 2.0  # operators: DEQUANTIZE of computed numbers, such as rows, and of float16 weights
KERNELS = ("FULLY_CONNECTED", "CONV_2D")  # the second input is the weights


def row_cost(content: bytes) -> float:
    """Operators that run for each row, one more for each thousand weights that they multiply by, and the call itself.

    Integer weights are dequantized when the file is loaded; those of float16 took 30 to 50 % of a small
    network's time in each call. A convolution counts each weight once.
    """
    model, codes = opened(content), schema().BuiltinOperator
    kernels, total = {getattr(codes, name) for name in KERNELS}, CALL
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = code_of(model, operator)
            if code == codes.DEQUANTIZE:
                total += _conversion_cost(model, graph.tensors[int(operator.inputs[0])])
                continue
            weights = graph.tensors[int(operator.inputs[1])].shape if code in kernels else [0]
            total += 1 + int(np.prod(weights)) / PRODUCTS
    return total


def _conversion_cost(model: Any, source: Any) -> float:
    if constant(model, source) is None:
        return COMPUTED
    return HALVES if source.type == schema().TensorType.FLOAT16 else 0.0
