"""int8 weights in a float network: bytes as with int8, arithmetic as with float32."""

from __future__ import annotations

import copy
from typing import Any

import flatbuffers
import numpy as np

from farebox.components.tflite.interpreter import schema

LARGEST = 127  # of the symmetric int8 range
MIN_WEIGHTS = 48  # below, the DEQUANTIZE operator takes more bytes than it saves


def int8_weights(content: bytes) -> bytes:
    """The float32 file with its larger constants as int8, symmetric, one scale each, and a DEQUANTIZE behind them.

    A constant whose rows are gathered is dequantized after the look-up; every other one when the file is loaded.
    """
    read = schema()
    model = read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    code = len(model.operatorCodes)
    model.operatorCodes.append(read.OperatorCodeT())
    model.operatorCodes[code].builtinCode = read.BuiltinOperator.DEQUANTIZE
    model.operatorCodes[code].deprecatedBuiltinCode = read.BuiltinOperator.DEQUANTIZE
    model.operatorCodes[code].version = 2
    gathered = _gathered(model, graph)
    narrowed: set[int] = set()
    rewired: dict[int, int] = {}
    first: list[Any] = []
    for index in range(len(graph.tensors)):
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data
        if tensor.type != read.TensorType.FLOAT32 or data is None or len(data) < 4 * MIN_WEIGHTS:
            continue
        values = np.asarray(data, np.uint8).copy().view(np.float32)
        scale = float(np.abs(values).max()) / LARGEST
        if not np.isfinite(scale) or scale == 0:
            continue
        tensor.type, tensor.quantization = read.TensorType.INT8, _symmetric(scale)
        buffer = read.BufferT()
        buffer.data = np.rint(values / scale).astype(np.int8).view(np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
        narrowed.add(index)
        if index not in gathered:
            rewired[index] = _dequantized(graph, index, code, first)
    operators: list[Any] = []
    for operator in graph.operators:
        operator.inputs = np.array([rewired.get(int(i), int(i)) for i in operator.inputs], np.int32)
        operators.append(operator)
        table = int(operator.inputs[0]) if len(operator.inputs) else -1
        if table in gathered & narrowed:
            _dequantize_rows(graph, operator, table, code, operators)
    graph.operators = first + operators
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _gathered(model: Any, graph: Any) -> set[int]:
    """Constants that only look-ups read."""
    gather = schema().BuiltinOperator.GATHER
    tables: set[int] = set()
    read_otherwise: set[int] = set()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        is_gather = max(code.builtinCode, code.deprecatedBuiltinCode) == gather
        for position, index in enumerate(operator.inputs):
            (tables if is_gather and position == 0 else read_otherwise).add(int(index))
    return tables - read_otherwise


def _symmetric(scale: float) -> Any:
    record = schema().QuantizationParametersT()
    record.scale, record.zeroPoint = np.array([scale], np.float32), np.array([0], np.int64)
    return record


def _dequantize(source: int, target: int, code: int) -> Any:
    operator = schema().OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    return operator


def _dequantized(graph: Any, index: int, code: int, operators: list[Any]) -> int:
    """Adds a tensor with the constant's real numbers, and returns its index."""
    wide = copy.copy(graph.tensors[index])
    wide.type, wide.quantization, wide.buffer = schema().TensorType.FLOAT32, None, 0
    graph.tensors.append(wide)
    operators.append(_dequantize(index, len(graph.tensors) - 1, code))
    return len(graph.tensors) - 1


def _dequantize_rows(graph: Any, operator: Any, table: int, code: int, operators: list[Any]) -> None:
    """Makes the look-up return int8 rows, and writes their real numbers to its former output."""
    target = int(operator.outputs[0])
    narrow = copy.copy(graph.tensors[target])
    narrow.type, narrow.quantization = schema().TensorType.INT8, graph.tensors[table].quantization
    graph.tensors.append(narrow)
    operator.outputs = np.array([len(graph.tensors) - 1], np.int32)
    operators.append(_dequantize(len(graph.tensors) - 1, target, code))
