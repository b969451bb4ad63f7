"""`compress` on networks of other kinds: they work, or are refused in one true line."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.tflite.interpreter import TfliteModel

RANDOM = np.random.default_rng(4)


def compressed(network, x, y, **changes):
    from farebox.components import compress

    parts = {"train": slice(0, 100), "evaluation": slice(100, 150), "test": slice(150, 200)}
    rows = {
        name: ({key: values[part] for key, values in x.items()} if isinstance(x, dict) else x[part], y[part])
        for name, part in parts.items()
    }
    return compress(network, **rows, portable=True, **changes)


def dense(keras, *inputs, units=4, **last):
    x = keras.layers.Concatenate()(list(inputs)) if len(inputs) > 1 else inputs[0]
    return keras.layers.Dense(1, **last)(keras.layers.Dense(units, activation="relu")(x))


@pytest.mark.slow
def test_inputs_of_other_types_are_taken_as_numbers(quick_keras):
    import tensorflow as tf
    import tf_keras as keras

    image, flag = keras.Input((2, 2), dtype="uint8", name="image"), keras.Input((1,), dtype="bool", name="flag")
    x = keras.Input((2,), dtype="float64", name="x")
    numbers = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    share = keras.layers.Dense(2, dtype="float64")(x)
    network = keras.Model([image, flag, x], dense(keras, numbers, tf.cast(flag, tf.float32), share))
    columns = {
        "image": RANDOM.integers(0, 256, (200, 2, 2)), "flag": RANDOM.random((200, 1)) < 0.5,
        "x": RANDOM.normal(size=(200, 2)),
    }  # fmt: skip
    y = network.predict(columns, verbose=0)[:, 0] + RANDOM.normal(size=200) * 0.1
    result = compressed(network, columns, y)
    assert result.test.shipped.value < 0.2
    assert result.notes == (
        "the file takes image as int32, not as uint8", "the file takes flag as int32, not as bool",
        "the file takes x as float32, not as float64",
    )  # fmt: skip
    with pytest.raises(InputError, match="train: image must be uint8 whole numbers, got 256"):
        compressed(network, columns | {"image": np.full((200, 2, 2), 256)}, y)


@pytest.mark.slow
def test_inputs_and_an_output_of_a_dict_have_both_names(quick_keras):
    import tf_keras as keras

    left, right = keras.Input((2,), name="left_in"), keras.Input((3,), name="right_in")
    network = keras.Model({"zeta": left, "alpha": right}, {"price": dense(keras, right, left)})
    network.compile(loss={"price": "mse"})
    zeta, alpha = RANDOM.normal(size=(200, 2)), RANDOM.normal(size=(200, 3))
    y = network.predict({"zeta": zeta, "alpha": alpha}, verbose=0)["price"][:, 0] + RANDOM.normal(size=200)
    for names in (("zeta", "alpha"), ("left_in", "right_in")):
        result = compressed(network, dict(zip(names, (zeta, alpha), strict=True)), y)
        assert result.objective == "regression: its loss is mse" and result.test.shipped.value < 1.5
        assert set(TfliteModel(result.content).input_names) == {"left_in", "right_in"}


def test_a_step_that_fails_is_skipped(quick_keras):
    """Squares of such weights are beyond float32: pruning cannot rank them."""
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    network = keras.Model(x, keras.layers.Dense(1, name="b")(keras.layers.Dense(8, name="a")(x)))
    for name, factor in (("a", 1e30), ("b", 1e-30)):
        network.get_layer(name).set_weights([values * factor for values in network.get_layer(name).get_weights()])
    columns = {"x": RANDOM.normal(size=(200, 3))}
    y = network.predict(columns, verbose=0)[:, 0] + RANDOM.normal(size=200)
    result = compressed(network, columns, y)
    assert result.pruner.startswith("skipped: Runtime")  # an overflow, or no zeros


def hashed(keras, _tf, x):
    return keras.layers.Flatten()(keras.layers.Embedding(9, 4)(keras.layers.Hashing(9)(_tf.cast(x, _tf.int32))))


def centred(_keras, tf, x):
    return x - tf.reduce_mean(x, 0, keepdims=True)


@pytest.mark.parametrize(("layer", "text"), [
    (hashed, "network has no float32 .tflite of built-in operators that runs: RuntimeError: TFLite has no operator for"
     " tf.AsString, tf.StringToHashBucketFast$"),
    (centred, "network must answer each row alone: beside other rows, its answers differ by up to "),
])  # fmt: skip
def test_networks_that_no_file_answers_for_are_refused(quick_keras, layer, text):
    import tensorflow as tf
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    network = keras.Model(x, dense(keras, layer(keras, tf, x)))
    with pytest.raises(InputError, match=text):
        compressed(network, RANDOM.normal(size=(200, 3)), RANDOM.normal(size=200))


def test_a_network_that_answers_no_numbers_is_refused(quick_keras):
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    network = keras.Model(
        x, dense(keras, x, activation="sigmoid", bias_initializer=keras.initializers.Constant(np.nan))
    )
    y = RANDOM.integers(0, 2, 200)
    with pytest.raises(InputError, match="^network must answer finite numbers, got nan on the rows$"):
        compressed(network, RANDOM.normal(size=(200, 3)), y, metric="accuracy")


def raising(_predictions, _labels):
    raise KeyError("oops")


def by_row(predictions, labels):
    return np.abs(predictions - labels)


def higher_is_better(predictions, labels):
    return -float(np.abs(predictions[:, 0] - labels).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("score", "text"), [
    (raising, "^objective: raising must return a number, got KeyError: 'oops'$"),
    (by_row, "^objective: by_row must return a number, got TypeError: "),
    (higher_is_better, "^budget=1% must be a number in the unit of higher_is_better, whose error is -.*; is it lower"),
])  # fmt: skip
def test_a_custom_error_that_is_none_is_refused(quick_keras, score, text):
    import tf_keras as keras

    x = keras.Input((3,), name="x")
    network, rows = keras.Model(x, dense(keras, x)), RANDOM.normal(size=(200, 3))
    with pytest.raises(InputError, match=text):
        compressed(network, rows, rows.sum(axis=1), objective=score)
