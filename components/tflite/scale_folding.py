"""Leaves out of a `.tflite` a product with one number before a Dense layer: the layer's weights take the number.

Where the product stands beside rows of tables, those are divided by the number first. Integers of weights and tables
stay as they are, since only their scales change.
"""

from __future__ import annotations

import collections
import copy
from collections.abc import Iterable
from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import add_buffer, code_of, constant, drop_idle, opened, packed
from farebox.components.tflite.interpreter import schema

SIDE_BY_SIDE = (1, -1)  # axes of two


def without_scaling(content: bytes) -> bytes:
    """The same model without such products; unchanged if weights or tables have no numbers that can take a factor."""
    model = opened(content)
    for graph in model.subgraphs:
        _Folding(model, graph).apply()
    return packed(model)


class _Folding:
    """The change of one graph."""

    def __init__(self, model: Any, graph: Any) -> None:
        self._model, self._graph, self._codes = model, graph, schema().BuiltinOperator
        self._makers = {int(end): operator for operator in graph.operators for end in operator.outputs}
        self._readers: dict[int, list[Any]] = collections.defaultdict(list)
        for operator in graph.operators:
            for end in _inputs(operator):
                self._readers[end].append(operator)
        for end in graph.outputs:
            self._readers[int(end)].append(None)

    def apply(self) -> None:
        folded = [operator for operator in self._graph.operators if self._fold(operator)]
        drop_idle(self._graph, lambda operator: any(operator is each for each in folded))

    def _fold(self, product: Any) -> bool:
        """Multiplies the weights behind a product; False if it is another operator or they cannot be."""
        factor = self._factor(product)
        reader = self._only_reader(product)
        if factor is None or reader is None:
            return False
        others: list[int] = []
        if self._is(reader, "CONCATENATION") and reader.builtinOptions.axis in SIDE_BY_SIDE:
            others = [end for end in _inputs(reader) if end != int(product.outputs[0])]
            reader = self._only_reader(reader)
        if reader is None or not self._is(reader, "FULLY_CONNECTED") or int(reader.inputs[1]) in others:
            return False
        weights = self._source({"DEQUANTIZE"}, [int(reader.inputs[1])])
        rows = self._source({"DEQUANTIZE", "RESHAPE", "CONCATENATION", "GATHER"}, others)
        if weights is None or rows is None:
            return False
        for tensors, each in ((weights, factor), (rows, 1 / factor)):
            for tensor in tensors:
                self._multiply(self._graph.tensors[tensor], each)
        return True

    def _is(self, operator: Any, name: str) -> bool:
        """Whether an operator is of this kind; with an activation only a Dense layer is, whose weights come before."""
        activation = getattr(operator.builtinOptions, "fusedActivationFunction", None)
        is_plain = name == "FULLY_CONNECTED" or not activation
        return is_plain and bool(code_of(self._model, operator) == getattr(self._codes, name))

    def _factor(self, operator: Any) -> float | None:
        """The positive number that an operator multiplies by."""
        if not self._is(operator, "MUL"):
            return None
        tensor = self._graph.tensors[int(operator.inputs[1])]
        data = constant(self._model, tensor)
        is_number = tensor.type == schema().TensorType.FLOAT32 and data is not None and len(data) == 4
        factor = float(data.view(np.float32)[0]) if is_number and data is not None else 0.0
        return factor if factor > 0 else None

    def _only_reader(self, operator: Any) -> Any:
        readers = self._readers[int(operator.outputs[0])]
        return readers[0] if len(readers) == 1 else None

    def _source(self, passed: set[str], ends: Iterable[int]) -> set[int] | None:
        """Tensors whose scale or numbers make the ends, through operators that pass numbers on; None if others do."""
        found, todo = set[int](), list(ends)
        while todo:
            end = todo.pop()
            tensor, maker = self._graph.tensors[end], self._makers.get(end)
            is_constant = constant(self._model, tensor) is not None
            if len(self._readers[end]) > 1 or not (is_constant or maker is not None):
                return None
            if _has_scale(tensor) or (is_constant and tensor.type == schema().TensorType.FLOAT32):
                found.add(end)
            elif is_constant:
                return None
            if maker is not None:
                name = next((each for each in passed if self._is(maker, each)), None)
                if name is None:
                    return None
                todo += _inputs(maker) if name == "CONCATENATION" else _inputs(maker)[:1]
        return found

    def _multiply(self, tensor: Any, factor: float) -> None:
        if _has_scale(tensor):
            tensor.quantization = copy.copy(tensor.quantization)
            tensor.quantization.scale = (np.asarray(tensor.quantization.scale) * factor).astype(np.float32)
            return
        data = constant(self._model, tensor)
        assert data is not None
        tensor.buffer = add_buffer(self._model, (data.view(np.float32) * factor).astype(np.float32))


def _inputs(operator: Any) -> list[int]:
    return [int(end) for end in ([] if operator.inputs is None else operator.inputs) if end >= 0]


def _has_scale(tensor: Any) -> bool:
    record = tensor.quantization
    return record is not None and record.scale is not None and len(record.scale) > 0
