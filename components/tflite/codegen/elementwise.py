"""Operators that compute each number from the numbers at its place."""

from __future__ import annotations

from collections.abc import Callable

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.ir import Expression, Statement, apply, choose, number
from farebox.components.tflite.codegen.loops import broadcast, looped, nest, row_major
from farebox.components.tflite.codegen.lowering import Describe, Lowering, activated, clipped
from farebox.components.tflite.codegen.model import Operator
from farebox.components.tflite.codegen.places import STORAGE

UNARY: dict[str, Callable[[Expression], Expression]] = {
    "ABS": lambda x: apply("abs", x),
    "NEG": lambda x: apply("neg", x),
    "FLOOR": lambda x: apply("floor", x),
    "CEIL": lambda x: apply("ceil", x),
    "ROUND": lambda x: apply("round", x),
    "SQRT": lambda x: apply("sqrt", x),
    "RSQRT": lambda x: apply("/", number("f32", 1), apply("sqrt", x)),
    "SQUARE": lambda x: apply("*", x, x),
    "SIN": lambda x: apply("sin", x),
    "COS": lambda x: apply("cos", x),
    "EXP": lambda x: apply("exp", x),
    "LOG": lambda x: apply("log", x),
    "TANH": lambda x: apply("tanh", x),
    "LOGISTIC": lambda x: apply("/", number("f32", 1), apply("+", number("f32", 1), apply("exp", apply("neg", x)))),
    "LOGICAL_NOT": lambda x: apply("not", x),
    "RELU": lambda x: clipped(x, 0.0, None),
    "RELU6": lambda x: clipped(x, 0.0, 6.0),
    "RELU_N1_TO_1": lambda x: clipped(x, -1.0, 1.0),
    "ZEROS_LIKE": lambda x: number(x.type, 0),
}
BINARY: dict[str, Callable[[Expression, Expression], Expression]] = {
    "ADD": lambda a, b: apply("+", a, b),
    "SUB": lambda a, b: apply("-", a, b),
    "MUL": lambda a, b: apply("*", a, b),
    "MAXIMUM": lambda a, b: choose(apply(">", a, b), a, b),
    "MINIMUM": lambda a, b: choose(apply("<", a, b), a, b),
    "ATAN2": lambda a, b: apply("atan2", a, b),
    "POW": lambda a, b: apply("pow", a, b),
    "EQUAL": lambda a, b: apply("==", a, b),
    "NOT_EQUAL": lambda a, b: apply("!=", a, b),
    "LESS": lambda a, b: apply("<", a, b),
    "LESS_EQUAL": lambda a, b: apply("<=", a, b),
    "GREATER": lambda a, b: apply(">", a, b),
    "GREATER_EQUAL": lambda a, b: apply(">=", a, b),
    "LOGICAL_AND": lambda a, b: apply("and", a, b),
    "LOGICAL_OR": lambda a, b: apply("or", a, b),
}
DIVISIONS = {"DIV": "/", "FLOOR_DIV": "/", "FLOOR_MOD": "mod"}


def _unary(lower: Lowering, operator: Operator) -> list[Statement]:
    compute, (output,) = UNARY[operator.name], operator.outputs
    is_reused = operator.name.startswith("RELU") or operator.name == "SQUARE"
    return lower.elementwise(output, [operator.input(0)], compute, held=is_reused)


def _binary(lower: Lowering, operator: Operator) -> list[Statement]:
    compute = BINARY[operator.name]
    return _with_activation(lower, operator, compute, held=operator.name in ("MAXIMUM", "MINIMUM"))


def _with_activation(
    lower: Lowering, operator: Operator, compute: Callable[..., Expression], held: bool = False
) -> list[Statement]:
    """The statements of a binary operator, and of the activation that is fused with it."""
    (output,), inputs = operator.outputs, [operator.input(0), operator.input(1)]
    strides = [row_major(output.shape), *(broadcast(each.shape, output.shape) for each in inputs)]
    axes, (target, *places) = nest(output.shape, strides)
    body: list[Statement] = []
    values = [lower.load(tensor, place) for tensor, place in zip(inputs, places, strict=True)]
    if held or operator.name in DIVISIONS:
        values = [lower.hold(value, body) for value in values]
    if operator.name == "FLOOR_DIV" or (operator.name in DIVISIONS and values[1].type != "f32"):  # by 0 is an error
        zero = number(values[1].type, 0)
        if not isinstance(values[1], ir.Number) or values[1] == zero:
            body.append(ir.Guard(apply("!=", values[1], zero)))
    result = compute(*values)
    if operator.option("fusedActivationFunction"):
        result = activated(operator, lower.hold(result, body))
    return looped(axes, [*body, lower.store(output, target, result)])


def _division(lower: Lowering, operator: Operator) -> list[Statement]:
    def divided(a: Expression, b: Expression) -> Expression:
        if operator.name == "FLOOR_DIV" and a.type == "f32":
            return apply("floor", apply("/", a, b))
        if operator.name == "FLOOR_DIV":  # one less than the truncated quotient, if the remainders differ
            quotient = apply("/", a, b)
            is_whole = apply("==", apply("mod", a, b), apply("-", a, apply("*", quotient, b)))
            return choose(is_whole, quotient, apply("-", quotient, number(a.type, 1)))
        return apply(DIVISIONS[operator.name], a, b)

    return _with_activation(lower, operator, divided)


def _squared_difference(lower: Lowering, operator: Operator) -> list[Statement]:
    def square(a: Expression, b: Expression) -> Expression:
        difference = apply("-", a, b)
        return apply("*", difference, difference)

    return lower.elementwise(operator.outputs[0], [operator.input(0), operator.input(1)], square, held=True)


def _select(lower: Lowering, operator: Operator) -> list[Statement]:
    condition, yes, no = (operator.input(position) for position in range(3))
    return lower.elementwise(operator.outputs[0], [condition, yes, no], choose)


def _cast(lower: Lowering, operator: Operator) -> list[Statement]:
    (output,), source = operator.outputs, operator.input(0)
    target = STORAGE[output.dtype]
    narrow = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}

    def convert(x: Expression) -> Expression:
        if target == "bool":
            return apply("!=", x, number(x.type, 0))
        value = ir.cast(target, x)  # type: ignore[arg-type]
        return clipped(value, *narrow[output.dtype]) if output.dtype in narrow else value

    return lower.elementwise(output, [source], convert, held=output.dtype in narrow)


def _leaky_relu(lower: Lowering, operator: Operator) -> list[Statement]:
    slope = number("f32", operator.option("alpha"))
    zero = number("f32", 0)
    return lower.elementwise(
        operator.outputs[0],
        [operator.input(0)],
        lambda x: choose(apply("<", x, zero), apply("*", x, slope), x),
        held=True,
    )


ELEMENTWISE: dict[str, Describe] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(DIVISIONS, _division),
    "SQUARED_DIFFERENCE": _squared_difference,
    "SELECT": _select,
    "SELECT_V2": _select,
    "CAST": _cast,
    "LEAKY_RELU": _leaky_relu,
}
