"""int8 weights in a float network: bytes as with int8, arithmetic as with float32."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import add_buffer, code_of, constant, opened, packed
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.joint_look_ups import joint_look_ups

LARGEST = 127  # of the symmetric int8 range
MIN_WEIGHTS = 48  # below, the DEQUANTIZE operator takes more bytes than it saves


def int8_weights(content: bytes) -> bytes:
    """The float32 file with its larger constants as int8, symmetric, one scale each, and a DEQUANTIZE behind them.

    A constant whose rows are gathered is dequantized after the look-up; every other one when the file is loaded. Tables
    whose rows are concatenated share a scale and a DEQUANTIZE.
    """
    read, model = schema(), opened(content)
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
    return packed(model)


def _ranges(model: Any, graph: Any) -> dict[int, float]:
    """The largest magnitude of each float32 constant that is large enough, by its tensor."""
    ranges = {}
    for index, tensor in enumerate(graph.tensors):
        data = constant(model, tensor)
        if tensor.type == schema().TensorType.FLOAT32 and data is not None and len(data) >= 4 * MIN_WEIGHTS:
            largest = float(np.abs(data.view(np.float32)).max())
            if np.isfinite(largest) and largest > 0:
                ranges[index] = largest
    return ranges


def _narrow(model: Any, tensor: Any, scale: float) -> None:
    """Makes a float32 constant int8."""
    data = constant(model, tensor)
    assert data is not None, "a constant has bytes"
    tensor.buffer = add_buffer(model, np.rint(data.view(np.float32) / scale).astype(np.int8))
    tensor.type, tensor.quantization = schema().TensorType.INT8, _symmetric(scale)


def _gathered(model: Any, graph: Any) -> set[int]:
    """Constants that only look-ups read."""
    gather = schema().BuiltinOperator.GATHER
    tables: set[int] = set()
    read_otherwise: set[int] = set()
    for operator in graph.operators:
        is_gather = code_of(model, operator) == gather
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
