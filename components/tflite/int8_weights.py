"""int8 weights in a float network: bytes as with int8, arithmetic as with float32."""

from __future__ import annotations

import copy
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.joint_look_ups import joint_look_ups

LARGEST = 127  # of the symmetric int8 range
MIN_WEIGHTS = 48  # below, the DEQUANTIZE operator takes more bytes than it saves


def int8_weights(content: bytes) -> bytes:
    """The float32 file with its larger constants as int8, symmetric, one scale each, and a DEQUANTIZE behind them.

    A constant whose rows are gathered is dequantized after the look-up; every other one when the file is loaded. Tables
    whose rows are concatenated share a scale and a DEQUANTIZE.
    """
    read = schema()
    model = read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    model.operatorCodes.append(read.OperatorCodeT())
    code = len(model.operatorCodes) - 1
    model.operatorCodes[code].builtinCode = read.BuiltinOperator.DEQUANTIZE
    model.operatorCodes[code].deprecatedBuiltinCode = read.BuiltinOperator.DEQUANTIZE
    model.operatorCodes[code].version = 2
    ranges = _ranges(model, graph)
    gathered = _gathered(model, graph) & set(ranges)
    joints = joint_look_ups(model, graph, gathered)
    for joint in joints:
        ranges |= dict.fromkeys(joint.tables, max(ranges[table] for table in joint.tables))
    for index, largest in ranges.items():
        _narrow(model, graph.tensors[index], largest / LARGEST)
    rewired: dict[int, int] = {}
    operators = [_dequantized(graph, index, code, rewired) for index in ranges if index not in gathered]
    joint_tables = {table for joint in joints for table in joint.tables}
    dropped = {id(reshape) for joint in joints for reshape in joint.reshapes}
    for operator in graph.operators:
        if id(operator) in dropped:
            continue
        for joint in joints:
            if joint.concatenation is operator:
                operators += joint.dequantized_at_once(
                    model, graph, lambda source, target: _dequantize(source, target, code)
                )
        operator.inputs = np.array([rewired.get(int(i), int(i)) for i in operator.inputs], np.int32)
        operators.append(operator)
        table = int(operator.inputs[0]) if len(operator.inputs) else -1
        if table in gathered - joint_tables:
            operators.append(_dequantized_rows(graph, operator, table, code))
    graph.operators = operators
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _ranges(model: Any, graph: Any) -> dict[int, float]:
    """The largest magnitude of each float32 constant that is large enough, by its tensor."""
    ranges = {}
    for index, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if tensor.type == schema().TensorType.FLOAT32 and data is not None and len(data) >= 4 * MIN_WEIGHTS:
            largest = float(np.abs(_values(data)).max())
            if np.isfinite(largest) and largest > 0:
                ranges[index] = largest
    return ranges


def _values(data: Any) -> npt.NDArray[np.float32]:
    return np.asarray(data, np.uint8).copy().view(np.float32)


def _narrow(model: Any, tensor: Any, scale: float) -> None:
    """Makes a constant int8."""
    buffer = schema().BufferT()
    buffer.data = np.rint(_values(model.buffers[tensor.buffer].data) / scale).astype(np.int8).view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.type, tensor.quantization = (
        len(model.buffers) - 1, schema().TensorType.INT8, _symmetric(scale),
    )  # fmt: skip


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


def _dequantized(graph: Any, index: int, code: int, rewired: dict[int, int]) -> Any:
    """The operator to a new tensor with the constant's real numbers, which `rewired` then has in its place."""
    wide = copy.copy(graph.tensors[index])
    wide.type, wide.quantization, wide.buffer = schema().TensorType.FLOAT32, None, 0
    graph.tensors.append(wide)
    rewired[index] = len(graph.tensors) - 1
    return _dequantize(index, rewired[index], code)


def _dequantized_rows(graph: Any, operator: Any, table: int, code: int) -> Any:
    """Makes the look-up return int8 rows; returns the operator that writes their real numbers to its former output."""
    target = int(operator.outputs[0])
    narrow = copy.copy(graph.tensors[target])
    narrow.type, narrow.quantization = schema().TensorType.INT8, graph.tensors[table].quantization
    graph.tensors.append(narrow)
    operator.outputs = np.array([len(graph.tensors) - 1], np.int32)
    return _dequantize(len(graph.tensors) - 1, target, code)
