"""Predictions in an evaluation: of files with any plain types, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.evaluator import metrics
from farebox.components.tflite.interpreter import TfliteModel


@pytest.mark.parametrize("form", [{}, {"batch": 1, "whole": "int32"}], ids=["int64, any batch", "int32, one row"])
def test_a_file_is_measured_on_examples_of_int64(evaluate, convert_tflite, toy_trips, tmp_path, form):
    """RMSE of TFMA's run is NumPy's of the file's own answers."""
    content = convert_tflite(clips_inputs=True, **form)
    uri = evaluate(tmp_path, {"model": content}, max_rmse=1000.0)["evaluation"].uri
    trips = toy_trips.columns["test"]
    error = TfliteModel(content, delegates=False).predict(trips) - trips["fare"].reshape(-1)
    overall = metrics.by_slice(uri)[metrics.OVERALL]
    assert overall[metrics.COUNT].value == len(error)
    assert overall[metrics.RMSE].value == pytest.approx(np.sqrt(np.mean(error.astype(np.float64) ** 2)), rel=1e-6)
