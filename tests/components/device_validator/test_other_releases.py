"""Older and newer releases of the runtimes give the same fares; pip brings each into a folder of its own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from farebox.components.device_validator.request import Limits
from farebox.components.device_validator.runtimes import child
from farebox.components.device_validator.runtimes.checks import runtime_checks
from farebox.components.device_validator.runtimes.table import RUNTIMES
from farebox.components.tflite import interpreter

pytestmark = pytest.mark.slow  # downloads of 3 to 60 MB
N_ROWS = 400


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """(requirements) -> the folder that pip installed them into; skips if pip cannot."""
    folders = {}

    def install(*requirements: str) -> str:
        if requirements not in folders:
            folders[requirements] = str(tmp_path_factory.mktemp("release"))
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            options = ["--only-binary=:all:", "--retries=1", "--target", folders[requirements]]
            ended = subprocess.run([*pip, *options, *requirements], capture_output=True, text=True, check=False)
            if ended.returncode:
                folders[requirements] = ""
        if not folders[requirements]:
            pytest.skip(f"needs {' '.join(requirements)}, which pip cannot install here")
        return folders[requirements]

    return install


@pytest.fixture
def trips() -> dict[str, np.ndarray]:
    """Trips with fares of 5 to 25 by the arithmetic of conftest.py's files."""
    random = np.random.default_rng(3)
    degrees = {"longitude": (-74.1, -73.7), "latitude": (40.6, 40.9)}
    floats = {
        f"{end}_{axis}": random.uniform(*degrees[axis], N_ROWS) for end in ("pickup", "dropoff") for axis in degrees
    }
    wholes = {"passenger_count": (1, 5), "pickup_hour": (0, 24), "pickup_weekday": (0, 7)}
    return {name: values.astype(np.float32) for name, values in floats.items()} | {
        name: random.integers(*bounds, N_ROWS) for name, bounds in wholes.items()
    }


@pytest.mark.parametrize(
    ("requirements", "like"),
    [
        (("tflite-runtime==2.14.0", "numpy<2"), "interpreter"),
        (("tflite-runtime==2.14.0", "numpy<2"), "interpreter_without_xnnpack"),
        (("ai-edge-litert==1.4.0",), "interpreter"),
        (("ai-edge-litert==1.4.0",), "compiled_model"),
        (("ai-edge-litert==2.3.0",), "interpreter"),
        (("ai-edge-litert==2.3.0",), "compiled_model"),
    ],
    ids=str,
)
def test_another_release_gives_the_same_fares(installed, trips, held_tflite, monkeypatch, requirements, like):
    """Within 1e-4 USD, missing and extreme places included."""
    package, _, version = requirements[0].partition("==")
    command = ("env", f"PYTHONPATH={installed(*requirements)}", sys.executable, child.__file__)
    release = dataclasses.replace(RUNTIMES[like], title="another release", package=package, command=command)
    monkeypatch.setitem(RUNTIMES, "further", release)
    limits = Limits(tuple(trips), max_output=1000.0, min_output=-1000.0)
    trial = runtime_checks(interpreter.TfliteModel(held_tflite), trips, limits)[1][-1]
    assert (trial.runtime, trial.version, trial.result, trial.detail) == ("further", version, "runs", "")
    assert trial.largest_difference <= 1e-4


def test_a_batch_that_is_not_fixed_is_refused_though_a_release_takes_it(installed, trips, convert_tflite, monkeypatch):
    """CompiledModel 2.3 takes it, 1.4 and LiteRT.js do not."""
    command = ("env", f"PYTHONPATH={installed('ai-edge-litert==2.3.0')}", sys.executable, child.__file__)
    monkeypatch.setitem(RUNTIMES, "compiled_model", dataclasses.replace(RUNTIMES["compiled_model"], command=command))
    model = interpreter.TfliteModel(convert_tflite(clips_inputs=True, whole="int32"))
    checks, tried = runtime_checks(model, trips, Limits(tuple(trips), max_output=1000.0, min_output=-1000.0))
    trial = next(each for each in tried if each.runtime == "compiled_model")
    assert (trial.version, trial.result, trial.largest_difference) == ("2.3.0", "refused", pytest.approx(0, abs=1e-4))
    assert trial.detail.endswith(" is -1, not 1")
    assert [check.name for check in checks if check.refuses] == ["runs_on_compiled_model"]
