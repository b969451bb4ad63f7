"""Integers and scales for a constant: one scale, or one for each channel of the axis where that pays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.tflite.interpreter import schema

SCALE_BYTES = 12  # of a channel in the file: a scale and a zero point
SCALE_SHARE = 0.25
LEAST_ERROR = 1e-12  # relative, squared: below it, float32 itself rounds
SHRINKS = np.linspace(0.5, 1.0, 11)  # of the range, which may leave out a few large numbers; for few levels
Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The numbers scale * q with |q| <= top; axis: of the channels, None for one scale."""

    top: int
    scales: npt.NDArray[np.float32]
    axis: int | None = None

    def integers(self, values: Array) -> npt.NDArray[np.int8]:
        """The nearest numbers of the grid, as q of the shape of the values."""
        q: Array = np.rint(values / _spread(self.scales, self.axis, values.ndim))
        return np.clip(q, -self.top, self.top).astype(np.int8)

    def real(self, values: Array) -> Array:
        """The nearest numbers of the grid."""
        return self.integers(values) * _spread(self.scales, self.axis, values.ndim)

    def record(self) -> Any:
        """The tensor's quantization record."""
        record = schema().QuantizationParametersT()
        record.scale, record.zeroPoint = self.scales, np.zeros(len(self.scales), np.int64)
        record.quantizedDimension = self.axis or 0
        return record


def _spread(scales: Array, axis: int | None, rank: int) -> Array:
    """The scales in a shape that broadcasts over the values."""
    return scales.reshape([-1 if each == axis else 1 for each in range(rank)]) if axis is not None else scales


def grid_of(values: Array, bits: int, *, with_channels: bool) -> Grid:
    """The grid of `bits` for a constant with a number that is not 0.

    With channels, the axis on which the file is smallest at equal error: a scale for each channel takes SCALE_BYTES,
    and each halving of the error saves a bit of every number. The error is relative to the channel's numbers: what
    comes next makes up for a channel of small ones. Scales of at most SCALE_SHARE of the numbers' bytes are taken, too:
    how large the inputs are is not known here.
    """
    top = 2 ** (bits - 1) - 1
    plain = _fitted(values, top, None)
    if not with_channels or values.ndim < 2:
        return plain
    grids = [_fitted(values, top, axis) for axis in range(values.ndim) if 1 < values.shape[axis] < values.size]
    most = SCALE_SHARE * values.size * bits / 8
    cheap = [grid for grid in grids if SCALE_BYTES * len(grid.scales) <= most or _gain(values, plain, grid) > 0]
    return max(cheap, key=lambda grid: _gain(values, plain, grid), default=plain)


def _fitted(values: Array, top: int, axis: int | None) -> Grid:
    """The grid up to the largest number; below 8 bits, each scale as small as lowers the squared error."""
    others = tuple(each for each in range(values.ndim) if each != axis)
    largest = np.atleast_1d(np.abs(values).max(axis=others if axis is not None else None))
    largest = np.where(largest > 0, largest, 1).astype(np.float32)
    if top >= 127:
        return Grid(top, (largest / top).astype(np.float32), axis)
    scales = [(largest * shrink / top).astype(np.float32) for shrink in SHRINKS]
    errors = []
    for each in scales:
        departures = Grid(top, each, axis).real(values) - values
        errors.append(np.atleast_1d((departures**2).sum(axis=others if axis is not None else None)))
    best = np.argmin(errors, axis=0)
    return Grid(top, np.array(scales, np.float32)[best, np.arange(len(largest))], axis)


def _gain(values: Array, plain: Grid, grid: Grid) -> float:
    """Bytes by which the grid's file is smaller than the plain one's at equal error."""
    if grid.axis is None:
        return 0.0
    others = tuple(each for each in range(values.ndim) if each != grid.axis)
    energies = (values**2).sum(axis=others)
    before, after = (
        (((each.real(values) - values) ** 2).sum(axis=others) / np.where(energies > 0, energies, 1)).mean()
        for each in (plain, grid)
    )
    bits = 0.5 * np.log2(max(before, LEAST_ERROR) / max(after, LEAST_ERROR))
    return float(bits * values.size / 8 - SCALE_BYTES * len(grid.scales))


def packed_int4(integers: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """Two numbers to a byte, the first in the lower half, as TFLite's INT4 has them; shape ((n + 1) // 2,)."""
    flat = integers.reshape(-1).view(np.uint8) & 15
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return (flat[0::2] | (flat[1::2] << 4)).astype(np.uint8)
