"""Fine rounding is left out of files; any other rounding stays."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.rounding import without_fine_rounding

ROWS = {"x": np.random.default_rng(3).uniform(-2, 2, (200, 4)).astype(np.float32)}


def file_of(function) -> bytes:
    module = tf.Module()
    module.function = tf.function(function, input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")])
    concrete = module.function.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()


def rounded(values: tf.Tensor, parts: float) -> tf.Tensor:
    return tf.round(values * parts) * (1 / parts)


@pytest.mark.parametrize("parts", [4096.0, 65536.0])
def test_steps_of_a_4096th_and_finer_ones_are_left_out(parts):
    before = file_of(lambda x: {"y": tf.reduce_sum(rounded(tf.sin(x), parts), axis=1, keepdims=True)})
    after = without_fine_rounding(before)
    names = TfliteModel(after).op_names()
    assert names == {"SIN": 1, "SUM": 1} and TfliteModel(before).op_names()["ROUND"] == 1
    np.testing.assert_allclose(TfliteModel(after).predict(ROWS), np.sin(ROWS["x"]).sum(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: {"y": tf.reduce_sum(rounded(x, 1024.0), axis=1, keepdims=True)},
        lambda x: {"y": tf.reduce_sum(tf.round(x * 4096.0) * 0.5, axis=1, keepdims=True)},
        lambda x: {"y": tf.reduce_sum(tf.round(x), axis=1, keepdims=True)},
        lambda x: {"y": rounded(x[:, :1], 4096.0)},
        lambda x: {"y": tf.reduce_sum(tf.round(x * [1.0, 4096.0, 4096.0, 4096.0]) * (1 / 4096), axis=1, keepdims=True)},
    ],
    ids=["coarser", "no step back", "whole numbers", "the output itself", "not one step"],
)
def test_other_rounding_stays(function):
    before = file_of(function)
    after = without_fine_rounding(before)
    assert TfliteModel(after).op_names()["ROUND"] == 1
    np.testing.assert_array_equal(TfliteModel(after).predict(ROWS), TfliteModel(before).predict(ROWS))


def test_a_rounded_number_that_others_read_unrounded_is_the_same_there():
    """The number before rounding has two readers: the rounding, and a sum of its own."""
    before = file_of(lambda x: {"y": tf.reduce_sum(rounded(tf.sin(x), 4096.0) + tf.sin(x), axis=1, keepdims=True)})
    after = TfliteModel(without_fine_rounding(before))
    np.testing.assert_allclose(after.predict(ROWS), 2 * np.sin(ROWS["x"]).sum(axis=1), atol=1e-5)
