"""Reads from a `.tflite` whether it computes with integers."""

from __future__ import annotations

from typing import Any

from farebox.components.tflite import interpreter

CARRIERS = ("DEQUANTIZE", "GATHER", "RESHAPE")  # they read stored integers, and compute nothing with them


def has_integer_kernels(content: bytes) -> bool:
    """Whether an operator computes with quantized numbers: integer and hybrid kernels differ by runtime.

    Constants that DEQUANTIZE makes float32 when the file is loaded do not count.
    """
    read = interpreter.schema()
    model = read.Model.GetRootAs(content, 0)
    carriers = {getattr(read.BuiltinOperator, name) for name in CARRIERS}
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    return any(
        _code(model, operator) not in carriers and any(_is_quantized(graph, i) for i in _inputs(operator))
        for graph in graphs
        for operator in (graph.Operators(k) for k in range(graph.OperatorsLength()))
    )


def _code(model: Any, operator: Any) -> int:
    code = model.OperatorCodes(operator.OpcodeIndex())
    return max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))


def _inputs(operator: Any) -> list[int]:
    """Indices of the tensors that an operator reads; -1 is an input that is left out."""
    return [index for i in range(operator.InputsLength()) if (index := int(operator.Inputs(i))) >= 0]


def _is_quantized(graph: Any, index: int) -> bool:
    quantization = graph.Tensors(index).Quantization()
    return quantization is not None and quantization.ScaleLength() > 0
