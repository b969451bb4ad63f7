"""Recurrent networks: converted for one row at a time, and each row answered as if it were the first."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.compression.page import runtimes_of
from farebox.components.quantizer.conversion import Source
from farebox.components.tflite.flatbuffer import opened
from farebox.components.tflite.interpreter import TfliteModel, has_state, schema


@pytest.mark.parametrize(("kind", "keeps_state"), [("LSTM", True), ("GRU", False)])
def test_rows_do_not_see_one_another(kind, keeps_state):
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    signal = keras.Input((6, 2), name="signal")
    network = keras.Model(signal, keras.layers.Dense(1)(getattr(keras.layers, kind)(8)(signal)))
    source = Source(network, None, [], "y", batch=1)
    content = source.file("float32")
    rows = np.random.default_rng(1).normal(size=(5, 6, 2)).astype(np.float32)
    answers = TfliteModel(content, rows_at_once=1).predict({"signal": rows})
    np.testing.assert_allclose(answers, network(rows).numpy()[:, 0], atol=1e-5)
    assert has_state(content) is keeps_state
    narrow = source.file("int8_weights")  # a GRU's are in the subgraphs of a WHILE
    assert schema().TensorType.INT8 in {tensor.type for tensor in opened(narrow).subgraphs[-1].tensors}
    assert len(narrow) < len(content)
    trials = {trial.runtime: trial for trial in runtimes_of(content, {"signal": rows})}
    assert trials["interpreter_without_xnnpack"].result == "runs"
    rounded = TfliteModel(narrow, rows_at_once=1).predict({"signal": rows})
    np.testing.assert_allclose(rounded, answers, atol=0.02)
    assert np.abs(rounded - answers).max() > 1e-6
