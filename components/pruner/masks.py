"""Boolean masks of the weights to keep, from scores, in NumPy. The rules are tfmot's, so that criteria compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError


def check_shape(name: str, shape: tuple[int, ...], block_size: Sequence[int], two_by_four: bool) -> None:
    """Raises InputError, with layer and size, if a layer's matrix cannot be divided into such blocks."""
    if two_by_four and shape[0] % 4:
        raise InputError(f"pruner.sparsity_2_by_4: inputs of {name} must divide by 4, got {shape[0]} of {shape}")
    if tuple(block_size) == (1, 1):
        return
    if any(size % block for size, block in zip(shape, block_size, strict=True)):
        # tfmot would pad them on both sides when it pools and on one side when it masks
        raise InputError(f"pruner.block_size={list(block_size)} must divide the size {shape} of {name}")
    if 1 in shape:
        raise InputError(f"pruner.block_size={list(block_size)} must be [1, 1] for {name}: tfmot cuts no size {shape}")


def n_kept(size: int, sparsity: float) -> int:
    """The number of `size` weights or blocks to keep: at least one, halves to even, as tfmot rounds."""
    return max(round(size * (1 - sparsity)), 1)


def largest(scores: npt.NDArray[Any], sparsity: float, block_size: Sequence[int] = (1, 1)) -> npt.NDArray[Any]:
    """The mask, bool, of the blocks with the highest sums of scores; of equal ones the first. scores: 2-D."""
    height, width = block_size
    rows, columns = scores.shape[0] // height, scores.shape[1] // width
    blocks = scores.reshape(rows, height, columns, width).sum(axis=(1, 3))
    kept = np.zeros(blocks.size, bool)
    kept[np.argsort(-blocks, axis=None, kind="stable")[: n_kept(blocks.size, sparsity)]] = True
    return kept.reshape(rows, columns).repeat(height, axis=0).repeat(width, axis=1)


def two_of_four(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The mask of the two highest of every four consecutive inputs (rows) of a unit (column)."""
    inputs, units = scores.shape
    fours = scores.T.reshape(units, inputs // 4, 4)
    kept = np.zeros(fours.shape, bool)
    np.put_along_axis(kept, np.argsort(-fours, axis=2, kind="stable")[:, :, :2], values=True, axis=2)
    return kept.reshape(units, inputs).T


def zero_blocks(mask: npt.NDArray[Any], block_size: Sequence[int]) -> int:
    """The number of blocks of a mask that keep nothing."""
    (height, width), (rows, columns) = block_size, mask.shape
    blocks = mask.reshape(rows // height, height, columns // width, width)
    return int(np.sum(~blocks.any(axis=(1, 3))))
