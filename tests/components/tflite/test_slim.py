"""A file in fewer bytes: the same fares, nothing left that no interpreter reads, nothing written twice."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from farebox.components.tflite import interpreter as tflite
from farebox.components.tflite.flatbuffer import packed
from farebox.components.tflite.sharing import ALIGNMENT
from farebox.components.tflite.slim import slim


def opened(content: bytes):
    """The file as objects."""
    read = tflite.schema()
    return read.ModelT.InitFromObj(read.Model.GetRootAs(content, 0))


@functools.lru_cache
def dense_tflite(is_float16: bool, units: int = 64) -> bytes:
    """tanh(x W + b) V as the converter writes it: W of 8 x units, b of units and V of units x 1."""
    import tensorflow as tf

    random = np.random.default_rng(3)
    kernel, bias, last = (random.normal(size=size).astype(np.float32) for size in ((8, units), (units,), (units, 1)))

    @tf.function(input_signature=[{"x": tf.TensorSpec((None, 8), tf.float32, "x")}])
    def serve(columns):
        return {"y": tf.tanh(columns["x"] @ kernel + bias) @ last}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()])
    if is_float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def predict(content: bytes, x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=content)
    (wanted,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(wanted["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(wanted["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_the_fares_stay(fare_tflite, trip_rows):
    """On one row and on many, with the same inputs and operators; once slim, a file stays as it is."""
    thin = slim(fare_tflite)
    before, after = tflite.TfliteModel(fare_tflite), tflite.TfliteModel(thin)
    assert len(thin) < 0.8 * len(fare_tflite)
    assert (after.input_names, after.op_names()) == (before.input_names, before.op_names())
    for rows in (1, 3):
        some = {name: values[:rows] for name, values in trip_rows.items()}
        np.testing.assert_array_equal(after.predict(some), before.predict(some))
    assert slim(thin) == thin


def test_names_are_those_of_the_signature(fare_tflite):
    """Seven inputs and an output; inner tensors have none."""
    model = opened(slim(fare_tflite))
    (signature,), (graph,) = model.signatureDefs, model.subgraphs
    named = {index: tensor.name for index, tensor in enumerate(graph.tensors) if tensor.name}
    assert named == {each.tensorIndex: each.name for each in (*signature.inputs, *signature.outputs)}
    assert len(named) == 8 and b"pickup_hour" in named.values()


def test_notes_of_the_converter_go():
    """Among them the permission to compute in float16."""
    assert b"reduced_precision_support" in {note.name for note in opened(dense_tflite(is_float16=True)).metadata}
    thin = opened(slim(dense_tflite(is_float16=True)))
    assert not thin.metadata and not thin.description


@pytest.mark.parametrize(("units", "kept"), [(64, 3), (32, 1)])
def test_small_float16_constants_become_the_float32_they_stand_for(units, kept):
    """W, b and V have 1024, 128 and 128 bytes with 64 units; b and V have 64 with 32, less than their operators."""

    def dequantized(model) -> int:
        codes = [model.operatorCodes[each.opcodeIndex].deprecatedBuiltinCode for each in model.subgraphs[0].operators]
        return codes.count(tflite.schema().BuiltinOperator.DEQUANTIZE)

    content = dense_tflite(is_float16=True, units=units)
    assert (dequantized(opened(content)), dequantized(opened(slim(content)))) == (3, kept)


@pytest.mark.parametrize("is_float16", [False, True])
def test_a_network_computes_the_same(is_float16):
    x = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    content = dense_tflite(is_float16)
    np.testing.assert_allclose(predict(slim(content), x), predict(content, x), rtol=1e-5, atol=1e-5)


def test_constants_are_aligned_and_written_once():
    """The schema asks for 16 bytes; NumPy reads the vectors where they lie in the file."""
    content = slim(dense_tflite(is_float16=False))
    read = tflite.schema().Model.GetRootAs(content, 0)
    buffers = [read.Buffers(i).DataAsNumpy() for i in range(read.BuffersLength())]
    arrays = [values for values in buffers if isinstance(values, np.ndarray)]
    start = np.frombuffer(content, np.uint8).ctypes.data
    assert len({values.tobytes() for values in arrays}) == len(arrays) >= 3
    assert all((values.ctypes.data - start) % ALIGNMENT == 0 for values in arrays)


@pytest.mark.slow
def test_a_network_with_memory_keeps_it():
    """An LSTM has operands in a field of their own, and state that is no constant."""
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    x = keras.Input((5, 3), batch_size=1, name="x")
    network = keras.Model(x, keras.layers.Dense(1)(keras.layers.LSTM(4)(x)))
    rows = np.random.default_rng(0).normal(size=(1, 5, 3)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rows] for _ in range(4))
    content = converter.convert()
    graph = opened(content).subgraphs[0]
    assert any(operator.intermediates is not None and len(operator.intermediates) for operator in graph.operators)
    np.testing.assert_array_equal(predict(slim(content), rows), predict(content, rows))


def test_a_file_of_another_writer_keeps_its_operators():
    """Codes in the newer field only, the older one 0 (ADD), as a writer of the newest schema has them: valid, and the
    same file as TensorFlow's."""
    content, x = dense_tflite(is_float16=False), np.random.default_rng(4).normal(size=(5, 8)).astype(np.float32)
    model = opened(content)
    for code in model.operatorCodes:
        assert code.builtinCode > 0
        code.deprecatedBuiltinCode = 0
    other = packed(model)
    np.testing.assert_array_equal(predict(other, x), predict(content, x))
    assert slim(other) == slim(content)
    np.testing.assert_array_equal(predict(slim(other), x), predict(content, x))


def test_names_stay_if_they_are_asked_for():
    content = dense_tflite(is_float16=False)
    names = [tensor.name for tensor in opened(content).subgraphs[0].tensors]
    kept = [tensor.name for tensor in opened(slim(content, keeps_names=True)).subgraphs[0].tensors]
    assert len(kept) == len(names) and all(kept) and set(kept[1:-1]) <= set(names)
