"""The page of a compression tells every file that was tried, every byte, and every runtime."""

from __future__ import annotations

import re

import numpy as np
import pytest
import report_page

from farebox.components import compress
from farebox.components.compression.page import page_html, runtimes_of
from farebox.components.device_validator.runtimes.table import RUNTIMES


@pytest.fixture(scope="module")
def numbers():
    return np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def result(numbers):
    """A `.tflite` of two Dense layers that answers two numbers."""
    import tensorflow as tf

    random = np.random.default_rng(2)
    first, last = (tf.constant(random.normal(size=size).astype(np.float32)) for size in ((6, 32), (32, 2)))
    spec = [tf.TensorSpec([1, 6], tf.float32, "x")]
    function = tf.function(lambda x: tf.nn.relu(x @ first) @ last, input_signature=spec, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    y = (np.maximum(numbers @ first.numpy(), 0) @ last.numpy()) + random.normal(size=(200, 2))
    rows = {"train": (numbers[:150], y[:150]), "evaluation": (numbers[150:], y[150:])}
    return compress(bytes(converter.convert()), **rows, budget="20%")


def test_the_page_names_what_was_tried_where_the_bytes_are_and_where_it_runs(result, numbers):
    runtimes = runtimes_of(result.content, {"x": numbers})
    assert [trial.runtime for trial in runtimes] == list(RUNTIMES)
    assert {trial.runtime for trial in runtimes if trial.result == "runs"} >= {"interpreter", "compiled_model"}
    page = page_html(result, "net <1>.tflite", ["It is small", "objective"], runtimes)
    text = re.sub(r"<[^>]+>", "|", report_page.without_term_links(page))
    for trial in result.outcome.trials:
        assert f"{trial.name}||{trial.verdict}|" in re.sub(r"\s*\|\s*", "|", text)
    assert f"whole file||{result.bytes.float32:,}||{result.bytes.shipped:,}|" in re.sub(r"\s*\|\s*", "|", text)
    assert "FULLY_CONNECTED" in text and "net &lt;1&gt;.tflite" in page and "data:image/png;base64," in page
    assert not re.search(r'(src|href)="(https?:)?//', page), "it needs no network"
