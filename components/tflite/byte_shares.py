"""Bytes of a `.tflite` by part: constants by the operator that reads them, descriptions, and structure."""

from __future__ import annotations

from collections import Counter

from farebox.components.tflite import flatbuffer
from farebox.components.tflite.interpreter import builtin_names

SEVERAL = "several"
DESCRIPTION, STRUCTURE = "description, ranges", "operators and tensors"


def byte_shares(content: bytes) -> dict[str, int]:
    """Bytes by part, the largest first; they sum to the file's size.

    A constant counts for the operator that reads it, or as shared if operators of several names do.
    """
    model, names = flatbuffer.opened(content), builtin_names()
    readers: dict[int, set[str]] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = names.get(flatbuffer.code_of(model, operator), "custom operator")
            for tensor in (index for index in operator.inputs if index >= 0):
                readers.setdefault(graph.tensors[tensor].buffer, set()).add(name)
    sizes: Counter[str] = Counter()
    described = {entry.buffer for entry in model.metadata or ()}
    for number, buffer in enumerate(model.buffers):
        size = 0 if buffer.data is None else len(buffer.data)
        if number in described:
            sizes[DESCRIPTION] += size
        elif size:
            read_by = readers.get(number, set())
            sizes[f"constants: {next(iter(read_by)) if len(read_by) == 1 else SEVERAL}"] += size
    sizes[STRUCTURE] += len(content) - sizes.total()
    return dict(sizes.most_common())
