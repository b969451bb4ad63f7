"""Quantized numbers: int8 and float32 into each other, and dense layers on int8.

Arithmetic follows XNNPACK, which LiteRT runs by default: a 32-bit sum times one float32, rounded half to even. The
kernels without XNNPACK multiply by fixed-point numbers; their results are equal but for rare ties.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.dense import fully_connected, must_be_float
from farebox.components.tflite.codegen.ir import Expression, Index, Statement, apply, number
from farebox.components.tflite.codegen.loops import looped, nest
from farebox.components.tflite.codegen.lowering import Describe, Lowering, clipped
from farebox.components.tflite.codegen.model import Operator, Tensor

LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


def quantized(lower: Lowering, value: Expression, tensor: Tensor, body: list[Statement]) -> Expression:
    """The integer of the tensor's scale that is nearest to a float32 value; NaN becomes the zero point."""
    inverse = np.float32(1) / np.float32(tensor.scales[0])
    return to_integer(lower, apply("*", value, number("f32", inverse)), tensor, LIMITS[tensor.dtype], body)


def to_integer(
    lower: Lowering, steps: Expression, tensor: Tensor, limits: tuple[int, int], body: list[Statement]
) -> Expression:
    """A float32 count of steps as an integer of the tensor: rounded, moved by the zero point, within the limits."""
    zero = tensor.zero_points[0]
    inside = clipped(lower.hold(steps, body), limits[0] - zero, limits[1] - zero)
    whole = ir.cast("i32", apply("round", inside))
    return apply("+", whole, number("i32", zero)) if zero else whole


def real(value: Expression, tensor: Tensor) -> Expression:
    """The float32 number that an integer of the tensor stands for."""
    zero = tensor.zero_points[0]
    centred = apply("-", value, number("i32", zero)) if zero else value
    return apply("*", ir.cast("f32", centred), number("f32", tensor.scales[0]))


def _quantize(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source = operator.outputs, operator.input(0)
    if source.dtype != "FLOAT32" or len(output.scales) != 1 or output.dtype not in LIMITS:
        raise InputError(f"operator={operator.name} must be from float32 to be exported, got {source.dtype.lower()}")
    axes, (place,) = nest([output.size], [[1]])
    body: list[Statement] = []
    value = quantized(lower, lower.load(source, place), output, body)
    return looped(axes, [*body, lower.store(output, place, value)])


def _dequantize(lower: Lowering, operator: Operator) -> list[Statement]:
    """No statement for a constant: it is read as it is stored, and scaled where it is used."""
    (output,), source = operator.outputs, operator.input(0)
    if source.values is not None:
        lower.remember_stored(output, source if len(source.scales) == 1 else _widened(source))
        return []
    if source.dtype == "FLOAT16":
        raise InputError(f"operator={operator.name} must read int8 or a constant to be exported, got computed float16")
    return lower.elementwise(output, [source], lambda x: real(x, source))


def _widened(source: Tensor) -> Tensor:
    """A constant of float16, or of one scale for each channel, as float32."""
    assert source.values is not None
    values: npt.NDArray[Any] = source.values.astype(np.float32)
    if source.scales:
        shape = [-1 if axis == source.axis else 1 for axis in range(len(source.shape))]
        values = (values - np.reshape(source.zero_points, shape)) * np.reshape(np.float32(source.scales), shape)
    return dataclasses.replace(source, dtype="FLOAT32", values=values.astype(np.float32), scales=(), zero_points=())


def _fully_connected(lower: Lowering, operator: Operator) -> list[Statement]:
    source, weights, (output,) = operator.input(0), operator.input(1), operator.outputs
    if weights.dtype == "FLOAT32" and source.dtype == "FLOAT32":
        return fully_connected(lower, operator)
    kinds = source.dtype, weights.dtype, output.dtype
    if kinds == ("FLOAT32", "INT8", "FLOAT32"):
        return _of_float_rows(lower, operator)
    if kinds != ("INT8", "INT8", "INT8") or weights.values is None:
        raise InputError(f"operator=FULLY_CONNECTED must be on float32 or int8 to be exported, got {' '.join(kinds)}")
    return _of_integers(lower, operator)


def _sums(
    lower: Lowering, operator: Operator, totals: Tensor, zero_point: int, bias: npt.NDArray[Any] | None, row: Index
) -> list[Statement]:
    """The 32-bit sums of (input - zero point) * weight + bias, into `totals`."""
    source, weights = operator.input(0), operator.input(1)
    assert weights.values is not None
    units, width = weights.shape
    shift = zero_point * weights.values.astype(np.int64).sum(axis=1)
    first = ((0 if bias is None else bias.astype(np.int64)) - shift).astype(np.int32)
    outputs = [("j", units)] if units > 1 else []
    step = [("j", 1)] if units > 1 else []
    target = Index().plus(0, *((name, units * stride) for name, stride in row.terms), *step)
    inputs = Index().plus(0, *((name, width * stride) for name, stride in row.terms), ("i", 1))
    held: list[Statement] = []
    x = lower.hold(lower.load(source, inputs), held)
    weight = lower.constant(weights.values.T, Index().plus(0, ("i", units), *step))
    total = apply("+", lower.load(totals, target), apply("*", x, weight))
    return [
        *looped(outputs, [lower.store(totals, target, lower.constant(first, Index().plus(0, *step)))]),
        *looped([("i", width)], [*held, *looped(outputs, [lower.store(totals, target, total)])]),
    ]


def _of_integers(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source, weights = operator.outputs, operator.input(0), operator.input(1)
    units, width = weights.shape
    bias = operator.input(2).values if len(operator.inputs) > 2 and operator.inputs[2] is not None else None
    rows, (row,) = nest([source.size // width], [[1]], "n")
    statements = _sums(lower, operator, output, source.zero_points[0], bias, row)
    scales = np.float32(source.scales[0]) * np.float32(weights.scales) / np.float32(output.scales[0])
    outputs = [("j", units)] if units > 1 else []
    step = [("j", 1)] if units > 1 else []
    target = Index().plus(0, *((name, units * stride) for name, stride in row.terms), *step)
    scale = lower.constant(scales, Index().plus(0, *(step if len(scales) > 1 else [])))
    body: list[Statement] = []
    steps = apply("*", ir.cast("f32", lower.load(output, target)), scale)
    value = to_integer(lower, steps, output, _limits(operator, output), body)
    return looped(rows, [*statements, *looped(outputs, [*body, lower.store(output, target, value)])])


def _limits(operator: Operator, output: Tensor) -> tuple[int, int]:
    """The least and the largest integer of the output, after the fused activation."""
    low, high = LIMITS[output.dtype]
    kind, scale, zero = int(operator.option("fusedActivationFunction")), output.scales[0], output.zero_points[0]
    bounds = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
    if kind not in bounds:
        raise InputError(f"operator={operator.name} must have a known fused activation on int8, got number {kind}")
    lower, upper = bounds[kind]
    low = low if lower is None else max(low, zero + round(lower / scale))
    return low, high if upper is None else min(high, zero + round(upper / scale))


def _of_float_rows(lower: Lowering, operator: Operator) -> list[Statement]:
    raise InputError("operator=FULLY_CONNECTED must have weights and rows of one type to be exported, got float32 int8")


MOVES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "SPLIT", "SPLIT_V", "CONCATENATION", "PACK", "UNPACK", "SLICE",
         "STRIDED_SLICE", "TRANSPOSE", "GATHER", "EMBEDDING_LOOKUP", "TILE", "BROADCAST_TO", "SHAPE")  # fmt: skip
QUANTIZED: dict[str, Describe] = {
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
}


def check(operator: Operator) -> None:
    """Raises InputError for an operator on quantized numbers that the generator cannot write."""
    if operator.name not in MOVES and operator.name not in QUANTIZED:
        must_be_float(operator)
