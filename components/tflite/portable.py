"""Rewrites a `.tflite` for every LiteRT runtime: int32 in place of int64, one row, inputs in a fixed order.

CompiledModel, LiteRT.js and tflite-micro refuse int64 tensors and a batch of unknown size. The classic interpreter
resizes a static batch all the same, so one file serves phones and servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from farebox.components.tflite.flatbuffer import add_buffer, code_of, constant, drop_idle, opened, packed
from farebox.components.tflite.interpreter import schema


def portable(content: bytes, input_names: Sequence[str]) -> bytes:
    """The same model with its inputs in the order of `input_names`, every int64 tensor as int32, and batches of 1.

    Whole numbers beyond ±2^31 cannot be sent to it. An axis of unknown size other than the batch stays unknown. Raises
    ValueError for a constant that int32 cannot hold, and for inputs that the file's signature does not name.
    """
    model = opened(content)
    for graph in model.subgraphs:
        _narrow(model, graph)
        _drop_idle_casts(model, graph)
        for tensor in graph.tensors:
            if tensor.shapeSignature is not None and -1 not in tensor.shapeSignature[1:]:
                tensor.shapeSignature = None
    _order_inputs(model, input_names)
    return packed(model)


def _narrow(model: Any, graph: Any) -> None:
    """Makes int64 tensors int32 ones, constants and the types that CAST names included.

    A tensor with a scale stays: kernels with int16 activations need their biases in int64.
    """
    read = schema()
    for tensor in graph.tensors:
        if tensor.type != read.TensorType.INT64 or _has_scale(tensor):
            continue
        tensor.type = read.TensorType.INT32
        data = constant(model, tensor)
        if data is not None:
            wide = data.view(np.int64)
            narrow = wide.astype(np.int32)
            if (narrow != wide).any():
                raise ValueError(f"constant={wide[narrow != wide][0]} must be within ±2^31 to become int32")
            tensor.buffer = add_buffer(model, narrow)
    for operator in graph.operators:
        options = operator.builtinOptions
        for field in ("inDataType", "outDataType", "outputType", "idxOutType"):
            if getattr(options, field, None) == read.TensorType.INT64:
                setattr(options, field, read.TensorType.INT32)


def _has_scale(tensor: Any) -> bool:
    record = tensor.quantization
    return record is not None and record.scale is not None and len(record.scale) > 0


def _drop_idle_casts(model: Any, graph: Any) -> None:
    """Drops each CAST between tensors of one type."""
    cast = schema().BuiltinOperator.CAST

    def is_idle(operator: Any) -> bool:
        source, target = (graph.tensors[int(ends[0])] for ends in (operator.inputs, operator.outputs))
        return code_of(model, operator) == cast and bool(source.type == target.type)

    drop_idle(graph, is_idle)


def _order_inputs(model: Any, names: Sequence[str]) -> None:
    (signature,) = model.signatureDefs
    by_name = {each.name.decode(): each for each in signature.inputs}
    if sorted(by_name) != sorted(names):
        raise ValueError(f"input_names={sorted(names)} must be the file's inputs, got {sorted(by_name)}")
    signature.inputs = [by_name[name] for name in names]
    model.subgraphs[signature.subgraphIndex].inputs = np.array(
        [each.tensorIndex for each in signature.inputs], np.int32
    )
