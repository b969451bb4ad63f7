"""Normalizations that go into the layers before them, and separable convolutions in two."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.networks.convolutions import with_images
from farebox.components.networks.plain import plain_network


@pytest.fixture(scope="module")
def network(quick_keras):
    """Every kind of layer that takes a normalization; `late` comes behind an activation, `shared` has two readers."""
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    kinds, norm = keras.layers, keras.layers.BatchNormalization
    image, series = keras.Input((8, 8, 3), name="image"), keras.Input((9, 2), name="series")
    x = kinds.ReLU()(norm()(kinds.Conv2D(6, 3, use_bias=False, name="conv")(image)))
    x = norm(name="late")(kinds.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="active")(x))
    x = kinds.ReLU()(norm(scale=False)(kinds.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(x)))
    x = kinds.Activation("relu")(norm(center=False)(kinds.SeparableConv2D(5, 2, padding="same", name="apart")(x)))
    y = norm()(
        kinds.SeparableConv1D(4, 3, name="along")(
            norm()(kinds.Conv1D(4, 3, padding="causal", name="series_conv")(series))
        )
    )
    shared = kinds.Dense(4, name="shared")(kinds.GlobalAveragePooling1D()(y))
    joined = kinds.Concatenate()([kinds.Flatten()(x), norm(name="second")(shared) + shared])
    made = keras.Model([image, series], norm(name="y")(kinds.Dense(2)(norm()(kinds.Dense(7, name="wide")(joined)))))
    random = np.random.default_rng(0)
    made.set_weights([random.uniform(0.2, 1.0, each.shape) for each in made.get_weights()])
    return made


def test_normalizations_become_part_of_kernels_and_biases(network):
    """The one of the output stays as well: the output keeps its name."""
    import tf_keras as keras

    random = np.random.default_rng(2)
    rows = {"image": random.normal(size=(5, 8, 8, 3)), "series": random.normal(size=(5, 9, 2))}
    plain = plain_network(network)
    np.testing.assert_allclose(plain(rows), network(rows), rtol=1e-4)
    norms = [layer.name for layer in plain.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert set(norms) == {"late", "second", "y"}
    assert plain.input_names == network.input_names and plain.output_names == network.output_names
    assert type(plain.get_layer("apart")) is keras.layers.Conv2D and plain.get_layer("apart").kernel_size == (1, 1)
    assert type(plain.get_layer("apart_depthwise")) is keras.layers.DepthwiseConv2D


def test_a_sequential_network_too(quick_keras):
    import tf_keras as keras

    layers = [
        keras.layers.Dense(4, use_bias=False, input_shape=(3,)),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
    network, x = keras.Sequential(layers), np.eye(3, dtype=np.float32)
    network.set_weights([np.random.default_rng(0).uniform(0.2, 1.0, each.shape) for each in network.get_weights()])
    plain = plain_network(network)
    assert [type(layer).__name__ for layer in plain.layers] == ["InputLayer", "Dense", "Dense"]
    np.testing.assert_allclose(plain(x), network(x), rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"padding": "causal", "dilation_rate": 2}, {"strides": 2, "padding": "same"}], ids=str
)
def test_lines_become_images_of_one_line(quick_keras, options):
    import tf_keras as keras

    line = keras.Input((9, 2), name="line")
    conv = keras.layers.Conv1D(4, 3, activation="relu", name="conv", **options)(line)
    network = keras.Model(line, keras.layers.Dense(1)(keras.layers.Flatten()(conv)))
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype(np.float32)
    images = with_images(network)
    assert type(images.get_layer("conv")) is keras.layers.Conv2D
    np.testing.assert_allclose(images(x), network(x), rtol=1e-5)
