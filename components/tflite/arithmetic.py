"""Reads from a `.tflite` whether it computes with integers."""

from __future__ import annotations

from typing import Any

from farebox.components.tflite.flatbuffer import code_of, opened
from farebox.components.tflite.interpreter import schema

# They move stored integers and compute nothing with them; the inputs of a CONCATENATION of int8 have one scale.
CARRIERS = ("CONCATENATION", "DEQUANTIZE", "GATHER", "RESHAPE")


def has_integer_kernels(content: bytes) -> bool:
    """Whether an operator computes with quantized numbers: integer and hybrid kernels differ by runtime.

    Constants that DEQUANTIZE makes float32 when the file is loaded do not count.
    """
    model = opened(content)
    carriers = {getattr(schema().BuiltinOperator, name) for name in CARRIERS}
    return any(
        code_of(model, operator) not in carriers and any(_is_quantized(graph.tensors[i]) for i in _inputs(operator))
        for graph in model.subgraphs
        for operator in graph.operators
    )


def _inputs(operator: Any) -> list[int]:
    """Indices of the tensors that an operator reads; -1 is an input that is left out."""
    return [int(i) for i in ([] if operator.inputs is None else operator.inputs) if i >= 0]


def _is_quantized(tensor: Any) -> bool:
    record = tensor.quantization
    return record is not None and record.scale is not None and len(record.scale) > 0
