"""Leaves out of a `.tflite` the fine rounding that only training needs.

Features are rounded so that the last bit of a sine or a logarithm, which differs between kernels, is the same in every
training. In a file, where no training follows, rounding turns that bit into a whole step: two runtimes differed by up
to 9.5e-4 USD in one row of nine in Chicago.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import code_of, constant, opened, packed
from farebox.components.tflite.interpreter import schema

FINE = 4096  # parts of 1


def without_fine_rounding(content: bytes) -> bytes:
    """The same model without MUL, ROUND, MUL that round to multiples of 1/4096, or of a finer step."""
    model = opened(content)
    for graph in model.subgraphs:
        _drop_fine_rounding(model, graph)
        _drop_unread(graph)
    return packed(model)


def _drop_fine_rounding(model: Any, graph: Any) -> None:
    """Lets every reader of a rounded number read the number before it was rounded."""
    operators = schema().BuiltinOperator
    makers = {int(end): operator for operator in graph.operators for end in operator.outputs}
    rounded: dict[int, int] = {}
    for operator in graph.operators:
        if code_of(model, operator) != operators.MUL:
            continue
        inner = makers.get(int(operator.inputs[0]))
        outer = (
            makers.get(int(inner.inputs[0])) if inner is not None and code_of(model, inner) == operators.ROUND else None
        )
        if outer is None or code_of(model, outer) != operators.MUL:
            continue
        grid, step = (_scalar(model, graph, int(each.inputs[1])) for each in (outer, operator))
        if grid is not None and step is not None and grid >= FINE and grid * step == 1:
            rounded[int(operator.outputs[0])] = int(outer.inputs[0])
    for operator in graph.operators:
        if operator.inputs is not None:
            operator.inputs = np.array([rounded.get(int(i), int(i)) for i in operator.inputs], np.int32)


def _scalar(model: Any, graph: Any, index: int) -> float | None:
    """A constant float32 number; None for another tensor."""
    data = constant(model, graph.tensors[index])
    is_number = graph.tensors[index].type == schema().TensorType.FLOAT32 and data is not None and len(data) == 4
    return float(data.view(np.float32)[0]) if is_number and data is not None else None


def _drop_unread(graph: Any) -> None:
    """Drops operators whose outputs nobody reads, from the last to the first."""
    read = {int(end) for end in graph.outputs}
    kept = []
    for operator in reversed(graph.operators):
        if read & {int(end) for end in operator.outputs} or not len(operator.outputs):
            read |= {int(end) for end in operator.inputs if end >= 0}
            kept.append(operator)
    graph.operators = kept[::-1]
