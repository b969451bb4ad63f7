"""Two TFLite files in a row as one."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np

from farebox.components.tflite.interpreter import schema


def join(first: bytes, second: bytes) -> bytes:
    """One file with the inputs of `first` and the output of `second`; what `first` gives under the name of an input of
    `second` is that input. Each has one subgraph and one signature.

    Raises ValueError where `second` asks for what `first` does not give.
    """
    head, tail = (_opened(content) for content in (first, second))
    (graph,), (added,) = head.subgraphs, tail.subgraphs
    given = {each.name: each.tensorIndex for each in head.signatureDefs[0].outputs}
    wanted = {each.tensorIndex: each.name for each in tail.signatureDefs[0].inputs}
    if missing := sorted(name.decode() for name in set(wanted.values()) - set(given)):
        got = sorted(name.decode() for name in given)
        raise ValueError(f"second file: inputs={missing} must be outputs of the first, got {got}")
    place = {-1: -1} | {index: given[name] for index, name in wanted.items()}
    for index, tensor in enumerate(added.tensors):
        if index not in place:
            place[index] = len(graph.tensors)
            tensor.buffer += len(head.buffers)
            graph.tensors.append(tensor)
    for operator in added.operators:
        operator.opcodeIndex += len(head.operatorCodes)
        operator.inputs, operator.outputs = (
            np.array([place[int(index)] for index in ends], np.int32) for ends in (operator.inputs, operator.outputs)
        )
    graph.operators += added.operators
    graph.outputs = np.array([place[int(index)] for index in added.outputs], np.int32)
    head.buffers += tail.buffers
    head.operatorCodes += tail.operatorCodes
    signature = head.signatureDefs[0]
    signature.outputs = tail.signatureDefs[0].outputs
    for each in signature.outputs:
        each.tensorIndex = place[each.tensorIndex]
    builder = flatbuffers.Builder(len(first) + len(second))
    builder.Finish(head.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _opened(content: bytes) -> Any:
    read = schema()
    return read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))
