"""An estimate of a file's time for one row that is the same on every machine: no clock is read."""

from __future__ import annotations

import numpy as np

from farebox.components.tflite.flatbuffer import code_of, constant, opened
from farebox.components.tflite.interpreter import schema

PRODUCTS = 1000  # of a Dense layer that take as long as an operator of one number, some 50 ns on x86-64
KERNELS = ("FULLY_CONNECTED", "CONV_2D")  # the second input is the weights


def row_cost(content: bytes) -> float:
    """Operators that run for each row, and one more for each thousand weights that they multiply by.

    Weights are dequantized when the file is loaded. A convolution counts each weight once.
    """
    model, codes = opened(content), schema().BuiltinOperator
    kernels, total = {getattr(codes, name) for name in KERNELS}, 0.0
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = code_of(model, operator)
            if code == codes.DEQUANTIZE and constant(model, graph.tensors[int(operator.inputs[0])]) is not None:
                continue
            weights = graph.tensors[int(operator.inputs[1])].shape if code in kernels else [0]
            total += 1 + int(np.prod(weights)) / PRODUCTS
    return total
