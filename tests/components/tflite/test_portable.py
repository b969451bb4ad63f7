"""Files for every runtime: rewritten ones compute the same, and keep what must stay."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.portable import portable

ROWS = {"place": np.linspace(-3, 3, 50, dtype=np.float32), "hour": np.arange(50) % 30 - 3}


def converted(function, **signature: tf.TensorSpec) -> bytes:
    module = tf.Module()
    module.function = tf.function(function, input_signature=list(signature.values()))
    concrete = module.function.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()


def column(name: str, dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec((None, 1), dtype, name)


@pytest.fixture(scope="module")
def wide() -> bytes:
    """A file with int64 arithmetic, a look-up by int64 and casts from it."""

    def fare(hour, place):
        held = tf.minimum(tf.maximum(hour * 2 + 1, 0), 40)
        table = tf.constant(np.arange(41, dtype=np.float32) ** 2)
        return {"fare": tf.gather(table, held) + tf.cast(hour, tf.float32) + place}

    return converted(fare, hour=column("hour", tf.int64), place=column("place", tf.float32))


def opened(content: bytes):
    return schema().ModelT.InitFromObj(schema().Model.GetRootAs(content, 0))


def test_it_computes_the_same_in_any_batch(wide):
    narrow = TfliteModel(portable(wide, ["place", "hour"]))
    expected = TfliteModel(wide).predict(ROWS)
    np.testing.assert_array_equal(narrow.predict(ROWS), expected)
    alone = [narrow.predict({name: values[[i]] for name, values in ROWS.items()}).item() for i in range(50)]
    np.testing.assert_array_equal(alone, expected)


def test_no_tensor_is_int64_and_no_batch_unknown(wide):
    (graph,) = opened(portable(wide, ["place", "hour"])).subgraphs
    types = schema().TensorType
    assert types.INT64 in {tensor.type for tensor in opened(wide).subgraphs[0].tensors}
    assert types.INT64 not in {tensor.type for tensor in graph.tensors}
    assert all(tensor.shapeSignature is None for tensor in graph.tensors)
    assert [graph.tensors[i].shape.tolist() for i in graph.inputs] == [[1, 1], [1, 1]]


@pytest.mark.parametrize("names", [["place", "hour"], ["hour", "place"]])
def test_the_inputs_are_in_the_given_order(wide, names):
    assert list(TfliteModel(portable(wide, names)).input_names) == names


def test_other_input_names_are_refused(wide):
    with pytest.raises(ValueError, match=r"input_names=\['hour'\] must be the file's inputs, got \['hour', 'place'\]"):
        portable(wide, ["hour"])


def test_a_constant_beyond_int32_is_refused():
    content = converted(lambda hour: {"fare": hour + 2**40}, hour=column("hour", tf.int64))
    with pytest.raises(ValueError, match=f"constant={2**40} must be within"):
        portable(content, ["hour"])


def test_the_length_of_a_sequence_stays_unknown():
    spec = tf.TensorSpec((None, None, 2), tf.float32, "sequence")
    content = portable(converted(lambda sequence: {"sum": tf.reduce_sum(sequence, 1)}, sequence=spec), ["sequence"])
    (graph,) = opened(content).subgraphs
    assert graph.tensors[graph.inputs[0]].shapeSignature.tolist() == [-1, -1, 2]


def test_a_number_beyond_int32_is_the_largest_one(wide):
    narrow = TfliteModel(portable(wide, ["place", "hour"]))
    at = {"place": np.zeros(2, np.float32), "hour": np.array([2**40, 2**31 - 1])}
    assert narrow.predict(at)[0] == narrow.predict(at)[1]
