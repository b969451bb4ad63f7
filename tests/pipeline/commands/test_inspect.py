"""`farebox data inspect` and `farebox init`: files in many dialects, and the trips that the written profile reads."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from farebox.components.trip_example_gen.reader import read_trips
from farebox.pipeline.settings.load import load_settings

SHARED = Path(os.environ.get("FAREBOX_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
N = 600
PLAIN = "%Y-%m-%d %H:%M:%S"
BERLIN = {"lon": 13.40, "lat": 52.52}
ZONE = "Europe/Berlin"


def trips(seed: int = 0) -> pd.DataFrame:
    """Trips in Berlin of one winter: nobody rides between three and six, fares grow with the distance."""
    random = np.random.default_rng(seed)
    start = np.round(np.stack([random.normal(13.40, 0.04, N), random.normal(52.52, 0.025, N)]), 5)
    end = np.round(start + random.normal(0, 0.02, (2, N)), 5)
    km = np.hypot((end[0] - start[0]) * 67.7, (end[1] - start[1]) * 111.2)
    hours = random.choice([0, 1, 2, *range(6, 24)], N)
    days = pd.Timestamp("2023-11-06") + pd.to_timedelta(random.integers(0, 80, N), "D")
    moments = days + pd.to_timedelta(hours, "h") + pd.to_timedelta(random.integers(0, 3600, N), "s")
    return pd.DataFrame(
        {
            "fare": np.round(3.9 + 2.3 * km + random.uniform(0, 2, N), 2),
            "start_lon": start[0], "start_lat": start[1], "end_lon": end[0], "end_lat": end[1],
            "persons": random.choice([1, 1, 1, 2, 3, 4], N),
            "started": pd.Series(moments).dt.floor("s"),
        }
    )  # fmt: skip


def text(frame: pd.DataFrame, time_format: str = PLAIN) -> pd.DataFrame:
    return frame.assign(started=frame["started"].dt.strftime(time_format))


def utc(frame: pd.DataFrame) -> pd.Series:
    return frame["started"].dt.tz_localize(ZONE).dt.tz_convert("UTC")


def grouped(frame: pd.DataFrame, mark: str, decimal: str) -> pd.DataFrame:
    """Fares in cents, so that most are above a thousand, with marks between the groups."""
    shown = (frame["fare"] * 100).map("{:,.2f}".format)
    return frame.assign(fare=shown.str.translate(str.maketrans({",": mark, ".": decimal})))


def without_header(frame: pd.DataFrame, path: Path) -> None:
    text(frame).to_csv(path, index=False, header=False)


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How a file is written, what a person answers, parts of the profile, and how many times larger the fares are."""

    write: Callable[[pd.DataFrame, Path], Any]
    city: dict[str, Any] = dataclasses.field(default_factory=dict)
    answers: tuple[str, ...] = ()
    suffix: str = ".csv"
    fares: int = 1


UTC = ("--times", "utc", "--time-zone", ZONE)
DIALECTS = {
    "plain": Dialect(lambda f, p: text(f).to_csv(p, index=False), {"time_format": PLAIN, "times": "local"}),
    "an index": Dialect(lambda f, p: text(f).to_csv(p), {"time_format": PLAIN}),
    "all quoted, CRLF": Dialect(lambda f, p: text(f).to_csv(p, index=False, quoting=1, lineterminator="\r\n")),
    "German Excel": Dialect(
        lambda f, p: text(f, "%d.%m.%Y %H:%M").to_csv(p, index=False, sep=";", decimal=",", encoding="utf-8-sig"),
        {"csv": {"separator": ";", "decimal": ","}, "time_format": "%d.%m.%Y %H:%M"},
    ),
    "tabs": Dialect(
        lambda f, p: text(f, "%m/%d/%Y %I:%M:%S %p").to_csv(p, index=False, sep="\t"),
        {"csv": {"separator": "\t"}, "time_format": "%m/%d/%Y %I:%M:%S %p"},
    ),
    "bars": Dialect(
        lambda f, p: text(f, "%Y/%m/%d %H:%M:%S").to_csv(p, index=False, sep="|"), {"csv": {"separator": "|"}}
    ),
    "thousands": Dialect(
        lambda f, p: grouped(text(f), ",", ".").to_csv(p, index=False), {"csv": {"thousands": ","}}, fares=100
    ),
    "thousands and decimal comma": Dialect(
        lambda f, p: grouped(text(f), ".", ",").to_csv(p, index=False, sep=";", decimal=","),
        {"csv": {"separator": ";", "decimal": ",", "thousands": "."}}, fares=100,
    ),
    "euros": Dialect(
        lambda f, p: text(f).assign(fare=f["fare"].map("€{:.2f}".format)).to_csv(p, index=False), {"currency": "EUR"}
    ),
    "codes of a currency": Dialect(
        lambda f, p: text(f).assign(fare=f["fare"].map("{:.2f} CZK".format)).to_csv(p, index=False), {"currency": "CZK"}
    ),
    "a currency in a name": Dialect(
        lambda f, p: text(f).rename(columns={"fare": "fare_fjd"}).to_csv(p, index=False), {"currency": "FJD"}
    ),
    "epochs in UTC": Dialect(
        lambda f, p: f.assign(started=utc(f).astype("int64") // 10**9).to_csv(p, index=False),
        {"time_format": "epoch", "times": "utc", "time_zone": ZONE}, UTC,
    ),
    "milliseconds in UTC": Dialect(
        lambda f, p: f.assign(started=utc(f).astype("int64") // 10**6).to_csv(p, index=False),
        {"time_format": "epoch_ms"}, UTC,
    ),
    "ISO with Z": Dialect(
        lambda f, p: f.assign(started=utc(f).dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")).to_csv(p, index=False),
        {"time_format": "%Y-%m-%dT%H:%M:%S.%fZ"}, UTC,
    ),
    "UTC that is local": Dialect(
        lambda f, p: text(f, PLAIN + " UTC").to_csv(p, index=False),
        {"time_format": PLAIN + " UTC", "times": "local"}, ("--times", "local"),
    ),
    "offsets": Dialect(
        lambda f, p: f.assign(started=f["started"].dt.tz_localize(ZONE)).to_csv(p, index=False),
        {"time_format": PLAIN + "%z", "times": "offset", "time_zone": ZONE},
    ),
    "Parquet": Dialect(lambda f, p: f.to_parquet(p, index=False), {"times": "local"}, suffix=".parquet"),
    "Parquet in UTC": Dialect(
        lambda f, p: f.assign(started=utc(f)).to_parquet(p, index=False), {"times": "utc"}, UTC, ".parquet"
    ),
    "Parquet in a zone": Dialect(
        lambda f, p: f.assign(started=f["started"].dt.tz_localize(ZONE)).to_parquet(p, index=False),
        {"times": "utc", "time_zone": ZONE}, suffix=".parquet",
    ),
    "date and time apart": Dialect(
        lambda f, p: f.assign(
            start_date=f["started"].dt.strftime("%d-%b-%Y"), start_time=f["started"].dt.strftime("%H:%M:%S")
        ).drop(columns="started").to_csv(p, index=False),
        {"time_format": "%d-%b-%Y %H:%M:%S"},
    ),
    "gzip": Dialect(lambda f, p: text(f).to_csv(p, index=False), suffix=".csv.gz"),
    "zip": Dialect(
        lambda f, p: text(f).to_csv(
            p, index=False, compression={"method": "zip", "archive_name": "trips.csv"}
        ), suffix=".zip",
    ),
    "bzip2, tabs": Dialect(lambda f, p: text(f).to_csv(p, index=False, sep="\t"), suffix=".tsv.bz2"),
    "commas in a .tsv": Dialect(
        lambda f, p: text(f).to_csv(p, index=False), {"csv": {"separator": ","}}, suffix=".tsv"
    ),
    "no header": Dialect(without_header),
    "missing values": Dialect(
        lambda f, p: text(f).assign(persons=f["persons"].where(f["persons"] > 1)).to_csv(p, index=False, na_rep="\\N"),
        {"csv": {"missing": ["\\N"]}},
    ),
    "Latin-1": Dialect(
        lambda f, p: text(f).rename(columns={"fare": "prix payé"}).to_csv(p, index=False, encoding="latin-1")
    ),
    "UTF-16": Dialect(lambda f, p: text(f).to_csv(p, index=False, encoding="utf-16")),
}  # fmt: skip


def city_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["city"]
    return content


def read(profile: Path, data: Path) -> dict[str, np.ndarray]:
    """All trips as a run reads them, sorted by moment and fare."""
    settings = load_settings(str(profile), str(data))
    parts = list(read_trips(settings.data, settings.city))
    columns = {
        name: np.concatenate([part.examples.column(name).to_numpy() for part in parts])
        for name in parts[0].examples.schema.names
    }
    order = np.lexsort((columns["fare"], columns["pickup_epoch"]))
    return {name: values[order] for name, values in columns.items()}


@pytest.mark.parametrize("name", DIALECTS)
def test_init_reads_what_pandas_wrote(tmp_path, monkeypatch, call, name):
    """Every trip within the bounds comes with its own fare, places, hour and weekday; the bounds lose few."""
    dialect, frame = DIALECTS[name], trips()
    monkeypatch.chdir(tmp_path)
    data = Path(f"trips{dialect.suffix}")
    dialect.write(frame, data)
    code, out, error = call("init", "berlin", "--data", data, *dialect.answers)
    assert (code, error) == (0, ""), error
    assert out.endswith(f"berlin.yaml is written; next: farebox run --city berlin.yaml --data {data}\n")
    city = city_of(Path("berlin.yaml"))
    assert {key: city.get(key) for key in dialect.city} == dialect.city
    columns = read(Path("berlin.yaml"), data)
    box = city["box"]
    is_trip = frame["start_lon"].between(box["west"], box["east"]) & frame["end_lon"].between(box["west"], box["east"])
    is_trip &= frame["start_lat"].between(box["south"], box["north"])
    is_trip &= frame["end_lat"].between(box["south"], box["north"])
    is_trip &= (frame["fare"] * dialect.fares).between(city["fare"]["min"], city["fare"]["max"])
    assert is_trip.mean() > 0.97
    expected = frame[is_trip].copy()
    if "%H:%M" in str(city.get("time_format")) and "%S" not in city["time_format"]:
        expected["started"] = expected["started"].dt.floor("min")
    expected = expected.sort_values(["started", "fare"])
    np.testing.assert_allclose(columns["fare"], expected["fare"] * dialect.fares, rtol=1e-6)
    np.testing.assert_array_equal(columns["pickup_hour"], expected["started"].dt.hour)
    np.testing.assert_array_equal(columns["pickup_weekday"], expected["started"].dt.weekday)
    for ours, theirs in (("pickup", "start"), ("dropoff", "end")):
        np.testing.assert_allclose(columns[f"{ours}_longitude"], expected[f"{theirs}_lon"], atol=1e-5)
        np.testing.assert_allclose(columns[f"{ours}_latitude"], expected[f"{theirs}_lat"], atol=1e-5)
    if name != "no header":
        np.testing.assert_array_equal(columns["passenger_count"], expected["persons"])


def test_times_that_name_moments_are_asked_back(tmp_path, monkeypatch, call):
    """Both lines stand there with the evidence: by UTC's clocks nobody rides between two and five."""
    monkeypatch.chdir(tmp_path)
    DIALECTS["epochs in UTC"].write(trips(), Path("trips.csv"))
    code, _, error = call("init", "berlin", "--data", "trips.csv")
    line = "berlin.yaml must have city.times before it can be used: choose lines with `# ?`\n"
    assert (code, error) == (2, f"farebox: {line}")
    written = Path("berlin.yaml").read_text()
    local, converted = re.findall(r"  # \? (times: .*)\n", written)
    assert local.startswith("times: local  # ") and local.endswith("the quiet hours are 02:00 to 05:00")
    assert converted.startswith("times: utc  # ") and converted.endswith("the quiet hours are 03:00 to 06:00")
    chosen = written.replace("# ? times: utc", "times: utc")
    Path("berlin.yaml").write_text(chosen)
    hours = read(Path("berlin.yaml"), Path("trips.csv"))["pickup_hour"]
    assert len(hours) > 0.97 * N and not {3, 4, 5} & set(hours)


def test_day_and_month_are_asked_back(tmp_path, monkeypatch, call):
    """No value is above twelve, and both readings lie on as many days."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    days = [f"{a:02d}/{b:02d}/2023 08:00" for a, b in random.integers(1, 13, (N, 2))]
    trips().assign(started=days).to_csv("trips.csv", index=False)
    assert call("init", "berlin", "--data", "trips.csv")[0] == 2
    written = Path("berlin.yaml").read_text()
    assert '# ? time_format: "%d/%m/%Y %H:%M"' in written and '# ? time_format: "%m/%d/%Y %H:%M"' in written


def test_a_month_of_trips_tells_day_and_month(tmp_path, monkeypatch, call):
    """1 to 12 March, written with the month first: by the other reading they would lie in twelve months."""
    monkeypatch.chdir(tmp_path)
    days = [f"03/{1 + i % 12:02d}/2023 08:00" for i in range(N)]
    trips().assign(started=days).to_csv("trips.csv", index=False)
    assert call("init", "berlin", "--data", "trips.csv")[0] == 0
    assert city_of(Path("berlin.yaml"))["time_format"] == "%m/%d/%Y %H:%M"
    assert "# ? %d/%m/%Y %H:%M reads them, too" in Path("berlin.yaml").read_text()


@pytest.mark.parametrize(
    ("days", "coding"),
    [
        ({day: day for day in range(7)}, "monday_0"),
        ({day: day + 1 for day in range(7)}, "monday_1"),
        ({day: (day + 1) % 7 for day in range(7)}, "sunday_0"),
        ({day: (day + 1) % 7 + 1 for day in range(7)}, "sunday_1"),
        (dict(enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))), "names"),
    ],
)
def test_nights_tell_how_weekdays_count(tmp_path, monkeypatch, call, days, coding):
    """Half of the rides on Saturdays and Sundays start before five, a fiftieth of the others."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    weekday = random.integers(0, 7, N)
    is_night = random.random(N) < np.where(weekday >= 5, 0.5, 0.02)
    hours = np.where(is_night, random.integers(0, 5, N), random.integers(5, 24, N))
    frame = trips().drop(columns="started").assign(hour=hours, day_of_week=[days[day] for day in weekday])
    frame.to_csv("trips.csv", index=False)
    assert call("init", "berlin", "--data", "trips.csv")[0] == 0
    assert city_of(Path("berlin.yaml"))["weekdays"] == coding


def test_weekdays_that_nothing_tells_are_asked_back(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    frame = trips().drop(columns="started")
    frame.assign(hour=random.integers(0, 24, N), weekday=random.integers(1, 8, N)).to_csv("trips.csv", index=False)
    code, _, error = call("init", "berlin", "--data", "trips.csv")
    assert code == 2 and "city.weekdays" in error
    written = Path("berlin.yaml").read_text()
    assert "# ? weekdays: monday_1" in written and "# ? weekdays: sunday_1" in written


@pytest.mark.parametrize("n_unknown", [0, 4, 40])
def test_rows_of_ids_without_a_place_are_left_out_if_there_are_many(tmp_path, monkeypatch, call, n_unknown):
    """DataGate would stop the run that init proposes: it allows one row of a hundred."""
    monkeypatch.chdir(tmp_path)
    Path("zones.csv").write_text("zone,lon,lat\nMitte,13.40,52.52\n7,13.36,52.55\n")
    ids = np.random.default_rng(2).choice(["Mitte", "7"], (2, N))
    ids[1, :n_unknown] = ["Other", "99"] * (n_unknown // 2)
    frame = text(trips())[["fare", "persons", "started"]]
    frame.assign(**{"from zone": ids[0], "to zone": ids[1]}).to_csv("trips.csv", index=False)
    code, _, error = call("init", "berlin", "--data", "trips.csv", "--zones", "zones.csv")
    assert code == 0, error
    assert city_of(Path("berlin.yaml")).get("where") == ("`to zone` not in (99, 'Other')" if n_unknown == 40 else None)
    settings = load_settings("berlin.yaml", "trips.csv")
    (read,) = read_trips(settings.data, settings.city)
    reasons = {reason: n for (reason, _), n in read.reasons().items()}
    assert reasons.get("unknown_location", 0) == (0 if n_unknown == 40 else n_unknown)


def test_nothing_is_asked_about_a_box_before_its_zones_are_known(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    text(trips())[["fare", "persons", "started"]].assign(from_zone="Mitte", to_zone="Spandau").to_csv("trips.csv")
    code, out, error = call("init", "berlin", "--data", "trips.csv")
    assert code == 2 and "city.locations" in error and "look at city.box" not in out
    assert "# ? box: " in Path("berlin.yaml").read_text()


def test_the_zones_of_a_shipped_city_are_doubted(tmp_path, monkeypatch, call):
    """Every city numbers its zones from 1."""
    monkeypatch.chdir(tmp_path)
    frame = text(trips())[["fare", "persons", "started"]]
    frame.assign(from_zone=frame.index % 40 + 1, to_zone=frame.index % 30 + 1).to_csv("trips.csv", index=False)
    code, out, _ = call("init", "berlin", "--data", "trips.csv")
    assert code == 0
    assert "look at city.locations: the zones of nyc-tlc-" in out


def test_zones_with_their_coordinates_swapped_are_told(tmp_path, monkeypatch, call):
    """It has the ids: the line must not say that it lacks them."""
    monkeypatch.chdir(tmp_path)
    text(trips())[["fare", "persons", "started"]].assign(from_zone="a", to_zone="b").to_csv("trips.csv", index=False)
    Path("zones.csv").write_text("zone,lng,lat\na,-6.2,106.8\nb,-6.3,106.9\n")
    code, out, error = call("init", "jakarta", "--data", "trips.csv", "--zones", "zones.csv")
    assert (code, out) == (2, "") and "longitude and latitude of a, b must be swapped" in error


def test_a_table_of_zones_that_is_none_is_one_line(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    text(trips())[["fare", "persons", "started"]].assign(from_zone="1", to_zone="7").to_csv("trips.csv", index=False)
    Path("zones.csv").write_text("zone" * 50_000)
    code, out, error = call("init", "berlin", "--data", "trips.csv", "--zones", "zones.csv")
    assert (code, out) == (2, "")
    assert error == "farebox: locations=zones.csv cannot be read: field larger than field limit (131072)\n"


def test_init_overwrites_nothing(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    text(trips()).to_csv("trips.csv", index=False)
    Path("berlin.yaml").write_text("kept")
    code, out, error = call("init", "berlin", "--data", "trips.csv")
    assert (code, out, error) == (2, "", "farebox: out=berlin.yaml exists already, give another name\n")
    assert Path("berlin.yaml").read_text() == "kept"
    assert call("init", "berlin", "--data", "trips.csv", "--out", "new/b.yaml")[0] == 0
    assert city_of(Path("new/b.yaml"))["name"] == "berlin"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("init", "a b", "--data", "trips.csv"), "name=a b must be letters, digits, - and _"),
        (("init", "b", "--data", "trips.csv", "--out", "b.txt"), "--out=b.txt must end in .yaml"),
        (("init", "b", "--data", "gone.csv"), "gone.csv: no such file or folder"),
        (("init", "b", "--data", "trips.csv", "--times", "gmt"), "--times=gmt must be one of local, utc, offset"),
        (("init", "b", "--data", "trips.csv", "--time-zone", "Berlin"), "--time-zone=Berlin must be an IANA time zone"),
        (("data", "inspect", "trips.csv", "--picture", "p.jpg"), "--picture=p.jpg must end in .png"),
    ],
)
def test_wrong_words_are_refused(tmp_path, monkeypatch, call, arguments, line):
    monkeypatch.chdir(tmp_path)
    text(trips()).to_csv("trips.csv", index=False)
    code, out, error = call(*arguments)
    assert (code, out, error.count("\n")) == (2, "", 1) and error.startswith(f"farebox: {line}")
    assert list(tmp_path.iterdir()) == [tmp_path / "trips.csv"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\x7fELF\x02\x01\0\0 1,2\n3,4\n", "line 1 must be text, got NUL bytes: the file is binary"),
        (b"fare" * 50_000, "must be CSV, but none of its first lines can be read: one is too long, or not text"),
        (b"", "must have rows, got an empty file"),
    ],
    ids=["binary", "no line ends", "empty"],
)
def test_what_is_no_csv_is_one_line(tmp_path, monkeypatch, call, content, line):
    monkeypatch.chdir(tmp_path)
    Path("trips.csv").write_bytes(content)
    for command in (("data", "inspect", "trips.csv"), ("init", "berlin", "--data", "trips.csv")):
        assert call(*command) == (2, "", f"farebox: trips.csv: {line}\n")


def test_a_row_with_a_nul_is_left_out_of_the_look(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    text(trips()).to_csv("trips.csv", index=False)
    header, rows = Path("trips.csv").read_bytes().split(b"\n", 1)
    Path("trips.csv").write_bytes(b"\n".join([header, b"a\0b,1,2", rows]))
    assert call("init", "berlin", "--data", "trips.csv")[0] == 0


def test_inspect_prints_a_profile_that_can_be_saved(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    text(trips()).to_csv("trips.csv", index=False)
    code, out, error = call("data", "inspect", "trips.csv", "--picture", "trips.png")
    assert (code, error) == (0, "")
    assert Path("trips.png").read_bytes().startswith(b"\x89PNG")
    Path("saved.yaml").write_text(out)
    assert len(read(Path("saved.yaml"), Path("trips.csv"))["fare"]) > 0.97 * N
    assert "# ? nothing names the currency" in out and "name: trips" in out


def test_places_across_the_180th_meridian_are_told(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    frame = text(trips())
    for name in ("start_lon", "end_lon"):
        frame[name] = ((frame[name] + 180 - 13.4 + 180) % 360 - 180).round(5)
    frame.to_csv("trips.csv", index=False)
    _, out, _ = call("init", "taveuni", "--data", "trips.csv")
    assert "look at city.box: the places lie across the 180th meridian, and a box cannot: make it end there" in out


def test_a_column_that_is_not_there_is_asked_back(tmp_path, monkeypatch, call):
    """The TLC's old files of for-hire vehicles have no fares."""
    monkeypatch.chdir(tmp_path)
    text(trips()).drop(columns="fare").to_csv("trips.csv", index=False)
    code, out, error = call("data", "inspect", "trips.csv")
    assert code == 2 and error.startswith("farebox: the profile must have city.columns.fare before it can be used")
    asked = "# ? fare: COLUMN  # none looks like it, name it with --column fare=COLUMN; found start_lon, start_lat"
    assert asked in out


def test_columns_that_a_person_names_are_taken(tmp_path, monkeypatch, call):
    """No name here means a fare, and each coordinate could be a latitude. So a person names all columns."""
    monkeypatch.chdir(tmp_path)
    frame = text(trips())[["fare", "start_lat", "start_lon", "end_lat", "end_lon", "started"]]
    names = {"fare": "cena", "start_lat": "a", "start_lon": "b", "end_lat": "c", "end_lon": "d", "started": "kiedy"}
    frame.rename(columns=names).assign(end=frame["started"]).to_csv("trips.csv", index=False)
    given = {"fare": "cena", "pickup_latitude": "a", "pickup_longitude": "b", "dropoff_latitude": "c",
             "dropoff_longitude": "d", "pickup_time": "kiedy"}  # fmt: skip
    options = [part for ours, theirs in given.items() for part in ("--column", f"{ours}={theirs}")]
    code, _, _ = call("init", "berlin", "--data", "trips.csv", *options)
    assert code == 0
    city = yaml.safe_load(Path("berlin.yaml").read_text())["city"]
    assert city["columns"] == given and 52 < city["box"]["south"] < 53 and city["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("fare=cena", "--column=fare=cena: cena must be a column of the files, got fare, start_lon, start_lat, "),
        ("tip=fare", "--column=tip=fare: tip must be one of fare, pickup_longitude, "),
        ("fare", "--column=fare must be OURS=THEIRS, such as fare=cena"),
    ],
)
def test_wrong_names_of_columns_are_refused(tmp_path, monkeypatch, call, given, words):
    monkeypatch.chdir(tmp_path)
    text(trips()).to_csv("trips.csv", index=False)
    code, _, error = call("init", "berlin", "--data", "trips.csv", "--column", given)
    assert code == 2 and error.startswith(f"farebox: {words}") and not Path("berlin.yaml").exists()


def test_files_of_one_folder_may_have_other_names_and_side_files(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    Path("trips").mkdir()
    text(trips(1)).to_csv("trips/a.csv", index=False)
    names = {"fare": "Fare_Amt", "start_lon": "Start_Lon", "started": "Trip_Pickup_DateTime"}
    text(trips(2)).rename(columns=names).to_csv("trips/b.csv", index=False)
    Path("trips/lookup.csv").write_text("id,name\n1,Mitte\n2,Wedding\n")
    assert call("init", "berlin", "--data", "trips")[0] == 0
    city = city_of(Path("berlin.yaml"))
    assert city["columns"]["fare"] == ["fare", "Fare_Amt"]
    assert city["columns"]["pickup_time"] == ["started", "Trip_Pickup_DateTime"]
    assert city["ignore_files"] == ["lookup.csv"]


def test_a_shipped_city_that_reads_the_files_is_named(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    lines = [
        "fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,passenger_count"
    ]
    lines += ["11.3,2011-01-28 20:42:59 UTC,-73.999,40.739,-73.990,40.717,1"] * 9
    Path("trips.csv").write_text("\n".join(lines))
    _, out, _ = call("data", "inspect", "trips.csv")
    assert "# The shipped city nyc reads 100% of the rows, too: --city nyc.\n" in out


REAL = sorted([*SHARED.glob("tlc-heads/*tripdata*.csv"), *SHARED.glob("nyc*/*.csv"), *SHARED.glob("tlc-2019/*.csv")])


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files(tmp_path, monkeypatch, call, path):
    """A profile that reads the file, or the question that is open: for-hire vehicles had no fares."""
    monkeypatch.chdir(tmp_path)
    answers = ("--times", "local") if path.name == "taxi-fares.csv" else ()
    code, _, error = call("init", "nyc", "--data", path, *answers)
    if path.name.startswith("fhv"):
        assert code == 2 and "city.columns.fare" in error
        return
    if path.name == "green_tripdata_2013-10.csv":  # its few rows start at 0, 0
        assert (code, error) == (
            2,
            "farebox: nyc.yaml reads no trip: the sampled rows are rejected, see its first lines\n",
        )
        return
    assert (code, error) == (0, ""), Path("nyc.yaml").read_text()
    columns = read(Path("nyc.yaml"), path)
    assert len(columns["fare"]) > 0
    if path.name == "taxi-traffic.csv":  # its README: 1 is Sunday; without header
        assert city_of(Path("nyc.yaml"))["weekdays"] == "sunday_1"
        assert len(columns["fare"]) > 0.98 * 31_000
