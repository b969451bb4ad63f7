"""A `.tflite` of any converter as a network: its ends, and what its operators say of its ids and its last layer."""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import Any

import numpy as np

from farebox.components.compression.rows import Input
from farebox.components.errors import InputError
from farebox.components.quantizer.child import ChildError
from farebox.components.quantizer.native import Columns, Run
from farebox.components.tflite.files import TFLITE_IDENTIFIER
from farebox.components.tflite.flatbuffer import code_of, opened
from farebox.components.tflite.interpreter import BATCH_ROWS, TfliteModel, builtin_names, column_name, schema

ROWS_TO_COMPARE = 5  # answered one call each, and at once
CLOSE = 1e-4  # of the largest answer
HANDED_ON = ("RESHAPE", "CAST", "SQUEEZE", "EXPAND_DIMS", "DEQUANTIZE", "QUANTIZE", "TRANSPOSE")  # numbers as they are
ACTIVATIONS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
PLAIN, QUANTIZED = ("float32", "int32", "int64"), ("int8", "uint8", "int16")  # types of inputs
DAMAGED = (struct.error, IndexError, KeyError, TypeError, AttributeError, ValueError)  # of flatbuffers


@dataclasses.dataclass(frozen=True)
class FileNetwork:
    """A file, its inputs, the shape of a row's answers, its last activation as Keras names it, and its name in errors.

    Quantized inputs take the real numbers that they stand for.
    """

    content: bytes
    inputs: tuple[Input, ...]
    tail: tuple[int, ...]
    activation: str
    name: str


def file_network(content: bytes, name: str = "network") -> FileNetwork:
    """Returns the network of a file. Raises InputError, which starts with `name`, if rows cannot be sent through it."""
    if content[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{name} must be a .tflite file, got {len(content):,} bytes of something else")
    try:
        model = opened(content)
        graph = model.subgraphs[0]
        signature = {
            int(each.tensorIndex): each.name.decode()
            for signature in model.signatureDefs or []
            if not signature.subgraphIndex
            for each in (*signature.inputs, *signature.outputs)
        }
        inputs = tuple(_input(graph.tensors[int(i)], signature.get(int(i)), name) for i in graph.inputs)
        outputs = {signature.get(int(i)) or graph.tensors[int(i)].name.decode(): int(i) for i in graph.outputs}
        activation = ACTIVATIONS.get(_last_operator(model, graph), "linear") if len(outputs) == 1 else ""
        tails = [tuple(map(int, graph.tensors[i].shape[1:])) or (1,) for i in outputs.values()]
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{name} must be a .tflite file, it is damaged: {error}") from error
    if len(outputs) != 1:
        raise InputError(f"{name} must have one output, got {', '.join(outputs) or 'none'}")
    names = [each.name for each in inputs]
    if not inputs or len(set(names)) != len(names):
        raise InputError(f"{name} must have inputs of different names, got {', '.join(names) or 'none'}")
    return FileNetwork(content, inputs, tails[0], activation, name)


def _input(tensor: Any, signature_name: str | None, file: str) -> Input:
    """An input; its column is the one that the interpreter takes. Raises InputError if a table cannot feed it."""
    full = tensor.name.decode()
    column = column_name(full)
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    kinds = {code: kind.lower() for kind, code in vars(schema().TensorType).items() if isinstance(code, int)}
    kind, record = kinds[tensor.type], tensor.quantization
    has_scale = record is not None and record.scale is not None and len(record.scale) == 1
    is_plain = kind in PLAIN or (kind in QUANTIZED and has_scale)
    signature = () if tensor.shapeSignature is None else tuple(map(int, tensor.shapeSignature))
    if not is_plain or not shape or -1 in signature[1:]:
        sizes = ", ".join(map(str, signature or shape))
        raise InputError(
            f"{file}: input {column} must be float32, int32, int64 or quantized, of shape (n, ...) of known width, "
            f"got {kind} ({sizes})"
        )
    other = dict.fromkeys(each for each in (signature_name, full) if each and each != column)
    return Input(column, shape[1:], kind if kind in PLAIN else "float32", tuple(other))


def measured_ends(file: FileNetwork, columns: Columns, run: Run) -> tuple[FileNetwork, int]:
    """Returns the network with the shape that its answers have, and the rows that it takes in a call.

    These are BATCH_ROWS for any number, or else the file's own batch: a file whose batch is fixed may refuse another
    one, or mix rows up; so both answers are compared. Raises InputError if the file does not run.
    """
    some = {each: values[:ROWS_TO_COMPARE] for each, values in columns.items()}
    rows, width = _called(run, file.name, batch_of, file.content, some)
    is_known = math.prod(file.tail) == width
    return (file if is_known else dataclasses.replace(file, tail=(width,))), rows


def batch_of(content: bytes, columns: Columns) -> tuple[int, int]:
    """Rows that the file takes in a call, and numbers that it answers for each; see `measured_ends`."""
    own = TfliteModel(content).own_batch
    expected = TfliteModel(content, rows_at_once=own).predict(columns)
    width = expected.size // len(expected)
    try:
        answers = TfliteModel(content, rows_at_once=BATCH_ROWS).predict(columns)
    except InputError:
        return own, width
    is_same = answers.shape == expected.shape and np.abs(answers - expected).max() <= CLOSE * np.abs(expected).max()
    return (BATCH_ROWS if is_same else own), width


def _called(run: Run, name: str, function: Any, *arguments: Any) -> Any:
    try:
        return run(function, *arguments)
    except ChildError as error:
        raise InputError(f"{name} cannot be run: {error}") from error
    except InputError as error:
        raise InputError(str(error).replace("model=<bytes>", name)) from error


def _last_operator(model: Any, graph: Any) -> str:
    """The operator that computes the output, before others that hand its numbers on."""
    makers = {int(end): operator for operator in graph.operators for end in operator.outputs}
    names, tensor = builtin_names(), int(graph.outputs[0])
    while tensor in makers:
        name = names.get(code_of(model, makers[tensor]), "")
        if name not in HANDED_ON:
            return name
        tensor = int(makers[tensor].inputs[0])
    return ""
