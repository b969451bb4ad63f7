"""Saliency against what it stands for: a linear layer's loss, a softmax's second differences, whole Jacobians."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.pruner import layers
from farebox.components.pruner.saliency import _read, curvature, saliency


def batches(**columns):
    import tensorflow as tf

    labels = np.zeros((len(next(iter(columns.values()))), 1), np.float32)
    return tf.data.Dataset.from_tensor_slices((columns, labels)).batch(5)


def dense(units: int, activation: str | None = None, inputs: int = 3):
    import tf_keras as keras

    keras.utils.set_random_seed(5)
    x = keras.Input((inputs,), name="x")
    return keras.Model(x, keras.layers.Dense(units, activation=activation, name="last")(x))


X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def test_of_a_linear_layer_it_is_the_rise_of_the_squared_error():
    """Without a weight, predictions move by w x, and their mean square is w² mean(x²)."""
    network = dense(1)
    scores = saliency(network, ["last"], batches(x=X))["last"]
    kernel = network.get_layer("last").get_weights()[0]
    np.testing.assert_allclose(scores[:, 0], kernel[:, 0] ** 2 * np.mean(X.astype(np.float64) ** 2, axis=0), rtol=1e-5)


@pytest.mark.parametrize(("units", "activation"), [(3, "softmax"), (1, "sigmoid")])
def test_of_a_classifier_it_is_the_second_difference_of_the_log_loss(units, activation):
    """Where log loss is convex in the weights, Gauss-Newton's matrix is the Hessian, whatever the labels."""
    network = dense(units, activation)
    kernel, bias = (weights.astype(np.float64) for weights in network.get_layer("last").get_weights())

    def loss(kernel: np.ndarray) -> float:
        scores = X @ kernel + bias
        scores = scores if units > 1 else np.concatenate([np.zeros_like(scores), scores], axis=1)
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[:, 0])  # every row of class 0

    def second(at: tuple[int, int], step: float = 1e-3) -> float:
        nudge = np.zeros_like(kernel)
        nudge[at] = step
        return (loss(kernel + nudge) - 2 * loss(kernel) + loss(kernel - nudge)) / step**2

    expected = np.array([[second((i, j)) for j in range(units)] for i in range(3)])
    np.testing.assert_allclose(curvature(network, ["last"], batches(x=X))["last"], expected, rtol=1e-3)


def test_hidden_layers_and_tables_by_jacobian():
    """The same sum from a row's whole Jacobian, which is what the shortcut avoids; no row has an id twice."""
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(2)
    pair, x = keras.Input((2,), dtype="int64", name="pair"), keras.Input((3,), name="x")
    vector = keras.layers.Flatten()(keras.layers.Embedding(5, 2, name="table")(pair))
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(keras.layers.Concatenate()([vector, x]))
    network = keras.Model([pair, x], keras.layers.Dense(2, name="last")(hidden))
    ids = np.array([[i % 5, (i + 1 + i % 4) % 5] for i in range(12)], np.int64)
    assert (ids[:, 0] != ids[:, 1]).all()

    curvatures = curvature(network, ["table", "hidden"], batches(pair=ids, x=X))
    for name in ("table", "hidden"):
        weight, total = network.get_layer(name).weights[0], 0.0
        for row in range(12):
            with tf.GradientTape(persistent=True) as tape:
                parts = tf.unstack(network({"pair": ids[row : row + 1], "x": X[row : row + 1]})[0])
            slopes = [tf.convert_to_tensor(tape.gradient(part, weight)).numpy() for part in parts]
            total = total + sum(slope**2 for slope in slopes)  # 2 (df/dw)², averaged over two outputs
        np.testing.assert_allclose(curvatures[name], total / 12, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Conv2D", {"strides": 2, "padding": "same"}),
        ("Conv2D", {"dilation_rate": 2}),
        ("SeparableConv2D", {"padding": "same", "depth_multiplier": 2}),
        ("Conv1D", {"padding": "causal", "dilation_rate": 2}),
        ("Conv1D", {"strides": 2}),
        ("SeparableConv1D", {"strides": 2, "padding": "causal"}),
    ],
    ids=str,
)
def test_a_kernel_is_a_matrix_that_multiplies_what_its_units_read(quick_keras, kind, options):
    """Rows of the matrix in the order of what is read: together they are the layer."""
    import tf_keras as keras

    x = np.random.default_rng(1).normal(size=(2, *[9] * int(kind[-2]), 3)).astype(np.float32)
    inputs = keras.Input(x.shape[1:], name="x")
    network = keras.Model(inputs, getattr(keras.layers, kind)(5, 3, name="conv", **options)(inputs))
    read, answers = _read(network.get_layer("conv"), x).numpy(), network(x).numpy()
    expected = read.reshape(-1, read.shape[-1]) @ layers.matrix(network, "conv")
    np.testing.assert_allclose(expected, answers.reshape(-1, 5), atol=1e-5)


def test_of_a_convolution_that_sees_all_at_once_it_is_that_of_a_dense_layer(quick_keras):
    import tf_keras as keras

    image = keras.Input((2, 2, 3), name="x")
    x = np.random.default_rng(1).normal(size=(12, 2, 2, 3)).astype(np.float32)
    conv = keras.Model(image, keras.layers.Flatten()(keras.layers.Conv2D(4, 2, activation="tanh", name="c")(image)))
    flat = keras.Model(image, keras.layers.Dense(4, activation="tanh", name="c")(keras.layers.Flatten()(image)))
    flat.set_weights([layers.matrix(conv, "c"), conv.get_layer("c").get_weights()[1]])
    found, expected = (saliency(network, ["c"], batches(x=x))["c"] for network in (conv, flat))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
