"""The program of a file: its graph, lowered to statements."""

from __future__ import annotations

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir, quantized
from farebox.components.tflite.codegen.dense import DENSE
from farebox.components.tflite.codegen.elementwise import ELEMENTWISE
from farebox.components.tflite.codegen.ir import Parameter, Program, Statement
from farebox.components.tflite.codegen.loops import looped, nest
from farebox.components.tflite.codegen.lowering import Describe, Lowering
from farebox.components.tflite.codegen.model import NOT_A_FILE, Graph, Operator, Tensor, read_graph
from farebox.components.tflite.codegen.moving import MOVING
from farebox.components.tflite.codegen.names import distinct
from farebox.components.tflite.codegen.places import STORAGE, is_quantized

OPERATORS: dict[str, Describe] = {**ELEMENTWISE, **MOVING, **DENSE, **quantized.QUANTIZED}


def lowered(content: bytes, origin: str) -> Program:
    """The program of a `.tflite`; origin: its name in errors.

    Raises InputError: an operator, a type of numbers or an output that the generator does not know.
    """
    graph = read_graph(content, origin)
    try:
        return _program(graph)
    except InputError as error:
        raise InputError(f"model={origin}: {error}") from error
    except NOT_A_FILE as error:
        raise InputError(f"model={origin} must be a TFLite file that is not damaged: {error}") from error


def _described(lower: Lowering, operator: Operator) -> list[Statement]:
    """The operator's statements. Raises InputError, which names it, if it is not known or its tensors do not fit it."""
    if operator.name not in OPERATORS:
        raise InputError(f"operator={operator.name} must be one that export knows ({len(OPERATORS)} of them)")
    quantized.check(operator)
    try:
        return OPERATORS[operator.name](lower, operator)
    except InputError:
        raise
    except NOT_A_FILE as error:
        raise InputError(f"operator={operator.name} must have tensors and options that fit it: {error}") from error


def _program(graph: Graph) -> Program:
    output = _output(graph)
    parameters = _parameters(graph)
    quantized_inputs = [each for each in graph.inputs if is_quantized(each)]
    given = parameters.keys() - {each.index for each in quantized_inputs}
    lower = Lowering(graph, {index: parameters[index] for index in sorted(given)})
    body = [line for each in quantized_inputs for line in _quantized_input(lower, each, parameters[each.index])]
    for operator in graph.operators:
        if statements := _described(lower, operator):
            shape = " x ".join(map(str, operator.outputs[0].shape)) or "1"
            body += [ir.Note(f"{operator.name} {shape}"), *statements]
    _, (place,) = nest([output.size], [[1]])
    result = lower.load(output, place)
    return Program(
        tuple(parameters.values()),
        lower.constants,
        lower.scratch,
        tuple(body),
        quantized.real(result, output) if is_quantized(output) else result,
        output.size,
        output.name,
    )


def _quantized_input(lower: Lowering, tensor: Tensor, parameter: Parameter) -> list[Statement]:
    """The integers of a quantized input, from a parameter of real numbers."""
    axes, (place,) = nest([tensor.size], [[1]])
    value: ir.Expression = ir.Load("f32", "f32", parameter.name, place)
    if parameter.is_scalar:
        value = ir.Variable("f32", parameter.name)
    body: list[Statement] = []
    whole = quantized.quantized(lower, value, tensor, body)
    return [ir.Note(f"input {parameter.column}"), *looped(axes, [*body, lower.store(tensor, place, whole)])]


def _output(graph: Graph) -> Tensor:
    kinds = [each.dtype for each in graph.outputs]
    if len(kinds) != 1 or not (kinds == ["FLOAT32"] or is_quantized(graph.outputs[0])):
        raise InputError(f"outputs={' '.join(kinds) or 'none'} must be one, float32 or quantized, to be exported")
    return graph.outputs[0]


def _parameters(graph: Graph) -> dict[int, Parameter]:
    """A parameter for each input, by tensor index; names are made different."""
    parameters: dict[int, Parameter] = {}
    for tensor, name in zip(graph.inputs, distinct(each.name for each in graph.inputs), strict=True):
        kind: ir.Type = "f32" if is_quantized(tensor) else STORAGE[tensor.dtype]  # type: ignore[assignment]
        if tensor.dtype not in ("FLOAT32", "INT32", "INT64", "BOOL") and not is_quantized(tensor):
            raise InputError(f"input={tensor.name} must be float32, int32, int64, bool or quantized to be exported")
        parameters[tensor.index] = Parameter(name, tensor.name, kind, tensor.size)
    return parameters
