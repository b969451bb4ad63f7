"""Predictions in an evaluation: of files with any plain types, whatever the batch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from farebox.components.evaluator import metrics
from farebox.components.files import progress
from farebox.components.tflite.interpreter import TfliteModel


@pytest.mark.parametrize("form", [{}, {"batch": 1, "whole": "int32"}], ids=["int64, any batch", "int32, one row"])
def test_a_file_is_measured_on_examples_of_int64(evaluate, convert_tflite, toy_trips, tmp_path, form, monkeypatch):
    """RMSE of TFMA's run is NumPy's of the file's own answers; the screen hears of each batch of trips."""
    from farebox.components.evaluator import executor

    content, heard, trips = convert_tflite(clips_inputs=True, **form), [], toy_trips.columns["test"]
    monkeypatch.setattr(executor, "rows_of", lambda _examples, _split: len(trips["fare"]))
    with progress.heard_by(lambda *step: heard.append(step)):
        uri = evaluate(tmp_path, {"model": content}, max_rmse=1000.0)["evaluation"].uri
    assert heard[-1] == ("trip", len(trips["fare"]), len(trips["fare"]))
    error = TfliteModel(content, delegates=False).predict(trips) - trips["fare"].reshape(-1)
    overall = metrics.by_slice(uri)[metrics.OVERALL]
    assert overall[metrics.COUNT].value == len(error)
    assert overall[metrics.RMSE].value == pytest.approx(np.sqrt(np.mean(error.astype(np.float64) ** 2)), rel=1e-6)


def test_the_rows_of_a_split_are_those_that_were_counted(tmp_path):
    """Examples of another component count none."""
    from farebox.components.evaluator.executor import rows_of

    examples = SimpleNamespace(uri=str(tmp_path))
    assert rows_of(examples, "test") == 0
    (tmp_path / "counts.json").write_text('{"by_split": {"train": 9, "test": 3}}')
    assert (rows_of(examples, "test"), rows_of(examples, "eval")) == (3, 0)
