"""Bytes of a `.tflite` by part: constants by the operator that reads them, operators by kind, descriptions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from farebox.components.tflite import flatbuffer
from farebox.components.tflite.interpreter import builtin_names
from farebox.components.tflite.slim import packed_once

SEVERAL = "read by several"
DESCRIPTION, STRUCTURE = "description, ranges", "shared by operators, head"


def byte_shares(content: bytes) -> dict[str, int]:
    """Bytes by part, the largest first; they sum to the file's size.

    A constant counts for the operator that reads it, or as shared if operators of several names do. Operators, their
    tensors and options count by name as what the file is smaller by without them.
    """
    model = flatbuffer.opened(content)
    constants, described = constants_by_reader(model), {entry.buffer for entry in model.metadata or ()}
    sizes: Counter[str] = Counter({f"constants: {name}": size for name, size in constants.items()})
    sizes[DESCRIPTION] = sum(len(model.buffers[number].data) for number in described)
    for name, size in bytes_saved_without(content, sorted({name_of(model, each) for each in operators(model)})).items():
        sizes[f"operators: {name}"] = max(size - constants[name], 0)
    sizes[STRUCTURE] = len(content) - sizes.total()
    return {part: size for part, size in sizes.most_common() if size}


def constants_by_reader(model: Any) -> Counter[str]:
    """Bytes of the constants by the name of the operators that read them."""
    readers: dict[int, set[str]] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            for tensor in (index for index in operator.inputs if index >= 0):
                readers.setdefault(graph.tensors[tensor].buffer, set()).add(name_of(model, operator))
    described = {entry.buffer for entry in model.metadata or ()}
    sizes: Counter[str] = Counter()
    for number, buffer in enumerate(model.buffers):
        if buffer.data is not None and number not in described:
            names = readers.get(number, set())
            sizes[next(iter(names)) if len(names) == 1 else SEVERAL] += len(buffer.data)
    return sizes


def bytes_saved_without(content: bytes, names: list[str]) -> dict[str, int]:
    """Bytes that the file, packed as `slim` packs it, is smaller by without all operators of a name."""
    whole = len(packed_once(flatbuffer.opened(content)))
    saved = {}
    for name in names:
        model = flatbuffer.opened(content)
        dropped = [[each for each in graph.operators if name_of(model, each) == name] for graph in model.subgraphs]
        codes = {each.opcodeIndex for of_graph in dropped for each in of_graph}
        for graph, of_graph in zip(model.subgraphs, dropped, strict=True):
            drop(graph, of_graph)
        model.operatorCodes = [code for number, code in enumerate(model.operatorCodes) if number not in codes]
        saved[name] = whole - len(packed_once(model))
    return saved


def drop(graph: Any, dropped: list[Any]) -> None:
    """Removes operators, and the tensors that only they read or write; the numbers of the others are wrong then, but
    take as many bytes."""
    kept = [each for each in graph.operators if all(each is not other for other in dropped)]
    ends = {int(i) for each in kept for i in (*each.inputs, *each.outputs)} | {*graph.inputs, *graph.outputs}
    own = {int(i) for each in dropped for i in (*each.inputs, *each.outputs)} - ends
    graph.operators = kept
    graph.tensors = [tensor for number, tensor in enumerate(graph.tensors) if number not in own]


def operators(model: Any) -> list[Any]:
    """The operators of all subgraphs."""
    return [operator for graph in model.subgraphs for operator in graph.operators]


def name_of(model: Any, operator: Any) -> str:
    """The operator's name in TFLite's schema."""
    return builtin_names().get(flatbuffer.code_of(model, operator), "custom operator")
