"""A FlatBuffer without repeats: what is read is what was written, aligned, in fewer bytes."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest

from farebox.components.tflite.flatbuffer import code_of, opened
from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.sharing import ALIGNMENT, NATURAL, SharingBuilder
from farebox.components.tflite.slim import WITHOUT_OPTIONS, slim


def written(vectors: list[np.ndarray], builder: flatbuffers.Builder) -> tuple[bytes, list[int]]:
    """The bytes, and where each vector's length stands in them."""
    places = [builder.CreateNumpyVector(each) for each in vectors]
    builder.StartObject(0)
    builder.Finish(builder.EndObject())
    content = bytes(builder.Output())
    return content, [len(content) - place for place in places]


@pytest.mark.parametrize("seed", range(20))
def test_vectors_are_read_as_they_were_written(seed):
    """Constants of few values and any length, so that many are parts of others, and numbers of tensors."""
    random = np.random.default_rng(seed)
    constants = [random.integers(0, 2, random.integers(0, 40)).astype(np.uint8) for _ in range(20)]
    numbers = [random.integers(0, 3, random.integers(0, 5)).astype(np.int32) for _ in range(30)]
    wide = [random.integers(0, 2, 2), random.normal(size=3).astype(np.float32)]
    vectors = [*constants, *numbers, *wide]
    content, places = written(vectors, SharingBuilder())
    plain, _ = written(vectors, flatbuffers.Builder(1024))
    assert len(content) < len(plain)
    for vector, place in zip(vectors, places, strict=True):
        assert int.from_bytes(content[place : place + 4], "little") == len(vector) and place % 4 == 0
        np.testing.assert_array_equal(np.frombuffer(content, vector.dtype, len(vector), place + 4), vector)
        alignment = vector.itemsize
        if vector.dtype == np.uint8:
            alignment = ALIGNMENT if len(vector) > NATURAL else NATURAL
        assert (place + 4) % alignment == 0


def test_a_part_of_a_longer_vector_and_a_gap_take_no_bytes():
    """The number 7 alone stands behind a length of 1 in [5, 1, 7]; the text fits before the second constant."""
    long = np.array([5, 1, 7], np.int32)
    constants = [np.full(20, value, np.uint8) for value in (1, 2)]
    alone, _ = written([*constants, long], SharingBuilder())
    builder = SharingBuilder()
    for each in (*constants, long):
        builder.CreateNumpyVector(each)
    builder.CreateString("fare")
    with_more, places = written([np.array([7], np.int32)], builder)
    assert len(with_more) == len(alone)
    assert np.frombuffer(with_more, np.int32, 3, places[0] - 4).tolist() == [5, 1, 7]


def test_options_of_value_zero_are_left_out(fare_tflite, trip_rows):
    """Those with an activation stay."""
    thin = slim(fare_tflite)
    before, after = activations(fare_tflite), activations(thin)
    assert 0 in before and 0 not in after and after == {each for each in before if each}
    np.testing.assert_array_equal(TfliteModel(thin).predict(trip_rows), TfliteModel(fare_tflite).predict(trip_rows))


def activations(content: bytes) -> set[int]:
    """Numbers of the activations in the options of operators that run without any, too."""
    model, kinds = opened(content), {getattr(schema().BuiltinOperator, name) for name in WITHOUT_OPTIONS}
    operators = (each for each in model.subgraphs[0].operators if code_of(model, each) in kinds)
    return {getattr(each.builtinOptions, "fusedActivationFunction", 0) for each in operators if each.builtinOptions}
