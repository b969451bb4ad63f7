"""Rows that give no example: their sums by file and reason, what is kept of them, and the advice about a city file."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.judging.losses import (
    SHOWN_FILES,
    FileRows,
    Losses,
    Moments,
    RejectedRow,
    is_beyond,
)
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns, Days, Locations, Place
from farebox.components.trip_example_gen.sources import reading

BOX = Box(-74.05, -73.75, 40.63, 40.85)
PLACE = "-73.99,40.73,-73.98,40.75"
CITY = CityProfile(
    name="nyc",
    columns=Columns("fare", "x1", "y1", "x2", "y2", pickup_time="when"),
    box=BOX,
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S",
)
HEADER = "fare,when,x1,y1,x2,y2"
GOOD = f"12.5,2011-01-28 20:42:59,{PLACE}"
BY_WEEKDAY = dataclasses.replace(
    CITY, columns=Columns("fare", "x1", "y1", "x2", "y2", pickup_hour="h", pickup_weekday="dow"), weekdays="monday_0"
)


def write(path: Path, rows: list[str], header: str = HEADER) -> str:
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def losses_of(path: str, profile: CityProfile = CITY) -> Losses:
    chunks = reading.plan_chunks(reading.find_files(path), profile)
    return Losses.sum(trips.losses for chunk in chunks for trips in reader.read_chunk(chunk, profile))


def dated(time_format: str, moments: list[str], **changes) -> str:
    """The advice about rows with such times, one fare a row."""
    profile = dataclasses.replace(CITY, time_format=time_format, **changes)
    rows = [f"12.5,{each},{PLACE}" for each in moments]
    path = Path("trips.csv")
    losses = losses_of(write(path, rows), profile)
    return losses.hint(("bad_timestamp", "when"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@settings(deadline=None, max_examples=20)
@given(kinds=st.lists(st.sampled_from(["good", "fare", "place", "ragged", "left out"]), min_size=1, max_size=30))
def test_rows_in_are_examples_rejected_and_left_out(tmp_path_factory, kinds):
    """Each kind of row counted here, by what was written; a rejected row that `where` leaves out is left out."""
    lines = {
        "good": GOOD + ",1", "fare": GOOD.replace("12.5", "free") + ",1", "place": GOOD.replace("-73.99", "0") + ",1",
        "ragged": GOOD, "left out": GOOD.replace("12.5", "free") + ",2",
    }  # fmt: skip
    path = write(tmp_path_factory.mktemp("t") / "t.csv", [lines[kind] for kind in kinds], HEADER + ",kind")
    total = losses_of(path, dataclasses.replace(CITY, where="kind == 1")).total
    assert total.read == len(kinds) == total.examples + total.rejected + total.left_out
    assert (total.examples, total.left_out) == (kinds.count("good"), kinds.count("left out"))
    expected = {("unparseable", "fare"): "fare", ("outside_city", "x1"): "place", ("unparseable", ""): "ragged"}
    assert total.reasons == {key: kinds.count(kind) for key, kind in expected.items() if kind in kinds}


def test_files_and_reasons_have_their_counts_and_a_row_each():
    write(Path("a.csv"), [GOOD, GOOD.replace("12.5", "free"), GOOD.replace("12.5", "x" * 200)])
    write(Path("b.csv"), [GOOD.replace("-73.99", "0"), GOOD])
    losses = losses_of(".")
    assert losses.files["./a.csv"] == FileRows(3, 1, 0, losses.files["./a.csv"].reasons)
    assert losses.files["./a.csv"].reasons == {("unparseable", "fare"): 2}
    assert [path for path, _ in losses.worst_files] == ["./a.csv", "./b.csv"]  # 2 of 3, 1 of 2
    assert losses.shown["unparseable", "fare"] == RejectedRow("./a.csv", 3, GOOD.replace("12.5", "free"))
    assert str(losses.shown["outside_city", "x1"]) == f"line 2 of b.csv: {GOOD.replace('-73.99', '0')}"
    long_row = dataclasses.replace(losses.shown["unparseable", "fare"], file="b.parquet", text="x" * 200)
    assert str(long_row) == f"row 3 of b.parquet: {'x' * 100}..."


def test_what_is_kept_does_not_grow_with_rows():
    def size(n: int) -> int:
        rows = [GOOD.replace("12.5", f"free{i}") for i in range(n)] + [f"5,{i},{PLACE}" for i in range(n)]
        return len(json.dumps(losses_of(write(Path("t.csv"), [GOOD, *rows])).to_json()))

    assert size(20_000) < size(200) + 200


def test_only_the_worst_files_are_listed_and_all_are_counted():
    for i in range(SHOWN_FILES + 5):
        write(Path(f"{i:02}.csv"), [GOOD] * 50 + [GOOD.replace("12.5", "free")] * i)
    write(Path("zero.csv"), [GOOD.replace("12.5", "free")] * 9)
    losses = losses_of(".")
    content = json.loads(json.dumps(losses.to_json()))
    assert [each["file"] for each in content["by_file"]][:2] == ["./zero.csv", f"./{SHOWN_FILES + 4}.csv"]
    assert (len(content["by_file"]), content["n_files"], content["files_without_trips"]) == (20, 26, 1)
    again = Losses.from_json(content)
    assert (again.n_files, again.total, list(again.without_trips)) == (26, losses.total, ["./zero.csv"])
    assert again.to_json() == losses.to_json()
    doubled = (again + again).to_json()
    assert (doubled["read"], doubled["by_file"][0]["rejected"]) == (2 * losses.total.read, 18)


def test_the_sum_does_not_depend_on_the_order_of_its_parts():
    for name, fare in (("a", 3.1), ("b", 7.77), ("c", 11.13), ("d", 99.01)):
        write(Path(f"{name}.csv"), [GOOD.replace("12.5", str(fare)), GOOD.replace("12.5", "?"), f"{fare},1,{PLACE}"])
    parts = [losses_of(f"{name}.csv") for name in "abcd"]
    orders = [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]]
    assert len({json.dumps(Losses.sum(parts[i] for i in order).to_json()) for order in orders}) == 1


def test_fares_weekdays_and_hours_of_kept_and_rejected_rows():
    """28 January 2011 was a Friday; fares outside their bounds and times that cannot be read are left aside."""
    far = GOOD.replace("-73.99", "0")
    rows = [GOOD, GOOD.replace("12.5", "7.5"), far.replace("12.5", "30"), far.replace("12.5", "999"),
            GOOD.replace("12.5", "free").replace("01-28 20", "01-29 03"), f"20,never,{PLACE}"]  # fmt: skip
    sides = losses_of(write(Path("t.csv"), rows)).sides
    kept, rejected = sides.numbers["fare"]
    assert (kept, rejected) == (Moments.of(np.array([12.5, 7.5])), Moments.of(np.array([30.0, 20.0])))
    assert (kept.mean, kept.variance) == (10.0, pytest.approx(6.25))
    assert sides.categories["pickup_weekday"] == ((0, 0, 0, 0, 2, 0, 0), (0, 0, 0, 0, 2, 1, 0))
    assert [np.flatnonzero(side).tolist() for side in sides.categories["pickup_hour"]] == [[20], [3, 20]]


@pytest.mark.parametrize(
    ("n", "of", "share", "beyond"),
    [(1, 4, 0.01, False), (3, 4, 0.01, True), (5, 500, 0.01, False), (13, 1000, 0.01, False), (40, 1000, 0.01, True),
     (4, 4, 0.01, True), (0, 0, 0.01, False), (1, 10, 0.0, True), (0, 10, 0.0, False)],
)  # fmt: skip
def test_a_share_is_beyond_a_bound_only_if_chance_is_no_explanation(n, of, share, beyond):
    """Never more willing than the exact binomial tail, by SciPy."""
    from scipy.stats import binom

    assert is_beyond(n, of, share) == beyond
    if beyond:
        assert binom.sf(n - 1, of, share) < 1e-4


def test_one_of_several_files_without_trips():
    for name in "abc":
        write(Path(f"{name}.csv"), [GOOD] * 9 + [GOOD.replace("12.5", "free")])
    write(Path("d.csv"), [GOOD.replace("12.5", "free")] * 9)
    assert list(losses_of(".").without_trips) == ["./d.csv"]
    write(Path("d.csv"), [GOOD.replace("12.5", "free")])  # 1 row, of which 1 in 10 is dirt
    assert losses_of(".").without_trips == {}
    write(Path("d.csv"), [])
    assert losses_of(".").without_trips == {}
    assert losses_of("a.csv").without_trips == {}


@pytest.mark.parametrize(
    ("coding", "written", "message"),
    [
        # 7 days a week, 2 weeks: Sunday or Saturday has the number that the coding lacks, 2 of 14 rows
        ("monday_0", [1, 2, 3, 4, 5, 6, 7], "city.weekdays=monday_0 does not fit: 14% of the rows have other numbers "
         "(such as 7); monday_1 or sunday_1 fit"),
        ("sunday_1", [0, 1, 2, 3, 4, 5, 6], "city.weekdays=sunday_1 does not fit: 14% of the rows have other numbers "
         "(such as 0); monday_0 or sunday_0 fit"),
        ("monday_0", ["Mon", "Tue", "Wed"], "city.weekdays=monday_0 does not fit: 100% of the rows have other numbers "
         "(such as Mon, Tue, Wed); names fits"),
        ("names", [0, 8, 9], "city.weekdays=names does not fit: 100% of the rows have other names (such as 0, 8, 9); "
         "no coding fits, so mend the column"),
    ],
)  # fmt: skip
def test_a_coding_of_weekdays_that_does_not_fit_is_refused(coding, written, message):
    rows = [f"12.5,8,{day},{PLACE}" for day in written * 20]
    profile = dataclasses.replace(BY_WEEKDAY, weekdays=coding)
    path = write(Path("t.csv"), rows, "fare,h,dow,x1,y1,x2,y2")
    with pytest.raises(InputError) as caught:
        list(reader.read_trips(path, profile))
    assert str(caught.value) == f"t.csv: column dow: {message}"


def test_a_few_dirty_weekdays_and_missing_ones_are_rejected_only():
    rows = [f"12.5,8,{day},{PLACE}" for day in [*range(7)] * 100 + ["x"] * 5 + [""] * 100]
    (trips,) = reader.read_trips(write(Path("t.csv"), rows, "fare,h,dow,x1,y1,x2,y2"), BY_WEEKDAY)
    assert trips.losses.total.reasons == {("bad_weekday", "dow"): 105}
    assert trips.losses.suspects["bad_weekday", "dow"].rows == 5


def test_numbers_of_another_unit_are_named_as_they_are_read():
    """43831 are the days from 30 December 1899 to 1 January 2020; 43,831 s after 1970 are 12 hours. 1,577,880,000,000 s
    are 18,262,500 days, 125 times the 146,097 of 400 years and 375 more: 11 January of the year after 51970."""
    assert dated("epoch", ["43831.5", "43832.25"] * 20, times="local") == (
        "city.time_format=epoch does not fit 100% of the rows: 43831.5 read as epoch is 1970-01-01; "
        "write city.time_format: excel"
    )
    assert dated("epoch", ["1577880000000"] * 20, times="local") == (
        "city.time_format=epoch does not fit 100% of the rows: 1577880000000 read as epoch is 51971-01-11; "
        "write city.time_format: epoch_ms"
    )


def test_a_moment_in_the_future_is_named_as_it_is_read():
    """One of 40 rows; nothing but the bound of the days can be changed."""
    assert dated("%Y-%m-%d %H:%M:%S", ["2088-01-05 10:00:00"] + ["2020-01-05 10:00:00"] * 39) == (
        "city.time_format=%Y-%m-%d %H:%M:%S does not fit 2% of the rows: 2088-01-05 10:00:00 read as "
        "%Y-%m-%d %H:%M:%S is 2088-01-05; mend city.time_format, or city.days if these days are right"
    )


def test_days_and_months_in_the_other_order():
    """%m/%d reads days up to 12 as months; %d/%m reads all rows."""
    times = [f"{day:02}/03/2019 08:15" for day in range(1, 29)]
    assert dated("%m/%d/%Y %H:%M", times) == (
        "city.time_format=%m/%d/%Y %H:%M does not fit 57% of the rows: 13/03/2019 08:15 is not %m/%d/%Y %H:%M; "
        "write city.time_format: %d/%m/%Y %H:%M"
    )


def test_a_second_format_among_the_rows():
    times = ["2019-03-05 10:00:00"] * 20 + ["03/25/2019 08:15"] * 20
    assert dated("%Y-%m-%d %H:%M:%S", times) == (
        "city.time_format=%Y-%m-%d %H:%M:%S does not fit 50% of the rows: 03/25/2019 08:15 is not %Y-%m-%d %H:%M:%S; "
        "%m/%d/%Y %H:%M reads the rejected ones: write both in a list, city.time_format: [...]"
    )


def test_parquet_times_outside_of_the_days():
    when = pa.array([datetime.datetime(1899, 12, 30, 5)] * 3 + [datetime.datetime(2019, 1, 5, 5)])
    numbers = {name: [float(value)] * 4 for name, value in zip(("x1", "y1", "x2", "y2"), PLACE.split(","), strict=True)}
    pq.write_table(pa.table({"fare": [12.5] * 4, "when": when, **numbers}), "t.parquet")
    assert losses_of("t.parquet").hint(("bad_timestamp", "when")) == (
        "city.time_format=%Y-%m-%d %H:%M:%S does not fit 75% of the rows: 1899-12-30 05:00:00.000000 is not in "
        "city.days; mend city.time_format, or city.days if these days are right"
    )


def test_days_of_the_profile_are_the_bounds():
    days = Days(datetime.date(2018, 1, 1), datetime.date(2018, 12, 31))
    assert "is 2019-01-05; mend" in dated("%Y-%m-%d %H:%M:%S", ["2019-01-05 00:00:00"], days=days)


def test_places_that_the_table_lacks_are_named_with_a_filter():
    """TLC's zones 264 and 265 stand for an unknown place and one outside of the city."""
    profile = dataclasses.replace(
        CITY,
        columns=Columns("fare", pickup_location="pu", dropoff_location="do", pickup_time="when"),
        locations=Locations(places={"1": Place(-73.99, 40.73), "2": Place(-73.98, 40.75)}),
    )
    rows = [f"12.5,2019-01-05 10:00:00,{pu},2" for pu in [1] * 90 + [264] * 7 + [265] * 2 + [""]]
    losses = losses_of(write(Path("t.csv"), rows, "fare,when,pu,do"), profile)
    assert losses.total.reasons == {("unknown_location", "pu"): 9, ("missing_coordinate", "pu"): 1}
    assert losses.hint(("unknown_location", "pu")) == (
        "9% of the rows have places that city.locations lacks, such as 264, 265: add them to its file, or leave such "
        "rows out with city.where: pu not in (264, 265)"
    )


def test_fares_in_another_dialect_are_named_with_the_dialect():
    rows = [GOOD] * 6 + ['"1,020.00"' + GOOD.removeprefix("12.5")]
    losses = losses_of(write(Path("t.csv"), rows))
    ((key, n),) = losses.reasons
    assert (n, key[1]) == (1, "fare")
    assert '1,020.00; write city.csv: {thousands: ","}' in losses.hint(key)


def test_an_unusable_file_shows_a_row_and_the_advice():
    path = write(Path("t.csv"), [f"12.5,43831,{PLACE}"] * 9)
    with pytest.raises(InputError) as caught:
        list(reader.read_trips(path, dataclasses.replace(CITY, time_format="epoch", times="local")))
    assert str(caught.value) == (
        "t.csv: none of 9 rows is a trip of nyc: 9 bad_timestamp (column when); city.time_format=epoch does not fit "
        "100% of the rows: 43831 read as epoch is 1970-01-01; write city.time_format: excel; "
        f"row 2 of t.csv: 12.5,43831,{PLACE}"
    )


def test_a_source_that_where_leaves_out_says_so():
    with pytest.raises(InputError, match="none of 2 rows is a trip of nyc: 2 left out by city.where=fare > 100$"):
        list(reader.read_trips(write(Path("t.csv"), [GOOD] * 2), dataclasses.replace(CITY, where="fare > 100")))
