"""Bands of a real file: from its own predictions, or the reason why there are none."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.quantizer.band_fitting import bands_of
from farebox.components.quantizer.settings import BandSettings
from farebox.components.tflite.interpreter import TfliteModel


@pytest.fixture
def batches(toy_trips) -> list:
    """Eval in batches of 100, the last one smaller."""
    columns = {name: values for name, values in toy_trips.columns["eval"].items() if name != "fare"}
    fares = toy_trips.columns["eval"]["fare"]
    return [
        ({name: values[i : i + 100] for name, values in columns.items()}, fares[i : i + 100])
        for i in range(0, len(fares), 100)
    ]


def test_bands_come_from_the_files_own_predictions(fare_tflite, batches):
    bands, why = bands_of(fare_tflite, batches, BandSettings(min_rows=60, count=3), is_of_numbers=True, floor=2.5)
    n_rows = sum(len(fares) for _, fares in batches)
    assert sum(bands.rows) == n_rows and len(bands) == 3 and bands.floor == 2.5
    assert why == f"3 bands of {min(bands.rows)} to {max(bands.rows)} rows of eval"
    model = TfliteModel(fare_tflite)
    covered = np.concatenate([bands.covers(model.predict(rows), fares.reshape(-1)) for rows, fares in batches])
    assert 0.9 <= covered.mean() < 0.93


@pytest.mark.parametrize(
    ("settings", "is_of_numbers", "why"),
    [
        ({"count": 0}, True, "none: bands.count=0"),
        ({}, False, "none: the model predicts classes"),
        ({"min_rows": 9999}, True, "none: 320 held-out rows must be at least 9999 for a coverage of 0.9"),
        ({"coverage": 0.995}, True, "none: 320 held-out rows must be at least 399 for a coverage of 0.995"),
    ],
)
def test_there_are_no_bands_without_a_promise(fare_tflite, batches, settings, is_of_numbers, why):
    assert bands_of(fare_tflite, batches, BandSettings(**settings), is_of_numbers=is_of_numbers, floor=None) == (
        None,
        why,
    )


def test_a_file_that_answers_nan_has_no_bands(nan_tflite, batches):
    bands, why = bands_of(nan_tflite, batches, BandSettings(), is_of_numbers=True, floor=None)
    assert bands is None and why == "none: 320 of 320 held-out predictions or labels are not finite"


def test_a_file_of_several_numbers_a_row_has_no_bands(quick_keras):
    import tf_keras as keras

    from farebox.components.quantizer.conversion import Source

    x = keras.Input((4,), name="x")
    content = Source(keras.Model(x, keras.layers.Dense(3)(x)), None, [], "y").file("float32")
    rows = np.zeros((200, 4), np.float32)
    bands, why = bands_of(content, [({"x": rows}, rows[:, :3])], BandSettings(), is_of_numbers=True, floor=None)
    assert bands is None and why == "none: the model predicts 3 numbers a row"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"coverage": 1.0}, "bands.coverage=1.0 must be above 0 and below 1"),
        ({"count": -1}, "bands.count=-1 must be at least 0"),
        ({"min_rows": 0}, "bands.min_rows=0 must be at least 1"),
    ],
)
def test_settings_name_the_value(settings, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        BandSettings(**settings)


def test_the_node_takes_settings_and_names_a_wrong_one():
    from tfx.types import Channel, standard_artifacts

    from farebox.components.quantizer.component import Quantizer

    types = {"model": "Model", "unreduced_model": "Model", "examples": "Examples", "raw_examples": "Examples",
             "transform_graph": "TransformGraph"}  # fmt: skip
    inputs = {name: Channel(type=getattr(standard_artifacts, kind)) for name, kind in types.items()}

    def properties(**changes):
        return Quantizer(**inputs, settings={}, label="fare", model_inputs="x", **changes).exec_properties

    assert properties(bands={"count": 3})["bands"] == '{"count": 3, "coverage": 0.9, "min_rows": 100}'
    assert properties()["smallest_label"] is None
    assert properties(non_negative=True)["smallest_label"] == 0.0
    assert properties(non_negative=True, smallest_label=2.5)["smallest_label"] == 2.5
    with pytest.raises(InputError, match="^bands.width must be one of the settings coverage, count, min_rows$"):
        properties(bands={"width": 3})
