"""Joins two TFLite files, the second fed by the first, into one."""

from __future__ import annotations

import numpy as np

from farebox.components.tflite.flatbuffer import opened, packed


def join(first: bytes, second: bytes) -> bytes:
    """One file with the inputs of `first` and the output of `second`, whose inputs are outputs of `first` by name.

    Each has one subgraph and one signature. Raises ValueError if `first` lacks an output that `second` needs.
    """
    head, tail = (opened(content) for content in (first, second))
    (graph,), (added,) = head.subgraphs, tail.subgraphs
    outputs = {each.name: each.tensorIndex for each in head.signatureDefs[0].outputs}
    inputs = {each.tensorIndex: each.name for each in tail.signatureDefs[0].inputs}
    if missing := sorted(name.decode() for name in set(inputs.values()) - set(outputs)):
        got = sorted(name.decode() for name in outputs)
        raise ValueError(f"second file: inputs={missing} must be outputs of the first, got {got}")
    place = {-1: -1} | {index: outputs[name] for index, name in inputs.items()}
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
    return packed(head)
