"""Native code in a process of its own: what dies, hangs or raises there is a line here."""

from __future__ import annotations

import operator
import os
import time

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.quantizer.child import BOOT, Child, ChildError

PLACE = "farebox.components.quantizer.child.BOOT"
LIGHT = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow'); "


@pytest.fixture(scope="module", autouse=True)
def no_tensorflow():
    """Starts processes without TensorFlow, whose import takes four seconds each; only conversion needs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PLACE, LIGHT + BOOT)
        yield


@pytest.fixture(scope="module")
def child(no_tensorflow):
    with Child() as run:
        run(operator.add, 1, 1)
        yield run


def test_results_and_errors_come_back(child):
    np.testing.assert_array_equal(child(np.add, np.arange(3), 1), [1, 2, 3])
    with pytest.raises(ChildError, match="^ZeroDivisionError: division by zero$"):
        child(operator.truediv, 1, 0)
    with pytest.raises(InputError, match="^model=<bytes> must be a TFLite file, got 0 bytes$"):
        from farebox.components.quantizer.native import predictions

        child(predictions, b"", [], 1)


def test_a_dead_process_is_told_and_starts_again(child):
    with pytest.raises(ChildError, match="^died of SIGABRT"):
        child(os.abort)
    with pytest.raises(ChildError, match="^ended with exit code 3"):
        child(os._exit, 3)
    assert child(operator.add, 1, 2) == 3


def test_a_process_that_hangs_is_ended(child, monkeypatch):
    child(operator.add, 1, 1)
    monkeypatch.setattr(child, "_timeout_s", 0.3)
    start = time.monotonic()
    with pytest.raises(ChildError, match=r"^no answer within 0.3 s$"):
        child(time.sleep, 60)
    assert time.monotonic() - start < 30


def test_a_call_may_take_some_times_as_long_as_the_first(monkeypatch):
    """The float16 file of an LSTM takes 12 GB and two minutes before the converter dies (TF 2.16)."""
    monkeypatch.setattr("farebox.components.quantizer.child.LEAST_S", 0)
    with Child(alike=(time.sleep,)) as run:
        run(operator.add, 1, 1)
        run(time.sleep, 0.1)
        run(time.sleep, 0.11)
        with pytest.raises(ChildError, match=r"^no answer within 0\.\d+ s$"):
            run(time.sleep, 30)
        assert run(operator.add, 1, 2) == 3, "of another function, and with a new process"


def test_nothing_of_it_stays():
    opened = set(os.listdir("/proc/self/fd"))
    with Child() as run:
        process = run._process
    assert process.poll() is not None and set(os.listdir("/proc/self/fd")) == opened


def test_memory_is_limited(child):
    """More than the machine has: refused by the limit, before the machine runs out of it."""
    wanted = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10
    with pytest.raises(ChildError, match="MemoryError"):
        child(bytearray, wanted)


def test_a_file_that_ends_its_process_is_a_line_of_the_log(monkeypatch):
    """int16x8 with LayerNormalization: the interpreter aborts (TF 2.16, ai-edge-litert 1.4) or refuses the file."""
    import tf_keras as keras

    from farebox.components.networks.objective import NUMBERS
    from farebox.components.quantizer.conversion import Source
    from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt

    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,), name="x")
    hidden = keras.layers.LayerNormalization()(keras.layers.Dense(16, activation="relu")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(16, activation="relu")(hidden)))
    x = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    trials = [QuantizationTrial("float32", "n"), QuantizationTrial("int16x8", "n")]
    monkeypatch.setattr(PLACE, BOOT)
    with Child() as run:
        source = Source(network, None, [{"x": x[i : i + 1]} for i in range(20)], "y", run=run)
        for trial in trials:
            attempt(trial, lambda rung=trial.rung: source.file(rung))
        Judge([({"x": x}, x.sum(axis=1))], NUMBERS, run=run).measure(trials)
    plain, aborted = trials
    assert np.isfinite(plain.error) and not plain.reason
    assert aborted.reason and not np.isfinite(aborted.error)
    assert "SIGABRT" in aborted.reason or aborted.content, "it died, or the runtime refused it"
