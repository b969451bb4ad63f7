"""Candidates that fail are lines of the log, and never ship."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farebox.components.networks.objective import Objective
from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt

ROWS = {"x": np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32)}


@pytest.fixture(scope="module")
def files(quick_keras):
    """(a file that answers numbers, one of whose numbers a weight is NaN)."""
    import tf_keras as keras

    from farebox.components.quantizer.conversion import Source

    x = keras.Input((2,), name="x")
    network = keras.Model(x, keras.layers.Dense(1, activation="sigmoid", name="y")(x))
    fine = Source(network, None, (), "y").file("float32")
    network.get_layer("y").set_weights([np.full((2, 1), np.nan), np.zeros(1)])
    return fine, Source(network, None, (), "y").file("float32")


def test_any_error_of_a_converter_is_a_reason():
    def make() -> bytes:
        raise TypeError("'str' object is not callable\nmore")

    trial = attempt(QuantizationTrial("qat", "net"), make)
    assert not trial.content and trial.reason == "TypeError: 'str' object is not callable"


def test_answers_that_are_no_numbers_miss_every_budget(files):
    """NaN is smaller than no number, so that class 0 won: right for 29 rows of 30."""
    fine, broken = (QuantizationTrial("float16", "net", content=content) for content in files)
    labels = np.zeros(30)
    labels[0] = 1
    judge = Judge([(ROWS, labels)], Objective("binary", "accuracy", 2))
    judge.measure([fine])
    judge.measure([broken])
    assert math.isfinite(fine.error) and broken.error == math.inf
    assert broken.reason == "its answers must be numbers, got NaN or infinity"


def test_a_file_that_did_not_run_is_not_timed(files):
    fine, broken = (QuantizationTrial("float16", "net", content=content) for content in files)
    broken.content = fine.content[:-200]
    judge = Judge([(ROWS, np.zeros(30))], Objective("binary", "log_loss", 2))
    judge.measure([fine])
    broken.error = math.inf
    judge.time([fine, broken])
    assert fine.latency_us and broken.latency_us is None
