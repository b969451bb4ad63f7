"""Every rung of Quantizer's ladder as source: int8, float16, sparse and dynamic files against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.tflite.codegen.export import source_code

pytestmark = pytest.mark.slow  # converts a network eight times, 20 s
CONVERTED = [name for name, rung in RUNGS.items() if not rung.is_trained and name not in ("int16x8", "int4_weights")]
CASES = [
    (name, is_sparse)
    for name in CONVERTED
    for is_sparse in (False, True)
    if not is_sparse or (RUNGS[name].has_float_kernels and name != "dynamic")  # XNNPACK refuses sparse dynamic files
]


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    return {
        "x": random.normal(size=(200, 40)).astype(np.float32),
        "id": random.integers(0, 100, (200, 1)).astype(np.int32),
    }


@pytest.fixture(scope="module")
def source(quick_keras, rows):
    """A network of an embedding and four Dense layers, relu and tanh, whose kernels are four fifths zeros."""
    import tf_keras as keras

    from farebox.components.quantizer import conversion

    keras.utils.set_random_seed(3)
    x, place = keras.Input((40,), name="x"), keras.Input((1,), name="id", dtype="int32")
    inner = keras.layers.Concatenate()([x, keras.layers.Flatten()(keras.layers.Embedding(100, 6)(place))])
    for units, activation in ((32, "relu"), (32, "relu"), (8, "tanh")):
        inner = keras.layers.Dense(units, activation=activation)(inner)
    network = keras.Model([x, place], keras.layers.Dense(1, name="y")(inner))
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense) and layer.kernel.shape[0] == 32:
            kernel, bias = layer.get_weights()
            kernel[np.random.default_rng(1).random(kernel.shape) < 0.8] = 0
            layer.set_weights([kernel, bias])
    calibration = [{name: values[row : row + 1] for name, values in rows.items()} for row in range(100)]
    return conversion.Source(network, None, calibration, "y")


@pytest.mark.parametrize(("rung", "is_sparse"), CASES)
def test_a_rung_computes_as_the_interpreter(source, rows, compiled, in_python, tmp_path, rung, is_sparse):
    """As LiteRT runs it by default, with XNNPACK: integers bit for bit, floats to their last digits."""
    from farebox.components.tflite.interpreter import TfliteModel

    content = source.file(rung, is_sparse=is_sparse)
    wanted = TfliteModel(content).predict(rows)
    for run in (compiled({"rung": content}, tmp_path, "-O2", "-fsanitize=undefined"), in_python(content)):
        got = run("rung", rows)[:, 0]
        if rung in ("int8", "int8_io"):
            np.testing.assert_array_equal(got, wanted)
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("rung", "fault"),
    [
        ("int16x8", "operator=QUANTIZE must be from float32 to be exported, got int16"),
        ("int4_weights", "tensor 3 must be one of FLOAT32, .* to be exported, got INT4"),
    ],
)
def test_other_integers_are_refused_in_one_line(source, rung, fault):
    with pytest.raises(InputError, match=fault):
        source_code(source.file(rung), "c")


def test_dynamic_weights_with_rows_of_zeros_and_nan(convert, compiled, in_python, interpreted, tmp_path):
    """A row of zeros has no range; its scale is 1."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(64, 32)).astype(np.float32), random.normal(size=32).astype(np.float32)
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    content = convert(lambda x: tf.nn.relu(x @ kernel + bias), {"x": ((1, 64), "float32")}, **options)
    x = random.normal(size=(100, 64)).astype(np.float32)
    x[0], x[1], x[2] = 0, np.abs(x[1]), -np.abs(x[2])
    wanted = interpreted(content, {"x": x})
    for run in (compiled({"dynamic": content}, tmp_path, "-O2", "-fsanitize=undefined"), in_python(content)):
        np.testing.assert_allclose(run("dynamic", {"x": x}), wanted, atol=5e-6)
    assert np.abs(wanted - np.maximum(x @ kernel + bias, 0)).max() > 0.05, "the file must hold int8 weights"
