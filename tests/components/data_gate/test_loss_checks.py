"""Rows that gave no example: what refuses, what warns, and in which words; the counts are the reader's own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from farebox.components.data_gate import data_checks
from farebox.components.data_gate.loss_checks import judge_losses
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns
from farebox.components.trip_example_gen.sources import reading
from farebox.components.trip_example_gen.splits import row_hashes

CITY = CityProfile(
    name="nyc",
    columns=Columns("fare", "x1", "y1", "x2", "y2", pickup_time="when"),
    box=Box(-74.05, -73.75, 40.63, 40.85),
    fare=Bounds(2.5, 2000),
    time_format="%Y-%m-%d %H:%M:%S",
)
ROWS = 2000


@dataclasses.dataclass
class Rows:
    """Rows of an even week, fares of 5 to 15; each column may be changed."""

    fare: np.ndarray
    when: np.ndarray
    x1: np.ndarray

    @classmethod
    def even(cls, n: int = ROWS, seed: int = 0) -> Rows:
        fare = np.round(np.random.default_rng(seed).uniform(5, 15, n), 2).astype(object)
        moments = np.datetime64("2019-01-07") + np.arange(n).astype("timedelta64[h]")
        when = np.array([str(each).replace("T", " ") + ":00:00" for each in moments.astype("datetime64[h]")], object)
        return cls(fare, when, np.full(n, -73.99, object))

    def write(self, path: Path) -> None:
        rows = zip(self.fare, self.when, self.x1, strict=True)
        lines = [f'"{fare}",{when},{x1},40.73,-73.98,40.75' for fare, when, x1 in rows]
        path.write_text("\n".join(["fare,when,x1,y1,x2,y2", *lines]) + "\n")


def verdict(folder: Path, city: CityProfile = CITY, **settings) -> dict[str, Check]:
    """The checks by name, of counts as counts.json carries them."""
    chunks = reading.plan_chunks(reading.find_files(str(folder)), city)
    losses = Losses.sum(
        trips.losses.with_examples(row_hashes(trips.examples), 0)
        for chunk in chunks
        for trips in reader.read_chunk(chunk, city)
    )
    counts = json.loads(json.dumps(losses.to_json()))
    return {check.name: check for check in judge_losses(Losses.from_json(counts), DataGateSettings(**settings))}


def refusal(checks: dict[str, Check]) -> str | None:
    return data_checks.refusal(list(checks.values()))


def test_clean_rows_pass_and_the_checks_say_that_nothing_was_compared(tmp_path):
    Rows.even().write(tmp_path / "t.csv")
    checks = verdict(tmp_path)
    assert {name: (check.value, check.bound, check.ok) for name, check in checks.items()} == {
        "files_without_trips": (0, 0, True), "repeated_files": (0, 0, True), "misfits": (0, 0.01, True),
        "loss": (0, None, True),
    }  # fmt: skip
    assert checks["loss"].detail == "0 of 2,000 rows rejected: not compared"


def test_one_of_several_files_without_trips_refuses_with_its_commonest_reason(tmp_path):
    for seed, name in enumerate("abc"):
        Rows.even(100, seed).write(tmp_path / f"{name}.csv")
    spoiled = Rows.even(40)
    spoiled.x1[:] = 0
    spoiled.fare[:3] = "free"
    spoiled.write(tmp_path / "d.csv")
    checks = verdict(tmp_path, max_misfits=1.0)
    assert refusal(checks) == (
        f"DataGate: files_without_trips=1 must be at most 0, got {tmp_path}/d.csv: none of 40 rows, 37 outside "
        "city.box (column x1). Mend these files or leave them out, or allow them with data_gate.empty_files=warn"
    )
    assert refusal(verdict(tmp_path, max_misfits=1.0, empty_files="warn")) is None


def test_the_same_trips_in_files_of_other_names_and_formats_refuse(tmp_path):
    Rows.even().write(tmp_path / "january.csv")
    Rows.even(seed=1).write(tmp_path / "february.csv")
    pandas.read_csv(tmp_path / "january.csv").sample(frac=1, random_state=0).to_parquet(tmp_path / "2019-01.parquet")
    checks = verdict(tmp_path)
    assert refusal(checks) == (
        f"DataGate: repeated_files=1 must be at most 0, got {tmp_path}/january.csv has 100% of the trips of "
        f"{tmp_path}/2019-01.parquet. Remove one of the two or leave it out by city.ignore_files, or allow them with "
        "data_gate.repeated_files=warn"
    )
    assert refusal(verdict(tmp_path, repeated_files="warn")) is None


def test_a_day_beside_its_month_refuses_and_a_few_trips_of_another_file_do_not(tmp_path):
    month = Rows.even(30 * 700)
    month.write(tmp_path / "month.csv")
    day = Rows(month.fare[:700], month.when[:700], month.x1[:700])
    day.write(tmp_path / "day.csv")
    check = verdict(tmp_path)["repeated_files"]
    assert (check.value, check.detail) == (1, f"{tmp_path}/month.csv has 100% of the trips of {tmp_path}/day.csv")
    day.fare[:500] = 7.77
    day.write(tmp_path / "day.csv")
    assert verdict(tmp_path)["repeated_files"].ok


def test_a_file_whose_rows_are_all_left_out_refuses(tmp_path):
    Rows.even(100).write(tmp_path / "a.csv")
    other = Rows.even(100)
    other.x1[:] = -73.98
    other.write(tmp_path / "b.csv")
    checks = verdict(tmp_path, dataclasses.replace(CITY, where="x1 < -73.985"))
    assert checks["files_without_trips"].detail == f"{tmp_path}/b.csv: none of 100 rows, 100 left out by city.where"


def test_fares_of_another_format_refuse_with_the_dialect(tmp_path):
    """The issue's case: `1,020.00` is rejected and `996.00` is not, 14 % of the rows."""
    rows = Rows.even()
    rows.fare[::7] = "1,020.00"
    rows.write(tmp_path / "t.csv")
    line = refusal(verdict(tmp_path))
    assert line.startswith(
        "DataGate: misfits=0.143 must be at most 0.01, got column fare: 14% of the rows have numbers"
    )
    assert '1,020.00; write city.csv: {thousands: ","}. Correct the city file, or allow' in line


def test_times_of_another_format_refuse_beyond_the_bound_and_chance(tmp_path):
    """60 of 2,000 rows are 3 %; 25 are 1.25 %, which rows with 1 % of such times have in 15 % of all cases."""
    for n, refuses in ((60, True), (25, False)):
        rows = Rows.even()
        rows.when[:n] = "01/13/2019 10:00"
        rows.write(tmp_path / "t.csv")
        checks = verdict(tmp_path)
        assert checks["misfits"].refuses == refuses and checks["misfits"].value == n / ROWS
    assert checks["misfits"].detail == "25 of 2,000 rows no time of city.time_format and city.days (column when)"


def test_rejected_rows_with_other_fares_warn(tmp_path):
    """Long trips lack a place: fares above 13 are a fifth, mean 14 against 9."""
    rows = Rows.even()
    rows.x1[rows.fare.astype(float) > 13] = ""
    rows.write(tmp_path / "t.csv")
    checks = verdict(tmp_path)
    check = checks["loss.fare"]
    assert (check.ok, check.severity, refusal(checks)) == (False, "warn", None)
    fares = rows.fare.astype(float)
    shift = fares.mean() - fares[fares <= 13].mean()
    assert check.value == pytest.approx(shift / fares.mean(), abs=1e-4) and 0.05 < check.bound < 0.06
    assert check.detail.startswith("mean fare of the kept rows 8.96, of the 20.5% rejected 13.98 (410 known; ")
    assert checks["loss.pickup_weekday"].ok and checks["loss.pickup_hour"].ok
    assert refusal(verdict(tmp_path, biased_loss="stop")).startswith("DataGate: loss.fare=0.1")
    assert "loss.fare" not in verdict(tmp_path, biased_loss="ignore")


@pytest.mark.parametrize(("part", "value", "n"), [("weekday", 5, 280), ("hour", 3, 80)])
def test_rejected_rows_of_one_weekday_or_hour_warn(tmp_path, part, value, n):
    """7 January 2019 was a Monday; 2,000 hours from then have 288 on Saturdays and 84 at 3 o'clock at most."""
    rows = Rows.even()
    hours = np.arange(ROWS)
    of_day = {"weekday": hours // 24 % 7, "hour": hours % 24}[part] == value
    rows.x1[of_day] = 0
    rows.write(tmp_path / "t.csv")
    checks = verdict(tmp_path)
    check = checks[f"loss.pickup_{part}"]
    assert not check.ok and check.value == pytest.approx(of_day.mean()) and of_day.sum() >= n
    assert f"pickup_{part} = {value} is 0.0% of the kept rows, 100.0% of the {of_day.mean():.1%} rej" in check.detail
    assert checks["loss.fare"].ok


def test_shares_by_hand(tmp_path):
    """Rejected: 40 Mondays and 20 Tuesdays; kept: 20 and 40; all: 60 and 60. The kept differ from all by a sixth;
    chi-squared, 30 expected in each cell, is 4 x 100 / 30 = 13.3 of one degree of freedom, p = 0.00026: not beyond 1 in
    10,000."""
    monday, tuesday = "2019-01-07 08:00:00", "2019-01-08 08:00:00"
    when = np.array([monday] * 40 + [tuesday] * 20 + [monday] * 20 + [tuesday] * 40, object)
    rows = Rows(np.full(120, 9.0, object), when, np.array([0] * 60 + [-73.99] * 60, object))
    rows.write(tmp_path / "t.csv")
    check = verdict(tmp_path)["loss.pickup_weekday"]
    assert check.value == pytest.approx(1 / 6) and check.ok
    assert "chi-squared 13.33, p 0.00026)" in check.detail


def test_rejected_rows_like_the_kept_pass(tmp_path):
    """Chosen by chance, in 20 draws: at 1 in 10,000 for each of 3 checks none may warn."""
    for seed in range(100, 120):  # the fares are of seed 0
        rows = Rows.even(1000)
        rows.x1[np.random.default_rng(seed).random(1000) < 0.1] = 0
        rows.write(tmp_path / "t.csv")
        checks = verdict(tmp_path)
        assert all(check.ok for check in checks.values()), (seed, checks)
        assert "loss.fare" in checks


def test_few_rejected_rows_are_not_compared(tmp_path):
    rows = Rows.even(1000)
    rows.x1[:20] = 0
    rows.write(tmp_path / "t.csv")
    assert verdict(tmp_path)["loss"].detail == "20 of 1,000 rows rejected: not compared"
    rows.fare[:20] = "free"
    rows.when[20:40] = ""
    rows.write(tmp_path / "t.csv")
    checks = verdict(tmp_path)
    assert (checks["loss.fare"].bound, checks["loss.fare"].ok) == (None, True)
    assert checks["loss.fare"].detail == "20 rejected rows with a known fare: not compared"


def test_counts_of_an_older_run_pass():
    counts = {"read": 200, "examples": 190, "rejected": 10, "by_reason": {"unparseable": 3, "outside_city": 7}}
    checks = judge_losses(Losses.from_json(counts), DataGateSettings())
    assert all(check.ok for check in checks)


def test_dates_without_hours_refuse(tmp_path):
    rows = Rows.even(400)
    rows.when = np.array([f"{each[:10]} 00:00:00" for each in rows.when], object)
    rows.write(tmp_path / "t.csv")
    line = refusal(verdict(tmp_path))
    assert line.startswith("DataGate: hours=1 must be at least 13, got every trip")
    assert refusal(verdict(tmp_path, misfits="warn")) is None


def test_hours_that_count_to_twelve_refuse(tmp_path):
    rows = Rows.even(400)
    rows.when = np.array([f"{each[:11]}{(int(each[11:13]) + 11) % 12 + 1:02d}:00:00" for each in rows.when], object)
    rows.write(tmp_path / "t.csv")
    line = refusal(verdict(tmp_path))
    assert line.startswith("DataGate: hours=12 must be at least 13, got trips") and line.endswith(
        "city.time_format %I and %p. Correct the city file, or allow it with data_gate.misfits=warn"
    )


@pytest.mark.parametrize("hours", [range(1), range(1, 13)])
def test_the_first_hours_of_a_day_pass(hours, tmp_path):
    """The head of a month's file: many trips, all of them of one night."""
    rows = Rows.even(400)
    rows.when = np.array([f"2019-01-01 {hours[i % len(hours)]:02d}:00:00" for i in range(400)], object)
    rows.write(tmp_path / "t.csv")
    assert refusal(verdict(tmp_path)) is None
