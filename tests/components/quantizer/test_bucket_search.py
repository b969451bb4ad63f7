"""Searches of sorted numbers as comparisons."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from farebox.components.quantizer.conversion import Exported
from farebox.components.quantizer.native import converted
from farebox.components.quantizer.rungs import FLOAT32
from farebox.components.tflite.interpreter import TfliteModel

BOUNDARIES = [-1.0, 0.0, 0.0, 2.5]


def test_buckets_of_both_sides_are_those_of_numpy():
    """Values on boundaries, between them and beyond, and one boundary twice."""

    @tf.function
    def inner(x):
        sides = [tf.searchsorted(BOUNDARIES, tf.reshape(x, [-1]), side, tf.int64) for side in ("left", "right")]
        return tf.cast(tf.stack(sides, axis=1), tf.float32)

    exported = Exported(
        lambda columns: {"buckets": inner(columns["columns"])}, {"columns": tf.TensorSpec((None, 1))}, ()
    )
    values = np.array([-3, -1, -0.5, 0, 1, 2.5, 9], np.float32)
    answers = TfliteModel(converted(exported.folder, FLOAT32, ())).predict({"columns": values[:, None]})
    expected = [np.searchsorted(BOUNDARIES, values, side) for side in ("left", "right")]
    np.testing.assert_array_equal(answers, np.stack(expected, axis=1))
