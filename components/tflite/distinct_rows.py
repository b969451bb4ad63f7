"""Tables of a `.tflite` without equal rows: a look-up of small integers, and each distinct row once."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.tflite.flatbuffer import add_buffer, add_operator, code_of, constant, opened, packed
from farebox.components.tflite.interpreter import schema

LOOK_UP_BYTES = 350  # of its operators and tensors
INT8, INT16 = np.iinfo(np.int8), np.iinfo(np.int16)


@dataclasses.dataclass(frozen=True)
class Distinct:
    """rows: distinct ones, as bytes; numbers: of the row that each former row is equal to, shape (n_rows,)."""

    rows: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class LookUp:
    """An operator that reads rows of a constant; table, ids: where they stand among its inputs."""

    operator: Any
    table: int
    ids: int


def distinct_rows(content: bytes) -> bytes | None:
    """The same model with the distinct rows of each table that becomes smaller so; None if none does.

    Rows are equal if all of their bytes are: no answer changes, of ids that no row of any sample has neither.
    """
    model = opened(content)
    is_changed = False
    for graph in model.subgraphs:
        for index, look_ups in _tables(model, graph).items():
            shrunk = _shrunk(model, graph.tensors[index])
            if shrunk is not None:
                _look_up_twice(model, graph, index, look_ups, shrunk)
                is_changed = True
    return packed(model) if is_changed else None


def look_ups_of(model: Any, graph: Any) -> list[LookUp]:
    """The operators that read rows of a constant by whole numbers."""
    read = schema().BuiltinOperator
    found = []
    for operator in graph.operators:
        code, options = code_of(model, operator), operator.builtinOptions
        if code == read.GATHER and not (options and (options.axis or options.batchDims)):
            found.append(LookUp(operator, 0, 1))
        elif code == read.EMBEDDING_LOOKUP:
            found.append(LookUp(operator, 1, 0))
    return [each for each in found if constant(model, graph.tensors[int(each.operator.inputs[each.table])]) is not None]


def _tables(model: Any, graph: Any) -> dict[int, list[LookUp]]:
    """Constants that only look-ups read, and these."""
    tables: dict[int, list[LookUp]] = {}
    for each in look_ups_of(model, graph):
        tables.setdefault(int(each.operator.inputs[each.table]), []).append(each)
    for operator in graph.operators:
        places = {each.table for look_ups in tables.values() for each in look_ups if each.operator is operator}
        for place, index in enumerate(() if operator.inputs is None else operator.inputs):
            if place not in places:
                tables.pop(int(index), None)
    return tables


def _shrunk(model: Any, tensor: Any) -> Distinct | None:
    """The distinct rows of a table; None for a table that would not become smaller."""
    data, rows = constant(model, tensor), 0 if tensor.shape is None or len(tensor.shape) < 2 else int(tensor.shape[0])
    assert data is not None, "a table is a constant"
    scales = None if tensor.quantization is None else tensor.quantization.scale
    has_scale_of_rows = scales is not None and len(scales) > 1 and not tensor.quantization.quantizedDimension
    if rows < 2 or len(data) % rows or tensor.type in _packed_types() or has_scale_of_rows:
        return None
    distinct, numbers = np.unique(data.reshape(rows, -1), axis=0, return_inverse=True)
    if distinct.size + rows * _number_type(len(distinct)).itemsize + LOOK_UP_BYTES >= data.size:
        return None
    return Distinct(distinct, numbers.reshape(-1))


def _packed_types() -> tuple[int, ...]:
    """Types whose numbers are parts of bytes, and texts."""
    kinds = vars(schema().TensorType)
    return tuple(kinds[name] for name in ("INT4", "STRING") if name in kinds)


def _number_type(n_distinct: int) -> np.dtype[Any]:
    """The type of the look-up's numbers: tflite-micro gathers int8, other runtimes int16 and int32, too."""
    if n_distinct <= INT8.max - INT8.min + 1:
        return np.dtype(np.int8)
    return np.dtype(np.int16 if n_distinct <= INT16.max - INT16.min + 1 else np.int32)


def _look_up_twice(model: Any, graph: Any, index: int, look_ups: list[LookUp], distinct: Distinct) -> None:
    """Gives the table its distinct rows, and each look-up the numbers of its ids."""
    table, n_distinct = graph.tensors[index], len(distinct.rows)
    table.buffer = add_buffer(model, distinct.rows)
    table.shape = np.array([n_distinct, *table.shape[1:]], np.int32)
    kind = _number_type(n_distinct)
    largest = int(np.iinfo(kind).max)
    offset = 0 if n_distinct <= largest + 1 else largest + 1
    stored = _tensor(graph, model, (distinct.numbers - offset).astype(kind))
    known: dict[int, int] = {}
    for each in look_ups:
        ids = int(each.operator.inputs[each.ids])
        if ids not in known:
            made, known[ids] = _numbers_of(model, graph, stored, ids, offset)
            at = next(i for i, operator in enumerate(graph.operators) if operator is each.operator)
            graph.operators[at:at] = made
        each.operator.inputs = np.array(each.operator.inputs, np.int32)
        each.operator.inputs[each.ids] = known[ids]


def _numbers_of(model: Any, graph: Any, stored: int, ids: int, offset: int) -> tuple[list[Any], int]:
    """Operators from ids to the numbers of their rows, int32, and the tensor that has them."""
    read = schema()
    kind = graph.tensors[stored].type
    is_wide = kind == read.TensorType.INT32
    gather = read.GatherOptionsT()
    row = _computed(graph, ids, kind)
    versions = {read.TensorType.INT8: (2, 3), read.TensorType.INT16: (4, 1), read.TensorType.INT32: (1, 1)}
    made = [add_operator(model, "GATHER", (stored, ids), row, gather, version=versions[kind][0])]
    if not is_wide:
        cast = read.CastOptionsT()
        cast.inDataType, cast.outDataType = kind, read.TensorType.INT32
        wide = _computed(graph, ids, read.TensorType.INT32)
        made.append(add_operator(model, "CAST", (row,), wide, cast, version=versions[kind][1]))
        row = wide
    if offset:
        shifted = _computed(graph, ids, read.TensorType.INT32)
        by = _tensor(graph, model, np.array([offset], np.int32))
        made.append(add_operator(model, "ADD", (row, by), shifted, read.AddOptionsT()))
        row = shifted
    return made, row


def _computed(graph: Any, like: int, kind: int) -> int:
    """A new tensor of the shape of another one."""
    tensor = copy.copy(graph.tensors[like])
    tensor.type, tensor.buffer, tensor.quantization, tensor.name = kind, 0, None, b""
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _tensor(graph: Any, model: Any, values: npt.NDArray[Any]) -> int:
    """A new constant."""
    tensor = schema().TensorT()
    tensor.buffer, tensor.shape = add_buffer(model, values), np.array(values.shape, np.int32)
    tensor.type = getattr(schema().TensorType, values.dtype.name.upper())
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
