"""Loops over arrays by strides: broadcasting, slices, transposition and reduction are loops that differ in strides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from farebox.components.tflite.codegen.ir import For, Index, Statement

Axes = list[tuple[str, int]]


def row_major(shape: Sequence[int]) -> list[int]:
    """Strides of a dense array, in elements."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def broadcast(shape: Sequence[int], target: Sequence[int]) -> list[int]:
    """Strides with which an array of `shape` is read once for each element of `target`."""
    own = [1] * (len(target) - len(shape)) + list(shape)
    strides = [0] * (len(target) - len(shape)) + row_major(shape)
    return [0 if size == 1 else stride for size, stride in zip(own, strides, strict=True)]


def nest(shape: Sequence[int], strides: Sequence[Sequence[int]], prefix: str = "i") -> tuple[Axes, list[Index]]:
    """The loops over `shape`, as few as the strides allow, and each array's place within them.

    strides: for each array, in elements. prefix: of the loops' variables.
    """
    merged: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        steps = [each[axis] for each in strides]
        if merged and all(outer == inner * size for outer, inner in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = merged[-1][0] * size, steps
        else:
            merged.append((size, steps))
    axes = [(f"{prefix}{depth}", size) for depth, (size, _) in enumerate(merged)]
    places = [
        Index().plus(0, *((f"{prefix}{depth}", steps[array]) for depth, (_, steps) in enumerate(merged)))
        for array in range(len(strides))
    ]
    return axes, places


def looped(axes: Axes, body: Iterable[Statement]) -> list[Statement]:
    """The statements within the loops, the first axis outside."""
    statements = list(body)
    for variable, count in reversed(axes):
        statements = [For(variable, count, tuple(statements))]
    return statements
