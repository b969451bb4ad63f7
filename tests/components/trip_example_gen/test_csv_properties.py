"""Trips that pandas writes in any dialect reach the examples with every value as it was."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns, Locations, Place
from farebox.components.trip_example_gen.sources import chunks, reading
from farebox.components.trip_example_gen.values.dialect import CsvDialect

UTC = datetime.timezone.utc
DST_NIGHTS = {  # a moment in UTC at which the clocks change
    "America/New_York": ("2024-03-10 07:00", "2024-11-03 06:00"),
    "Europe/Berlin": ("2023-03-26 01:00", "2023-10-29 01:00"),
    "Australia/Lord_Howe": ("2022-10-01 15:30", "2022-04-02 15:00"), "Asia/Kolkata": ("2019-06-01 00:00",),
}  # fmt: skip
# Formats of wall clocks, and of moments.
LOCAL_FORMATS = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%SZ")
OFFSET_FORMATS = ("%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S %z")
EPOCHS = {"epoch": 1, "epoch_ms": 1000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
WEEKDAYS = {"monday_0": "0123456", "monday_1": "1234567", "sunday_0": "1234560", "sunday_1": "2345671"}
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PLACES = {
    name: Place(-70 - i / 8, 40 + i / 8)
    for i, name in enumerate(["a, b", 'c "d"', "e\nf", "g;h|i", "j\tk", "é", "it's", '"l"', "m\n\nn,", "#o"])
}
N_COLUMNS = 9


@dataclasses.dataclass(frozen=True)
class Source:
    """A dialect as pandas and as a profile write it."""

    pandas: dict[str, Any]
    csv: CsvDialect
    currency: tuple[str, str]  # before and behind a number
    profile: dict[str, Any]  # times and their zone, weekdays
    by_parts: bool  # hour and weekday instead of a time
    is_cut: bool


@dataclasses.dataclass(frozen=True)
class Trip:
    fare: float
    place: str
    longitude: float
    latitude: float
    passengers: int | None
    moment: datetime.datetime
    offset_minutes: int
    note: str


@st.composite
def dialects(draw: st.DrawFn) -> Source:
    quote = draw(st.sampled_from("\"'"))
    escape = draw(st.sampled_from([None, "\\"]))
    decimal = draw(st.sampled_from(".,"))
    thousands = draw(st.sampled_from([None, *sorted({",", ".", " ", "'"} - {decimal})]))
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "cp037"]))
    missing = draw(st.sampled_from(["", "NULL", "-", "-1"] + ["\\N"] * (escape is None)))
    named, end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    zone = draw(st.sampled_from(sorted(DST_NIGHTS)))
    times = draw(st.sampled_from(["local", "utc", "offset"]))
    formats = OFFSET_FORMATS if times == "offset" else (*LOCAL_FORMATS, *EPOCHS)
    return Source(
        {
            "sep": separator, "decimal": decimal, "quotechar": quote, "escapechar": escape, "encoding": encoding,
            "doublequote": escape is None, "na_rep": missing, "lineterminator": end, "header": not named,
            "quoting": draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC])),
        },
        CsvDialect(
            separator=None if separator == "," else separator, decimal=decimal, thousands=thousands, quote=quote,
            escape=escape, missing=(missing,) if missing in ("-", "\\N", "-1") else (),
            encoding=None if encoding in ("utf-8", "utf-8-sig", "utf-16") else encoding,
            names=tuple(frame([], None).columns) if named else None,
        ),
        draw(st.sampled_from([("", ""), ("$", ""), ("", " £")])),
        {
            "times": times, "time_zone": zone, "time_format": draw(st.sampled_from(formats)),
            "weekdays": draw(st.sampled_from([*WEEKDAYS, "names"])),
        },
        draw(st.booleans()),
        draw(st.booleans()),
    )  # fmt: skip


def trips(zone: str) -> st.SearchStrategy[list[Trip]]:
    nights = [datetime.datetime.fromisoformat(f"{night}:00+00:00") for night in DST_NIGHTS[zone]]
    moments = st.builds(
        lambda night, seconds: night + datetime.timedelta(seconds=seconds),
        st.sampled_from(nights),
        st.integers(-7200, 7200) | st.integers(-40_000_000, 40_000_000),
    )
    # Shorter than the separators of a row and two line breaks: such a line in quotes would be taken for a row.
    notes = st.text("ab é,;|\t\"'#\n", max_size=N_COLUMNS - 1)
    return st.lists(
        st.builds(
            Trip,
            st.integers(250, 500_000).map(lambda cents: cents / 100),
            st.sampled_from(sorted(PLACES)),
            st.integers(-180_000_000, 180_000_000).map(lambda degrees: degrees / 1e6),
            st.integers(-90_000_000, 90_000_000).map(lambda degrees: degrees / 1e6),
            st.integers(1, 6) | st.none(),
            moments,
            st.integers(-48, 56).map(lambda quarters: 15 * quarters),
            notes,
        ),
        min_size=1,
        max_size=6,
    )


def wall_clock(trip: Trip, source: Source) -> datetime.datetime:
    """The city's clock at the pickup, by Python's zoneinfo."""
    return trip.moment.astimezone(zoneinfo.ZoneInfo(source.profile["time_zone"])).replace(tzinfo=None)


def written_time(trip: Trip, source: Source) -> str | int:
    """A cell of the time column."""
    moment = trip.moment
    if source.profile["times"] == "local":
        moment = wall_clock(trip, source).replace(tzinfo=UTC)
    elif source.profile["times"] == "offset":
        moment = moment.astimezone(datetime.timezone(datetime.timedelta(minutes=trip.offset_minutes)))
    time_format = source.profile["time_format"]
    if time_format in EPOCHS:
        return int(moment.timestamp()) * EPOCHS[time_format]
    return moment.strftime(time_format)


def number(value: float, source: Source) -> str:
    """A fare with its thousands and its currency."""
    marks = {",": source.csv.thousands or "", ".": source.csv.decimal}
    text = "".join(marks.get(character, character) for character in f"{value:,.2f}")
    return source.currency[0] + text + source.currency[1]


def frame(rows: list[Trip], source: Source | None) -> pd.DataFrame:
    """The table that pandas writes; all its columns, in order, for no rows."""
    table: dict[str, list[Any]] = {
        name: [] for name in ("note", "fare", "from", "when", "hour", "day", "lon", "lat", "people")
    }
    assert len(table) == N_COLUMNS
    for trip in rows:
        assert source is not None
        clock, end = wall_clock(trip, source), source.pandas["lineterminator"]
        coding = source.profile["weekdays"]
        cells = (
            trip.note.replace("\n", end),
            number(trip.fare, source) if source.csv.thousands or any(source.currency) else trip.fare,
            trip.place.replace("\n", end),
            written_time(trip, source),
            clock.hour,
            NAMES[clock.weekday()] if coding == "names" else int(WEEKDAYS[coding][clock.weekday()]),
            trip.longitude,
            trip.latitude,
            trip.passengers,
        )
        for column, cell in zip(table.values(), cells, strict=True):
            column.append(cell)
    return pd.DataFrame(table)


def examples(path: Path, profile: CityProfile, chunk_bytes: int) -> pa.Table:
    planned = reading.plan_chunks([str(path)], profile, chunk_bytes)
    parts = [part for chunk in planned for part in reader.read_chunk(chunk, profile)]
    assert [part.rejected.to_pylist() for part in parts if part.rejected.num_rows] == []
    return pa.Table.from_batches([part.examples for part in parts])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data(), source=dialects())
def test_values_of_any_dialect_reach_the_examples(tmp_path: Path, drawn: st.DataObject, source: Source) -> None:
    rows = drawn.draw(trips(source.profile["time_zone"]))
    path = tmp_path / "trips.csv"
    frame(rows, source).to_csv(path, index=False, **source.pandas)
    when = {"pickup_hour": "hour", "pickup_weekday": "day"} if source.by_parts else {"pickup_time": "when"}
    columns = Columns(
        "fare",
        pickup_location="from",
        dropoff_longitude="lon",
        dropoff_latitude="lat",
        passenger_count="people",
        **when,
    )
    profile = CityProfile(
        "city", columns, Box(-180, 180, -90, 90), Bounds(0, 1e6), csv=source.csv, passengers_default=6,
        locations=Locations(places=PLACES), **source.profile,
    )  # fmt: skip
    clocks = [wall_clock(trip, source) for trip in rows]
    epochs = [int(clock.replace(tzinfo=UTC).timestamp()) for clock in clocks]
    expected = {
        "pickup_longitude": [PLACES[trip.place].longitude for trip in rows],
        "pickup_latitude": [PLACES[trip.place].latitude for trip in rows],
        "dropoff_longitude": [np.float32(trip.longitude) for trip in rows],
        "dropoff_latitude": [np.float32(trip.latitude) for trip in rows],
        "passenger_count": [trip.passengers or 6 for trip in rows],
        "pickup_hour": [clock.hour for clock in clocks],
        "pickup_weekday": [clock.weekday() for clock in clocks],
        "pickup_era": [0] * len(rows),
        "pickup_epoch": [0] * len(rows) if source.by_parts else epochs,
        "fare": [np.float32(trip.fare) for trip in rows],
    }
    assert examples(path, profile, 100 if source.is_cut else chunks.CHUNK_BYTES).to_pydict() == expected
