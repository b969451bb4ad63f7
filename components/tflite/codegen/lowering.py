"""Lowering: what every operator's description uses to read and write tensors, and the table of descriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.ir import Expression, Index, Statement
from farebox.components.tflite.codegen.loops import broadcast, looped, nest, row_major
from farebox.components.tflite.codegen.model import Graph, Operator, Tensor
from farebox.components.tflite.codegen.places import SCRATCH, STORAGE, scratch_plan, views

Describe = Callable[["Lowering", Operator], list[Statement]]
NARROW: dict[str, ir.Storage] = {
    "i1": "i8",
    "u1": "u8",
    "i2": "i16",
    "i4": "i32",
    "i8": "i64",
    "b1": "bool",
    "f4": "f32",
}
VALUE: dict[ir.Storage, ir.Type] = {  # the type of a stored number, once it is loaded
    "f32": "f32", "i32": "i32", "i64": "i64", "bool": "bool", "i8": "i32", "u8": "i32", "i16": "i32",
}  # fmt: skip


class Lowering:
    """Turns operators into statements; collects the constants that they read."""

    def __init__(self, graph: Graph, parameters: dict[int, ir.Parameter]) -> None:
        self._parameters = parameters
        self._views = views(graph)
        self._offsets, self.scratch = scratch_plan(graph, self._views)
        self._constants: dict[tuple[str, bytes], ir.Constant] = {}
        self._stored: dict[int, Tensor] = {}  # a DEQUANTIZE's constant, by the index of the float tensor
        self._n_names = 0

    @property
    def constants(self) -> tuple[ir.Constant, ...]:
        """The constants that were read, in the order of their first use."""
        return tuple(self._constants.values())

    def is_view(self, tensor: Tensor) -> bool:
        """Whether the tensor's numbers stand where another's do, so that nothing has to be copied."""
        return tensor.index in self._views

    def name(self, kind: str) -> str:
        """A name that is new in the function."""
        self._n_names += 1
        return f"{kind}{self._n_names}"

    def remember_stored(self, tensor: Tensor, source: Tensor) -> None:
        """Notes that the float tensor's numbers are constants, stored as the integers of `source`."""
        self._stored[tensor.index] = source

    def values(self, tensor: Tensor) -> npt.NDArray[Any] | None:
        """The numbers of a constant, as the file stores them; None for a computed tensor."""
        return self._stored.get(tensor.index, tensor).values

    def scale(self, tensor: Tensor) -> float | None:
        """The scale of a constant that is stored as int8 and stands for float32; None for others."""
        source = self._stored.get(tensor.index)
        return source.scales[0] if source is not None and source.scales else None

    def constant(self, values: npt.NDArray[Any], index: Index) -> Expression:
        """An element of a constant array, a literal if it has one element only."""
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        storage = NARROW[values.dtype.str[1:]]
        value_type = VALUE[storage]
        if values.size == 1:
            return ir.number(value_type, values.reshape(-1)[0].item())
        key = storage, np.ascontiguousarray(values).tobytes()
        if key not in self._constants:
            self._constants[key] = ir.Constant(f"c{len(self._constants)}", storage, values.reshape(-1))
        return ir.Load(value_type, storage, self._constants[key].name, index)

    def load(self, tensor: Tensor, index: Index) -> Expression:
        """An element of a tensor."""
        if tensor.index in self._stored:
            source = self._stored[tensor.index]
            assert source.values is not None
            whole = self.constant(source.values, index)
            if not source.scales:
                return whole
            zero = source.zero_points[0]
            centred = ir.apply("-", whole, ir.number("i32", zero)) if zero else whole
            return ir.apply("*", ir.cast("f32", centred), ir.number("f32", source.scales[0]))
        if tensor.values is not None:
            return self.constant(tensor.values, index)
        if tensor.index in self._views:
            view = self._views[tensor.index]
            return self.load(view.root, index.plus(view.offset))
        storage = STORAGE[tensor.dtype]
        if tensor.index in self._parameters:
            parameter = self._parameters[tensor.index]
            if parameter.is_scalar:
                return ir.Variable(parameter.type, parameter.name)
            return ir.Load(parameter.type, storage, parameter.name, index)
        if tensor.index not in self._offsets:
            raise InputError(f"tensor={tensor.index} must be an input, a constant or computed before it is read")
        return ir.Load(VALUE[storage], storage, SCRATCH[storage], index.plus(self._offsets[tensor.index]))

    def store(self, tensor: Tensor, index: Index, value: Expression) -> ir.Store:
        """Writes an element of a computed tensor."""
        storage = STORAGE[tensor.dtype]
        return ir.Store(storage, SCRATCH[storage], index.plus(self._offsets[tensor.index]), value)

    def elementwise(
        self, output: Tensor, inputs: Sequence[Tensor], compute: Callable[..., Expression], held: bool = False
    ) -> list[Statement]:
        """The output's elements from those of the inputs, broadcast to its shape.

        held: the loaded elements get names, because `compute` uses them more than once.
        """
        strides = [row_major(output.shape), *(broadcast(each.shape, output.shape) for each in inputs)]
        axes, (target, *places) = nest(output.shape, strides)
        body: list[Statement] = []
        values = [self.load(tensor, place) for tensor, place in zip(inputs, places, strict=True)]
        if held:
            values = [self.hold(value, body) for value in values]
        body.append(self.store(output, target, compute(*values)))
        return looped(axes, body)

    def hold(self, value: Expression, body: list[Statement]) -> Expression:
        """The value under a name, declared in `body`, unless it is a name or a number already."""
        if isinstance(value, (ir.Variable, ir.Number)):
            return value
        let = ir.Let(self.name("v"), value)
        body.append(let)
        return ir.Variable(value.type, let.name)

    def copy(
        self, output: Tensor, source: Tensor, shape: Sequence[int], strides: Sequence[Sequence[int]],
        bases: tuple[int, int] = (0, 0),
    ) -> list[Statement]:  # fmt: skip
        """Copies `shape` numbers; strides and bases: of the output and the source, in elements."""
        axes, (target, place) = nest(shape, strides)
        return looped(axes, [self.store(output, target.plus(bases[0]), self.load(source, place.plus(bases[1])))])


def index_value(value: Expression) -> Expression:
    """An integer as a place in an array."""
    return ir.cast("index", value)


def activated(operator: Operator, value: Expression) -> Expression:
    """The value after the operator's fused activation; a value used twice must be a name. NaN stays NaN."""
    kind = int(operator.option("fusedActivationFunction"))
    if kind == 0:
        return value
    if kind == 4:
        return ir.apply("tanh", value)
    bounds = {1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
    if kind not in bounds:
        raise InputError(f"operator={operator.name} must have a known fused activation, got number {kind}")
    return clipped(value, *bounds[kind])


def clipped(value: Expression, low: float | None, high: float | None) -> Expression:
    """The value between low and high, NaN unchanged; a value used twice must be a name."""
    inner = value
    if high is not None:
        bound = ir.number(value.type, high)
        inner = ir.choose(ir.apply(">", value, bound), bound, value)
    if low is None:
        return inner
    bound = ir.number(value.type, low)
    return ir.choose(ir.apply("<", value, bound), bound, inner)
