"""golden.json: what stands in it, and that any reader of it gets the file's own numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from farebox.components.device_validator.golden import ROWS, golden
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import described

PLACES = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
BOX = {"longitude": (-87.95, -87.52), "latitude": (41.64, 42.03)}
NAMED = {
    "equal points": {"dropoff_longitude": "pickup_longitude", "dropoff_latitude": "pickup_latitude"},
    "Sunday, hour 23": {"pickup_hour": 23, "pickup_weekday": 6},
    "a bus": {"passenger_count": 60},
}
N_EXTREMES = 5 + 8 + 4 + len(NAMED)  # NaN in each place and in all; the bounds of each place; corners; the named ones


def trips(n: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(11)
    columns = {name: random.uniform(*BOX[name.partition("_")[2]], n).astype(np.float32) for name in PLACES}
    return columns | {
        "passenger_count": np.ones(n, np.int64),
        "pickup_hour": random.integers(0, 24, n),
        "pickup_weekday": random.integers(0, 7, n),
        "fare": np.arange(n, dtype=np.float32),
    }


@pytest.fixture(scope="module")
def content(held_tflite) -> bytes:
    """Missing inputs are 0 in this file: fare = 2.5 - 0.1 pickup_longitude + passengers + 0.5 hour + 0.25 weekday."""
    places = (
        TensorDescription(name, minimum=BOX[name.partition("_")[2]][0], maximum=BOX[name.partition("_")[2]][1])
        for name in PLACES
    )
    return described(held_tflite, Description("toy", inputs=(*places, TensorDescription("pickup_hour", maximum=23))))


@pytest.fixture(scope="module")
def made(content) -> dict:
    return json.loads(golden(content, trips(500), NAMED))


def arrays(made: dict) -> dict[str, np.ndarray]:
    """The columns, as a reader makes them: null is NaN."""
    return {
        name: np.array([np.nan if value is None else value for value in values], np.float32 if name in PLACES else None)
        for name, values in made["inputs"].items()
    }


def test_it_holds_200_rows_of_the_files_inputs_and_its_output(made, content):
    assert list(made["inputs"]) == list(TfliteModel(content).input_names)
    assert {len(values) for values in (*made["inputs"].values(), *made["outputs"].values())} == {ROWS}


def test_the_numbers_read_back_are_answered_alike_bit_for_bit(made, content):
    """Shortest decimals lose nothing; the arithmetic is also computed by hand, in float64."""
    columns, (answers,) = arrays(made), made["outputs"].values()
    model = TfliteModel(content, delegates=False)
    single = [model.predict({name: values[[i]] for name, values in columns.items()})[0] for i in range(ROWS)]
    np.testing.assert_array_equal(np.array(answers, np.float32), np.array(single))
    clipped = {name: np.clip(np.nan_to_num(values.astype(float)), -100, 100) for name, values in columns.items()}
    expected = 2.5 - 0.1 * clipped["pickup_longitude"] + clipped["passenger_count"]
    expected += 0.5 * clipped["pickup_hour"] + 0.25 * clipped["pickup_weekday"]
    np.testing.assert_allclose(answers, expected, rtol=1e-5)
    assert -87.95 in made["inputs"]["pickup_longitude"], "not -87.94999694824219"


def test_extremes_are_among_them(made):
    columns = arrays(made)
    missing = np.isnan([columns[name] for name in PLACES])
    assert sorted(missing.sum(axis=0)[missing.any(axis=0)]) == [1, 1, 1, 1, 4]
    assert missing.sum(axis=1).tolist() == [2, 2, 2, 2]
    places = list(zip(*(columns[name] for name in PLACES), strict=True))
    west, east, south, north = (np.float32(bound) for bound in (*BOX["longitude"], *BOX["latitude"]))
    for corners in ((west, south, east, north), (east, north, west, south), (west, south, west, south)):
        assert corners in places
    assert ((columns["pickup_hour"] == 23) & (columns["pickup_weekday"] == 6)).any()
    assert 60 in columns["passenger_count"] and 0 not in columns["passenger_count"]
    equal = (columns["pickup_longitude"] == columns["dropoff_longitude"]) & ~missing.any(axis=0)
    assert equal.any()


def test_the_real_rows_spread_over_the_outputs(made, content):
    """The least and the largest output of all 500 rows are among them, and the deciles are those of all rows."""
    outputs = TfliteModel(content, delegates=False).predict(trips(500))
    (answers,) = made["outputs"].values()
    real = np.float32(answers[N_EXTREMES:])
    assert len(real) == ROWS - N_EXTREMES
    deciles = np.linspace(0, 1, 11)
    np.testing.assert_allclose(np.quantile(real, deciles), np.quantile(outputs, deciles), atol=0.25)
    assert (real.min(), real.max()) == (outputs.min(), outputs.max())


def test_few_rows_are_all_there_once(content):
    made = json.loads(golden(content, trips(3), {}))
    (answers,) = made["outputs"].values()
    assert len(answers) == 3 + N_EXTREMES - len(NAMED)


def test_a_file_without_metadata_has_no_corners(held_tflite):
    made = json.loads(golden(held_tflite, trips(3), NAMED))
    (answers,) = made["outputs"].values()
    assert len(answers) == 3 + len(PLACES) + 1 + len(NAMED)


def test_a_file_of_integer_kernels_is_answered_as_by_default(convert_tflite):
    """As apps and exported source compute it; the kernels without XNNPACK round its inputs otherwise."""
    import tensorflow as tf

    def wide(fare):
        weights = np.random.default_rng(0).normal(0, 0.1, (50, 50)).astype(np.float32)
        return tf.reduce_mean(tf.sin(tf.tile(fare, [1, 50]) * tf.range(50.0)) @ weights, axis=1, keepdims=True)

    hybrid = convert_tflite(wide, batch=1, optimizations=[tf.lite.Optimize.DEFAULT])
    made = json.loads(golden(hybrid, trips(50), {}))
    columns, (answers,) = arrays(made), made["outputs"].values()
    by_default, plain = (
        [model.predict({name: values[[i]] for name, values in columns.items()})[0] for i in range(len(answers))]
        for model in (TfliteModel(hybrid, delegates=True), TfliteModel(hybrid, delegates=False))
    )
    np.testing.assert_array_equal(np.array(answers, np.float32), by_default)
    assert (np.array(by_default) != plain).any()
