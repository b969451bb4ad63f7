"""Sparse constants of a `.tflite`, made dense.

The format is TFLite's `SparsityParameters`: the dimensions in the order of traversal, each dense or as segments and
indices (CSR), blocks of a dimension last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def dense(stored: npt.NDArray[Any], shape: tuple[int, ...], sparsity: Any) -> npt.NDArray[Any]:
    """The constant in its shape, zeros included; stored: its non-zero values (with the zeros of kept blocks)."""
    order = [int(each) for each in sparsity.traversalOrder]
    blocks = [] if sparsity.blockMap is None else [int(each) for each in sparsity.blockMap]
    block_sizes = [int(sparsity.dimMetadata[len(shape) + number].denseSize) for number in range(len(blocks))]
    result = np.zeros(shape, stored.dtype)
    for value, place in zip(stored, _places(sparsity.dimMetadata, 0, [0], []), strict=False):
        where = [0] * len(shape)
        for axis, coordinate in zip(order[: len(shape)], place, strict=False):
            where[axis] = coordinate
        for number, axis in enumerate(order[len(shape) :]):
            block = axis - len(shape)
            where[blocks[block]] = where[blocks[block]] * block_sizes[block] + place[len(shape) + number]
        result[tuple(where)] = value
    return result


def _places(levels: list[Any], level: int, position: list[int], place: list[int]) -> Any:
    """The coordinates of each stored value, in the order of storage; position: of the parent in its level."""
    if level == len(levels):
        yield list(place)
        return
    metadata = levels[level]
    if metadata.arraySegments is None:
        size = int(metadata.denseSize)
        children = [(position[0] * size + i, i) for i in range(size)]
    else:
        segments, indices = metadata.arraySegments.values, metadata.arrayIndices.values
        start, end = int(segments[position[0]]), int(segments[position[0] + 1])
        children = [(i, int(indices[i])) for i in range(start, end)]
    for child, coordinate in children:
        yield from _places(levels, level + 1, [child], [*place, coordinate])
