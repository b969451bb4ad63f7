"""Ids that the operators of a `.tflite` know, and which of them rows lack."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from farebox.components.compression.coverage import Coverage
from farebox.components.compression.file_network import HANDED_ON
from farebox.components.compression.rows import Array
from farebox.components.errors import InputError
from farebox.components.quantizer.child import ChildError
from farebox.components.quantizer.native import Columns, Run, predictions
from farebox.components.tflite.distinct_rows import look_ups_of
from farebox.components.tflite.flatbuffer import add_operator, code_of, constant, opened, packed
from farebox.components.tflite.interpreter import builtin_names, column_name, schema


@dataclasses.dataclass(frozen=True)
class IdReader:
    """An operator that reads ids. ids: their tensor; known: those that it tells apart; table: its name, empty for an
    operator that compares numbers, whose ids matter only if an input has them."""

    ids: int
    known: Array
    table: str


def coverage_of_file(
    content: bytes, columns: Columns, run: Run, rows_at_once: int, followed: Collection[bytes] = ()
) -> Coverage:
    """Returns what the rows lack of the ids that the file knows.

    followed: contents of tables whose ids are known already.
    """
    model = opened(content)
    graph = model.subgraphs[0]
    makers = {int(end): operator for operator in graph.operators for end in operator.outputs}
    known: dict[str, Array] = {}
    untraced = []
    for reader in _readers(model, graph, followed):
        tensor = reader.ids
        while tensor in makers and _hands_on(model, graph, makers[tensor]):
            tensor = int(makers[tensor].inputs[0])
        if tensor in graph.inputs:
            name = column_name(graph.tensors[tensor].name.decode())
            known[name] = np.intersect1d(known.get(name, reader.known), reader.known)
        elif tensor in makers and reader.table:
            used = len(np.intersect1d(_computed(content, reader.ids, columns, run, rows_at_once), reader.known))
            untraced += [(reader.table, used, len(reader.known))] if used < len(reader.known) else []
    lacking = {name: missing for name, ids in known.items() if (missing := np.setdiff1d(ids, columns[name])).size}
    return Coverage(lacking, {name: len(ids) for name, ids in known.items()}, tuple(untraced), {})


def _hands_on(model: Any, graph: Any, operator: Any) -> bool:
    """Whether an operator answers the numbers that it gets, all of them."""
    name = builtin_names().get(code_of(model, operator), "")
    shapes = (graph.tensors[int(end)].shape for end in (operator.inputs[0], operator.outputs[0]))
    return name in HANDED_ON or (name == "STRIDED_SLICE" and len({math.prod(map(int, each)) for each in shapes}) == 1)


def _readers(model: Any, graph: Any, followed: Collection[bytes]) -> Iterator[IdReader]:
    """Look-ups in tables of several rows, one-hot numbers, and comparisons with several whole numbers."""
    names = builtin_names()
    for look_up in look_ups_of(model, graph):
        table = graph.tensors[int(look_up.operator.inputs[look_up.table])]
        rows, data = int(table.shape[0]), constant(model, table)
        if rows > 1 and (data is None or data.tobytes() not in followed):
            sizes = "x".join(map(str, table.shape))
            yield IdReader(int(look_up.operator.inputs[look_up.ids]), np.arange(rows), f"a table of shape {sizes}")
    for operator in graph.operators:
        kind = names.get(code_of(model, operator), "")
        if kind == "ONE_HOT":
            depth = _whole_numbers(model, graph.tensors[int(operator.inputs[1])])
            if depth.size == 1:
                yield IdReader(int(operator.inputs[0]), np.arange(int(depth[0])), f"{depth[0]} one-hot numbers")
        elif kind == "EQUAL":
            ends = [int(each) for each in operator.inputs]
            for ids, other in (ends, ends[::-1]):
                numbers = _whole_numbers(model, graph.tensors[other])
                if numbers.size > 1:
                    yield IdReader(ids, np.append(numbers, numbers.max() + 1), "")


def _whole_numbers(model: Any, tensor: Any) -> Array:
    """The numbers of a constant, shape (n,); none for a tensor that is computed, or of fractions."""
    kinds = {schema().TensorType.INT32: np.int32, schema().TensorType.INT64: np.int64}
    data = constant(model, tensor)
    if data is None or tensor.type not in kinds:
        return np.zeros(0, np.int64)
    return np.asarray(data.view(kinds[tensor.type]), np.int64)


def _computed(content: bytes, ids: int, columns: Columns, run: Run, rows_at_once: int) -> Array:
    """The ids that the rows lead to; none if the file cannot tell."""
    try:
        (values,) = run(predictions, _answering(content, ids), [columns], rows_at_once)
    except (ChildError, InputError):
        return np.zeros(0, np.int64)
    return np.asarray(np.unique(np.rint(values)), np.int64)


def _answering(content: bytes, tensor: int) -> bytes:
    """A file that answers one of its tensors, as float32; XNNPACK aborts where operators answer nobody."""
    read, model = schema(), opened(content)
    graph = model.subgraphs[0]
    answer = copy.copy(graph.tensors[tensor])
    answer.type, answer.buffer, answer.quantization, answer.name = read.TensorType.FLOAT32, 0, None, b"answer"
    graph.tensors.append(answer)
    cast = read.CastOptionsT()
    cast.inDataType, cast.outDataType = graph.tensors[tensor].type, read.TensorType.FLOAT32
    needed, makers = {tensor}, list[Any]()
    for operator in reversed(graph.operators):
        if needed.intersection(map(int, operator.outputs)):
            needed.update(map(int, operator.inputs))
            makers.insert(0, operator)
    graph.operators = [*makers, add_operator(model, "CAST", (tensor,), len(graph.tensors) - 1, cast)]
    graph.outputs, model.signatureDefs = np.array([len(graph.tensors) - 1], np.int32), []
    return packed(model)
