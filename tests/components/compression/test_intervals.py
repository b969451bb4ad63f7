"""Printed intervals hold the error of rows that `compress` never saw, at about the rate that they state."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.compression import confidence
from farebox.components.compression.compress_file import compress_file
from farebox.components.compression.confidence import CONFIDENCE
from farebox.components.compression.file_network import file_network
from farebox.components.networks.objective import Objective
from farebox.components.quantizer.native import here
from farebox.components.tflite.interpreter import TfliteModel

ROWS, ALL_ROWS, DRAWS = 200, 40_000, 40  # of a test split; that stand for all rows; test splits of each network
KINDS = {  # numbers answered, and what the labels are
    "rare_large_errors": (1, Objective(metric="mae")),
    "classes": (4, Objective("classes", "accuracy", 4, is_logits=True)),
    "several_labels": (3, Objective("multilabel", "log_loss", 2, is_logits=True)),
}


def labels_of(kind: str, answers: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Labels of rows with these answers, as the network's own chances or errors have them."""
    if kind == "classes":
        return (answers + random.gumbel(size=answers.shape)).argmax(axis=1).astype(float)
    if kind == "several_labels":
        return (random.random(answers.shape) < 1 / (1 + np.exp(-answers))).astype(float)
    noise = random.standard_t(3, answers.shape) if kind == "rare_large_errors" else random.normal(size=answers.shape)
    return answers + noise * answers.std()


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """(objective, predictions before and after, labels) of all rows, and the result of `compress` on few of them."""
    import tensorflow as tf

    kind, (width, objective) = request.param, KINDS[request.param]
    random = np.random.default_rng(list(KINDS).index(kind))
    first, last = (random.normal(size=size).astype(np.float32) for size in ((8, 24), (24, width)))
    spec = [tf.TensorSpec([None, 8], tf.float32, "x")]
    function = tf.function(lambda x: tf.nn.tanh(x @ first) @ last / 2, input_signature=spec, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    content = bytes(converter.convert())
    x = random.normal(size=(ALL_ROWS, 8)).astype(np.float32)
    before = TfliteModel(content).predict({"x": x}).reshape(ALL_ROWS, width)
    labels = labels_of(kind, before, random)
    split = {"train": slice(0, 300), "evaluation": slice(300, 400), "test": slice(400, 400 + ROWS)}
    result = compress_file(
        file_network(content), {name: (x[part], labels[part]) for name, part in split.items()},
        budget="30%", objective=objective.kind, metric=objective.metric, keep_names=False, seed=1,
        on_step=lambda *_: None, run=here, cache=None,
    )  # fmt: skip
    after = TfliteModel(result.content).predict({"x": x}).reshape(ALL_ROWS, width)
    return objective, before, after, labels, result


def test_intervals_hold_about_as_often_as_they_say(case):
    """40 test splits of 200 rows each, against 40,000 rows: 95 % are 38 of 40; fewer than 33 are one chance in 1,400.

    Accuracy whose resamples hold no changed row said `0 (0 to 0)`, and held in 14 of 40.
    """
    objective, before, after, labels, result = case
    errors = [_error(objective, predictions, labels) for predictions in (before, after)]
    truth = {"float32": errors[0], "shipped": errors[1], "increase": errors[1] - errors[0]}
    hits, hits_of_half = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    random = np.random.default_rng(9)
    for draw in range(DRAWS):
        rows = random.choice(ALL_ROWS, ROWS, replace=False)
        measured = confidence.measured(
            objective, before[rows], after[rows], labels[rows], seed=draw, bound=lambda error: error
        )
        for name, value in truth.items():
            interval = getattr(measured, name)
            hits[name] += interval.low <= value <= interval.high
            middle, half = (interval.low + interval.high) / 2, (interval.high - interval.low) / 4
            hits_of_half[name] += abs(value - middle) <= half
    assert CONFIDENCE == 0.95 and min(hits.values()) >= 33, hits
    assert max(hits_of_half.values()) < 37, "half of them would do: they are too wide"
    assert result.test.rows == ROWS and result.bytes.shipped < result.bytes.float32


def test_the_printed_error_is_that_of_the_shipped_bytes(case):
    objective, before, after, labels, result = case
    rows = slice(400, 400 + ROWS)
    again = confidence.measured(objective, before[rows], after[rows], labels[rows], seed=1, bound=lambda error: error)
    assert result.test.shipped.value == pytest.approx(again.shipped.value, rel=1e-6)
    assert result.test.increase.low == pytest.approx(again.increase.low, abs=1e-6)


def _error(objective: Objective, predictions: np.ndarray, labels: np.ndarray) -> float:
    running = objective.running()
    running.update(predictions, labels)
    return running.error
