"""Rewrites a `.tflite` for every LiteRT runtime: int32 in place of int64, one row, inputs in a fixed order.

CompiledModel, LiteRT.js and tflite-micro refuse int64 tensors and a batch of unknown size. The classic interpreter
resizes a static batch all the same, so one file serves phones and servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from farebox.components.tflite.interpreter import schema


def portable(content: bytes, input_names: Sequence[str]) -> bytes:
    """The same model with its inputs in the order of `input_names`, every int64 tensor as int32, and batches of 1.

    Whole numbers beyond ±2^31 cannot be sent to it. An axis of unknown size other than the batch stays unknown. Raises
    ValueError for a constant that int32 cannot hold, and for inputs that the file's signature does not name.
    """
    read = schema()
    model = read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))
    for graph in model.subgraphs:
        _narrow(model, graph)
        _drop_idle_casts(model, graph)
        for tensor in graph.tensors:
            if tensor.shapeSignature is not None and -1 not in tensor.shapeSignature[1:]:
                tensor.shapeSignature = None
    _order_inputs(model, input_names)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _narrow(model: Any, graph: Any) -> None:
    """Makes int64 tensors int32 ones, constants and the types that CAST names included.

    A tensor with a scale stays: kernels with int16 activations need their biases in int64.
    """
    read = schema()
    for tensor in graph.tensors:
        if tensor.type != read.TensorType.INT64 or _has_scale(tensor):
            continue
        tensor.type = read.TensorType.INT32
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            wide = np.asarray(data, np.uint8).copy().view(np.int64)
            narrow = wide.astype(np.int32)
            if (narrow != wide).any():
                raise ValueError(f"constant={wide[narrow != wide][0]} must be within ±2^31 to become int32")
            model.buffers.append(read.BufferT())
            model.buffers[-1].data = narrow.view(np.uint8)
            tensor.buffer = len(model.buffers) - 1
    for operator in graph.operators:
        options = operator.builtinOptions
        for field in ("inDataType", "outDataType", "outputType", "idxOutType"):
            if getattr(options, field, None) == read.TensorType.INT64:
                setattr(options, field, read.TensorType.INT32)


def _has_scale(tensor: Any) -> bool:
    record = tensor.quantization
    return record is not None and record.scale is not None and len(record.scale) > 0


def _drop_idle_casts(model: Any, graph: Any) -> None:
    """Drops each CAST between tensors of one type; whoever read its output reads its input."""
    read = schema()
    same: dict[int, int] = {}
    kept = []
    for operator in graph.operators:
        if operator.inputs is None:
            kept.append(operator)
            continue
        operator.inputs = np.array([same.get(int(i), int(i)) for i in operator.inputs], np.int32)
        if _code(model, operator) == read.BuiltinOperator.CAST:
            source, target = int(operator.inputs[0]), int(operator.outputs[0])
            if graph.tensors[source].type == graph.tensors[target].type and target not in graph.outputs:
                same[target] = source
                continue
        kept.append(operator)
    graph.operators = kept


def _code(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _order_inputs(model: Any, names: Sequence[str]) -> None:
    (signature,) = model.signatureDefs
    by_name = {each.name.decode(): each for each in signature.inputs}
    if sorted(by_name) != sorted(names):
        raise ValueError(f"input_names={sorted(names)} must be the file's inputs, got {sorted(by_name)}")
    signature.inputs = [by_name[name] for name in names]
    model.subgraphs[signature.subgraphIndex].inputs = np.array(
        [each.tensorIndex for each in signature.inputs], np.int32
    )
