"""Operators that add up: dense layers, products of matrices, reductions and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.ir import Expression, Index, Statement, apply, choose, number
from farebox.components.tflite.codegen.loops import Axes, broadcast, looped, nest, row_major
from farebox.components.tflite.codegen.lowering import Describe, Lowering, activated
from farebox.components.tflite.codegen.model import Operator
from farebox.components.tflite.codegen.places import STORAGE


def fully_connected(lower: Lowering, operator: Operator) -> list[Statement]:
    """activation(x W' + b): for each input, its share of every output: a compiler can work on several outputs at once.

    int8 weights: each input is multiplied by their scale once.
    """
    (output,), source, weights = operator.outputs, operator.input(0), operator.input(1)
    bias = operator.inputs[2] if len(operator.inputs) > 2 else None
    units, width = weights.shape
    stored, scale = lower.values(weights), lower.scale(weights)
    rows, (row,) = nest([source.size // width], [[1]], "n")
    step = [(name, stride) for name, stride in row.terms]
    inputs = Index().plus(0, *((name, width * stride) for name, stride in step), ("i", 1))
    target = Index().plus(0, *((name, units * stride) for name, stride in step), *([("j", 1)] if units > 1 else []))
    outputs = [("j", units)] if units > 1 else []
    first = number("f32", 0) if bias is None else lower.load(bias, Index().plus(0, *outputs and (("j", 1),)))
    total = lower.load(output, target)
    held: list[Statement] = []
    x = lower.load(source, inputs)
    if stored is None:
        weight = lower.load(weights, Index().plus(0, ("i", 1), *outputs and (("j", width),)))
    else:
        weight = lower.constant(stored.T, Index().plus(0, ("i", units), *outputs and (("j", 1),)))
        weight = ir.cast("f32", weight)
        if scale is not None:
            x = apply("*", x, number("f32", scale))
    x = lower.hold(x, held)
    if units == 1:
        sums, total = _corrected_sum(lower, first, apply("*", x, weight), [("i", width)], held)
        return looped(rows, [*sums, lower.store(output, target, activated(operator, total))])
    more = lower.store(output, target, apply("+", total, apply("*", x, weight)))
    add = [*held, *looped(outputs, [more])]
    statements = [*looped(outputs, [lower.store(output, target, first)]), *looped([("i", width)], add)]
    if operator.option("fusedActivationFunction"):
        inside: list[Statement] = []
        value = activated(operator, lower.hold(total, inside))
        statements += looped(outputs, [*inside, lower.store(output, target, value)])
    return looped(rows, statements)


def _corrected_sum(
    lower: Lowering, first: Expression, addend: Expression, axes: Axes, held: list[Statement]
) -> tuple[list[Statement], Expression]:
    """The sum of `first` and the addends, and the statements that compute it; held: those that an addend needs.

    Each step adds what the step before has lost (Kahan 1965, "Further Remarks on Reducing Truncation Errors"). Runtimes
    add in orders of their own: the exact sum is the nearest to all of them.
    """
    total, lost = (ir.Variable("f32", lower.name(kind)) for kind in ("sum", "lost"))
    body = list(held)
    part = lower.hold(apply("-", addend, lost), body)
    more = lower.hold(apply("+", total, part), body)
    error = lower.hold(apply("-", apply("-", more, total), part), body)
    is_finite = apply("==", error, error)
    body += [ir.Assign(lost.name, choose(is_finite, error, number("f32", 0))), ir.Assign(total.name, more)]
    start = [ir.Let(total.name, first, changes=True), ir.Let(lost.name, number("f32", 0), changes=True)]
    return [*start, *looped(axes, body)], total


def _batch_matmul(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), left, right = operator.outputs, operator.input(0), operator.input(1)
    *batch, rows, columns = output.shape
    inner = left.shape[-2 if operator.option("adjX") else -1]
    a, b = row_major(left.shape)[-2:], row_major(right.shape)[-2:]
    a, b = (a[::-1] if operator.option("adjX") else a), (b[::-1] if operator.option("adjY") else b)
    spread = [
        [stride * size for stride in broadcast(each.shape[:-2], batch)]
        for each, size in ((left, math.prod(left.shape[-2:])), (right, math.prod(right.shape[-2:])))
    ]
    axes, (target, first, second) = nest(
        [*batch, rows, columns], [row_major(output.shape), [*spread[0], a[0], 0], [*spread[1], 0, b[1]]]
    )
    name = lower.name("sum")
    total = ir.Variable("f32", name)
    product = apply("*", lower.load(left, first.plus(0, ("k", a[1]))), lower.load(right, second.plus(0, ("k", b[0]))))
    body: list[Statement] = [
        ir.Let(name, number("f32", 0), changes=True),
        ir.For("k", inner, (ir.Assign(name, apply("+", total, product)),)),
        lower.store(output, target, total),
    ]
    return looped(axes, body)


Fold = Callable[[Expression, Expression], Expression]
FOLDS: dict[str, tuple[float, Fold]] = {
    "SUM": (0, lambda total, x: apply("+", total, x)),
    "MEAN": (0, lambda total, x: apply("+", total, x)),
    "REDUCE_PROD": (1, lambda total, x: apply("*", total, x)),
    "REDUCE_MAX": (-np.inf, lambda top, x: choose(apply(">", x, top), x, top)),
    "REDUCE_MIN": (np.inf, lambda top, x: choose(apply("<", x, top), x, top)),
    "REDUCE_ANY": (False, lambda total, x: apply("or", total, x)),
    "REDUCE_ALL": (True, lambda total, x: apply("and", total, x)),
}


def _reduce(lower: Lowering, operator: Operator) -> list[Statement]:
    """A fold over the axes, in the order of the numbers; of integers, MEAN rounds towards zero."""
    (output,), source = operator.outputs, operator.input(0)
    gone = {axis % len(source.shape) for axis in operator.integers(1)}
    kept = [axis for axis in range(len(source.shape)) if axis not in gone]
    strides, (start, fold) = row_major(source.shape), FOLDS[operator.name]
    shape = [source.shape[axis] for axis in kept]
    axes, (target, place) = nest(shape, [row_major(shape), [strides[axis] for axis in kept]])
    inner, (inside,) = nest([source.shape[axis] for axis in sorted(gone)], [[strides[a] for a in sorted(gone)]], "j")
    kind: ir.Type = STORAGE[source.dtype]  # type: ignore[assignment]
    if math.isinf(start) and kind != "f32":
        bits = 63 if kind == "i64" else 31
        start = -(2**bits) if start < 0 else 2**bits - 1
    name = lower.name("sum")
    total = ir.Variable(kind, name)
    result: Expression = total
    if operator.name == "MEAN":
        result = apply("/", total, number(kind, math.prod(source.shape[axis] for axis in gone)))
    x = lower.load(source, place.plus(0, *inside.terms))
    body = [
        ir.Let(name, number(kind, start), changes=True),
        *looped(inner, [ir.Assign(name, fold(total, x))]),
        lower.store(output, target, result),
    ]
    return looped(axes, body)


def _softmax(lower: Lowering, operator: Operator) -> list[Statement]:
    """exp(beta (x - max)) over its sum, along the last axis."""
    (output,), source, beta = operator.outputs, operator.input(0), operator.option("beta", 1.0)
    width = source.shape[-1]
    axes, (row,) = nest([source.size // width], [[width]], "n")
    each = row.plus(0, ("i", 1))
    top, total = ir.Variable("f32", lower.name("top")), ir.Variable("f32", lower.name("sum"))
    x, y = lower.load(source, each), lower.load(output, each)
    shifted = apply("*", apply("-", x, top), number("f32", beta))
    body: list[Statement] = [
        ir.Let(top.name, number("f32", -np.inf), changes=True),
        ir.For("i", width, (ir.Assign(top.name, choose(apply(">", x, top), x, top)),)),
        ir.Let(total.name, number("f32", 0), changes=True),
        ir.For(
            "i",
            width,
            (lower.store(output, each, apply("exp", shifted)), ir.Assign(total.name, apply("+", total, y))),
        ),
        ir.For("i", width, (lower.store(output, each, apply("/", y, total)),)),
    ]
    return looped(axes, body)


def must_be_float(operator: Operator) -> None:
    """Raises InputError for an operator on quantized numbers that has no description."""
    for tensor in (*operator.inputs, *operator.outputs):
        if tensor is not None and tensor.dtype in ("INT8", "UINT8", "INT16") and tensor.scales:
            raise InputError(f"operator={operator.name} on {tensor.dtype.lower()} must be float32 to be exported")


DENSE: dict[str, Describe] = {
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "SOFTMAX": _softmax,
    **dict.fromkeys(FOLDS, _reduce),
}
