"""Equal ranges of units: the float answers stay, and one scale for all weights of a layer loses less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras

from farebox.components.quantizer.conversion import Source
from farebox.components.tflite.equal_ranges import equalize
from farebox.components.tflite.flatbuffer import opened, packed
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import TfliteModel

SIZES = np.logspace(-2, 2, 16)  # of the units' weights
BIAS = np.linspace(-1, 1, 16)
ROWS = {"x": np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)}
IMAGES = {"x": np.random.default_rng(2).normal(size=(4, 6, 6, 2)).astype(np.float32)}


def converted(shape: tuple[int, ...], body: Callable[[keras.KerasTensor], keras.KerasTensor]) -> bytes:
    """The float32 file of a network in which each layer with a next one has units of all SIZES."""
    keras.utils.set_random_seed(3)
    x = keras.Input(shape, name="x")
    network = keras.Model(x, body(x))
    for layer in network.layers:
        if layer.name.startswith("skewed"):
            layer.set_weights([layer.get_weights()[0] * SIZES, BIAS * SIZES])
        if layer.name.startswith("evening"):
            layer.set_weights([layer.get_weights()[0] / SIZES[:, None], *layer.get_weights()[1:]])
    return Source(network, None, [], "y").file("float32")


def equal(content: bytes, only: tuple[int, ...] | None = None) -> bytes:
    """only: the shape of the kernel that is narrowed; by default all are."""
    model = opened(content)
    (graph,) = model.subgraphs
    narrowed = [i for i, each in enumerate(graph.tensors) if only is None or tuple(each.shape) == only]
    equalize(model, graph, narrowed)
    return packed(model)


def dense(x: keras.KerasTensor, activation: str | None = "relu") -> keras.KerasTensor:
    hidden = keras.layers.Dense(16, activation=activation, name="skewed")(x)
    return keras.layers.Dense(16, name="evening")(hidden)


def images(x: keras.KerasTensor) -> keras.KerasTensor:
    """A convolution, a depthwise one, a 1x1 one, pooling, Dense."""
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="skewed")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", use_bias=False)(x)
    x = keras.layers.Conv2D(16, 1, name="evening")(x)
    return keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))


def kernels(content: bytes) -> list[np.ndarray]:
    """The float32 constants of two axes and more, in the graph's order, by the interpreter."""
    model = opened(content)
    (graph,) = model.subgraphs
    tensors = (graph.tensors[int(operator.inputs[1])] for operator in graph.operators if len(operator.inputs) > 1)
    datas = ((tensor, model.buffers[tensor.buffer].data) for tensor in tensors if len(tensor.shape) > 1)
    return [
        np.asarray(data, np.uint8).view(np.float32).reshape(tensor.shape)
        for tensor, data in datas
        if tensor.type == 0 and data is not None
    ]


@pytest.mark.parametrize(("shape", "body", "rows"), [((6,), dense, ROWS), ((6, 6, 2), images, IMAGES)])
def test_float_answers_stay_and_integers_lose_less(shape, body, rows, monkeypatch):
    content = converted(shape, body)
    expected = TfliteModel(content).predict(rows)

    def loss(changed: bytes) -> float:
        return np.abs(TfliteModel(changed).predict(rows) - expected).max() / np.abs(expected).max()

    assert loss(equal(content)) < 1e-5
    equalized = loss(integer_weights(content))
    monkeypatch.setattr("farebox.components.tflite.integer_weights.equalize", lambda *_: None)
    assert equalized < 0.02 < loss(integer_weights(content))


def test_ranges_by_hand():
    """Both kernels of two layers get the geometric mean of what they had; a bias counts as a weight of its unit."""
    content = converted((6,), dense)
    before, after = kernels(content), kernels(equal(content))
    written = np.maximum(np.abs(before[0]).max(axis=1), np.abs(BIAS * SIZES))
    scales = np.sqrt(np.abs(before[1]).max(axis=0) / written)
    np.testing.assert_allclose(after[0], before[0] * scales[:, None], rtol=1e-5)
    np.testing.assert_allclose(after[1], before[1] / scales, rtol=1e-5)


@pytest.mark.parametrize("narrowed", [0, 1])
def test_beside_weights_that_stay_float_all_units_get_the_largest_range(narrowed):
    content = converted((6,), lambda x: keras.layers.Dense(16)(keras.layers.Dense(16, "relu")(x)))
    before = kernels(content)
    after = kernels(equal(content, before[narrowed].shape))
    ranges = np.abs(after[narrowed]).max(axis=1 - narrowed)
    np.testing.assert_allclose(ranges, np.abs(before[narrowed]).max(), rtol=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: dense(x, "tanh"),
        lambda x: dense(x, "relu6"),
        lambda x: keras.layers.Add()([hidden := keras.layers.Dense(16, "relu")(x), keras.layers.Dense(16)(hidden)]),
    ],
    ids=["tanh", "relu6", "read twice"],
)
def test_other_units_keep_their_weights(body):
    content = converted((6,), body)
    for before, after in zip(kernels(content), kernels(equal(content)), strict=True):
        np.testing.assert_array_equal(after, before)
