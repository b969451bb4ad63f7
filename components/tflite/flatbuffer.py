"""A `.tflite` as objects of TFLite's schema, which the modules here open, change and pack again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from farebox.components.tflite.files import TFLITE_IDENTIFIER
from farebox.components.tflite.interpreter import schema


def opened(content: bytes) -> Any:
    """The file as a ModelT. Raises what flatbuffers raises for bytes of something else."""
    read = schema()
    return read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))


def packed(model: Any, builder: flatbuffers.Builder | None = None) -> bytes:
    """The bytes of a ModelT; builder: writes them, by default flatbuffers' own."""
    builder = builder or flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def code_number(operator_code: Any) -> int:
    """The number of an OperatorCodeT: those above 127 stand in the newer field, older files fill the older one only."""
    return int(max(operator_code.builtinCode, operator_code.deprecatedBuiltinCode))


def code_of(model: Any, operator: Any) -> int:
    """The operator's number in BuiltinOperator."""
    return code_number(model.operatorCodes[operator.opcodeIndex])


def constant(model: Any, tensor: Any) -> npt.NDArray[np.uint8] | None:
    """The bytes of a constant, shape (n,); None for a tensor that is computed."""
    data = model.buffers[tensor.buffer].data
    return None if data is None or not len(data) else np.asarray(data, np.uint8).copy()


def add_buffer(model: Any, values: npt.NDArray[Any]) -> int:
    """Adds a buffer with an array's bytes, and returns its number."""
    buffer = schema().BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def add_operator(
    model: Any, name: str, inputs: Sequence[int], output: int, options: Any = None, *, version: int = 1
) -> Any:
    """Returns a new built-in operator between tensors, and adds its kind to the model if it is new there.

    options: the object of the schema that holds them, None for an operator without.
    """
    read, number = schema(), getattr(schema().BuiltinOperator, name)
    kinds = [(code_number(each), int(each.version)) for each in model.operatorCodes]
    if (number, version) not in kinds:
        code = read.OperatorCodeT()
        code.builtinCode, code.version = number, version
        code.deprecatedBuiltinCode = min(number, read.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        model.operatorCodes.append(code)
        kinds.append((number, version))
    operator = read.OperatorT()
    operator.opcodeIndex = kinds.index((number, version))
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(read.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return operator


def drop_idle(graph: Any, is_idle: Callable[[Any], bool]) -> None:
    """Drops operators that change nothing: whoever read their output reads their first input.

    is_idle: asked about each operator with inputs whose output is not one of the graph.
    """
    same: dict[int, int] = {}
    kept = []
    for operator in graph.operators:
        if operator.inputs is not None:
            operator.inputs = np.array([same.get(int(i), int(i)) for i in operator.inputs], np.int32)
            target = int(operator.outputs[0]) if len(operator.outputs) else -1
            if len(operator.inputs) and target not in graph.outputs and is_idle(operator):
                same[target] = int(operator.inputs[0])
                continue
        kept.append(operator)
    graph.operators = kept
