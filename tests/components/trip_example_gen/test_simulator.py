"""Simulated trips, read back: they follow the profile, in every dialect, with the expected faults."""

import dataclasses
import datetime
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns, Days, Place
from farebox.components.trip_example_gen.simulation import simulated_spans, simulator
from farebox.components.trip_example_gen.simulation.simulator import Order, simulate
from farebox.components.trip_example_gen.values.dialect import CsvDialect

FARE_AND_PLACES = ("paid", "x0", "y0", "x1", "y1")
TIMED = Columns(*FARE_AND_PLACES, passenger_count="people", pickup_time="when")
NYC = CityProfile(
    name="nyc",
    columns=TIMED,
    box=Box(-74.05, -73.75, 40.63, 40.85),
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S UTC",
    times="local",
    days=Days(max=datetime.date(2100, 1, 1)),
)
SYDNEY = dataclasses.replace(
    NYC,
    box=Box(150.9, 151.35, -34.05, -33.6),
    fare=Bounds(4, 400),
    currency="AUD",
    airports={"syd": Place(151.18, -33.94), "outside": Place(151.18, -35)},
)
BY_PARTS = Columns(*FARE_AND_PLACES, pickup_hour="h", pickup_weekday="wd")
DIALECTS = {
    "text": NYC,
    "text with a comma, AM and PM": dataclasses.replace(NYC, time_format="%b %d, %Y %I:%M:%S %p"),
    "epoch": dataclasses.replace(NYC, time_format="epoch", times="local"),
    "hour and weekday, Monday 0": dataclasses.replace(NYC, columns=BY_PARTS, weekdays="monday_0"),
    "hour and weekday, Monday 1": dataclasses.replace(NYC, columns=BY_PARTS, weekdays="monday_1"),
    "hour and weekday, Monday 2": dataclasses.replace(NYC, columns=BY_PARTS, weekdays="sunday_1"),
    "semicolons and decimal commas below a title": dataclasses.replace(
        NYC, csv=CsvDialect(separator=";", decimal=",", skip_rows=2, encoding="utf-16-le"),
        time_format="%d.%m.%Y; %H:%M",
    ),
    "no header, a column that is not read": dataclasses.replace(
        NYC, csv=CsvDialect(names=("people", "paid", "tip", "x0", "y0", "x1", "y1", "when")),
    ),
    "no passengers": dataclasses.replace(
        NYC, columns=dataclasses.replace(TIMED, passenger_count=None), passengers_default=2
    ),
    "south of the equator": SYDNEY,
    "yen": dataclasses.replace(NYC, box=Box(139.6, 139.9, 35.6, 35.8), fare=Bounds(500, 50000), currency="JPY"),
    "across 0, 0, refunds allowed": dataclasses.replace(NYC, box=Box(-0.2, 0.2, -0.2, 0.2), fare=Bounds(-5, 90)),
    "bounds without end": dataclasses.replace(NYC, box=Box(-1 / 3, 1 / 7, 50 + 1 / 3, 50.5), fare=Bounds(3, 9)),
    "three metres": dataclasses.replace(NYC, box=Box(4e-7, 3.04e-5, 4e-7, 3.04e-5)),
    "a hair off 0, 0": dataclasses.replace(NYC, box=Box(-0.2, 0.2, 1e-300, 0.4)),
}  # fmt: skip
SUFFIXES = (".csv", ".parquet", "")
KNOWN = "11.93,-73.899942,40.750747,-73.895356,40.772868,2,2024-01-21 21:18:00 UTC"


@pytest.fixture
def trips_of(tmp_path: Path):
    """Simulates and reads back: (`Written`, examples by column, rejected rows by reason)."""

    def make(profile: CityProfile, order: Order, suffix: str = ".csv") -> tuple:
        out = str(tmp_path / f"{len(list(tmp_path.iterdir()))}{suffix}")
        written = simulate(profile, order, out)
        parts = list(reader.read_trips(out, profile))
        examples = {
            name: np.concatenate([part.examples.column(i).to_numpy() for part in parts])
            for i, name in enumerate(EXAMPLE_COLUMNS)
        }
        reasons: dict[str, int] = {}
        for part in parts:
            for (reason, _), count in part.reasons().items():
                reasons[reason] = reasons.get(reason, 0) + count
        return written, examples, reasons

    return make


def kilometres(examples: dict[str, np.ndarray]) -> np.ndarray:
    north = 111.195 * (examples["dropoff_latitude"] - examples["pickup_latitude"])
    narrow = np.cos(np.radians(examples["pickup_latitude"]))
    return np.hypot(north, 111.195 * narrow * (examples["dropoff_longitude"] - examples["pickup_longitude"]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_valid_rows_are_examples_and_faulty_rows_are_rejected(trips_of, dialect: str, suffix: str) -> None:
    """400 faults expected of 4,000 rows, standard deviation 19; five kinds, so 80 of each, 8.9."""
    written, examples, reasons = trips_of(DIALECTS[dialect], Order(4000, seed=1, dirt=0.1), suffix)
    assert set(reasons) == set(simulator.FAULTS)
    assert written.dirt == sum(reasons.values()) == 4000 - len(examples["fare"])
    assert abs(written.dirt - 400) < 5 * 19
    assert all(abs(count - 80) < 5 * 8.9 for count in reasons.values())


@pytest.mark.slow
@settings(max_examples=40)
@given(
    west=st.floats(-179, 178),
    south=st.floats(-85, 84),
    width=st.floats(0.02, 1),
    least=st.floats(0.01, 500),
    ratio=st.floats(5, 500),
    suffix=st.sampled_from(SUFFIXES),
    seed=st.integers(0, 2**63),
)
def test_cities_of_any_place_and_currency(
    *, tmp_path_factory, west: float, south: float, width: float, least: float, ratio: float, suffix: str, seed: int
) -> None:
    box, fare = Box(west, west + width, south, south + width), Bounds(least, least * ratio)
    profile = dataclasses.replace(NYC, box=box, fare=fare)
    out = str(tmp_path_factory.mktemp("any") / f"trips{suffix}")
    written = simulate(profile, Order(300, seed, dirt=0.2), out)
    parts = list(reader.read_trips(out, profile))
    assert sum(part.rejected.num_rows for part in parts) == written.dirt
    assert sum(part.examples.num_rows for part in parts) == 300 - written.dirt


def test_bounds_do_not_shape_most_fares(trips_of) -> None:
    for profile in (NYC, SYDNEY, DIALECTS["yen"]):
        fare = trips_of(profile, Order(5000, dirt=0))[1]["fare"]
        assert ((fare > profile.fare.min) & (fare < profile.fare.max)).mean() > 0.99
        assert 2 * profile.fare.min < np.median(fare) < profile.fare.max / 8


@pytest.mark.parametrize("dialect", DIALECTS)
def test_formats_hold_the_same_trips(trips_of, dialect: str) -> None:
    first, *others = (trips_of(DIALECTS[dialect], Order(500, seed=5, dirt=0.1), suffix) for suffix in SUFFIXES)
    for _, examples, reasons in others:
        assert reasons == first[2]
        for name in EXAMPLE_COLUMNS:
            np.testing.assert_array_equal(examples[name], first[1][name])


def test_chunks_are_appended_to_a_file_or_to_parts(tmp_path: Path, monkeypatch) -> None:
    """1,050 rows in chunks of 100, two to a part: six parts, the last of 50 rows. No chunk repeats another."""
    monkeypatch.setattr(simulator, "CHUNK_ROWS", 100)
    monkeypatch.setattr(simulator, "PART_CHUNKS", 2)
    seen: list[int] = []

    def track(chunks):
        for chunk in chunks:
            seen.append(chunk)
            yield chunk

    for name in ("one.csv", "parts"):
        written = simulate(NYC, Order(1050), str(tmp_path / name), track)
    assert seen == [*range(11)] * 2
    header, *lines = (tmp_path / "one.csv").read_text().splitlines()
    parts = [path.read_text().splitlines() for path in sorted((tmp_path / "parts").iterdir())]
    assert [len(part) for part in parts] == [201] * 5 + [51]
    assert {part[0] for part in parts} == {header} == {"paid,x0,y0,x1,y1,people,when"}
    assert [line for part in parts for line in part[1:]] == lines
    assert written.n_bytes == sum(path.stat().st_size for path in (tmp_path / "parts").iterdir())
    assert len(set(lines)) == 1050


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        np.random.seed(seed if name == "c" else ord(name))  # noqa: NPY002 - global state must not matter
        simulate(NYC, Order(300, seed), str(tmp_path / f"{name}.csv"))
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c


def test_a_known_row(tmp_path: Path) -> None:
    """As NumPy 1.26 and 2 draw it: another machine must write the same."""
    simulate(NYC, Order(1, seed=7, dirt=0), str(tmp_path / "trips.csv"))
    assert (tmp_path / "trips.csv").read_text().splitlines()[
        1
    ] == "11.93,-73.899942,40.750747,-73.895356,40.772868,2,2024-01-21 21:18:00 UTC"


def test_fare_grows_with_distance(trips_of) -> None:
    _, examples, _ = trips_of(NYC, Order(5000, dirt=0))
    assert np.corrcoef(kilometres(examples), examples["fare"])[0, 1] > 0.9


def rate(examples: dict[str, np.ndarray], rows: np.ndarray) -> float:
    """Mean fare of those `rows` that are from 3 to 4 km long."""
    km = kilometres(examples)
    rows = rows & (km > 3) & (km < 4)
    assert rows.sum() > 100
    return float(examples["fare"][rows].mean())


def test_the_clock_sets_the_fare_of_a_distance(trips_of) -> None:
    """Of a base of 3.125: 4.5 road km take 20 min at 13.5 km/h and 12 at 22: 3 more. The night adds 0.94."""
    _, examples, _ = trips_of(NYC, Order(60_000, dirt=0))
    hour, weekday = examples["pickup_hour"], examples["pickup_weekday"]
    rush, noon = (hour == 17) | (hour == 18), (hour >= 11) & (hour <= 13)
    assert 2 < rate(examples, rush & (weekday < 5)) - rate(examples, noon & (weekday < 5)) < 4
    assert rate(examples, rush & (weekday < 5)) - rate(examples, rush & (weekday >= 5)) > 2
    # Sunday at 21 h (25 km/h) and at 22 h (27 km/h, night): 0.94 less 0.3 for the minute saved.
    assert rate(examples, (hour == 22) & (weekday > 4)) > rate(examples, (hour == 21) & (weekday > 4)) + 0.2


def test_demand_follows_hour_and_weekday(trips_of) -> None:
    _, examples, _ = trips_of(NYC, Order(20_000, dirt=0))
    slot = examples["pickup_weekday"] * 24 + examples["pickup_hour"]
    count = np.bincount(slot, minlength=168).reshape(7, 24)
    assert count.min() > 0
    assert (count[:5, 8] > 3 * count[:5, 3]).all() and (count[5:, 1] > 2 * count[:5, 1].mean()).all()
    assert np.ptp(count.sum(axis=1)) < 500  # 2,857 a day, standard deviation 49


def test_trips_start_around_the_centre_and_at_airports(trips_of) -> None:
    """Within 4 km of the centre: 1 - exp(-1/2) = 39 % of a normal spread of 4 km; the box's own share there is 2 %."""
    _, examples, _ = trips_of(SYDNEY, Order(20_000, dirt=0))
    ends = {"dropoff_longitude": 151.125, "dropoff_latitude": -33.825}
    assert 0.33 < (kilometres(examples | ends) < 4).mean() < 0.43
    airport = kilometres(examples | {"dropoff_longitude": 151.18, "dropoff_latitude": -33.94}) < 1
    assert 0.03 < airport.mean() < 0.06  # half of 8 % leave the airport, some more start near it
    assert len(np.unique(examples["fare"][airport])) < len(np.unique(examples["fare"][~airport])) / 4
    flat, count = np.unique(examples["fare"][airport], return_counts=True)
    assert count.max() > 0.7 * airport.sum() and flat[count.argmax()] > 2 * np.median(examples["fare"])


def test_trips_of_a_small_city_do_not_end_on_its_edges(trips_of) -> None:
    """Most trips would leave a box of 1.7 by 2.2 km; mirrored into it, they end everywhere in it."""
    _, examples, _ = trips_of(dataclasses.replace(NYC, box=Box(-73.99, -73.97, 40.73, 40.75)), Order(5000, dirt=0))
    share = (examples["dropoff_longitude"] + 73.99) / 0.02
    assert np.histogram(share, 10, (0, 1))[0].min() > 400
    assert (np.abs(share - 0.5) > 0.4999).mean() < 0.01


def test_fares_are_coins_or_cents(trips_of) -> None:
    for profile, coin, cent in ((NYC, 0.5, 0.01), (DIALECTS["yen"], 50, 1)):
        fare = trips_of(profile, Order(2000, dirt=0))[1]["fare"].astype(np.float64)
        assert 0.45 < (np.abs(fare / coin - np.round(fare / coin)) < 1e-4).mean() < 0.58
        assert np.abs(fare / cent - np.round(fare / cent)).max() < 1e-2


def test_passengers_are_within_the_citys_bounds(trips_of) -> None:
    profile = dataclasses.replace(NYC, passengers=Bounds(0.5, 3))
    assert set(trips_of(profile, Order(1000, dirt=0))[1]["passenger_count"]) == {1, 2, 3}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_days_follow_the_order(trips_of, suffix: str) -> None:
    """29 February and 1 March 2012, from 1330473600 on, by `date -ud 2012-02-29 +%s`; a Wednesday and a Thursday."""
    _, examples, _ = trips_of(NYC, Order(2000, dirt=0, since="2012-02-29", days=2), suffix)
    assert set((examples["pickup_epoch"] - 1330473600) // 86400) == {0, 1}
    assert set(examples["pickup_weekday"]) == {2, 3}


def test_fares_rise_when_the_tariff_changes(trips_of) -> None:
    """Both cities draw the same trips, so fares differ by 1, 1.15 and 1.15^2, from midnight on, up to rounding."""
    order = Order(3000, dirt=0, since="2012-09-01", days=60)
    eras = dataclasses.replace(NYC, tariff_changes=(datetime.date(2012, 9, 21), datetime.date(2012, 10, 11)))
    before, after = trips_of(NYC, order)[1], trips_of(eras, order)[1]
    day = (before["pickup_epoch"] - 1346457600) // 86400
    for era, rise in enumerate((1, 1.15, 1.15**2)):
        rows = day // 20 == era
        assert set(after["pickup_era"][rows]) == {era}
        # two roundings to 0.5, one of them raised
        np.testing.assert_allclose(after["fare"][rows], before["fare"][rows] * rise, atol=0.6)
        assert after["fare"][rows].mean() == pytest.approx(before["fare"][rows].mean() * rise, rel=0.005)
    # 2012-09-21 less half of 364 days.
    assert Order(1).first_day(eras).isoformat() == "2012-03-23"
    assert Order(1).first_day(dataclasses.replace(eras, columns=BY_PARTS, weekdays="monday_0")) == simulator.DEFAULT_DAY


@pytest.mark.parametrize("name", ["old.csv", "old.parquet", "old", "old/"])
def test_an_existing_output_is_not_overwritten(tmp_path: Path, name: str) -> None:
    old = tmp_path / name
    old.mkdir() if old.suffix == "" else old.write_text("kept")
    with pytest.raises(InputError, match=f"out=.*/{name} exists already"):
        simulate(NYC, Order(10), f"{tmp_path}/{name}")
    assert [path.name for path in tmp_path.rglob("*")] == [name.rstrip("/")]
    assert old.is_dir() or old.read_text() == "kept"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_simulation_leaves_no_files(tmp_path: Path, suffix: str) -> None:
    def track(chunks):
        yield from chunks
        assert [path.name for path in tmp_path.iterdir()] != [f"trips{suffix}"]  # it is written aside
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(NYC, Order(10), str(tmp_path / f"trips{suffix}"), track)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ({"rows": 0}, "rows=0 must be at least 1"),
        ({"rows": 1, "seed": -1}, "seed=-1 must be at least 0"),
        ({"rows": 1, "days": 0}, "days=0 must be at least 1"),
        ({"rows": 1, "dirt": 1.0}, "dirt=1.0 must be at least 0 and below 1"),
        ({"rows": 1, "dirt": math.nan}, "dirt=nan must be at least 0 and below 1"),
        ({"rows": 1, "since": "2012-02-30"}, "since=2012-02-30 must be a day as YYYY-MM-DD"),
        ({"rows": 1, "since": "20120901"}, "since=20120901 must be a day as YYYY-MM-DD"),
        ({"rows": 1, "since": "1970-12-31"}, "since=1970-12-31 days=364 must be days from 1971-01-01 on"),
        ({"rows": 1, "since": "2099-12-31", "days": 2}, "since=2099-12-31 days=2 must be days from .* before 2100"),
        ({"rows": 1, "days": 10**12}, "days=1000000000000 must be days from"),
    ],
)
def test_invalid_orders_are_refused(tmp_path: Path, order: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        simulate(NYC, Order(**order), str(tmp_path / "trips.csv"))
    assert list(tmp_path.iterdir()) == []


def test_spans_are_days_and_are_found_complete(tmp_path: Path) -> None:
    """Trips of each day lie in its folder; the days differ, and 10 rows over 3 days are 4, 3 and 3."""
    from farebox.components.trip_example_gen.spans import Window

    order = Order(10, seed=5, dirt=0, since="2024-02-28", days=3)
    written = simulated_spans.simulate_spans(NYC, order, str(tmp_path / "trips"))
    base = str(tmp_path / "trips")
    survey = Window(base, simulated_spans.PATTERN, 7, simulated_spans.MARKER, 60).survey(
        datetime.datetime.now().timestamp()
    )
    assert [each.is_complete for each in survey.spans] == [True] * 3 and not survey.left
    read = [next(iter(reader.read_trips(each.path, NYC))).examples for each in survey.spans]
    assert [batch.num_rows for batch in read] == [4, 3, 3]
    days = [
        set(np.asarray(batch.column("pickup_epoch")) // 86400 - each.span)
        for batch, each in zip(read, survey.spans, strict=True)
    ]
    assert days == [{0}, {0}, {0}]
    assert len({batch.column("fare")[0].as_py() for batch in read}) == 3
    assert (written.rows, written.n_bytes) == (
        10,
        sum(path.stat().st_size for path in (tmp_path / "trips").rglob("*.csv")),
    )


def test_profiles_that_cannot_be_simulated_are_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "trips.csv")
    in_utc = dataclasses.replace(NYC, times="utc", time_zone="America/New_York")
    with pytest.raises(InputError, match="city.times=utc cannot be simulated: times must be local"):
        simulate(in_utc, Order(10), out)
    with pytest.raises(InputError, match="city.time_format=excel cannot be simulated: it must be epoch or a strptime"):
        simulate(dataclasses.replace(NYC, time_format="excel"), Order(10), out)
    with pytest.raises(InputError, match=r"city.columns.fare=a \+ b cannot be simulated: it must be one column"):
        simulate(dataclasses.replace(NYC, columns=dataclasses.replace(TIMED, fare="a + b")), Order(10), out)
    with pytest.raises(InputError, match="city.fare.max=0 must be above 0 to simulate trips"):
        simulate(dataclasses.replace(NYC, fare=Bounds(-9, 0)), Order(10), out)
    with pytest.raises(InputError, match=r"trips.csv.gz must end in .csv or .parquet, or be the name of a folder"):
        simulate(NYC, Order(10), out + ".gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dialect", "time"), [("epoch", pa.int64()), ("text", pa.string())])
def test_parquet_has_types(tmp_path: Path, dialect: str, time: pa.DataType) -> None:
    simulate(DIALECTS[dialect], Order(10), str(tmp_path / "trips.parquet"))
    schema = pq.read_schema(str(tmp_path / "trips.parquet"))
    assert schema.names == ["paid", "x0", "y0", "x1", "y1", "people", "when"]
    assert schema.types == [*[pa.float64()] * 5, pa.int64(), time]
