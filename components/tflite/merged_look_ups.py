"""Merges look-ups whose rows end up side by side into one: all rows in one table, all ids looked up at once.

Each look-up alone takes three operators, and its own constants. Rows become as wide as the widest, and the Dense layer
that reads them gets columns of zeros.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.tflite.flatbuffer import add_buffer, add_operator, code_of, constant, opened, packed
from farebox.components.tflite.interpreter import schema

INT8 = np.iinfo(np.int8)
MOST_ROWS = INT8.max - INT8.min + 1  # that an int8 counts
NUMBERS_BYTES = 100  # of the operators and tensors that look up a row's number before the row
LEAST_OF_SHIFTED = INT8.max + 2  # rows whose numbers are counted from the least int8 on
Array = npt.NDArray[Any]


def with_merged_look_ups(content: bytes) -> bytes:
    """The same model with one look-up in place of several; unchanged without any.

    Merged are int8 tables of one scale whose rows a CONCATENATION joins before they become real numbers, as
    joint_look_ups.py leaves them. Only ids that cannot be beyond their tables are merged: a runtime refuses a row that
    a table lacks, and would read the next table's instead.
    """
    model, has_changed = opened(content), False
    for graph in model.subgraphs:
        merging = _Merging(model, graph)
        for chain in merging.chains():
            merging.merge(chain)
            has_changed = True
    return packed(model) if has_changed else content


@dataclasses.dataclass(frozen=True)
class _LookUp:
    """rows: of each id, int8 of shape (n_ids, width). ids: the tensor. operators: that look up."""

    rows: Array
    ids: int
    operators: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class _Chain:
    """Look-ups, and what becomes of their rows: joined, made real, made flat, joined with others, weighted.

    split, product: what takes the ids apart, and the Dense layer that computes them.
    """

    look_ups: tuple[_LookUp, ...]
    split: Any
    product: Any
    joined: Any
    real: Any
    flat: Any
    beside: Any
    weights: int


class _Merging:
    """The change of one graph."""

    def __init__(self, model: Any, graph: Any) -> None:
        self._model, self._graph, self._codes = model, graph, schema().BuiltinOperator
        self._makers = {int(end): operator for operator in graph.operators for end in operator.outputs}
        self._readers: dict[int, list[Any]] = collections.defaultdict(list)
        for operator in graph.operators:
            for end in operator.inputs:
                self._readers[int(end)].append(operator)
        for end in graph.outputs:
            self._readers[int(end)].append(None)

    def chains(self) -> list[_Chain]:
        found = (self._chain(operator) for operator in self._graph.operators if self._is(operator, "CONCATENATION"))
        return [chain for chain in found if chain]

    def _is(self, operator: Any, name: str) -> bool:
        return operator is not None and bool(code_of(self._model, operator) == getattr(self._codes, name))

    def _reader(self, operator: Any, name: str) -> Any:
        """The only reader of an operator's output, if it is of this kind."""
        readers = self._readers[int(operator.outputs[0])]
        return readers[0] if len(readers) == 1 and self._is(readers[0], name) else None

    def _chain(self, joined: Any) -> _Chain | None:
        real = self._reader(joined, "DEQUANTIZE")
        flat = real and self._reader(real, "RESHAPE")
        beside = flat and self._reader(flat, "CONCATENATION")
        dense = beside and self._reader(beside, "FULLY_CONNECTED")
        if not dense or len(joined.inputs) < 2:
            return None
        made = self._makers.get(int(dense.inputs[1]))
        weights = int(made.inputs[0]) if made is not None and self._is(made, "DEQUANTIZE") else int(dense.inputs[1])
        look_ups = [self._look_up(int(end)) for end in joined.inputs]
        if constant(self._model, self._graph.tensors[weights]) is None or self._are_shared(weights):
            return None
        found = tuple(each for each in look_ups if each)
        source = self._source_of_ids(found) if len(found) == len(look_ups) else None
        return _Chain(found, *source, joined, real, flat, beside, weights) if source else None

    def _source_of_ids(self, look_ups: tuple[_LookUp, ...]) -> tuple[Any, Any] | None:
        """The SPLIT and the Dense layer that ids come from, if none can be beyond its table.

        The layer's inputs are held between 0 and constants, and its weights are not negative.
        """
        ids = [each.ids for each in look_ups]
        split: Any = self._makers.get(ids[0])
        if not self._is(split, "SPLIT") or [*map(int, split.outputs)] != ids:
            return None
        cast: Any = self._makers.get(int(split.inputs[1]))
        product: Any = self._makers.get(int(cast.inputs[0])) if self._is(cast, "CAST") else None
        held: Any = self._makers.get(int(product.inputs[0])) if self._is(product, "FULLY_CONNECTED") else None
        counted: Any = self._makers.get(int(held.inputs[0])) if self._is(held, "MINIMUM") else None
        is_plain = self._is_at_least_0(counted) and not getattr(product.builtinOptions, "fusedActivationFunction", None)
        ends = [*ids, int(split.inputs[1]), int(cast.inputs[0])]
        if not is_plain or [*map(int, product.inputs[2:])] not in ([], [-1]):
            return None
        if self._are_shared(*ends):
            return None
        weights, most = self._float32(int(product.inputs[1])), self._float32(int(held.inputs[1]))
        if weights is None or most is None or (weights < 0).any():
            return None
        is_within = weights @ np.broadcast_to(most, weights.shape[1:]) < [len(each.rows) for each in look_ups]
        return (split, product) if is_within.all() else None

    def _is_at_least_0(self, operator: Any) -> bool:
        """Whether an operator gives no negative number: RELU, or FLOOR of what is none."""
        if self._is(operator, "FLOOR"):
            operator = self._makers.get(int(operator.inputs[0]))
        fused = getattr(getattr(operator, "builtinOptions", None), "fusedActivationFunction", None)
        return self._is(operator, "RELU") or fused == schema().ActivationFunctionType.RELU

    def _look_up(self, end: int) -> _LookUp | None:
        """The look-up that makes rows of shape (1, 1, width), at once or by numbers of rows."""
        gather: Any = self._makers.get(end)
        if not self._is(gather, "GATHER") or self._are_shared(end):
            return None
        table, position = self._int8(int(gather.inputs[0])), int(gather.inputs[1])
        if table is None or table.ndim != 2:
            return None
        cast: Any = self._makers.get(position)
        first: Any = self._makers.get(int(cast.inputs[0])) if self._is(cast, "CAST") else None
        numbers = self._int8(int(first.inputs[0])) if self._is(first, "GATHER") else None
        if numbers is None or numbers.ndim != 1 or self._are_shared(position, int(cast.inputs[0])):
            return _LookUp(table, position, (gather,))
        return _LookUp(table[numbers.astype(int)], int(first.inputs[1]), (first, cast, gather))

    def _are_shared(self, *ends: int) -> bool:
        """Whether one of the tensors is read more than once, or returned."""
        return any(len(self._readers[end]) > 1 for end in ends)

    def _int8(self, index: int) -> Array | None:
        tensor = self._graph.tensors[index]
        data = constant(self._model, tensor)
        is_int8 = tensor.type == schema().TensorType.INT8 and data is not None
        return data.view(np.int8).reshape(tensor.shape) if is_int8 and data is not None else None

    def _float32(self, index: int) -> Array | None:
        tensor = self._graph.tensors[index]
        data = constant(self._model, tensor)
        is_float = tensor.type == schema().TensorType.FLOAT32 and data is not None
        return data.view(np.float32).reshape(tensor.shape) if is_float and data is not None else None

    def merge(self, chain: _Chain) -> None:
        """Replaces the look-ups, unless their rows are too many."""
        width = max(each.rows.shape[1] for each in chain.look_ups)
        wide = [np.pad(each.rows, ((0, 0), (0, width - each.rows.shape[1]))) for each in chain.look_ups]
        every = np.concatenate(wide)
        rows, numbers = np.unique(every, axis=0, return_inverse=True)
        is_direct = every.size < rows.size + numbers.size + NUMBERS_BYTES
        if len(rows) > MOST_ROWS and not is_direct:
            return
        self._widen_weights(chain, width)
        starts = np.cumsum([0, *map(len, wide)])[:-1]
        added = self._operators(chain, every if is_direct else rows, None if is_direct else numbers.reshape(-1), starts)
        dropped = [chain.split, chain.joined, *(operator for each in chain.look_ups for operator in each.operators)]
        if width == 1:  # numbers of a flat table lie side by side already
            dropped.append(chain.flat)
            flat, real = chain.flat.outputs[0], chain.real.outputs[0]
            chain.beside.inputs = np.where(chain.beside.inputs == flat, real, chain.beside.inputs)
        kept = []
        for operator in self._graph.operators:
            if operator is chain.joined:
                kept += added
            elif all(operator is not each for each in dropped):
                kept.append(operator)
        self._graph.operators = kept

    def _operators(self, chain: _Chain, rows: Array, numbers: Array | None, starts: Array) -> list[Any]:
        """Looks up the rows of all ids at once: directly, or by their numbers, which are looked up before."""
        read, n = schema(), len(chain.look_ups)
        counted = self._constant(starts.astype(np.float32))  # the bias counts each table's ids on after the last one's
        chain.product.inputs = np.array([*chain.product.inputs[:2], counted], np.int32)
        operators, ids = list[Any](), int(chain.split.inputs[1])
        if numbers is not None:
            operators, ids = self._numbered(numbers, ids, 0 if len(rows) < LEAST_OF_SHIFTED else -INT8.min, n)
        shape = (1, n, rows.shape[1]) if rows.shape[1] > 1 else (1, n)
        table, record = self._constant(rows.reshape(-1, *shape[2:])), self._graph.tensors[int(chain.real.inputs[0])]
        side_by_side, size = self._tensor(shape, "INT8"), n * rows.shape[1]
        for tensor in (table, side_by_side):
            self._graph.tensors[tensor].quantization = record.quantization
        gathered = [table, ids]
        operators.append(add_operator(self._model, "GATHER", gathered, side_by_side, read.GatherOptionsT(), version=2))
        chain.real.inputs = np.array([side_by_side], np.int32)
        chain.flat.inputs = np.array([chain.flat.inputs[0], self._constant(np.array([-1, size], np.int32))], np.int32)
        self._reshape(int(chain.real.outputs[0]), shape)
        self._reshape(int(chain.flat.outputs[0]), (1, size))
        return operators

    def _numbered(self, numbers: Array, ids: int, shift: int, n: int) -> tuple[list[Any], int]:
        """Looks up the number of each id's row; the operators, and the tensor of the numbers. shift: of int8."""
        found, row_numbers = self._tensor((1, n), "INT8"), self._tensor((1, n), "INT32")
        gathered = [self._constant((numbers - shift).astype(np.int8)), ids]
        operators = [
            add_operator(self._model, "GATHER", gathered, found, schema().GatherOptionsT(), version=2),
            add_operator(self._model, "CAST", [found], row_numbers),
        ]
        if shift:
            shifted, row_numbers = row_numbers, self._tensor((1, n), "INT32")
            operators.append(self._add(shifted, np.array([shift], np.int32), row_numbers))
        return operators, row_numbers

    def _add(self, tensor: int, numbers: Array, target: int) -> Any:
        return add_operator(self._model, "ADD", [tensor, self._constant(numbers)], target, schema().AddOptionsT())

    def _widen_weights(self, chain: _Chain, width: int) -> None:
        """Gives the weights a column of zeros for each number that rows were narrower."""
        tensors, weights = self._graph.tensors, self._graph.tensors[chain.weights]
        data = constant(self._model, weights)
        assert data is not None
        before = list(chain.beside.inputs).index(int(chain.flat.outputs[0]))
        start = sum(int(tensors[int(end)].shape[-1]) for end in chain.beside.inputs[:before])
        values = data.reshape(*weights.shape, -1)  # bytes of each number last
        places = start + np.cumsum([each.rows.shape[1] for each in chain.look_ups])
        lacking = [width - each.rows.shape[1] for each in chain.look_ups]
        values = np.insert(values, np.repeat(places, lacking), 0, axis=1)
        weights.buffer, wider = add_buffer(self._model, values), int(values.shape[1])
        self._reshape(chain.weights, (weights.shape[0], wider))
        for reader in self._readers[chain.weights]:
            if self._is(reader, "DEQUANTIZE"):
                self._reshape(int(reader.outputs[0]), (weights.shape[0], wider))
        self._reshape(int(chain.beside.outputs[0]), (1, wider))

    def _reshape(self, tensor: int, shape: tuple[int, ...]) -> None:
        self._graph.tensors[tensor].shape = np.array(shape, np.int32)

    def _tensor(self, shape: tuple[int, ...], kind: str) -> int:
        tensor = schema().TensorT()
        tensor.shape, tensor.type = np.array(shape, np.int32), getattr(schema().TensorType, kind)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _constant(self, values: Array) -> int:
        index = self._tensor(values.shape, values.dtype.name.upper())
        self._graph.tensors[index].buffer = add_buffer(self._model, values)
        return index
