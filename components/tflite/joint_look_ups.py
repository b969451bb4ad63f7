"""Finds tables whose rows end up side by side, and makes their rows real numbers at once.

Each table alone takes a DEQUANTIZE and a RESHAPE: some 100 bytes and their time.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import add_buffer, code_of
from farebox.components.tflite.interpreter import schema


@dataclasses.dataclass(frozen=True)
class JointLookUps:
    """Inputs of a CONCATENATION, one after the other, that are rows of tables: GATHER, then RESHAPE to two axes."""

    concatenation: Any
    start: int
    gathers: tuple[Any, ...]
    reshapes: tuple[Any, ...]

    @property
    def tables(self) -> tuple[int, ...]:
        """The tables' tensors."""
        return tuple(int(gather.inputs[0]) for gather in self.gathers)

    def dequantized_at_once(self, model: Any, graph: Any, dequantize: Callable[[int, int], Any]) -> list[Any]:
        """The operators that take the place of the RESHAPEs, in order, before the concatenation, which they change.

        The tables must be int8 of one scale. dequantize: makes an operator from a tensor to another.
        """
        read = schema()
        record = graph.tensors[self.tables[0]].quantization
        rows = [int(gather.outputs[0]) for gather in self.gathers]
        for row in rows:
            graph.tensors[row].type, graph.tensors[row].quantization = read.TensorType.INT8, record
        width = sum(int(graph.tensors[row].shape[-1]) for row in rows)
        side_by_side, real, flat = (copy.copy(graph.tensors[rows[0]]) for _ in range(3))
        side_by_side.shape = real.shape = np.array([1, 1, width], np.int32)
        real.type = flat.type = read.TensorType.FLOAT32
        real.quantization = flat.quantization = None
        flat.shape = np.array([1, width], np.int32)
        first = len(graph.tensors)
        graph.tensors += [side_by_side, real, flat, _shape(model, [-1, width])]
        joined = copy.copy(self.concatenation)
        joined.builtinOptions = copy.copy(self.concatenation.builtinOptions)
        joined.builtinOptions.axis = 2
        joined.inputs, joined.outputs = np.array(rows, np.int32), np.array([first], np.int32)
        reshape = copy.copy(self.reshapes[0])
        reshape.builtinOptions, reshape.builtinOptionsType = None, 0
        reshape.inputs, reshape.outputs = np.array([first + 1, first + 3], np.int32), np.array([first + 2], np.int32)
        before = self.concatenation.inputs[: self.start]
        after = self.concatenation.inputs[self.start + len(rows) :]
        self.concatenation.inputs = np.array([*before, first + 2, *after], np.int32)
        return [joined, dequantize(first, first + 1), reshape]


def _shape(model: Any, sizes: list[int]) -> Any:
    """A constant tensor with a shape."""
    tensor = schema().TensorT()
    tensor.buffer, tensor.type = add_buffer(model, np.array(sizes, np.int32)), schema().TensorType.INT32
    tensor.shape = np.array([len(sizes)], np.int32)
    return tensor


def joint_look_ups(model: Any, graph: Any, tables: set[int]) -> list[JointLookUps]:
    """All runs of two or more of the tables whose rows are concatenated side by side and read by nothing else."""
    read = schema().BuiltinOperator
    producers = {int(end): operator for operator in graph.operators for end in operator.outputs}
    reads = collections.Counter(int(end) for operator in graph.operators for end in operator.inputs)

    def chain(tensor: int) -> tuple[Any, Any] | None:
        """The GATHER and the RESHAPE that make a tensor."""
        reshape = producers.get(tensor)
        if reshape is None or code_of(model, reshape) != read.RESHAPE or reads[tensor] != 1:
            return None
        rows = int(reshape.inputs[0])
        gather = producers.get(rows)
        if gather is None or code_of(model, gather) != read.GATHER or reads[rows] != 1:
            return None
        table = int(gather.inputs[0])
        if table not in tables or reads[table] != 1:
            return None
        shape, flat = graph.tensors[rows].shape, graph.tensors[tensor].shape
        is_flattened = len(shape) == 3 and shape[1] == 1 and len(flat) == 2 and flat[1] == shape[2]
        return (gather, reshape) if is_flattened else None

    runs = []
    for operator in graph.operators:
        if code_of(model, operator) != read.CONCATENATION or operator.builtinOptions.axis not in (1, -1):
            continue
        chains = [chain(int(tensor)) for tensor in operator.inputs]
        start = next((i for i, each in enumerate(chains) if each), len(chains))
        end = next((i for i in range(start, len(chains)) if not chains[i]), len(chains))
        found = [each for each in chains[start:end] if each]
        if len({int(gather.inputs[0]) for gather, _ in found}) == len(found) > 1:
            runs.append(JointLookUps(operator, start, *(tuple(each) for each in zip(*found, strict=True))))
    return runs
