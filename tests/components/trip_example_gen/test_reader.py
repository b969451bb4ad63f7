"""Rows that are trips or rejected, files as chunks, and messages about files that cannot be used."""

import dataclasses
import datetime
import gzip
import importlib.resources
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import (
    Bounds,
    Box,
    CityProfile,
    Columns,
    Place,
    profile_from_json,
    profile_to_json,
)
from farebox.components.trip_example_gen.sources import chunks, reading
from farebox.components.trip_example_gen.splits import assign_splits

NAMES = list(EXAMPLE_COLUMNS)

NYC_SAMPLE = Path(
    os.environ.get("FAREBOX_NYC_SAMPLE", Path(__file__).parents[4] / "shared" / "data" / "nyc" / "taxi-fares.csv")
)
HEADER = "fare_usd,when,lon_a,lat_a,lon_b,lat_b,people"
GOOD = "12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2"
NYC = CityProfile(
    name="nyc",
    columns=Columns("fare_usd", "lon_a", "lat_a", "lon_b", "lat_b", passenger_count="people", pickup_time="when"),
    box=Box(-74.05, -73.75, 40.63, 40.85),
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S",
)
BY_PARTS = dataclasses.replace(
    NYC,
    columns=Columns("fare_usd", "lon_a", "lat_a", "lon_b", "lat_b", pickup_hour="h", pickup_weekday="wd"),
    weekdays="monday_0",
)
PARTS_HEADER = "fare_usd,h,wd,lon_a,lat_a,lon_b,lat_b"


def write(folder: Path, *lines: str, name: str = "trips.csv", header: str = HEADER, end: str = "\n") -> str:
    path = folder / name
    path.write_bytes((end.join([header, *lines]) + end).encode())
    return str(path)


def read(path: str, profile: CityProfile = NYC, chunk_bytes: int = chunks.CHUNK_BYTES) -> Trips:
    """All trips of a source in one piece, with `plan_chunks` and `read_chunk`."""
    planned = reading.plan_chunks(reading.find_files(path), profile, chunk_bytes)
    parts = [trips for chunk in planned for trips in reader.read_chunk(chunk, profile)]
    columns = [pa.concat_arrays([part.examples.column(i) for part in parts]) for i in range(len(NAMES))]
    return Trips(pa.RecordBatch.from_arrays(columns, NAMES), pa.concat_tables([part.rejected for part in parts]))


def rejected(trips: Trips) -> list[tuple[int, str, str]]:
    return [(r["row"], r["reason"], r["column"]) for r in trips.rejected.to_pylist()]


def test_a_trip_becomes_an_example(tmp_path: Path) -> None:
    trips = read(write(tmp_path, GOOD))
    # 28 January 2011 was a Friday; 1296247379 is 20:42:59 of that day, by `date -ud '2011-01-28 20:42:59' +%s`.
    expected = {
        "pickup_longitude": np.float32(-73.99), "pickup_latitude": np.float32(40.73),
        "dropoff_longitude": np.float32(-73.98), "dropoff_latitude": np.float32(40.75),
        "passenger_count": 2, "pickup_hour": 20, "pickup_weekday": 4, "pickup_era": 0,
        "pickup_epoch": 1296247379, "fare": 12.5,
    }  # fmt: skip
    assert trips.examples.to_pylist() == [expected]
    assert [str(f.type) for f in trips.examples.schema] == ["float"] * 4 + ["int64"] * 5 + ["float"]
    assert trips.examples.schema.names == NAMES


@pytest.mark.parametrize(
    ("line", "reason", "column"),
    [
        ("x,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "unparseable", "fare_usd"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.7.5,2", "unparseable", "lat_b"),
        ("inf,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "unparseable", "fare_usd"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,two", "unparseable", "people"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75", "unparseable", ""),
        (GOOD + ",7", "unparseable", ""),
        ('12.5,"2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2', "unparseable", ""),
        (",2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "missing_label", "fare_usd"),
        ("nan,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "missing_label", "fare_usd"),
        ("12.5,2011-01-28 20:42:59,-73.99,,-73.98,40.75,2", "missing_coordinate", "lat_a"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,NULL,40.75,2", "missing_coordinate", "lon_b"),
        ("12.5,yesterday,-73.99,40.73,-73.98,40.75,2", "bad_timestamp", "when"),
        ("12.5,,-73.99,40.73,-73.98,40.75,2", "bad_timestamp", "when"),
        ("12.5,1911-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "bad_timestamp", "when"),
        ("2.49,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "fare_out_of_bounds", "fare_usd"),
        ("1e300,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2", "fare_out_of_bounds", "fare_usd"),
        ("12.5,2011-01-28 20:42:59,0,0,-73.98,40.75,2", "outside_city", "lon_a"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.86,2", "outside_city", "lat_b"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,7", "passengers_out_of_bounds", "people"),
        ("12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,1.5", "passengers_out_of_bounds", "people"),
    ],
)
def test_an_invalid_row_is_rejected_with_its_reason(tmp_path: Path, line: str, reason: str, column: str) -> None:
    path = write(tmp_path, GOOD, line, GOOD)
    trips = read(path)
    assert trips.examples.num_rows == 2
    assert trips.rejected.to_pylist() == [{"file": path, "row": 3, "reason": reason, "column": column, "text": line}]
    assert trips.reasons() == {(reason, column): 1}


@pytest.mark.parametrize("fare", [2.5, 200])
def test_bounds_belong_to_the_city(tmp_path: Path, fare: float) -> None:
    line = f"{fare},2011-01-28 20:42:59,-74.05,40.63,-73.75,40.85,6"
    assert read(write(tmp_path, line)).examples.num_rows == 1
    # Float32 steps by 3.8e-6 at 40: what is written, and so judged, is 40.85 here.
    assert read(write(tmp_path, line.replace("40.85", "40.8500001"))).examples.num_rows == 1
    assert read(write(tmp_path, line.replace("40.85", "40.85001"))).examples.num_rows == 0


def test_missing_passengers_take_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD[:-1], GOOD[:-1] + "NA")
    profile = dataclasses.replace(NYC, passengers_default=3)
    assert read(path, profile).examples.column(4).to_pylist() == [3, 3]
    without = dataclasses.replace(profile, columns=dataclasses.replace(NYC.columns, passenger_count=None))
    assert read(path, without).examples.column(4).to_pylist() == [3, 3]


@pytest.mark.parametrize(
    ("weekdays", "cell", "expected"),
    [
        ("monday_0", "0", 0), ("monday_0", "6", 6), ("monday_1", "1", 0), ("monday_1", "7", 6), ("sunday_0", "0", 6),
        ("sunday_0", "6", 5), ("sunday_1", "1", 6), ("sunday_1", "2", 0), ("sunday_1", "7", 5), ("names", "Sunday", 6),
        ("names", "mon", 0), ("names", " THURS. ", 3), ("monday_0", "3.0", 3),
    ],
)  # fmt: skip
def test_weekdays_are_counted_from_monday(tmp_path: Path, weekdays: str, cell: str, expected: int) -> None:
    path = write(tmp_path, f"12.5,23,{cell},-73.99,40.73,-73.98,40.75", header=PARTS_HEADER)
    examples = read(path, dataclasses.replace(BY_PARTS, weekdays=weekdays)).examples
    row = examples.to_pylist()[0]
    assert (row["pickup_hour"], row["pickup_weekday"], row["pickup_epoch"]) == (23, expected, 0)


@pytest.mark.parametrize(
    ("weekdays", "parts", "column"),
    [
        ("monday_0", "24,0", "h"), ("monday_0", "-1,0", "h"), ("monday_0", "1.5,0", "h"), ("monday_0", ",0", "h"),
        ("monday_0", "1,7", "wd"), ("monday_1", "1,0", "wd"), ("sunday_1", "1,0", "wd"), ("sunday_0", "1,7", "wd"),
        ("monday_0", "1,", "wd"), ("monday_0", "1,1.5", "wd"), ("names", "1,m", "wd"), ("names", "1,lundi", "wd"),
    ],
)  # fmt: skip
def test_impossible_hours_and_weekdays_are_rejected(tmp_path: Path, weekdays: str, parts: str, column: str) -> None:
    path = write(tmp_path, f"12.5,{parts},-73.99,40.73,-73.98,40.75", header=PARTS_HEADER)
    reason = "bad_timestamp" if column == "h" else "bad_weekday"
    assert rejected(read(path, dataclasses.replace(BY_PARTS, weekdays=weekdays))) == [(2, reason, column)]


@pytest.mark.parametrize(
    ("epoch", "n_examples"), [("1296247379", 1), ("1296247379.9", 1), ("1296247379000", 0), ("-1", 0)]
)
def test_epoch_seconds_not_milliseconds(tmp_path: Path, epoch: str, n_examples: int) -> None:
    path = write(tmp_path, GOOD.replace("2011-01-28 20:42:59", epoch))
    examples = read(path, dataclasses.replace(NYC, time_format="epoch", times="local")).examples
    assert examples.column("pickup_epoch").to_pylist() == [1296247379] * n_examples


def test_csv_dialects(tmp_path: Path) -> None:
    """Byte order mark, CRLF, blank lines, quotes, commas in quotes, spaces, and no newline at the end."""
    header = "\ufeff" + HEADER.replace("people", ' "people", note')
    body = [
        header,
        "",
        GOOD + ',"a, ""b"""',
        "",
        GOOD.replace("12.5", '"+12.5"') + ',5" tall',
        "   ",
        GOOD.replace(",", ", "),
    ]
    path = tmp_path / "trips.csv"
    path.write_bytes("\r\n".join(body).encode() + b", \xff")
    trips = read(str(path))
    assert trips.examples.num_rows == 3
    assert rejected(trips) == [(6, "unparseable", "")]


def test_a_stray_quote_spoils_only_its_own_line(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, '"' + GOOD, GOOD, '12.5" x,"y' + GOOD[4:], GOOD)
    trips = read(path)
    assert (trips.examples.num_rows, rejected(trips)) == (3, [(3, "unparseable", ""), (5, "unparseable", "")])


def test_gzip_is_read_as_a_stream_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [GOOD, "x" + GOOD, "", GOOD] * 20
    plain = read(write(tmp_path, *lines))
    path = tmp_path / "trips.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *lines]).encode()))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 200)
    zipped = read(str(path))
    assert zipped.examples.equals(plain.examples)
    assert rejected(zipped) == rejected(plain)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="trips.csv.gz: cannot be unpacked: "):
        read(str(path))


def test_files_of_a_folder_are_read_in_order_of_name(tmp_path: Path) -> None:
    write(tmp_path, GOOD, GOOD, name="b.csv")
    write(tmp_path, "x", name="a.CSV")
    write(tmp_path, "not trips", name="notes.md")
    planned = reading.plan_chunks(reading.find_files(str(tmp_path)), NYC, chunk_bytes=20)
    assert [(os.path.basename(c.path), c.index, c.row) for c in planned] == [
        ("a.CSV", 0, 2),
        ("b.csv", 1, 2),
        ("b.csv", 2, 3),
    ]
    trips = read(str(tmp_path))
    assert (trips.examples.num_rows, trips.rejected["file"].to_pylist()) == (2, [str(tmp_path / "a.CSV")])


def test_rows_are_estimated_from_a_sample_or_counted_by_parquet(tmp_path: Path, monkeypatch) -> None:
    lines = [f"{GOOD}{digits}" for digits in np.random.default_rng(0).integers(1, 1 << 60, 50_000)]
    plain = write(tmp_path, *lines)
    zipped = tmp_path / "trips.csv.gz"
    zipped.write_bytes(gzip.compress("\n".join([HEADER, *lines]).encode()))
    parquet = str(tmp_path / "trips.parquet")
    pq.write_table(pa.table(PARQUET), parquet)
    empty = write(tmp_path, name="empty.csv", header="")
    monkeypatch.setattr(reading, "SAMPLE_BYTES", 1 << 20)
    for path in (plain, str(zipped)):
        assert reading.estimated_rows([path]) == pytest.approx(50_000, rel=0.2)
    assert reading.estimated_rows([plain, parquet]) == reading.estimated_rows([plain]) + 4
    (tmp_path / "no.parquet").write_text("no Parquet")
    assert reading.estimated_rows([empty, str(tmp_path / "no.parquet"), str(tmp_path / "nothing.csv")]) == 0


PARQUET = {
    "fare_usd": pa.array([12.5, None, 5.0, 7.25]),
    "when": pa.array([1296247379, 1296247379, None, 1296247379]).cast(pa.timestamp("s")),
    "lon_a": pa.array(["-73.99", "-73.99", "-73.99", "here"]),
    "lat_a": pa.array([40.73] * 4, pa.float32()),
    "lon_b": pa.array([-73.98] * 4).dictionary_encode(),
    "lat_b": pa.array([40.75] * 4).cast(pa.decimal128(10, 4)),
    "people": pa.array([2, 2, 2, None], pa.int8()),
}


def test_parquet_of_many_types(tmp_path: Path) -> None:
    path = str(tmp_path / "trips.parquet")
    pq.write_table(pa.table(PARQUET), path)
    trips = read(path)
    assert trips.examples.to_pylist()[0]["pickup_epoch"] == 1296247379
    assert trips.examples.num_rows == 1
    wrong = [(2, "missing_label", "fare_usd"), (3, "bad_timestamp", "when"), (4, "unparseable", "lon_a")]
    assert sorted(rejected(trips)) == wrong
    assert '"lon_a": "here"' in trips.rejected["text"].to_pylist()[2]


def test_parquet_row_numbers_continue_across_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "BATCH_ROWS", 3)
    path = str(tmp_path / "trips.parquet")
    pq.write_table(pa.concat_tables([pa.table(PARQUET)] * 3), path, row_group_size=2)
    assert len(reading.plan_chunks([path], NYC)) == 3
    trips = read(path)
    assert trips.examples.num_rows == 3
    assert sorted(trips.rejected["row"].to_pylist()) == [2, 3, 4, 6, 7, 8, 10, 11, 12]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: must hold trips, got an empty file"),
        ("a.csv", b"\n1,2\n", "a.csv: first line must be a header, got a blank line"),
        ("a.csv", HEADER.encode() + b"\n", "a.csv: has a header and no rows"),
        ("a.csv", HEADER.encode() + b"\r\n\r\n\n", "a.csv: has a header and no rows"),
        (
            "a.csv",
            b"fare_usd,when\n",
            "a.csv: column lon_a (city.columns.pickup_longitude) is missing, found fare_usd, when",
        ),
        (
            "a.csv",
            b"fare_usd," + HEADER.encode(),
            "a.csv: column fare_usd (city.columns.fare) occurs more than once, found ",
        ),
        ("a.parquet", b"", "a.parquet: must hold trips, got an empty file"),
        ("a.parquet", b"fare,when", "a.parquet: unreadable Parquet: "),
        ("a.csv.gz", b"fare,when", "a.csv.gz: column fare_usd (city.columns.fare) is missing, found fare, when"),
        ("a.csv.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40, "a.csv.gz: cannot be unpacked: "),
        ("a.dat", GOOD.encode(), "a.dat: must be or hold files that end in .csv, .tsv, .txt, .parquet, .gz, "),
        (
            "a.csv",
            "\n".join([HEADER, *["x" + GOOD] * 9]).encode(),
            "a.csv: none of 9 rows is a trip of nyc: 9 unparseable (column fare_usd); row 2 of a.csv: x12.5,2011",
        ),
        (
            "a.csv",
            "\n".join([HEADER, GOOD.replace("-73", "73"), "1,2"]).encode(),
            "a.csv: none of 2 rows is a trip of nyc: 1 outside_city (column lon_a), 1 unparseable; row 2 of a.csv: 12",
        ),
        (
            "a.csv",
            "\n".join([HEADER, *[GOOD + ",7,8"] * 8]).encode(),
            "a.csv: none of 8 rows is a trip of nyc: 8 unparseable; "
            f"row 2 of a.csv has 9 fields, not the 7 of the header: {GOOD}",
        ),
        (
            "a.csv",
            (HEADER + '\n"' + GOOD).encode(),
            "a.csv: none of 1 rows is a trip of nyc: 1 unparseable; "
            "row 2 of a.csv has 1 fields, not the 7 of the header",
        ),
    ],
)
def test_an_unusable_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(reader.read_trips(str(tmp_path / name), NYC))
    assert str(caught.value).startswith(str(tmp_path / message))
    assert "\n" not in str(caught.value)


def test_places_without_trips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        reading.find_files(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="must be or hold files that end in .csv, .tsv, .*, found none"):
        reading.find_files(str(tmp_path))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("fare_usd", pa.array([[1.0]]), r"column fare_usd \(city.columns.fare\) must be a number, got list"),
        ("when", pa.array([1], pa.timestamp("s", "America/New_York")), r"names moments \(timestamp\[ms, tz=Am"),
        ("when", pa.array([1]), r"column when \(city.columns.pickup_time\) must be a time, got int64"),
        ("when", pa.array([15000], pa.date32()), r"column when .* must be a time, got date32.* a date has no hour"),
    ],
)
def test_parquet_columns_of_unusable_types_are_refused(
    tmp_path: Path, column: str, values: pa.Array, message: str
) -> None:
    table = pa.table(PARQUET).slice(0, 1)
    path = str(tmp_path / "trips.parquet")
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)
    with pytest.raises(InputError, match=message):
        reading.plan_chunks([path], NYC)


CELL = st.sampled_from(
    ["", "x", "nan", "-inf", "1e999", " 12.5 ", "-73.99", "40.73", '"5"', '"', "5\r", "é", "\x00", "7", "+7"]
)
LINE = st.one_of(
    st.just(GOOD),
    st.just(""),
    st.lists(CELL, min_size=5, max_size=8).map(",".join),
    st.tuples(st.integers(0, 6), CELL).map(
        lambda swap: ",".join(swap[1] if i == swap[0] else cell for i, cell in enumerate(GOOD.split(",")))
    ),
)


@pytest.mark.slow
# Few examples and chunks: leaving Arrow's CSV reader takes 0.1 s once TensorFlow has filled the heap.
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, max_size=8), chunk_bytes=st.integers(100, 400), last_newline=st.booleans())
def test_every_row_is_an_example_or_rejected_for_any_chunk_size(
    tmp_path: Path, lines: list[str], chunk_bytes: int, last_newline: bool
) -> None:
    assume(sum(line.count('"') % 2 for line in lines) < 2)  # two such lines may be one row
    text = "\n".join([HEADER, *lines, GOOD]) + "\n" * last_newline
    path = tmp_path / "trips.csv"
    path.write_bytes(text.encode())
    whole, cut = read(str(path)), read(str(path), chunk_bytes=chunk_bytes)
    n_rows = sum(part != "" for line in [*lines, GOOD] for part in line.split("\r"))
    assert whole.n_read == cut.n_read == n_rows
    assert whole.examples.equals(cut.examples)
    assert whole.reasons() == cut.reasons()
    if "\r" not in text:
        assert sorted(rejected(whole)) == sorted(rejected(cut))
        file_lines = text.split("\n")
        assert all(row["text"] == file_lines[row["row"] - 1] for row in whole.rejected.to_pylist())


def random_trips(n: int, seed: int) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    floats = {name: pa.array(rng.uniform(-80, 80, n).astype(np.float32)) for name in (*NAMES[:4], "fare")}
    ints = {name: pa.array(rng.integers(0, 7, n)) for name in NAMES[4:9]}
    return pa.RecordBatch.from_arrays([(floats | ints)[name] for name in NAMES], NAMES)


@given(seed=st.integers(0, 2**32), split_seed=st.integers(0, 2**63), n=st.integers(0, 200))
def test_a_split_depends_only_on_the_trip(seed: int, split_seed: int, n: int) -> None:
    trips = random_trips(n, seed)
    splits = assign_splits(trips, (8, 1, 1), split_seed)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = pa.RecordBatch.from_arrays([c.take(pa.array(order)) for c in trips.columns], NAMES)
    np.testing.assert_array_equal(assign_splits(shuffled, (8, 1, 1), split_seed), splits[order])
    np.testing.assert_array_equal(assign_splits(trips.slice(n // 3), (8, 1, 1), split_seed), splits[n // 3 :])


def test_splits_hold_their_shares_and_follow_the_seed() -> None:
    trips = random_trips(100_000, 0)
    splits = assign_splits(trips, (8, 1, 1))
    # Binomial: 3 standard deviations of 10,000 of 100,000 are 285.
    np.testing.assert_allclose(np.bincount(splits), [80_000, 10_000, 10_000], atol=400)
    assert (assign_splits(trips, (8, 1, 1), seed=1) != splits).mean() > 0.2


def test_splits_of_known_trips() -> None:
    """A changed hash would move rows from train to test. The numbers: splitmix64 in plain Python integers."""
    values = [-73.99, 40.73, -73.98, 40.75, 2, 20, 4, 0, 1296247379, 12.5]
    columns = [
        pa.array([value + i for i in range(12)], pa.int64() if name in NAMES[4:9] else pa.float32())
        for name, value in zip(NAMES, values, strict=True)
    ]
    splits = assign_splits(pa.RecordBatch.from_arrays(columns, NAMES), (8, 1, 1))
    assert splits.tolist() == [0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0]


def test_a_profile_survives_json() -> None:
    profile = dataclasses.replace(
        NYC, airports={"jfk": Place(-73.7781, 40.6413)}, currency="EUR", tariff_changes=(datetime.date(2012, 9, 4),)
    )
    assert profile_from_json(profile_to_json(profile)) == profile


def test_the_embedded_source_is_found_without_importing_the_package() -> None:
    path = reading.resolve_source("package:pyarrow/tests/data")
    assert path == str(importlib.resources.files("pyarrow") / "tests" / "data")
    pytest.importorskip("tfx", reason="tfx is not installed")
    assert os.path.isfile(
        reading.resolve_source("package:tfx/examples/chicago_taxi_pipeline/data/simple") + "/data.csv"
    )
    assert reading.resolve_source("trips") == "trips"
    with pytest.raises(InputError, match="city.source=package:nowhere/x must name an installed package"):
        reading.resolve_source("package:nowhere/x")


def test_parquet_equals_csv_on_dirty_rows(tmp_path: Path) -> None:
    cells = ["", "x", "nan", "12.5", "-73.99", "40.73", "2"]
    drawn = random.Random(0)
    rows = [[drawn.choice(cells) if drawn.random() < 0.05 else cell for cell in GOOD.split(",")] for _ in range(500)]
    csv_path = write(tmp_path, *map(",".join, rows))
    types = pa_csv.ConvertOptions(column_types=dict.fromkeys(HEADER.split(","), pa.string()))
    pq.write_table(pa_csv.read_csv(csv_path, convert_options=types), tmp_path / "trips.parquet")
    from_csv, from_parquet = read(csv_path), read(str(tmp_path / "trips.parquet"))
    assert from_csv.examples.equals(from_parquet.examples)
    assert from_csv.rejected.num_rows > 50
    # Line 1 of a CSV is its header.
    assert rejected(from_csv) == [(row + 1, *why) for row, *why in rejected(from_parquet)]


@pytest.mark.skipif(not NYC_SAMPLE.exists(), reason=f"the NYC sample is not at {NYC_SAMPLE}")
def test_nyc_sample() -> None:
    columns = Columns(
        "fare_amount", "pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude",
        passenger_count="passenger_count", pickup_time="pickup_datetime",
    )  # fmt: skip
    profile = dataclasses.replace(NYC, columns=columns, time_format="%Y-%m-%d %H:%M:%S UTC", times="local")
    trips = read(str(NYC_SAMPLE), profile)
    assert (trips.n_read, trips.examples.num_rows) == (10_476, 10_358)
    assert {reason for reason, _ in trips.reasons()} == {"outside_city"}


def test_the_reader_imports_neither_tensorflow_nor_tfx_nor_beam() -> None:
    code = (
        "import sys, farebox.components.trip_example_gen.reader\n"
        "print({'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_an_era_begins_at_midnight(tmp_path: Path) -> None:
    """The trips start at 20:42:59 on 28 January 2011; a change of the tariff moves no trip to another split."""
    eras = {}
    for days in ((), (27, 28), (28, 29), (29, 30)):
        profile = dataclasses.replace(NYC, tariff_changes=tuple(datetime.date(2011, 1, day) for day in days))
        examples = read(write(tmp_path, GOOD), profile).examples
        eras[days] = examples.column("pickup_era").to_pylist()
        np.testing.assert_array_equal(
            assign_splits(examples, [1] * 1000), assign_splits(read(write(tmp_path, GOOD)).examples, [1] * 1000)
        )
    assert eras == {(): [0], (27, 28): [2], (28, 29): [1], (29, 30): [0]}


def test_tariff_changes_must_be_in_order():
    days = (datetime.date(2015, 1, 1), datetime.date(2012, 9, 4))
    with pytest.raises(InputError, match="city.tariff_changes=2015-01-01, 2012-09-04 must be different days, in order"):
        dataclasses.replace(NYC, tariff_changes=days)


@pytest.mark.parametrize(
    ("time_format", "cells"),
    [
        ("%m/%d/%Y %I:%M:%S %p", ["12/31/2010 11:59:59 PM", "01/01/2011 12:00:00 AM", "05/06/2011 08:00:00 AM"]),
        ("%d.%m.%Y %H:%M:%S", ["31.12.2010 23:59:59", "01.01.2011 00:00:00", "06.05.2011 08:00:00"]),
        ("%Y-%m-%dT%H:%M:%S", ["2010-12-31T23:59:59", "2011-01-01T00:00:00", "2011-05-06T08:00:00"]),
        ("epoch", ["1293839999", "1293840000", "1304668800"]),
    ],
)
@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("when >= '2011-01-01'", [2011, 2011]),
        ("when < '2011-01-01 00:00:00'", [2010]),
        ("'2011-05-06T07:00' > when", [2010, 2011]),
        ("not when > '2011-01-01'", [2010, 2011]),
    ],
)
def test_where_compares_the_time_of_the_pickup_as_a_time(time_format, cells, where, kept, tmp_path):
    profile = dataclasses.replace(NYC, time_format=time_format, times="local", where=where)
    lines = [GOOD.replace("2011-01-28 20:42:59", cell) for cell in cells]
    years = read(write(tmp_path, *lines), profile).examples["pickup_epoch"].cast(pa.timestamp("s"))
    assert [moment.year for moment in years.to_pylist()] == kept


def test_where_compares_times_of_the_citys_clocks(tmp_path):
    cells = ["2011-01-01T04:59:59Z", "2011-01-01T05:00:00Z"]  # midnight in New York
    profile = dataclasses.replace(
        NYC, time_format="%Y-%m-%dT%H:%M:%SZ", times="utc", time_zone="America/New_York", where="when >= '2011-01-01'"
    )
    lines = [GOOD.replace("2011-01-28 20:42:59", cell) for cell in cells]
    assert read(write(tmp_path, *lines), profile).examples["pickup_hour"].to_pylist() == [0]
    typed = pa.array([1293857999, 1293858000]).cast(pa.timestamp("s", "UTC"))
    table = pa_csv.read_csv(write(tmp_path, *lines)).drop(["when"]).append_column("when", typed)
    pq.write_table(table, tmp_path / "typed.parquet")
    assert read(str(tmp_path / "typed.parquet"), profile).examples["pickup_hour"].to_pylist() == [0]


def test_a_time_that_where_cannot_read_is_rejected_and_not_left_out(tmp_path):
    profile = dataclasses.replace(NYC, where="when < '2012-01-01'")
    lines = [GOOD, GOOD.replace("2011-01-28", "28.1.2011"), GOOD.replace("2011-01-28 20:42:59", "")]
    path = write(tmp_path, *lines)
    assert rejected(read(path, profile)) == [(3, "bad_timestamp", "when")]


def test_a_profile_with_two_formats_for_one_text_is_refused():
    with pytest.raises(InputError, match="must be one of the two: 01/02/2024 fits both"):
        dataclasses.replace(NYC, time_format=("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"))


@pytest.mark.parametrize("hour", ["20:00", "24", "7.5"])
def test_hours_that_are_none_are_told_as_hours(hour, tmp_path):
    path = write(tmp_path, f"12.5,{hour},4,-73.99,40.73,-73.98,40.75", header=PARTS_HEADER)
    with pytest.raises(InputError, match=f"pickup_hour=h does .*: {hour} is no whole number from 0 to 23;"):
        list(reader.read_trips(path, BY_PARTS))
