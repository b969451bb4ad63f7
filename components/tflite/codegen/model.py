"""Reads a `.tflite` into tensors with values, and operators with their options."""

from __future__ import annotations

import dataclasses
import functools
import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.sparse import dense
from farebox.components.tflite.files import TFLITE_IDENTIFIER
from farebox.components.tflite.flatbuffer import code_number, opened
from farebox.components.tflite.interpreter import column_name, schema

# Of flatbuffers and NumPy, for bytes of something else and for a file whose tables do not fit each other.
NOT_A_FILE = (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, ZeroDivisionError)

DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"), "FLOAT16": np.dtype("<f2"), "INT32": np.dtype("<i4"), "INT64": np.dtype("<i8"),
    "INT8": np.dtype("i1"), "UINT8": np.dtype("u1"), "INT16": np.dtype("<i2"), "BOOL": np.dtype("?"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the file; values: of a constant, in its shape, else None. scales: empty if it is not quantized."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | None
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator: name, tensors (None for an input left out) and its options."""

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any

    def input(self, position: int) -> Tensor:
        """The input at a position. Raises InputError if it is left out."""
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            raise InputError(f"operator={self.name} must have its input {position}")
        return tensor

    def integers(self, position: int) -> list[int]:
        """The numbers of a constant input, such as an axis. Raises InputError if they are known only at run time."""
        values = self.input(position).values
        if values is None:
            raise InputError(f"operator={self.name} must have a constant as input {position}, got a computed one")
        return [int(each) for each in values.reshape(-1)]

    def option(self, name: str, default: Any = 0) -> Any:
        """An option of the operator; the default if the file states none."""
        return default if self.options is None else getattr(self.options, name, default)


@dataclasses.dataclass(frozen=True)
class Graph:
    """The first subgraph of a file."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]


def read_graph(content: bytes, origin: str) -> Graph:
    """The graph of a file's bytes; origin: its name in errors.

    Raises InputError: more than one subgraph, a custom operator, or a type of numbers that the generator does not know.
    """
    try:
        if content[4:8] != TFLITE_IDENTIFIER:
            raise ValueError("no identifier of TFLite")
        model = opened(content)
    except NOT_A_FILE as error:
        raise InputError(f"model={origin} must be a TFLite file, got {len(content)} bytes of something else") from error
    try:
        return _graph(model, origin)
    except InputError:
        raise
    except NOT_A_FILE as error:
        raise InputError(f"model={origin} must be a TFLite file that is not damaged: {error}") from error


def _graph(model: Any, origin: str) -> Graph:
    if len(model.subgraphs) != 1:
        raise InputError(f"model={origin} must have one subgraph to be exported, got {len(model.subgraphs)}")
    (graph,) = model.subgraphs
    tensors = [_tensor(model, index, each, origin) for index, each in enumerate(graph.tensors)]

    def named(indices: Any) -> tuple[Tensor, ...]:
        return tuple(tensors[int(i)] for i in ([] if indices is None else indices))

    operators: list[Operator] = []
    for each in graph.operators:
        inputs = [None if i < 0 else tensors[int(i)] for i in ([] if each.inputs is None else each.inputs)]
        name = _operator_name(model.operatorCodes[each.opcodeIndex])
        if name == "DENSIFY" and inputs[0] is not None:  # its constant is dense already
            output = int(each.outputs[0])
            tensors[output] = dataclasses.replace(inputs[0], index=output)
            continue
        operators.append(Operator(name, tuple(inputs), named(each.outputs), each.builtinOptions))
    return Graph(named(graph.inputs), named(graph.outputs), tuple(operators))


def _tensor(model: Any, index: int, record: Any, origin: str) -> Tensor:
    dtype = _names(schema().TensorType).get(record.type, f"type {record.type}")
    shape = tuple(int(size) for size in (() if record.shape is None else record.shape))
    if dtype not in DTYPES:
        raise InputError(
            f"model={origin}: tensor {index} must be one of {', '.join(DTYPES)} to be exported, got {dtype}"
        )
    data = model.buffers[record.buffer].data
    values = None
    if data is not None and len(data):
        flat = np.asarray(data, np.uint8).copy().view(DTYPES[dtype])
        values = flat.reshape(shape) if record.sparsity is None else dense(flat, shape, record.sparsity)
    quantization = record.quantization
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis = 0
    if quantization is not None and quantization.scale is not None:
        scales = tuple(float(each) for each in quantization.scale)
        points = quantization.zeroPoint
        zero_points = tuple(int(each) for each in points) if points is not None and len(points) else (0,) * len(scales)
        axis = int(quantization.quantizedDimension)
    name = column_name((record.name or b"").decode())
    return Tensor(index, name, dtype, shape, values, scales, zero_points, axis)


def _operator_name(code: Any) -> str:
    if code.customCode:
        return str(code.customCode.decode())
    number = code_number(code)
    return _names(schema().BuiltinOperator).get(number, f"UNKNOWN_{number}")


@functools.cache
def _names(enumeration: Any) -> dict[int, str]:
    """The names of an enumeration of the schema, by number."""
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
