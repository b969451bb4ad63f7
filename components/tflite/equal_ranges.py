"""Equal ranges of a layer's units, so that one scale for all of its weights loses less; the float answers stay.

A unit with ReLU or without an activation may be scaled by s > 0: its own weights and bias times s, the weights of the
next layer that read it times 1/s. Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", section 4.1.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.tflite.flatbuffer import add_buffer, code_of, constant
from farebox.components.tflite.interpreter import schema

SWEEPS = 20  # over all pairs of layers; ranges of a chain then change by less than 1 %
ABSENT = -1  # a bias
LEAST = 1e-30  # units below it are dead and stay as they are
Array = npt.NDArray[Any]


@dataclasses.dataclass
class Layer:
    """A Dense layer or convolution whose weights nothing else reads.

    source, target, kernel, bias: tensors. out_axis, in_axis: of the weights. is_linear: its activation commutes with
    positive factors. weights, offsets: numbers of kernel and bias,
    zeros without a bias.
    """

    source: int
    target: int
    kernel: int
    bias: int | None
    out_axis: int
    in_axis: int
    is_linear: bool
    weights: Array
    offsets: Array

    def size(self, axis: int) -> int:
        """The number of channels of an axis."""
        return int(self.weights.shape[axis])

    def ranges(self, axis: int) -> Array:
        """The largest absolute weight of each channel of an axis, shape (n,)."""
        largest: Array = np.abs(self.weights).max(axis=tuple(i for i in range(self.weights.ndim) if i != axis))
        return largest

    def scale(self, axis: int, scales: Array, *, with_bias: bool) -> None:
        """Multiplies the channels of an axis."""
        self.weights = self.weights * scales.reshape([-1 if each == axis else 1 for each in range(self.weights.ndim)])
        if with_bias:
            self.offsets = self.offsets * scales


def equalize(model: Any, graph: Any, narrowed: Collection[int]) -> None:
    """Scales the units that one layer alone reads. narrowed: the tensors that become integers."""
    pairs = _pairs(model, graph)
    for _ in range(SWEEPS):
        for first, second in pairs:
            scales = _scales(first, second, narrowed)
            first.scale(first.out_axis, scales, with_bias=True)
            second.scale(second.in_axis, 1 / scales, with_bias=False)
    for layer in {each.kernel: each for pair in pairs for each in pair}.values():
        graph.tensors[layer.kernel].buffer = add_buffer(model, layer.weights.astype(np.float32))
        if layer.bias is not None:
            graph.tensors[layer.bias].buffer = add_buffer(model, layer.offsets.astype(np.float32))


def _scales(first: Layer, second: Layer, narrowed: Collection[int]) -> Array:
    """Scales that make the ranges of all units equal; weights that stay float may have any range."""
    written, read = first.ranges(first.out_axis), second.ranges(second.in_axis)
    written = np.maximum(written, np.abs(first.offsets))  # a unit that lives by its bias is not small
    is_live = (written > LEAST) & (read > LEAST)
    written, read = np.where(is_live, written, 1.0), np.where(is_live, read, 1.0)
    if first.kernel in narrowed and second.kernel in narrowed:
        scales = np.sqrt(read / written)
    elif first.kernel in narrowed:
        scales = written.max() / written
    else:
        scales = read / read.max()
    return np.where(is_live, scales, 1.0)


def _pairs(model: Any, graph: Any) -> list[tuple[Layer, Layer]]:
    """Layers of which the second alone reads the first, in the graph's order."""
    inputs = [operator.inputs for operator in graph.operators if operator.inputs is not None]
    reads = collections.Counter(int(index) for index in np.concatenate([*inputs, graph.outputs]))
    layers = [layer for operator in graph.operators if (layer := _layer(model, graph, operator, reads))]
    readers = {layer.source: layer for layer in layers if reads[layer.source] == 1}
    pairs = [(layer, readers[layer.target]) for layer in layers if layer.target in readers and layer.is_linear]
    return [(first, second) for first, second in pairs if first.size(first.out_axis) == second.size(second.in_axis)]


def _layer(model: Any, graph: Any, operator: Any, reads: collections.Counter[int]) -> Layer | None:
    """The operator as a layer; None for another kind, or if something else reads its weights."""
    kinds, activations = schema().BuiltinOperator, schema().ActivationFunctionType
    axes = {kinds.FULLY_CONNECTED: (0, 1), kinds.CONV_2D: (0, 3), kinds.DEPTHWISE_CONV_2D: (3, 3)}
    number, options = code_of(model, operator), operator.builtinOptions
    if number not in axes or (number == kinds.DEPTHWISE_CONV_2D and options.depthMultiplier != 1):
        return None
    source, kernel, bias = (*map(int, operator.inputs), ABSENT)[:3]
    weights, offsets = (_float32(model, graph.tensors[each]) if each != ABSENT else None for each in (kernel, bias))
    has_bias = bias != ABSENT and (offsets is None or bool(offsets.any()))  # layers share a bias of zeros
    if weights is None or reads[kernel] > 1 or (has_bias and (offsets is None or reads[bias] > 1)):
        return None
    out_axis, in_axis = axes[number]
    return Layer(
        source=source,
        target=int(operator.outputs[0]),
        kernel=kernel,
        bias=bias if has_bias else None,
        out_axis=out_axis,
        in_axis=in_axis,
        is_linear=options is None or options.fusedActivationFunction in {activations.NONE, activations.RELU},
        weights=weights,
        offsets=np.zeros(weights.shape[out_axis]) if offsets is None else offsets,
    )


def _float32(model: Any, tensor: Any) -> Array | None:
    """The numbers of a float32 constant as float64, in their shape; None for anything else."""
    data = constant(model, tensor)
    if data is None or tensor.type != schema().TensorType.FLOAT32 or tensor.sparsity is not None:
        return None
    values = data.view(np.float32).astype(np.float64)
    return values.reshape([-1] if tensor.shape is None else tensor.shape) if np.isfinite(values).all() else None
