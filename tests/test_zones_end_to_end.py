"""New York's trips by zone, from raw rows to a fare by zone id; the trips are in no repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox import FareModel
from farebox.pipeline.fare_model import evaluate
from farebox.pipeline.settings.load import load_settings

FAREBOX = Path(sys.executable).with_name("farebox")
SHARED = Path(__file__).parents[2] / "shared" / "data" / "tlc-2019" / "yellow_tripdata_sample_2019-01.csv"
TLC_SAMPLE = Path(os.environ.get("FAREBOX_TLC_SAMPLE", SHARED))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TLC_SAMPLE.exists(), reason=f"the TLC sample is not at {TLC_SAMPLE}"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on the trips of 1 to 24 January 2019, and the later ones in later.csv."""
    folder = tmp_path_factory.mktemp("zones")
    header, *rows = TLC_SAMPLE.read_text().splitlines()
    is_late = [row.split(",")[1] >= "2019-01-25" for row in rows]
    for name, wanted in (("earlier.csv", False), ("later.csv", True)):
        chosen = [row for row, late in zip(rows, is_late, strict=True) if late == wanted]
        (folder / name).write_text("\n".join([header, *chosen, ""]))
    summary = json.loads(farebox(folder, "run", "--city", "nyc-tlc-yellow", "--data", "earlier.csv", "--json"))
    assert summary["pushed"]
    return folder


def farebox(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [str(FAREBOX), *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def test_later_trips_are_predicted_better_than_by_trees_with_zones_as_categories(trained: Path) -> None:
    """LightGBM with zones, hour, weekday and passengers errs by RMSE 4.47 and MAE 2.59 here."""
    settings = load_settings("nyc-tlc-yellow", str(trained / "later.csv"))
    errors = evaluate(trained / "models" / "nyc-tlc-yellow", settings)
    assert errors.rows_used > 2300 and errors.rows_rejected < 80
    assert errors.rmse < 3.7 and errors.mae < 2.1


def test_a_zone_s_id_its_name_and_its_coordinates_give_one_fare(trained: Path) -> None:
    model = FareModel.load(trained / "models" / "nyc-tlc-yellow")
    places = model.places.places
    assert len(places) == 260
    pickup, dropoff = places["230"], places["132"]
    time = {"pickup_hour": 18, "pickup_weekday": 4}
    ends = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
    fare = model.predict(dict(zip(ends, (*pickup[:2], *dropoff[:2]), strict=True)) | time)
    assert 48 < fare < 56, "JFK's flat fare is 52 USD"
    assert model.predict({"pickup_location": 230, "dropoff_location": "jfk airport"} | time) == fare
    every = np.array(list(places))
    fares = model.predict({"pickup_location": every, "dropoff_location": every[::-1], **_tiled(time, len(every))})
    assert np.isfinite(fares).all() and fares.min() >= 0
    printed = {
        farebox(trained, "predict", "--model", "models/nyc-tlc-yellow", "--pickup", start, "--dropoff", end, "--hour",
                "18", "--weekday", "4")
        for start, end in (("230", "132"), (f"{pickup[0]},{pickup[1]}", "JFK Airport"))
    }  # fmt: skip
    assert [each.split()[:2] for each in printed] == [[f"{fare:.2f}", "USD"]]


def _tiled(row: dict[str, int], n_rows: int) -> dict[str, np.ndarray]:
    return {name: np.full(n_rows, value) for name, value in row.items()}
