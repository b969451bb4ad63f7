"""Layers that do not convert, and those that take their place: the same outputs, in built-in operators."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.networks.plain import PlainCategories, plain_network
from farebox.components.quantizer.conversion import Source
from farebox.components.tflite.interpreter import TfliteModel

NUMBERS = np.array([[7], [-3], [40], [999], [7]])


def network(layer, dtype: str, width: int = 1):
    import tf_keras as keras

    x = keras.Input((width,), dtype=dtype, name="x")
    return keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Flatten()(layer(x))))


def layers():
    import tf_keras as keras

    kinds = keras.layers
    words = [-3, 7, 40]
    yield kinds.IntegerLookup(vocabulary=words, output_mode="one_hot"), NUMBERS
    yield (
        kinds.IntegerLookup(vocabulary=words, num_oov_indices=0, output_mode="multi_hot"),
        np.array([[7, 40], [-3, 7]]),
    )
    yield kinds.IntegerLookup(vocabulary=words), NUMBERS
    yield kinds.CategoryEncoding(5, "one_hot"), np.array([[0], [4], [2]])
    yield kinds.CategoryEncoding(5, "multi_hot"), np.array([[0, 1], [4, 4]])
    yield kinds.Discretization([-1.0, 0.5, 2.0], output_mode="one_hot"), np.array([[-1.0], [-9], [0.49], [0.5], [3]])
    yield kinds.Discretization([-1.0, 0.5]), np.array([[-1.0], [0.7], [-2]])


@pytest.mark.parametrize("case", range(7))
def test_categories_are_keras_own_and_convert(case):
    layer, rows = list(layers())[case]
    import tf_keras as keras

    dtype, width = "float32" if rows.dtype.kind == "f" else "int64", rows.shape[1]
    x = keras.Input((width,), dtype=dtype, name="x")
    source = keras.Model(x, layer(x))
    plain = plain_network(source)
    np.testing.assert_array_equal(plain(rows).numpy(), source(rows).numpy())
    assert isinstance(plain.layers[-1], PlainCategories)
    again = PlainCategories.from_config(plain.layers[-1].get_config())
    np.testing.assert_array_equal(again(rows).numpy(), source(rows).numpy())
    if case in (0, 3, 5):
        whole = keras.Model(x, keras.layers.Dense(1)(keras.layers.Rescaling(2.0)(plain.layers[-1](x))))
        file = TfliteModel(Source(whole, None, [], "y").file("float32"))
        np.testing.assert_allclose(file.predict({"x": rows}), whole(rows).numpy()[:, 0], rtol=1e-5)


def test_mixed_precision_becomes_float32(monkeypatch):
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    hidden = keras.layers.Dense(8, activation="relu", dtype="mixed_float16")(x)
    source = keras.Model(x, keras.layers.Dense(1, dtype="float32")(hidden))
    plain, rows = plain_network(source), np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    np.testing.assert_allclose(plain(rows).numpy(), source(rows).numpy(), atol=0.02)


def test_a_network_that_converts_stays_as_it_is():
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    network = keras.Model(x, keras.layers.Dense(1)(x))
    assert plain_network(network) is network
