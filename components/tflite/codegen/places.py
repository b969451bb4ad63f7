"""Places of tensors: constants, parameters, and scratch arrays that tensors share when their lives do not overlap."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.ir import Storage
from farebox.components.tflite.codegen.model import Graph, Operator, Tensor

SAME_NUMBERS = ("RESHAPE", "EXPAND_DIMS")
# Narrow integers are computed as 32-bit ones.
STORAGE: Mapping[str, Storage] = {
    "FLOAT32": "f32", "FLOAT16": "f32", "INT32": "i32", "INT8": "i32", "UINT8": "i32", "INT16": "i32",
    "INT64": "i64", "BOOL": "bool",
}  # fmt: skip
SCRATCH: Mapping[Storage, str] = {"f32": "floats", "i32": "ints", "i64": "longs", "bool": "flags"}


@dataclasses.dataclass(frozen=True)
class View:
    """A tensor whose numbers are those of another one, from `offset` on."""

    root: Tensor
    offset: int


def is_quantized(tensor: Tensor) -> bool:
    """Whether the tensor holds integers that stand for real numbers."""
    return tensor.dtype in ("INT8", "UINT8", "INT16") and len(tensor.scales) > 0


def is_stored_constant(operator: Operator) -> bool:
    """Whether the operator widens a constant: it is read as it is stored, so nothing is computed."""
    return operator.name == "DEQUANTIZE" and operator.input(0).values is not None


def sums_of(output: Tensor) -> Tensor:
    """A tensor for the sums of a dense layer on integers, before they become those of its output."""
    return dataclasses.replace(output, index=-1 - output.index, dtype="FLOAT32", scales=(), zero_points=())


def split_sizes(operator: Operator) -> tuple[Tensor, int, list[int]]:
    """The tensor that SPLIT or SPLIT_V divides, the axis, and the size of each part along it."""
    is_even = operator.name == "SPLIT"
    tensor, (axis,) = operator.input(int(is_even)), operator.integers(0 if is_even else 2)
    axis %= len(tensor.shape)
    return tensor, axis, [each.shape[axis] for each in operator.outputs]


def views(graph: Graph) -> dict[int, View]:
    """The tensors that need no copy, by index: reshaped ones, and parts of a split along the first axis that counts."""
    found: dict[int, View] = {}

    def add(tensor: Tensor, source: Tensor, offset: int) -> None:
        base = found.get(source.index, View(source, 0))
        found[tensor.index] = View(base.root, base.offset + offset)

    for operator in graph.operators:
        if operator.name in SAME_NUMBERS:
            (output,), source = operator.outputs, operator.input(0)
            if output.size != source.size:
                raise InputError(
                    f"operator={operator.name} must keep the count of numbers, got {source.shape} to {output.shape}"
                )
            add(output, source, 0)
        elif operator.name in ("SPLIT", "SPLIT_V"):
            source, axis, sizes = split_sizes(operator)
            if math.prod(source.shape[:axis]) == 1:
                inner = math.prod(source.shape[axis + 1 :])
                for number, output in enumerate(operator.outputs):
                    add(output, source, inner * sum(sizes[:number]))
    return found


def scratch_plan(graph: Graph, aliases: Mapping[int, View]) -> tuple[dict[int, int], dict[Storage, int]]:
    """Offset of each computed tensor in the scratch array of its type, and the length of each array.

    A tensor lives from the operator that writes it to the last that reads it or a view of it. Each takes the first gap
    that is free for its whole life, the largest tensors first.
    """
    lives: dict[int, list[int]] = {}
    tensors: dict[int, Tensor] = {}
    for tensor in graph.inputs:
        if is_quantized(tensor):
            tensors[tensor.index], lives[tensor.index] = tensor, [-1, -1]
    for step, operator in enumerate(graph.operators):
        for tensor in operator.outputs:
            if tensor.index not in aliases and not is_stored_constant(operator):
                tensors[tensor.index], lives[tensor.index] = tensor, [step, step]
            if operator.name == "FULLY_CONNECTED" and is_quantized(tensor):
                tensors[-1 - tensor.index], lives[-1 - tensor.index] = sums_of(tensor), [step, step]
        for each in operator.inputs:
            if each is not None and (root := _root(each, aliases)) in lives:
                lives[root][1] = step
    for tensor in graph.outputs:
        if (root := _root(tensor, aliases)) in lives:
            lives[root][1] = len(graph.operators)
    offsets: dict[int, int] = {}
    sizes: dict[Storage, int] = {}
    for index in sorted(tensors, key=lambda index: (-tensors[index].size, index)):
        storage, size = STORAGE[tensors[index].dtype], tensors[index].size
        busy = sorted(
            (offsets[each], offsets[each] + tensors[each].size)
            for each in offsets
            if STORAGE[tensors[each].dtype] == storage and _overlap(lives[each], lives[index])
        )
        start = 0
        for low, high in busy:
            if start + size <= low:
                break
            start = max(start, high)
        offsets[index] = start
        sizes[storage] = max(sizes.get(storage, 0), start + size)
    return offsets, sizes


def _root(tensor: Tensor, aliases: Mapping[int, View]) -> int:
    return aliases[tensor.index].root.index if tensor.index in aliases else tensor.index


def _overlap(first: list[int], second: list[int]) -> bool:
    return first[0] <= second[1] and second[0] <= first[1]
