"""Integer weights in a float network: bytes as with int8 or int4, arithmetic as with float32."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from farebox.components.tflite.equal_ranges import equalize
from farebox.components.tflite.flatbuffer import add_buffer, code_of, constant, opened, packed
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.joint_look_ups import joint_look_ups
from farebox.components.tflite.weight_grids import Array, Grid, grid_of, packed_int4

MIN_WEIGHTS = 48  # below, the DEQUANTIZE operator takes more bytes than it saves
MIN_OF_GZIP = 32  # the same after gzip, for the bits that only gzip stores in fewer bytes; often the last layer
INT4_BITS, INT8_BITS = 4, 8
DEQUANTIZE_VERSIONS = {8: 2, INT4_BITS: 6}  # TFLite's versions.cc


def integer_weights(
    content: bytes, bits: int = 8, *, with_channels: bool = False, kept_float: Collection[str] = ()
) -> bytes:
    """The float32 file with its larger constants as integers, symmetric, and a DEQUANTIZE behind them.

    A constant whose rows are gathered is dequantized after the look-up, by EMBEDDING_LOOKUP itself where that reads it;
    every other one when the file is loaded. Tables whose rows are concatenated share a scale and a DEQUANTIZE. Layers
    get equal ranges first (`equal_ranges`).

    bits: of a number. Constants of one axis keep 8, at 4 bits gathered tables too. A number takes half a byte at 4
    bits, else a whole one: 5 bits are fewer bytes after gzip only. with_channels: a scale for each channel of a
    constant, where that pays. kept_float: nodes, by the names of `nodes_with_weights`, whose constants stay float32.
    """
    model = opened(content)
    for graph in model.subgraphs:
        kept = {index for index, node in _readers(model, graph) if node in kept_float}
        _Narrowing(model, graph, bits, with_channels=with_channels, kept=kept).apply()
    return packed(model)


def nodes_with_weights(content: bytes) -> tuple[str, ...]:
    """Names of the outputs of operators that read constants which become integers, in the file's order."""
    model = opened(content)
    return tuple(dict.fromkeys(node for graph in model.subgraphs for _, node in _readers(model, graph)))


def _readers(model: Any, graph: Any) -> Iterator[tuple[int, str]]:
    """The larger constants, each with the name of what an operator makes of it."""
    constants = _constants(model, graph)
    for operator in graph.operators:
        for index in () if operator.inputs is None else operator.inputs:
            if index in constants and len(operator.outputs):
                yield int(index), (graph.tensors[int(operator.outputs[0])].name or b"").decode()


class _Narrowing:
    """The change of one graph. kept: constants that stay float32."""

    def __init__(self, model: Any, graph: Any, bits: int, *, with_channels: bool, kept: Collection[int]) -> None:
        self._kept = kept
        self._model, self._graph, self._bits, self._with_channels = model, graph, bits, with_channels
        self._codes: dict[int, int] = {}  # operator codes of DEQUANTIZE, by the bits that they read

    def apply(self) -> None:
        model, graph = self._model, self._graph
        least = MIN_OF_GZIP if INT4_BITS < self._bits < INT8_BITS else MIN_WEIGHTS
        equalize(model, graph, [index for index in _constants(model, graph, least) if index not in self._kept])
        constants = {index: each for index, each in _constants(model, graph, least).items() if index not in self._kept}
        read = schema().BuiltinOperator
        gathered = _read_by(model, graph, read.GATHER, 0) & set(constants)
        embedded = _read_by(model, graph, read.EMBEDDING_LOOKUP, 1) & set(constants)
        joints = joint_look_ups(model, graph, gathered)
        grids = {
            index: self._grid(values, is_table=index in gathered | embedded) for index, values in constants.items()
        }
        for joint in joints:
            shared = max((grids[table] for table in joint.tables), key=lambda grid: grid.scales[0])
            grids |= dict.fromkeys(joint.tables, shared)
        for index, grid in grids.items():
            self._narrow(graph.tensors[index], constants[index], grid)
        rewired: dict[int, int] = {}
        operators = [self._dequantized(index, rewired) for index in grids if index not in gathered | embedded]
        joint_tables = {table for joint in joints for table in joint.tables}
        dropped = {id(reshape) for joint in joints for reshape in joint.reshapes}
        for operator in graph.operators:
            if id(operator) in dropped:
                continue
            for joint in joints:
                if joint.concatenation is operator:
                    operators += joint.dequantized_at_once(model, graph, self._dequantize)
            inputs = () if operator.inputs is None else operator.inputs
            operator.inputs = np.array([rewired.get(int(i), int(i)) for i in inputs], np.int32)
            operators.append(operator)
            table = int(operator.inputs[0]) if len(operator.inputs) else -1
            if table in gathered - joint_tables:
                operators.append(self._dequantized_rows(operator, table))
        graph.operators = operators

    def _grid(self, values: Array, *, is_table: bool) -> Grid:
        if is_table:
            return grid_of(values, 8 if self._bits == INT4_BITS else self._bits, with_channels=False)
        bits = self._bits if values.ndim > 1 else 8
        return grid_of(values, bits, with_channels=self._with_channels)

    def _narrow(self, tensor: Any, values: Array, grid: Grid) -> None:
        """Stores a float32 constant as integers."""
        read, integers = schema().TensorType, grid.integers(values)
        is_packed = grid.top < 2 ** (INT4_BITS - 1)
        tensor.buffer = add_buffer(self._model, packed_int4(integers) if is_packed else integers)
        tensor.type, tensor.quantization = read.INT4 if is_packed else read.INT8, grid.record()

    def _dequantize(self, source: int, target: int) -> Any:
        is_packed = self._graph.tensors[source].type == schema().TensorType.INT4
        operator = schema().OperatorT()
        operator.opcodeIndex = self._code(INT4_BITS if is_packed else 8)
        operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
        return operator

    def _code(self, bits: int) -> int:
        """The index of DEQUANTIZE's operator code in the file."""
        if bits not in self._codes:
            code = schema().OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = schema().BuiltinOperator.DEQUANTIZE
            code.version = DEQUANTIZE_VERSIONS[bits]
            self._model.operatorCodes.append(code)
            self._codes[bits] = len(self._model.operatorCodes) - 1
        return self._codes[bits]

    def _dequantized(self, index: int, rewired: dict[int, int]) -> Any:
        """The operator to a new tensor with the constant's real numbers, which `rewired` then has in its place."""
        tensors = self._graph.tensors
        wide = copy.copy(tensors[index])
        wide.type, wide.quantization, wide.buffer = schema().TensorType.FLOAT32, None, 0
        tensors.append(wide)
        rewired[index] = len(tensors) - 1
        return self._dequantize(index, rewired[index])

    def _dequantized_rows(self, operator: Any, table: int) -> Any:
        """Makes the look-up return int8 rows; returns the operator that writes their numbers to its former output."""
        tensors, target = self._graph.tensors, int(operator.outputs[0])
        narrow = copy.copy(tensors[target])
        narrow.type, narrow.quantization = schema().TensorType.INT8, tensors[table].quantization
        tensors.append(narrow)
        operator.outputs = np.array([len(tensors) - 1], np.int32)
        return self._dequantize(len(tensors) - 1, target)


def _constants(model: Any, graph: Any, least: int = MIN_WEIGHTS) -> dict[int, Array]:
    """The float32 constants of `least` numbers and more, in their shapes, by tensor; none that the graph returns."""
    constants = {}
    for index, tensor in enumerate(graph.tensors):
        data = constant(model, tensor)
        is_wide = tensor.type == schema().TensorType.FLOAT32 and tensor.sparsity is None
        if is_wide and data is not None and len(data) >= 4 * least and index not in graph.outputs:
            values = data.view(np.float32)
            if np.isfinite(values).all() and values.any():
                constants[index] = values.reshape([-1] if tensor.shape is None else tensor.shape)
    return constants


def _read_by(model: Any, graph: Any, code: int, place: int) -> set[int]:
    """Constants that only operators of a code read, as the input at a place."""
    tables: set[int] = set()
    read_otherwise: set[int] = set()
    for operator in graph.operators:
        is_look_up = code_of(model, operator) == code
        for position, index in enumerate(() if operator.inputs is None else operator.inputs):
            (tables if is_look_up and position == place else read_otherwise).add(int(index))
    return tables - read_otherwise
