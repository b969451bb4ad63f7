"""Live error of a real `.tflite` on examples that TripExampleGen's own writer encodes, against NumPy by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from live_trips import columns_of, predicted, write_examples

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.components.evaluator import error_sums
from farebox.components.evaluator.metrics import ALL_TRIPS
from farebox.pipeline.retraining import live_error
from farebox.pipeline.retraining.live_error import PushedFile
from farebox.pipeline.settings.load import load_settings


@pytest.fixture
def settings(tmp_path):
    return load_settings("chicago", str(tmp_path), str(tmp_path))


def promise(rmse: float = 3.0) -> dict:
    errors = {"rows": 400, "rmse": [rmse, rmse - 0.2, rmse + 0.2], "mae": [2.0, 1.8, 2.2], "bias": [0.0, -0.3, 0.3]}
    return {ALL_TRIPS: errors}


def ship(content: bytes, settings, **manifest) -> str:
    return push.push(content, LocalStore(settings.models_dir), manifest)


def test_a_score_is_that_of_all_splits_together_by_slice(settings, tmp_path, fare_tflite):
    columns = columns_of(settings, 1000)
    version = ship(fare_tflite, settings, promise=promise())
    file = PushedFile.load(settings, version)
    (errors,), _ = live_error.score_together(settings, [file], write_examples(tmp_path / "examples", columns), print)
    error = predicted(columns) - columns["fare"].astype(float)
    overall = errors[ALL_TRIPS]
    assert (file.version, overall.rows, overall.coverage) == (version, 1000, None)
    assert overall.rmse.value == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert overall.mae.value == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert overall.bias.value == pytest.approx(error.mean(), rel=1e-4)
    assert overall.bias.upper - overall.bias.value == pytest.approx(1.96 * error.std(ddof=1) / np.sqrt(1000), rel=1e-3)
    assert file.promise[ALL_TRIPS].rmse.upper == 3.2
    for kind in ("distance_band", "airport"):
        parts = [each for name, each in errors.items() if name.startswith(f"{kind}=")]
        assert len(parts) > 1 and sum(each.rows for each in parts) == 1000
        assert sum(each.rows * each.mae.value for each in parts) == pytest.approx(1000 * overall.mae.value)
    assert next(iter(errors)) == ALL_TRIPS
    read = error_sums.from_json(json.loads(json.dumps(error_sums.to_json(errors))))
    assert read.keys() == errors.keys() and read[ALL_TRIPS].mae.upper == pytest.approx(overall.mae.upper, rel=1e-5)


def test_two_versions_are_compared_in_pairs_by_trip(settings, tmp_path, fare_tflite, convert_tflite):
    """A file whose fare is 5 higher is compared with the first on the same rows, not by two separate intervals."""
    columns = columns_of(settings, 500)
    first = ship(fare_tflite, settings)
    higher = ship(convert_tflite(lambda fare: fare + 5.0), settings)
    files = [PushedFile.load(settings, version) for version in (first, higher)]
    examples = write_examples(tmp_path / "examples", columns)
    errors, differences = live_error.score_together(settings, files, examples, print)
    error = predicted(columns) - columns["fare"].astype(float)
    difference = np.abs(error + 5) - np.abs(error)
    assert errors[1][ALL_TRIPS].mae.value - errors[0][ALL_TRIPS].mae.value == pytest.approx(difference.mean(), rel=1e-4)
    assert differences[higher].value == pytest.approx(difference.mean(), rel=1e-4)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(500)
    assert differences[higher].upper - differences[higher].value == pytest.approx(half, rel=1e-3)


def test_a_damaged_version_is_not_scored(settings, fare_tflite):
    version = ship(fare_tflite, settings)
    (settings.models_dir / version / "fare.tflite").write_bytes(fare_tflite + b"!")
    with pytest.raises(InputError, match=r"must be the file that manifest\.json speaks of"):
        PushedFile.load(settings, version)
