"""A city with inputs of its own, from the source to a shipped file, against the same trips without them.

Simulated trips of London, whose fares follow a known law: the simulated fare times `surge`, and 5 more in a van.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from farebox import FareModel, InputError, export
from farebox.components.tflite.flatbuffer import code_of, opened
from farebox.components.tflite.interpreter import schema
from farebox.components.trip_example_gen.simulation.simulator import Order, simulate
from farebox.pipeline.settings.load import build

pytestmark = pytest.mark.slow

FAREBOX = Path(sys.executable).with_name("farebox")
FEW_EPOCHS = (
    "training.epochs=15", "reducer.fine_tune_epochs=3", "pruner.ramp_epochs=2", "pruner.recover_epochs=3",
    "gates.max_ratio_to_yardstick=1.5",  # on 6,000 trips, after 15 of 40 epochs
)  # fmt: skip
CITY = """
city:
  name: london
  columns: {fare: pounds, pickup_longitude: from_lon, pickup_latitude: from_lat, dropoff_longitude: to_lon,
            dropoff_latitude: to_lat, passenger_count: persons, pickup_time: collected}
  time_format: "%Y-%m-%d %H:%M:%S"
  box: {west: -0.35, east: 0.12, south: 51.38, north: 51.62}
  fare: {min: 3.8, max: 250}
  currency: GBP
  airports: {city: {longitude: 0.0553, latitude: 51.5053}}
  features:
    surge: {column: multiplier, min: 1, max: 3, meaning: surge multiplier}
    vehicle_type: {values: [sedan, van]}
    still: {min: 0}                     # a constant
    only: {values: [one]}               # a category of one value
    bags: {values: [0, 1, 2], default: 0}
gates: {max_rmse: 12}
"""
NOISE = tuple(f"noise_{i}" for i in range(9))  # 11 numbers in all: more than one CONCATENATION takes
TRIP = {
    "pickup_longitude": -0.13, "pickup_latitude": 51.51, "dropoff_longitude": -0.08, "dropoff_latitude": 51.52,
    "passenger_count": 1, "pickup_hour": 11, "pickup_weekday": 2, "surge": 1.5, "vehicle_type": "sedan", "still": 4,
    "only": "one", **dict.fromkeys(NOISE, 0.5),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """london.yaml and trips.csv, with fares by the law."""
    place = tmp_path_factory.mktemp("own")
    content = yaml.safe_load(CITY)
    content["city"]["features"] |= {name: {} for name in NOISE}
    (place / "london.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    profile = build({**content, "data": "simulated"}, "london").city
    simulate(profile, Order(6000, seed=5, dirt=0), str(place / "plain.csv"))
    trips = pd.read_csv(place / "plain.csv")
    trips["pounds"] = (trips["pounds"] * trips["multiplier"] + 5 * (trips["vehicle_type"] == "van")).round(2)
    trips["still"] = 4
    trips.loc[::50, "bags"] = np.nan
    trips.to_csv(place / "trips.csv", index=False)
    return place


def run(folder: Path, *overrides: str) -> dict:
    settings = [part for override in (*FEW_EPOCHS, *overrides) for part in ("--set", override)]
    out = folder / ("without" if overrides else "with")
    arguments = ["run", "--city", str(folder / "london.yaml"), "--data", str(folder / "trips.csv"), "--out", str(out)]
    result = subprocess.run([FAREBOX, *arguments, *settings], capture_output=True, text=True, timeout=1800, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((out / "runs/london/latest/summary.json").read_text())


@pytest.fixture(scope="module")
def summary(folder) -> dict:
    return run(folder)


@pytest.fixture(scope="module")
def version(summary, folder) -> Path:
    models = folder / "with/models/london"
    return models / (models / "LATEST").read_text().strip()


def test_the_shipped_file_is_clearly_better_with_the_features(summary, folder):
    """Without them a surge between 1 and 3 is noise: its deviation is 0.29 of the mean fare."""
    without = run(folder, "city.features={}", "gates.max_rmse=40")
    assert summary["rows"]["examples"] > 5500
    assert summary["rmse"]["shipped"] < 0.6 * without["rmse"]["shipped"]
    for yardstick in ("no_embedding_dnn", "lightgbm"):
        assert summary["yardsticks"][yardstick] < 0.8 * without["yardsticks"][yardstick], yardstick


def test_predictions_move_the_right_way(version):
    model = FareModel.load(version)
    fares = model.predict({name: np.full(3, value) for name, value in TRIP.items()} | {"surge": [1.0, 2.0, 3.0]})
    assert fares[0] < fares[1] < fares[2]
    assert fares[2] / fares[0] == pytest.approx(3, rel=0.3)
    van = model.predict({**TRIP, "vehicle_type": "van"}) - model.predict(TRIP)
    assert van == pytest.approx(5, abs=2.5)
    assert model.predict({**TRIP, "vehicle_type": 1}) == model.predict({**TRIP, "vehicle_type": "van"})
    assert model.predict({**TRIP, "bags": "0"}) == model.predict(TRIP)
    with pytest.raises(InputError, match="^surge is missing: the model asks for a number"):
        model.predict({name: value for name, value in TRIP.items() if name != "surge"})
    with pytest.raises(InputError, match="^surge=4 must be between 1.0 and 3.0 for the model of london$"):
        model.predict({**TRIP, "surge": 4})


def test_the_file_asks_for_the_features_last_and_describes_them(version):
    model = FareModel.load(version)
    assert model.input_names[7:] == ("surge", "vehicle_type", "still", "only", "bags", *NOISE)
    by_name = {each.name: each for each in model.description.inputs}
    assert (by_name["surge"].line, by_name["surge"].dtype) == ("surge multiplier, 1 to 3", "float32")
    assert (by_name["vehicle_type"].line, by_name["vehicle_type"].dtype) == (
        "vehicle type: sedan 0, van 1, 0 to 1",
        "int32",
    )
    manifest = json.loads((version / "manifest.json").read_text())
    assert "sedan 0, van 1" in json.dumps(manifest)


def test_no_concatenation_takes_more_than_ten(version):
    """tflite-micro's limit."""
    model = opened((version / "fare.tflite").read_bytes())
    joins = [
        len(operator.inputs)
        for operator in model.subgraphs[0].operators
        if code_of(model, operator) == schema().BuiltinOperator.CONCATENATION
    ]
    assert joins and max(joins) <= 10


def test_a_missing_number_counts_as_the_mean(version):
    """A device sends NaN while it does not know the number yet; FareModel refuses NaN, the file does not."""
    interpreter = FareModel.load(version)._interpreter
    row = {name: np.array([value], np.float32) for name, value in TRIP.items() if not isinstance(value, str)}
    row |= {"vehicle_type": np.array([0]), "only": np.array([0]), "bags": np.array([0])}
    missing, mean = (interpreter.predict(row | {"surge": np.array([surge], np.float32)}) for surge in (np.nan, 2.0))
    assert np.isfinite(missing) and missing == pytest.approx(mean, rel=0.1)


def test_golden_rows_and_slices_have_the_features(version, summary):
    golden = json.loads((version / "golden.json").read_text())
    assert list(golden["inputs"])[7:9] == ["surge", "vehicle_type"]
    assert None in golden["inputs"]["surge"] and set(golden["inputs"]["vehicle_type"]) == {0, 1}
    slices = {each["slice"] for each in summary["slices"]}
    assert {"vehicle_type=sedan", "vehicle_type=van", "only=one", "bags=2"} <= slices


@pytest.mark.parametrize("language", ["c", "js", "kotlin", "swift", "python", "rust", "app"])
def test_every_export_takes_them(version, tmp_path, language):
    files = export(version, language, tmp_path)
    text = "".join(file.read_text() for file in files)
    assert "sedan 0, van 1" in text
    if language == "python":
        (test,) = [file for file in files if file.name.endswith("_test.py")]
        result = subprocess.run([sys.executable, test.name], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    if language == "c" and shutil.which("gcc"):
        sources = [file.name for file in files if file.suffix == ".c"]
        subprocess.run(["gcc", "-O1", *sources, "-o", "golden", "-lm"], cwd=tmp_path, check=True)
        result = subprocess.run(["./golden"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_evaluate_reads_the_features(version, folder):
    arguments = ["evaluate", "--model", str(version), "--city", str(folder / "london.yaml"), "--json"]
    result = subprocess.run(
        [FAREBOX, *arguments, "--data", str(folder / "trips.csv")], capture_output=True, text=True, check=True
    )
    errors = json.loads(result.stdout)
    assert errors["rmse"] < 12 and errors["rows"]["used"] > 5500
