"""Operators that move numbers: slices, joins, transposition, look-ups, and those that need no code."""

from __future__ import annotations

import math

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.ir import Index, Statement
from farebox.components.tflite.codegen.loops import looped, nest, row_major
from farebox.components.tflite.codegen.lowering import Describe, Lowering, index_value
from farebox.components.tflite.codegen.model import Operator
from farebox.components.tflite.codegen.places import split_sizes


def _nothing(lower: Lowering, operator: Operator) -> list[Statement]:  # noqa: ARG001 - as all descriptions
    """RESHAPE and its kin: the output is a view of the input."""
    return []


def _split(lower: Lowering, operator: Operator) -> list[Statement]:
    source, axis, sizes = split_sizes(operator)
    strides, statements, inner = row_major(source.shape), [], math.prod(source.shape[axis + 1 :])
    for number, output in enumerate(operator.outputs):
        if not lower.is_view(output):
            ways = [row_major(output.shape), strides]
            statements += lower.copy(output, source, output.shape, ways, (0, inner * sum(sizes[:number])))
    return statements


def _concatenation(lower: Lowering, operator: Operator) -> list[Statement]:
    """The inputs one after the other along an axis; quantized ones must have the scale of the output."""
    (output,), axis = operator.outputs, int(operator.option("axis"))
    axis %= len(output.shape)
    strides, start, statements = row_major(output.shape), 0, []
    for position in range(len(operator.inputs)):
        source = operator.input(position)
        if (source.scales, source.zero_points) != (output.scales, output.zero_points):
            raise InputError(f"operator={operator.name} must have inputs of its output's scale, got {source.scales}")
        ways = [strides, row_major(source.shape)]
        statements += lower.copy(output, source, source.shape, ways, (start * strides[axis], 0))
        start += source.shape[axis]
    return statements


def _pack(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), axis = operator.outputs, int(operator.option("axis"))
    axis %= len(output.shape)
    strides = row_major(output.shape)
    rest = [*strides[:axis], *strides[axis + 1 :]]
    statements: list[Statement] = []
    for position in range(len(operator.inputs)):
        source = operator.input(position)
        statements += lower.copy(
            output, source, source.shape, [rest, row_major(source.shape)], (position * strides[axis], 0)
        )
    return statements


def _unpack(lower: Lowering, operator: Operator) -> list[Statement]:
    source, axis = operator.input(0), int(operator.option("axis"))
    axis %= len(source.shape)
    strides = row_major(source.shape)
    rest = [*strides[:axis], *strides[axis + 1 :]]
    statements: list[Statement] = []
    for number, output in enumerate(operator.outputs):
        ways = [row_major(output.shape), rest]
        statements += lower.copy(output, source, output.shape, ways, (0, number * strides[axis]))
    return statements


def _slice(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source, begins = operator.outputs, operator.input(0), operator.integers(1)
    strides = row_major(source.shape)
    base = sum(begin * stride for begin, stride in zip(begins, strides, strict=True))
    return lower.copy(output, source, output.shape, [row_major(output.shape), strides], (0, base))


def _strided_slice(lower: Lowering, operator: Operator) -> list[Statement]:
    """begin:end:step along each axis; a shrunken axis is missing in the output."""
    (output,), source = operator.outputs, operator.input(0)
    if operator.option("ellipsisMask") or operator.option("newAxisMask"):
        raise InputError(f"operator={operator.name} must have no ellipsis and no new axis to be exported")
    begins, ends, steps = (operator.integers(position) for position in (1, 2, 3))
    base, shape, ways = 0, [], []
    for axis, (size, stride) in enumerate(zip(source.shape, row_major(source.shape), strict=True)):
        begin, end, step = (values[axis] if axis < len(values) else None for values in (begins, ends, steps))
        is_shrunken = operator.option("shrinkAxisMask") >> axis & 1
        if is_shrunken:
            base += (begin if begin is not None and begin >= 0 else size + (begin or 0)) * stride
            continue
        first = None if operator.option("beginMask") >> axis & 1 else begin
        last = None if operator.option("endMask") >> axis & 1 else end
        places = range(size)[slice(first, last, step)]
        base += (places.start if len(places) else 0) * stride
        shape.append(len(places))
        ways.append(stride * places.step)
    if math.prod(shape) != output.size:
        raise InputError(f"operator={operator.name} must return {output.size} numbers, got {math.prod(shape)}")
    return lower.copy(output, source, shape, [row_major(shape), ways], (0, base))


def _transpose(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source, order = operator.outputs, operator.input(0), operator.integers(1)
    strides = row_major(source.shape)
    return lower.copy(output, source, output.shape, [row_major(output.shape), [strides[axis] for axis in order]])


def _fill(lower: Lowering, operator: Operator) -> list[Statement]:
    return lower.elementwise(operator.outputs[0], [operator.input(1)], lambda x: x)


def _tile(lower: Lowering, operator: Operator) -> list[Statement]:
    """Repeats along each axis: the output seen as (repeats, size) of each axis in turn."""
    (output,), source, repeats = operator.outputs, operator.input(0), operator.integers(1)
    shape = [each for pair in zip(repeats, source.shape, strict=True) for each in pair]
    reads = [each for stride in row_major(source.shape) for each in (0, stride)]
    return lower.copy(output, source, shape, [row_major(shape), reads])


def _shape(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,) = operator.outputs
    sizes = operator.input(0).shape
    kind: ir.Type = "i64" if output.dtype == "INT64" else "i32"
    return [lower.store(output, Index(axis), ir.number(kind, size)) for axis, size in enumerate(sizes)]


def _gather(lower: Lowering, operator: Operator) -> list[Statement]:
    """Rows of a table; a position outside the table makes the whole result NaN (the interpreter returns an error)."""
    (output,), table, positions = operator.outputs, operator.input(0), operator.input(1)
    if operator.option("batchDims"):
        raise InputError(f"operator={operator.name} must have no batch dimensions to be exported")
    axis = int(operator.option("axis")) % len(table.shape)
    outer, inner = math.prod(table.shape[:axis]), math.prod(table.shape[axis + 1 :])
    rows, count = table.shape[axis], positions.size
    axes, (place,) = nest([count], [[1]], "p")
    body: list[Statement] = []
    position = lower.hold(lower.load(positions, place), body)
    body.append(_within(position, rows))
    at = lower.hold(index_value(position), body)
    strides = [[count * inner, 1], [rows * inner, 1]]
    inner_axes, (target, source) = nest([outer, inner], strides)
    target = target.plus(0, *((variable, inner) for variable, _ in axes))
    source = source.plus(0, (at.name, inner)) if isinstance(at, ir.Variable) else source
    return looped(axes, [*body, *looped(inner_axes, [lower.store(output, target, lower.load(table, source))])])


def _within(position: ir.Expression, rows: int) -> ir.Guard:
    low, high = ir.number(position.type, 0), ir.number(position.type, rows)
    return ir.Guard(ir.apply("and", ir.apply(">=", position, low), ir.apply("<", position, high)))


def _pad(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source, pads = operator.outputs, operator.input(0), operator.integers(1)
    filling = lower.load(operator.input(2), Index()) if operator.name == "PADV2" else ir.number("f32", 0)
    strides = row_major(output.shape)
    base = sum(before * stride for before, stride in zip(pads[::2], strides, strict=True))
    filled = lower.elementwise(output, [], lambda: ir.cast(filling.type, filling))
    return [*filled, *lower.copy(output, source, source.shape, [strides, row_major(source.shape)], (base, 0))]


MOVING: dict[str, Describe] = {
    "RESHAPE": _nothing,
    "EXPAND_DIMS": _nothing,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
    "FILL": _fill,
    "TILE": _tile,
    "SHAPE": _shape,
    "GATHER": _gather,
    "PAD": _pad,
    "PADV2": _pad,
}
