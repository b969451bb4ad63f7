"""Concatenations of what another concatenation joins, in one operator."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import code_of
from farebox.components.tflite.interpreter import schema

MOST_INPUTS = 10  # that tflite-micro joins at once


def join_concatenations(model: Any, graph: Any) -> None:
    """Lets each CONCATENATION of float32 numbers join what another one joins for it alone, on the same axis."""
    reads = collections.Counter(end for operator in graph.operators for end in _inputs(operator))
    inner: dict[int, Any] = {}  # by output, those of one reader
    dropped: list[Any] = []
    for operator in graph.operators:
        axis = _axis(model, graph, operator)
        if axis is None:
            continue
        joined, taken = list[int](), list[Any]()
        for end in _inputs(operator):
            is_alike = end in inner and _axis(model, graph, inner[end]) == axis
            joined += _inputs(inner[end]) if is_alike else [end]
            taken += [inner[end]] if is_alike else []
        if len(joined) <= MOST_INPUTS:
            operator.inputs = np.array(joined, np.int32)
            dropped += taken
        output = int(operator.outputs[0])
        if reads[output] == 1 and output not in graph.outputs and not operator.builtinOptions.fusedActivationFunction:
            inner[output] = operator
    graph.operators = [each for each in graph.operators if all(each is not other for other in dropped)]


def _inputs(operator: Any) -> list[int]:
    return [] if operator.inputs is None else [int(end) for end in operator.inputs]


def _axis(model: Any, graph: Any, operator: Any) -> int | None:
    """The axis of a CONCATENATION of float32 numbers, counted from the first; None for other operators."""
    if code_of(model, operator) != schema().BuiltinOperator.CONCATENATION:
        return None
    target = graph.tensors[int(operator.outputs[0])]
    is_usual = target.type == schema().TensorType.FLOAT32 and target.shape is not None and len(target.shape) > 0
    return int(operator.builtinOptions.axis) % len(target.shape) if is_usual else None
