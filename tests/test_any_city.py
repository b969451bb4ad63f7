"""A city needs only a profile: three cities, simulated in three dialects, run by command, evaluated on new trips."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from farebox.components.trip_example_gen.columns import COORDINATES
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.reader import read_trips
from farebox.components.trip_example_gen.simulation.simulator import Order, simulate
from farebox.pipeline.settings.load import build

FAREBOX = Path(sys.executable).with_name("farebox")
FEW_EPOCHS = (
    "training.epochs=15", "reducer.fine_tune_epochs=3", "pruner.ramp_epochs=2", "pruner.recover_epochs=3",
    "gates.max_ratio_to_yardstick=1.2",  # on 590 trips, after 15 of 40 epochs
)  # fmt: skip
CITIES = {
    # South of the equator; hour and ISO weekday (Monday 1), no passengers, Parquet; fares in thousands.
    "santiago": """
city:
  name: santiago
  columns: {fare: valor, pickup_longitude: lon_a, pickup_latitude: lat_a, dropoff_longitude: lon_b,
            dropoff_latitude: lat_b, pickup_hour: hora, pickup_weekday: dia}
  weekdays: monday_1
  box: {west: -70.82, east: -70.50, south: -33.62, north: -33.34}
  fare: {min: 500, max: 50000}
  currency: CLP
  airports: {merino_benitez: {longitude: -70.7944, latitude: -33.3930}}
gates: {max_rmse: 2000}
""",
    # Across the equator; epoch seconds, a folder of CSV files, a tariff that rises twice within the year.
    "quito": """
city:
  name: quito
  columns: {fare: total, pickup_longitude: x0, pickup_latitude: y0, dropoff_longitude: x1, dropoff_latitude: y1,
            passenger_count: people, pickup_time: started}
  time_format: epoch
  times: local
  box: {west: -78.62, east: -78.33, south: -0.40, north: 0.02}
  fare: {min: 1.5, max: 100}
  airports: {sucre: {longitude: -78.3575, latitude: -0.1292}}
  tariff_changes: [2014-08-14, 2015-01-20]
""",
    # Across longitude 0; day before month, AM and PM, no seconds; at most four passengers; a CSV file.
    "london": """
city:
  name: london
  columns: {fare: pounds, pickup_longitude: from_lon, pickup_latitude: from_lat, dropoff_longitude: to_lon,
            dropoff_latitude: to_lat, passenger_count: persons, pickup_time: collected}
  time_format: "%d/%m/%Y %I:%M %p"
  box: {west: -0.35, east: 0.12, south: 51.38, north: 51.62}
  fare: {min: 3.8, max: 250}
  passengers: {min: 1, max: 4}
  currency: GBP
  airports: {city: {longitude: 0.0553, latitude: 51.5053}}
gates: {max_rmse: 8}
""",
}  # fmt: skip
FILES = {"santiago": ["trips.parquet"], "quito": ["trips", "trips/later.csv"], "london": ["trips.csv"]}
ROWS = 6000
SAME_IN_EVERY_DIALECT = (*COORDINATES, "pickup_hour", "pickup_weekday", "fare")


def profile_of(city: str) -> CityProfile:
    return build({**yaml.safe_load(CITIES[city]), "data": "simulated"}, city).city


def read(path: Path, profile: CityProfile) -> dict[str, np.ndarray]:
    """The examples of a source, shape (n,) each."""
    parts = [trips.examples for trips in read_trips(str(path), profile)]
    return {name: np.concatenate([part[name].to_numpy() for part in parts]) for name in parts[0].schema.names}


def kilometres(trips: dict[str, np.ndarray]) -> np.ndarray:
    """On the plane; a degree of latitude is 111.195 km on a sphere of 6371.0088 km (IUGG)."""
    north = 111.195 * (trips["dropoff_latitude"] - trips["pickup_latitude"])
    narrow = np.cos(np.radians(trips["pickup_latitude"]))
    return np.hypot(north, 111.195 * narrow * (trips["dropoff_longitude"] - trips["pickup_longitude"]))


# The dialects, without a run


@pytest.fixture
def in_every_dialect(tmp_path):
    """Simulates the trips of one city's place, prices and passengers in the dialect of each: profiles and files."""

    def write(place: str, dirt: float) -> dict[str, tuple[CityProfile, Path]]:
        there, written = profile_of(place), {}
        for city, (file, *_) in FILES.items():
            profile = dataclasses.replace(
                profile_of(city), box=there.box, fare=there.fare, airports=there.airports, passengers=there.passengers,
                tariff_changes=(),
            )  # fmt: skip
            written[city] = profile, tmp_path / city / file
            simulate(profile, Order(2000, seed=3, dirt=dirt), str(tmp_path / city / file))
        return written

    return write


@pytest.mark.parametrize("place", CITIES)
def test_a_trip_is_the_same_in_every_dialect(in_every_dialect, place):
    trips = {city: read(path, profile) for city, (profile, path) in in_every_dialect(place, dirt=0.1).items()}
    for name in SAME_IN_EVERY_DIALECT:
        for city in ("santiago", "london"):
            np.testing.assert_array_equal(trips[city][name], trips["quito"][name], name)
    np.testing.assert_array_equal(trips["london"]["passenger_count"], trips["quito"]["passenger_count"])
    assert set(trips["santiago"]["passenger_count"]) == {1}
    assert set(trips["london"]["passenger_count"]) == set(range(1, int(profile_of(place).passengers.max) + 1))
    epoch = trips["quito"]["pickup_epoch"]
    np.testing.assert_array_equal(trips["london"]["pickup_epoch"], epoch - epoch % 60)
    assert not trips["santiago"]["pickup_epoch"].any()


def test_times_of_every_dialect_equal_pythons_calendar(in_every_dialect):
    files = {city: path for city, (_, path) in in_every_dialect("london", dirt=0).items()}
    with files["london"].open() as text, (files["quito"] / "trips-00000.csv").open() as numbers:
        collected = [datetime.datetime.strptime(row["collected"], "%d/%m/%Y %I:%M %p") for row in csv.DictReader(text)]
        started = [
            datetime.datetime.fromtimestamp(int(row["started"]), datetime.timezone.utc).replace(tzinfo=None)
            for row in csv.DictReader(numbers)
        ]
    assert len(started) == 2000
    assert collected == [moment.replace(second=0) for moment in started]
    parts = pq.read_table(str(files["santiago"]), columns=["hora", "dia"]).to_pydict()
    assert parts["hora"] == [moment.hour for moment in started]
    assert parts["dia"] == [moment.isoweekday() for moment in started]


# Whole runs


@dataclasses.dataclass(frozen=True)
class Ran:
    """A whole run in `place`: its exit code and summary, and how many rows `data simulate` said are faulty."""

    city: str
    place: Path
    code: int
    summary: dict
    faulty: int

    @property
    def model(self) -> str:
        return f"models/{self.city}"


def farebox(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FAREBOX), *arguments], cwd=place, capture_output=True, text=True, timeout=600, check=False
    )


def simulated(place: Path, city: str, rows: int, seed: int, out: str) -> int:
    """Faulty rows among those written by the command."""
    arguments = ("data", "simulate", "--city", f"{city}.yaml", "--rows", str(rows), "--seed", str(seed), "--out", out)
    result = farebox(place, *arguments)
    assert result.returncode == 0, result.stderr
    return int(re.search(r"([\d,]+) of them faulty", result.stdout)[1].replace(",", ""))


@pytest.fixture(scope="module", params=CITIES)
def ran(request, tmp_path_factory) -> Ran:
    """`farebox run` on trips that `farebox data simulate` wrote, with nothing but a city file beside them."""
    city: str = request.param
    place: Path = tmp_path_factory.mktemp(city)
    (place / f"{city}.yaml").write_text(CITIES[city])
    files = FILES[city]
    faulty = sum(simulated(place, city, ROWS // len(files), seed, file) for seed, file in enumerate(files, 1))
    overrides = [part for setting in FEW_EPOCHS for part in ("--set", setting)]
    result = farebox(place, "run", "--city", f"{city}.yaml", "--data", files[0], "--json", *overrides)
    assert result.stdout, result.stderr
    return Ran(city, place, result.returncode, json.loads(result.stdout), faulty)


@pytest.fixture(scope="module")
def unseen(ran) -> tuple[dict[str, np.ndarray], dict]:
    """As many trips of another seed: their examples, and the output of `farebox evaluate`."""
    simulated(ran.place, ran.city, ROWS, 99, "unseen.csv")
    arguments = ("--model", ran.model, "--city", f"{ran.city}.yaml", "--data", "unseen.csv", "--json")
    result = farebox(ran.place, "evaluate", *arguments)
    assert result.returncode == 0, result.stderr
    return read(ran.place / "unseen.csv", profile_of(ran.city)), json.loads(result.stdout)


@pytest.mark.slow
def test_a_run_pushes(ran):
    assert [gate for gate in ran.summary["gates"] if not gate["ok"]] == []
    assert (ran.code, ran.summary["blessed"]) == (0, True)
    assert Path(ran.place, ran.summary["pushed"], "fare.tflite").is_file()
    assert (ran.summary["city"], ran.summary["currency"]) == (ran.city, profile_of(ran.city).currency)


@pytest.mark.slow
def test_every_row_is_counted(ran):
    assert ran.summary["rows"] == {"read": ROWS, "examples": ROWS - ran.faulty, "rejected": ran.faulty, "left_out": 0}
    assert 65 < ran.faulty < 175  # 2 % of 6,000; standard deviation 11


@pytest.mark.slow
def test_the_model_beats_the_mean_and_the_line(ran):
    """On some 590 trips. Seen: 0.18 to 0.27 of the mean's error and 0.62 to 0.75 of the line's."""
    rmse = ran.summary["rmse"]
    assert rmse["shipped"] < 0.4 * rmse["predict_mean"]
    assert rmse["shipped"] < 0.9 * rmse["linear_on_distance"]


@pytest.mark.slow
def test_the_pushed_file_beats_the_mean_and_the_line_on_unseen_trips(unseen):
    """Against the mean and the line fitted to these very trips. Seen: 0.21 to 0.28 and 0.76 to 0.78."""
    trips, evaluation = unseen
    km, fare = kilometres(trips), trips["fare"].astype(np.float64)
    line = np.polyval(np.polyfit(km, fare, 1), km)
    assert evaluation["rows"]["read"] == ROWS and evaluation["rows"]["used"] == len(fare)
    assert evaluation["rmse"] < 0.4 * fare.std()
    assert evaluation["rmse"] < 0.9 * np.sqrt(np.mean((fare - line) ** 2))


@pytest.mark.slow
def test_predicted_fares_follow_the_tariff(ran):
    """By the tariff of `simulated_trips`, at noon on a weekday: 3.4 base fares for 2 km, 10.6 for 8 km; 1.15 times as
    much after each change. The clock is a few percent of a fare, too little for so few rows and epochs.
    """
    profile = profile_of(ran.city)
    base = max(profile.fare.min, profile.fare.max / 64)
    longitude, latitude = (profile.box.west + profile.box.east) / 2, (profile.box.south + profile.box.north) / 2

    def base_fares(km: float, day: str | None = None) -> float:
        """Of a trip north, half of it on either side of the city's centre."""
        pickup, dropoff = (f"{longitude},{latitude + side * km / 2 / 111.195}" for side in (-1, 1))
        when = ("--hour", "12", "--weekday", "1", *(("--date", day) if day else ()))
        result = farebox(ran.place, "predict", "--model", ran.model, "--pickup", pickup, "--dropoff", dropoff, *when)
        assert result.returncode == 0, result.stderr
        return float(result.stdout.split()[0]) / base

    before, after = ("2014-08-13", "2015-01-20") if profile.tariff_changes else (None, None)
    assert base_fares(2, before) == pytest.approx(3.4, rel=0.25)
    assert base_fares(8, before) == pytest.approx(10.6, rel=0.25)
    risen = 1.15**2 if profile.tariff_changes else 1.0
    assert base_fares(8, after) / base_fares(8, before) == pytest.approx(risen, rel=0.1)
