"""Integers in a float network's file: scales by channel, and half a byte for a number."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.device_validator.runtimes.trials import try_runtimes
from farebox.components.tflite.flatbuffer import opened
from farebox.components.tflite.integer_weights import integer_weights
from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.weight_grids import grid_of, packed_int4

SIZES = np.logspace(-2, 0, 32)  # of the units' weights


def kernel(rows: int = 32, columns: int = 32) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (rows, columns)).astype(np.float32)


def test_a_scale_for_each_channel_by_hand():
    """Row i holds numbers up to SIZES[i]: its scale is its largest over 127, and nothing is off by more than half."""
    values = kernel() * SIZES[:, None].astype(np.float32)
    grid = grid_of(values, 8, with_channels=True)
    assert grid.axis == 0
    np.testing.assert_allclose(grid.scales, np.abs(values).max(axis=1) / 127, rtol=1e-6)
    assert (np.abs(grid.real(values) - values) <= 0.501 * grid.scales[:, None]).all()


def test_channels_that_do_not_pay_share_a_scale():
    """Numbers of one size; 4 channels of 2 numbers, where scales take more bytes than the numbers; and no wish."""
    skewed = kernel(4, 2) * np.array([[1], [0.1], [0.01], [0.001]], np.float32)
    for values, with_channels in ((kernel(), True), (skewed, True), (kernel() * SIZES.astype(np.float32), False)):
        assert grid_of(values, 8, with_channels=with_channels).axis is None


def test_the_axis_is_the_one_whose_channels_differ():
    assert grid_of(kernel() * SIZES.astype(np.float32), 8, with_channels=True).axis == 1


def test_cheap_scales_are_taken_whatever_the_sizes():
    """12 inputs of 64 units: 144 B of 768 B. The first input may be large, which its weights do not tell."""
    grid = grid_of(kernel(64, 12), 8, with_channels=True)
    assert (grid.axis, len(grid.scales)) == (1, 12)


def test_few_levels_leave_out_large_numbers():
    """One number of 10 among 1,023 up to 1: a step of 10/7 would make all of the others 0."""
    values = kernel()
    values[3, 4] = 10
    grid = grid_of(values, 4, with_channels=False)
    naive = np.rint(values * 7 / 10) * 10 / 7
    assert ((grid.real(values) - values) ** 2).sum() < ((naive - values) ** 2).sum()
    assert np.abs(grid.integers(values)).max() <= 7


def test_two_numbers_to_a_byte_the_first_in_the_lower_half():
    packed = packed_int4(np.array([[1, -1], [7, -7]], np.int8))
    assert packed.tolist() == [0xF1, 0x97]
    assert packed_int4(np.array([5, -8, 2], np.int8)).tolist() == [0x85, 0x02]


KERNELS = kernel(8) * SIZES.astype(np.float32), kernel() / SIZES[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def skewed_network():
    """A float32 file whose units have weights of all sizes, rows for it, and NumPy's answers for given kernels.

    Behind tanh no unit can be scaled, so each keeps its range.
    """
    import tf_keras as keras

    from farebox.components.quantizer.conversion import Source

    keras.utils.set_random_seed(3)
    x = keras.Input((8,), name="x")
    first, last = keras.layers.Dense(32, activation="tanh"), keras.layers.Dense(32)
    network = keras.Model(x, last(first(x)))
    first.set_weights([KERNELS[0], np.zeros(32, np.float32)])
    last.set_weights([KERNELS[1], np.zeros(32, np.float32)])
    rows = np.random.default_rng(2).normal(size=(20, 8)).astype(np.float32)

    def answers(*kernels: np.ndarray) -> np.ndarray:
        return np.tanh(rows @ kernels[0]) @ kernels[1]

    return Source(network, None, [], "y").file("float32"), rows, answers


@pytest.mark.parametrize(("bits", "kind"), [(8, "INT8"), (4, "INT4")])
def test_runtimes_read_the_numbers_of_the_grid(skewed_network, bits, kind):
    """The file gives what NumPy gives with each kernel on its grid, in XNNPACK and without."""
    content, rows, answers = skewed_network
    narrow = integer_weights(content, bits, with_channels=True)
    grids = [grid_of(each.T, bits, with_channels=True) for each in KERNELS]
    assert grids[1].axis == 1, "the last layer has a scale for each of its inputs"
    expected = answers(*(grid.real(each.T).T for grid, each in zip(grids, KERNELS, strict=True)))
    if bits == 4 and "tensorflow" in TfliteModel(content)._interpreter.__class__.__module__:
        pytest.skip("tf.lite of TF 2.16 has no int4 DEQUANTIZE")
    for delegates in (True, False):
        got = TfliteModel(narrow, delegates=delegates).predict({"x": rows})
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - answers(*KERNELS)).max() > 1e-4
    (graph,) = opened(narrow).subgraphs
    types = [tensor.type for tensor in graph.tensors]
    assert types.count(getattr(schema().TensorType, kind)) == 2


@pytest.mark.parametrize(("bits", "narrow"), [(8, 1), (7, 3)])
def test_smaller_constants_become_integers_where_only_gzip_counts(bits, narrow):
    """A kernel of 8 x 40; a bias and a last layer of 40, whose DEQUANTIZE saves bytes after gzip only."""
    import tensorflow as tf

    random = np.random.default_rng(3)
    first, bias, last = (tf.constant(random.normal(size=size), tf.float32) for size in ((8, 40), (40,), (40, 1)))
    answer = tf.function(lambda x: tf.tanh(x @ first + bias) @ last, [tf.TensorSpec((1, 8), name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()])
    (graph,) = opened(integer_weights(bytes(converter.convert()), bits)).subgraphs
    assert [tensor.type for tensor in graph.tensors].count(schema().TensorType.INT8) == narrow


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4])
def test_which_runtimes_take_scales_by_channel_and_int4(skewed_network, bits):
    """Why these rungs are not portable: tflite-micro reads the first scale for all channels, and has no int4."""
    content, rows, _ = skewed_network
    model = TfliteModel(integer_weights(content, bits, with_channels=True))
    first = {"x": rows}
    trials = {each.runtime: each for each in try_runtimes(model, first, model.predict(first)[:, 0], 1e-4)}
    for name in ("interpreter", "interpreter_without_xnnpack", "compiled_model"):
        assert trials[name].result in ("runs", "not tried"), trials[name]
    assert trials["tflite_micro"].result in ("refused", "not tried"), trials["tflite_micro"]
