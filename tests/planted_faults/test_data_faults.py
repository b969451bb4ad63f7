"""Faults planted in a source are refused: by ingest if no row or split is left, else by DataGate.

Every case runs ingest, statistics and DataGate for real; the clean span before it is the baseline.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from farebox.components.errors import GateError, InputError

ROWS = 3000
JFK = (-73.7781, 40.6413)
WEEKDAYS = {
    "fare": "fare", "pickup_longitude": "x1", "pickup_latitude": "y1", "dropoff_longitude": "x2",
    "dropoff_latitude": "y2", "pickup_hour": "hour", "pickup_weekday": "day",
}  # fmt: skip
GEO = ["pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude"]


@dataclasses.dataclass(frozen=True)
class Fault:
    """plant: changes a clean span of NYC's dialect. by: `ingest` or the refusing check. words: of the message.

    rows: of the clean span. splits: shares. settings: of DataGate.
    """

    plant: Callable[[pd.DataFrame], pd.DataFrame]
    by: str
    words: tuple[str, ...]
    rows: int = ROWS
    splits: tuple[int, int, int] = (8, 1, 1)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def times(factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda trips: trips.assign(fare_amount=(pd.to_numeric(trips.fare_amount, errors="coerce") * factor).round(2))


def later(trips: pd.DataFrame, hours: int) -> pd.DataFrame:
    moments = pd.to_datetime(trips.pickup_datetime, format="%Y-%m-%d %H:%M:%S UTC", errors="coerce")
    text = (moments + pd.Timedelta(hours=hours)).dt.strftime("%Y-%m-%d %H:%M:%S UTC")
    return trips.assign(pickup_datetime=text.fillna(trips.pickup_datetime))


def from_airport(trips: pd.DataFrame) -> pd.DataFrame:
    near = np.random.default_rng(0).normal(0, 0.002, (2, len(trips)))
    return trips.assign(pickup_longitude=JFK[0] + near[0], pickup_latitude=JFK[1] + np.abs(near[1]))


def on_wednesdays(trips: pd.DataFrame) -> pd.DataFrame:
    moments = pd.to_datetime(trips.pickup_datetime, format="%Y-%m-%d %H:%M:%S UTC", errors="coerce")
    return trips[moments.dt.weekday == 2]


def half_empty(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.assign(pickup_latitude=trips.pickup_latitude.where(np.arange(len(trips)) % 2 == 0))


def outside(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.assign(pickup_longitude=trips.pickup_longitude + np.where(np.arange(len(trips)) % 5 < 3, 1.0, 0.0))


def swapped(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda trips: trips.assign(**{a: trips[b] for a, b in pairs}, **{b: trips[a] for a, b in pairs})


def other_times(trips: pd.DataFrame) -> pd.DataFrame:
    moments = pd.to_datetime(trips.pickup_datetime, format="%Y-%m-%d %H:%M:%S UTC", errors="coerce")
    is_other = (np.arange(len(trips)) % 20 == 0) & moments.notna()
    return trips.assign(pickup_datetime=trips.pickup_datetime.where(~is_other, moments.dt.strftime("%d.%m.%Y %H:%M")))


def thousands(trips: pd.DataFrame) -> pd.DataFrame:
    dear = (1000 + pd.to_numeric(trips.fare_amount, errors="coerce").fillna(0)).map("{:,.2f}".format)
    return trips.assign(fare_amount=trips.fare_amount.astype(str).where(np.arange(len(trips)) % 7 > 0, dear))


FAULTS = {
    "fares times 1.6": Fault(
        times(1.6), "drift.fare", ("Jensen-Shannon of train against the last blessed run", "fare above", "e.g. fare=")
    ),
    "fares in cents": Fault(times(100), "ingest", ("none of 3000 rows is a trip of nyc", "fare_out_of_bounds")),
    "hours shifted by 5": Fault(
        lambda trips: later(trips, 5), "drift.pickup_hour", ("Jensen-Shannon", "pickup_hour", "e.g. pickup_hour=")
    ),
    "all from the airport": Fault(
        from_airport, "drift.pickup_longitude", ("pickup_longitude in (-73.7", "drift.pickup_latitude")
    ),
    "Wednesdays only": Fault(
        on_wednesdays,
        "drift.pickup_weekday",
        ("L-infinity", "pickup_weekday = 2 is 100.0% of train", "e.g. pickup_weekday=2 "),
        rows=9000,
    ),
    "one passenger always": Fault(
        lambda trips: trips.assign(passenger_count=1),
        "drift.passenger_count",
        ("passenger_count = 1 is 100.0% of train", "e.g. passenger_count=1 "),
    ),
    "pickup and dropoff longitudes swapped": Fault(
        swapped(("pickup_longitude", "dropoff_longitude")),
        "drift.pickup_longitude",
        ("threshold 0.003", "e.g. pickup_longitude="),
        rows=9000,
        settings={"thresholds": {"pickup_longitude": 0.003}},
    ),
    "half of a column empty": Fault(
        half_empty, "rejected_share", ("missing_coordinate 1", "must be at most 0.2", "e.g. trips.csv row 3: ")
    ),
    "one time in twenty of another format": Fault(
        other_times, "misfits", ("misfits=0.05", "column pickup_datetime: ", "%d.%m.%Y %H:%M reads the rejected ones")
    ),
    "one fare in seven with a thousands separator": Fault(
        thousands, "misfits", ("misfits=0.14", "fare_amount: 14% of the rows", 'write city.csv: {thousands: ","}')
    ),
    "latitudes and longitudes swapped": Fault(
        swapped(("pickup_longitude", "pickup_latitude"), ("dropoff_longitude", "dropoff_latitude")),
        "ingest",
        ("none of 3000 rows is a trip of nyc", "outside_city"),
    ),
    "60 % of rows outside the city": Fault(
        outside, "rejected_share", ("rejected_share=0.6", "outside_city 1", "e.g. trips.csv row 2: ")
    ),
    "too few rows": Fault(
        lambda trips: trips[:600], "rows", ("must be at least 1000", "train 4", "data_gate.min_rows=N")
    ),
    "a tiny split": Fault(
        lambda trips: trips, "split_rows", ("must be at least 50", "got split "), splits=(98, 1, 1)
    ),
    "an empty split": Fault(
        lambda trips: trips, "ingest", ("split eval got none of", "give more trips"), rows=200, splits=(998, 1, 1)
    ),
    "header of another column": Fault(
        lambda trips: trips.rename(columns={"fare_amount": "tip_amount"}),
        "ingest",
        ("column fare_amount (city.columns.fare) is missing",),
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def baseline(city, simulated, ingest, tmp_path_factory):
    """A clean span of NYC's dialect."""
    profile = city("nyc")
    return ingest(simulated(profile, ROWS, 1), tmp_path_factory.mktemp("baseline"), profile, by_beam=True)


def refused(*, name: str, fault: Fault, city, simulated, ingest, judge, baseline, folder: Path) -> str:
    """The line of the refusal."""
    profile = city("nyc")
    source = fault.plant(simulated(profile, fault.rows, 2))
    if fault.by == "ingest":
        with pytest.raises(InputError) as error:
            ingest(source, folder, profile, splits=fault.splits)
        return str(error.value)
    ingested = ingest(source, folder, profile, splits=fault.splits)
    with pytest.raises(GateError) as error:
        judge(ingested, baseline, **fault.settings)
    assert fault.by in {check.name for check in error.value.checks if check.refuses}, name
    return str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refused(*, name, city, simulated, ingest, judge, baseline, tmp_path):
    fault = FAULTS[name]
    line = refused(
        name=name, fault=fault, city=city, simulated=simulated, ingest=ingest, judge=judge, baseline=baseline,
        folder=tmp_path,
    )  # fmt: skip
    assert [word for word in fault.words if word not in line] == [], line
    assert "\n" not in line
    if fault.by != "ingest":
        assert re.match(rf"DataGate: (.*; )?{fault.by}=", line), line


@pytest.mark.slow
def test_a_clean_span_and_a_tariff_rise_pass_with_their_measures(*, city, simulated, ingest, judge, baseline, tmp_path):
    profile = city("nyc")
    for factor in (1.0, 1.1):
        span = times(factor)(simulated(profile, ROWS, 2))
        verdict = judge(ingest(span, tmp_path / str(factor), profile), baseline)
        (fare,) = (check for check in verdict if check["name"] == "drift.fare")
        assert all(check["ok"] for check in verdict)
        assert fare["detail"].startswith("Jensen-Shannon of train against the last blessed run (threshold 0.03")
    assert 0.005 < fare["value"] < fare["bound"]


@pytest.mark.slow
def test_impossible_weekdays_are_refused(city, simulated, ingest, tmp_path):
    profile = city("nyc", **WEEKDAYS)
    source = simulated(profile, ROWS, 3)
    source["day"] = source["day"].where(np.arange(ROWS) % 3 > 0, 9)
    with pytest.raises(InputError, match="column day: city.weekdays=monday_0 does not fit: 3[345]% of the rows have "):
        ingest(source, tmp_path, profile)


@pytest.mark.slow
def test_values_that_the_schema_forbids_are_refused_with_rows(city, simulated, ingest, judge, tmp_path):
    from farebox.components.trip_example_gen.schema import schema_text

    profile = city("nyc")
    narrow = schema_text(profile).replace("int_domain { min: 1 max: 6", "int_domain { min: 1 max: 4")
    ingested = ingest(simulated(profile, ROWS, 3), tmp_path, profile, narrow)
    with pytest.raises(
        GateError,
        match="anomalies=[23] must be at most 0, got .*Unexpectedly large value: 6.*e.g. passenger_count=[56] ",
    ):
        judge(ingested)


@pytest.mark.slow
def test_an_eval_split_of_other_data_is_skewed(*, city, simulated, ingest, judge, describe, baseline, tmp_path):
    profile = city("nyc")
    clean = ingest(simulated(profile, ROWS, 2), tmp_path / "clean", profile)
    dear = ingest(times(1.6)(simulated(profile, ROWS, 4)), tmp_path / "dear", profile)
    eval_split = Path(clean.artifacts["examples"].uri, "Split-eval")
    shutil.rmtree(eval_split)
    shutil.copytree(Path(dear.artifacts["examples"].uri, "Split-train"), eval_split)
    mixed = describe(clean.artifacts["examples"], clean.artifacts["schema"], tmp_path / "mixed")
    with pytest.raises(GateError, match="DataGate: skew.fare=.* Jensen-Shannon of eval against train .* e.g. fare="):
        judge(mixed, baseline)


@pytest.mark.slow
def test_without_a_baseline_the_verdict_says_why(baseline, judge, tmp_path):
    from farebox.components.data_gate import train_statistics
    from farebox.components.data_gate.executor import NO_STATISTICS
    from farebox.pipeline.local.node_figures import key_figures

    def drift(**given: Any) -> dict[str, Any]:
        (check,) = (check for check in judge(baseline, **given) if check["name"].startswith("drift"))
        return check

    assert (drift()["name"], drift()["bound"], drift()["ok"]) == ("drift", None, True)
    assert drift()["detail"] == "no baseline yet: no other data have led to an accepted model"
    assert drift(finds_baseline=0)["detail"] == "no baseline on this orchestrator: drift was not looked for"
    empty = copy.deepcopy(baseline.artifacts["statistics"])
    train_statistics.leave_empty(empty)  # as LatestPushed, on a cluster
    check = drift(before=dataclasses.replace(baseline, artifacts={"statistics": empty}))
    assert (check["detail"], check["ok"]) == (NO_STATISTICS, True)
    gone = copy.deepcopy(baseline.artifacts["statistics"])
    gone.uri = str(tmp_path / "gone")
    check = drift(before=dataclasses.replace(baseline, artifacts={"statistics": gone}))
    assert check["detail"].startswith("no baseline that can be read: ") and str(tmp_path / "gone") in check["detail"]
    verdict = types.SimpleNamespace(uri=str(Path(baseline.artifacts["examples"].uri).with_name("verdict")))
    assert key_figures("DataGate", {"verdict": [verdict]}).startswith("19 of 19 checks hold; no baseline that can be")


@pytest.mark.slow
def test_a_warning_is_shown_and_does_not_stop(*, city, simulated, ingest, judge, baseline, tmp_path):
    from farebox.pipeline.local.node_figures import key_figures

    profile = city("nyc")
    judge(ingest(times(1.6)(simulated(profile, ROWS, 2)), tmp_path, profile), baseline, drift="warn")
    verdict = types.SimpleNamespace(uri=str(tmp_path / "verdict"))
    line = key_figures("DataGate", {"verdict": [verdict]})
    assert re.fullmatch(r"25 of 26 checks hold; warning: drift\.fare=0\.[01]\d*, bound 0\.035\d*", line), line
