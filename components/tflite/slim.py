"""Rewrites a `.tflite` in fewer bytes with the same numbers: no weight changes, only how the file stores it.

A FlatBuffer may point to one object from many places: tensors of one type and shape, options, shapes and constants that
are equal are written once. Names of inner tensors, empty records, options of value 0 and the converter's notes are left
out, and small float16 constants, whose DEQUANTIZE operator takes more bytes than it saves, are written as the float32
they become. Look-ups come first.
"""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.tflite.concatenations import join_concatenations
from farebox.components.tflite.flatbuffer import add_buffer, code_number, code_of, constant, drop_idle, opened, packed
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.look_ups_first import look_ups_first
from farebox.components.tflite.sharing import Sharing, SharingBuilder, content_of

LAST_OLD_CODE = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES: codes from here on do not fit the older field
# Operators that run without options as with those of value 0.
WITHOUT_OPTIONS = ("ADD", "DIV", "FULLY_CONNECTED", "GATHER", "MUL", "SELECT_V2", "SUB", "SUM")
POT_SCALE = "potScaleInt16"
DEQUANTIZE_BYTES = 80  # of the operator and the tensor that it writes


def slim(content: bytes, *, keeps_names: bool = False, keeps_ends: bool = False) -> bytes:
    """The same model, smaller. Raises nothing of its own: what it does not know stays unchanged.

    keeps_names: inner tensors keep their names, which tools that change single layers look for. keeps_ends: inputs and
    outputs keep theirs, too, instead of the signature's.
    """
    model = opened(content)
    _drop_notes(model)
    for graph in model.subgraphs:
        _name_by_signature({} if keeps_ends else _signature_names(model, graph), graph, keeps_names=keeps_names)
        _drop_records(graph)
        _drop_idle_reshapes(model, graph)
        join_concatenations(model, graph)
        look_ups_first(model, graph)
        _widen_small_constants(model, graph)
        _drop_unused_tensors(model, graph)
        _drop_default_options(model, graph)
    _rank_codes(model)
    return packed_once(model)


def packed_once(model: Any) -> bytes:
    """The bytes of a ModelT, equal objects written once. Changes the model."""
    _share(model)
    builder = SharingBuilder()
    builder.write_constants(buffer.data for buffer in model.buffers if buffer.data is not None)
    return packed(model, builder)


def _drop_notes(model: Any) -> None:
    """Drops the converter's description and metadata: their versions do not describe a changed file.

    Some phones would also use their permission to compute in float16, which ruins differences of degrees.
    """
    model.description, model.metadata = None, None


def _signature_names(model: Any, graph: Any) -> dict[int, bytes]:
    """Names of inputs and outputs in the signature, by tensor."""
    names: dict[int, bytes] = {}
    for signature in model.signatureDefs or []:
        if model.subgraphs[signature.subgraphIndex] is graph:
            names |= {each.tensorIndex: each.name for each in (*signature.inputs, *signature.outputs)}
    return names


def _name_by_signature(names: dict[int, bytes], graph: Any, *, keeps_names: bool) -> None:
    """Gives inputs and outputs these names, and inner tensors none, unless `keeps_names`."""
    outside = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        tensor.name = names.get(index, tensor.name) if index in outside or keeps_names else None
        if index not in outside:
            tensor.shapeSignature = None  # shapes are computed anew when an input is resized


def _drop_records(graph: Any) -> None:
    """Drops empty quantization records, and that a tensor has a rank where its shape says so."""
    for tensor in graph.tensors:
        record = tensor.quantization
        if record is not None and not any(_filled(value) for value in vars(record).values()):
            tensor.quantization = None
        if tensor.shape is not None and len(tensor.shape):
            tensor.hasRank = False  # it tells a number without a shape from a tensor of unknown rank


def _filled(value: Any) -> bool:
    """Whether a field of a record is set."""
    return len(value) > 0 if isinstance(value, np.ndarray) else bool(value)


def _drop_idle_reshapes(model: Any, graph: Any) -> None:
    """Drops RESHAPE operators to (-1, ...) whose input has that shape already."""
    reshape = schema().BuiltinOperator.RESHAPE

    def is_idle(operator: Any) -> bool:
        if code_of(model, operator) != reshape or len(operator.inputs) != 2:
            return False
        source, wanted = graph.tensors[int(operator.inputs[0])], constant(model, graph.tensors[operator.inputs[1]])
        if wanted is None or source.shape is None or not len(source.shape):
            return False
        return bool(wanted.view(np.int32).tolist() == [-1, *source.shape[1:].tolist()])

    drop_idle(graph, is_idle)


def _widen_small_constants(model: Any, graph: Any) -> None:
    """Stores float16 constants as float32 if their DEQUANTIZE operator takes more bytes than it saves."""
    read = schema()
    kept = []
    for operator in graph.operators:
        if code_of(model, operator) == read.BuiltinOperator.DEQUANTIZE:
            narrow, wide = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
            values = constant(model, narrow) if narrow.type == read.TensorType.FLOAT16 else None
            is_small = values is not None and len(values) <= DEQUANTIZE_BYTES
            if values is not None and is_small and operator.outputs[0] not in graph.outputs:
                wide.buffer = add_buffer(model, values.view(np.float16).astype(np.float32))
                continue
        kept.append(operator)
    graph.operators = kept


def _drop_default_options(model: Any, graph: Any) -> None:
    """Drops options that say what runtimes take without any: all fields 0.

    The parsers of TFLite and of tflite-micro (flatbuffer_conversions.cc) fill absent options with zeros. POT_SCALE is 1
    by default and matters to int16 numbers only.
    """
    read = schema()
    droppable = {getattr(read.BuiltinOperator, name) for name in WITHOUT_OPTIONS}
    for operator in graph.operators:
        options = operator.builtinOptions
        if options is None or code_of(model, operator) not in droppable:
            continue
        is_int16 = any(graph.tensors[int(end)].type == read.TensorType.INT16 for end in operator.outputs)
        if not any(value for field, value in vars(options).items() if is_int16 or field != POT_SCALE):
            operator.builtinOptions, operator.builtinOptionsType = None, read.BuiltinOptions.NONE


def _bytes_of(values: Any) -> npt.NDArray[Any]:
    return np.asarray(values, np.uint8).copy()


def _drop_unused_tensors(model: Any, graph: Any) -> None:
    """Drops tensors that no operator, input or output names, and renumbers the others."""
    used = {int(i) for i in (*graph.inputs, *graph.outputs)}
    for operator in graph.operators:
        used |= {int(i) for ends in _ends(operator).values() for i in ends} - {-1}
    order = {old: new for new, old in enumerate(sorted(used))} | {-1: -1}
    graph.tensors = [graph.tensors[old] for old in sorted(used)]

    def renumbered(indices: Any) -> npt.NDArray[Any]:
        return np.array([order[int(i)] for i in indices], np.int32)

    graph.inputs, graph.outputs = renumbered(graph.inputs), renumbered(graph.outputs)
    for operator in graph.operators:
        for name, ends in _ends(operator).items():
            setattr(operator, name, renumbered(ends))
    for signature in model.signatureDefs or []:
        if model.subgraphs[signature.subgraphIndex] is graph:
            for each in (*signature.inputs, *signature.outputs):
                each.tensorIndex = order[each.tensorIndex]


def _ends(operator: Any) -> dict[str, Any]:
    """The fields in which an operator names tensors: an LSTM has intermediates, some have no inputs."""
    fields = {name: getattr(operator, name) for name in ("inputs", "outputs", "intermediates")}
    return {name: ends for name, ends in fields.items() if ends is not None}


def _rank_codes(model: Any) -> None:
    """Drops unused operator codes, merges equal ones, sorts by use: the most frequent is 0, which needs no bytes.

    Codes below 127 stand in the older field only, as readers expect of older files; other writers fill only the newer.
    """
    for code in model.operatorCodes:
        number = code_number(code)
        code.deprecatedBuiltinCode = min(number, LAST_OLD_CODE)
        code.builtinCode = number if number >= LAST_OLD_CODE else 0
    keys = [content_of(code) for code in model.operatorCodes]
    uses = collections.Counter(keys[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators)
    ranked = [key for key, _ in uses.most_common()]
    order = {old: ranked.index(key) for old, key in enumerate(keys) if key in uses}
    model.operatorCodes = [model.operatorCodes[keys.index(key)] for key in ranked]
    for graph in model.subgraphs:
        for operator in graph.operators:
            operator.opcodeIndex = order[operator.opcodeIndex]


def _share(model: Any) -> None:
    """Keeps one buffer per distinct constant, number 0 for tensors without; equal tensors and options become one."""
    share, numbers, buffers = Sharing(), {b"": 0}, [schema().BufferT()]

    def number(index: int) -> int:
        data = model.buffers[index].data
        values = _bytes_of(data) if data is not None else np.zeros(0, np.uint8)
        if values.tobytes() not in numbers:
            numbers[values.tobytes()] = len(buffers)
            buffers.append(model.buffers[index])
            buffers[-1].data = values
        return numbers[values.tobytes()]

    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = number(tensor.buffer)
            tensor.quantization = share(tensor.quantization)
        graph.tensors = [share(tensor) for tensor in graph.tensors]
        for operator in graph.operators:
            operator.builtinOptions = share(operator.builtinOptions)
    for entry in model.metadata or ():
        entry.buffer = number(entry.buffer)
    model.buffers = buffers
