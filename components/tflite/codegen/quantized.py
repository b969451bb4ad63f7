"""Quantized numbers: int8 and float32 into each other, and dense layers on int8.

Arithmetic follows XNNPACK, which LiteRT runs by default: a 32-bit sum times one float32, rounded half to even. The
kernels without XNNPACK multiply by fixed-point numbers instead; their results differ only where a number lies exactly
between two steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.dense import fully_connected, must_be_float
from farebox.components.tflite.codegen.elementwise import ELEMENTWISE
from farebox.components.tflite.codegen.ir import Expression, Index, Statement, apply, choose, number
from farebox.components.tflite.codegen.loops import looped, nest
from farebox.components.tflite.codegen.lowering import Describe, Lowering, activated, clipped
from farebox.components.tflite.codegen.model import Operator, Tensor
from farebox.components.tflite.codegen.places import sums_of

LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}


def quantized(lower: Lowering, value: Expression, tensor: Tensor, body: list[Statement]) -> Expression:
    """The integer of the tensor's scale that is nearest to a float32 value; NaN becomes the zero point."""
    inverse = float(np.float32(1) / np.float32(tensor.scales[0]))
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
        values = (values - np.reshape(source.zero_points, shape)) * np.reshape(
            np.array(source.scales, np.float32), shape
        )
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


def _of_integers(lower: Lowering, operator: Operator) -> list[Statement]:
    """The sums of (input - zero point) * weight + bias, times a scale, as int8.

    float32 holds the sums exactly if they stay below 2^24, as in all small layers; compilers make faster code of it.
    """
    (output,), source, weights = operator.outputs, operator.input(0), operator.input(1)
    assert weights.values is not None
    units, width = weights.shape
    first = _first(operator, source.zero_points[0])
    reach = np.abs(first).max() + 128 * np.abs(weights.values.astype(np.int64)).sum(axis=1).max()
    kind: ir.Type = "f32" if reach < 2**24 else "i32"
    totals = sums_of(output) if kind == "f32" else output
    rows, (row,) = nest([source.size // width], [[1]], "n")
    outputs, step = ([("j", units)], [("j", 1)]) if units > 1 else ([], [])
    channel = Index().plus(0, *step)
    target = Index().plus(0, *((name, units * stride) for name, stride in row.terms), *step)
    inputs = Index().plus(0, *((name, width * stride) for name, stride in row.terms), ("i", 1))
    held: list[Statement] = []
    x = lower.hold(ir.cast(kind, lower.load(source, inputs)), held)
    weight = ir.cast(kind, lower.constant(weights.values.T, Index().plus(0, ("i", units), *step)))
    total = lower.load(totals, target)
    start = ir.cast(kind, lower.constant(first.astype(np.int32), channel))
    scales = np.float32(source.scales[0]) * np.array(weights.scales, np.float32) / np.float32(output.scales[0])
    scale = lower.constant(scales, channel if len(scales) > 1 else Index())
    body: list[Statement] = []
    value = to_integer(lower, apply("*", ir.cast("f32", total), scale), output, _limits(operator, output), body)
    summed = lower.store(totals, target, apply("+", total, apply("*", x, weight)))
    statements = [
        *looped(outputs, [lower.store(totals, target, start)]),
        *looped([("i", width)], [*held, *looped(outputs, [summed])]),
        *looped(outputs, [*body, lower.store(output, target, value)]),
    ]
    return looped(rows, statements)


def _first(operator: Operator, zero_point: int) -> npt.NDArray[np.int64]:
    """The bias, less what the input's zero point adds to each sum."""
    weights = operator.input(1).values
    assert weights is not None
    shift: npt.NDArray[np.int64] = zero_point * weights.astype(np.int64).sum(axis=1)
    bias = operator.input(2).values if len(operator.inputs) > 2 and operator.inputs[2] is not None else None
    return (0 if bias is None else bias.astype(np.int64)) - shift


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
    """int8 weights and float32 rows ("dynamic range"): each row becomes int8 by its own scale and zero point.

    The sums of integers stay below 2^24, so float32 holds them exactly.
    """
    (output,), source, weights = operator.outputs, operator.input(0), operator.input(1)
    bias = operator.inputs[2] if len(operator.inputs) > 2 else None
    units, width = weights.shape
    if weights.values is None or any(weights.zero_points) or 255 * 127 * width >= 2**24:
        raise InputError(f"operator={operator.name} must have at most 518 inputs with int8 weights, got {width}")
    rows, (row,) = nest([source.size // width], [[1]], "n")
    outputs, step = ([("j", units)], [("j", 1)]) if units > 1 else ([], [])
    target = Index().plus(0, *((name, units * stride) for name, stride in row.terms), *step)
    x = lower.load(source, Index().plus(0, *((name, width * stride) for name, stride in row.terms), ("i", 1)))
    total, channel = lower.load(output, target), Index().plus(0, *step)
    body, (steps, zero) = _row_scale(lower, x, width)
    held: list[Statement] = []
    count = clipped_to(lower.hold(apply("*", x, steps), held), zero)
    q = lower.hold(apply("round", count), held)
    weight = ir.cast("f32", lower.constant(weights.values.T, Index().plus(0, ("i", units), *step)))
    scales = np.array(weights.scales, np.float32)
    scale = lower.constant(scales, channel if len(scales) > 1 else Index())
    inverse = apply("/", number("f32", 1), steps)
    value: Expression = apply("*", apply("*", total, inverse), scale)
    value = value if bias is None else apply("+", value, lower.load(bias, channel))
    last: list[Statement] = []
    value = activated(operator, lower.hold(value, last)) if operator.option("fusedActivationFunction") else value
    body += [
        *looped(outputs, [lower.store(output, target, number("f32", 0))]),
        *looped(
            [("i", width)],
            [*held, *looped(outputs, [lower.store(output, target, apply("+", total, apply("*", q, weight)))])],
        ),
        *looped(outputs, [*last, lower.store(output, target, value)]),
    ]
    return looped(rows, body)


def _row_scale(lower: Lowering, x: Expression, width: int) -> tuple[list[Statement], tuple[Expression, Expression]]:
    """Names of a row's steps per unit and of its zero point, as XNNPACK chooses them from the row's range with 0."""
    nil, one = number("f32", 0), number("f32", 1)
    low, high = (ir.Variable("f32", lower.name(kind)) for kind in ("low", "top"))
    body: list[Statement] = [
        ir.Let(low.name, nil, changes=True),
        ir.Let(high.name, nil, changes=True),
        ir.For(
            "i",
            width,
            (
                ir.Assign(low.name, choose(apply("<", x, low), x, low)),
                ir.Assign(high.name, choose(apply(">", x, high), x, high)),
            ),
        ),
    ]
    step = choose(apply("==", low, high), one, apply("/", number("f32", 255), apply("-", high, low)))
    steps = lower.hold(step, body)
    below, above = (lower.hold(apply("*", end, steps), body) for end in (low, high))
    least, most = number("f32", -128), number("f32", 127)
    is_low = apply(">", apply("+", apply("+", least, below), apply("+", most, above)), nil)
    nearest = lower.hold(choose(is_low, apply("-", least, below), apply("-", most, above)), body)
    return body, (steps, lower.hold(apply("round", clipped(nearest, -128.0, 127.0)), body))


def clipped_to(count: Expression, zero: Expression) -> Expression:
    """A count of steps within the int8 range around a zero point; NaN is the zero point."""
    low, high = apply("-", number("f32", -128), zero), apply("-", number("f32", 127), zero)
    inside = choose(apply("<", count, low), low, choose(apply(">", count, high), high, count))
    return choose(apply("==", count, count), inside, number("f32", 0))


def _by_table(lower: Lowering, operator: Operator) -> list[Statement]:
    """A function of one int8 number: its 256 results, computed here as the runtime computes its table."""
    (output,), source = operator.outputs, operator.input(0)
    if (source.dtype, output.dtype) == ("FLOAT32", "FLOAT32"):
        return ELEMENTWISE[operator.name](lower, operator)
    if (source.dtype, output.dtype) != ("INT8", "INT8"):
        raise InputError(f"operator={operator.name} on {source.dtype.lower()} must be float32 or int8 to be exported")
    x = np.arange(-128, 128).astype(np.float32) - np.float32(source.zero_points[0])
    y = TABLES[operator.name](x * np.float32(source.scales[0])) / np.float32(output.scales[0])
    table = np.clip(np.rint(y) + output.zero_points[0], -128, 127).astype(np.int8)
    axes, (place,) = nest([output.size], [[1]])
    body: list[Statement] = []
    at = lower.hold(ir.cast("index", apply("+", lower.load(source, place), number("i32", 128))), body)
    assert isinstance(at, ir.Variable)
    return looped(axes, [*body, lower.store(output, place, lower.constant(table, Index().plus(0, (at.name, 1))))])


TABLES: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "TANH": np.tanh,
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
}
MOVES = ("RESHAPE", "EXPAND_DIMS", "SPLIT", "SPLIT_V", "CONCATENATION", "PACK", "UNPACK", "SLICE",
         "STRIDED_SLICE", "TRANSPOSE", "GATHER", "TILE", "SHAPE")  # fmt: skip
QUANTIZED: dict[str, Describe] = {
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    **dict.fromkeys(TABLES, _by_table),
}


def check(operator: Operator) -> None:
    """Raises InputError for an operator on quantized numbers that the generator cannot write."""
    if operator.name not in MOVES and operator.name not in QUANTIZED:
        must_be_float(operator)
