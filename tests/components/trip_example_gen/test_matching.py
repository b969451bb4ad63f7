"""Columns of sources known by their names and by their values, and the formats of their times."""

# ruff: noqa: E501
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.inspection import drafting, samples, time_guesses, trial
from farebox.components.trip_example_gen.inspection.column_names import tags, tokens
from farebox.components.trip_example_gen.inspection.matching import match
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

N = 800
PLACES = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")


def trips() -> dict[str, Any]:
    """Trips in Washington by our names; `total` adds a tip, `km` is the distance, `end` the dropoff."""
    random = np.random.default_rng(3)
    start = np.round(np.stack([random.normal(-77.03, 0.03, N), random.normal(38.9, 0.03, N)]), 6)
    end = np.round(start + random.normal(0, 0.02, (2, N)), 6)
    km = np.hypot((end[0] - start[0]) * 86, (end[1] - start[1]) * 111)
    fare = np.round(3.25 + 1.5 * km + random.uniform(0, 2, N), 2)
    seconds = random.integers(0, 200 * 86400, N)
    moments = pd.Series(pd.Timestamp("2019-03-01") + pd.to_timedelta(seconds, "s"))
    later = moments + pd.to_timedelta((km * 120 + 60).astype(int), "s")
    return {
        "fare": fare, "pickup_longitude": start[0], "pickup_latitude": start[1], "dropoff_longitude": end[0],
        "dropoff_latitude": end[1], "pickup_time": moments.astype(str), "end": later.astype(str), "km": np.round(km, 2),
        "seconds": (km * 120).astype(int), "total": np.round(fare * 1.2 + 1, 2), "passenger_count": 1 + seconds % 3,
        "start_point": [f"POINT ({x} {y})" for x, y in start.T], "end_point": [f"POINT ({x} {y})" for x, y in end.T],
        "line": [f"[[{a}, {b}], [{c}, {d}]]" for a, b, c, d in zip(*start, *end, strict=True)],
    }  # fmt: skip


# What a source calls our columns, in its order; columns that start with a capital letter here are not ours.
SOURCES = {
    "Washington": "FAREAMOUNT=fare TOTALAMOUNT=Total MILEAGE=Km ORIGIN_BLOCK_LATITUDE=pickup_latitude "
    "ORIGIN_BLOCK_LONGITUDE=pickup_longitude DESTINATION_BLOCK_LAT=dropoff_latitude DESTINATION_BLOCK_LONG=dropoff_longitude "
    "ORIGINDATETIME_TR=pickup_time DESTINATIONDATETIME_TR=End",
    "the course": "fare_amount=fare pickuplon=pickup_longitude pickuplat=pickup_latitude dropofflon=dropoff_longitude "
    "dropofflat=dropoff_latitude passengers=passenger_count pickup_datetime=pickup_time",
    "TLC 2009": "Trip_Pickup_DateTime=pickup_time Trip_Dropoff_DateTime=End Passenger_Count=passenger_count Trip_Distance=Km "
    "Start_Lon=pickup_longitude Start_Lat=pickup_latitude End_Lon=dropoff_longitude End_Lat=dropoff_latitude Fare_Amt=fare "
    "Total_Amt=Total",
    "the TLC's for-hire vehicles": "request_datetime=End pickup_datetime=pickup_time trip_time=Seconds base_passenger_fare=fare "
    "tips=Km driver_pay=Total from_lon=pickup_longitude from_lat=pickup_latitude to_lon=dropoff_longitude "
    "to_lat=dropoff_latitude",
    "Spanish": "fecha_hora_inicio=pickup_time fecha_hora_fin=End longitud_origen=pickup_longitude "
    "latitud_origen=pickup_latitude longitud_destino=dropoff_longitude latitud_destino=dropoff_latitude importe=fare "
    "pasajeros=passenger_count",
    "German": "Startzeit=pickup_time StartLänge=pickup_longitude StartBreite=pickup_latitude ZielLänge=dropoff_longitude "
    "ZielBreite=dropoff_latitude Fahrpreis=fare Fahrgäste=passenger_count Strecke=Km",
    "an app": "startedAt=pickup_time endedAt=End originLat=pickup_latitude originLng=pickup_longitude "
    "destLat=dropoff_latitude destLng=dropoff_longitude price=fare durationSeconds=Seconds",
    "letters": "fare_usd=fare when=pickup_time lon_a=pickup_longitude lat_a=pickup_latitude lon_b=dropoff_longitude "
    "lat_b=dropoff_latitude people=passenger_count",
    "numbers": "x0=pickup_longitude y0=pickup_latitude x1=dropoff_longitude y1=dropoff_latitude total=fare "
    "started=pickup_time",
    "dropoff first": "end_lat=dropoff_latitude end_lon=dropoff_longitude start_lat=pickup_latitude start_lon=pickup_longitude "
    "price=fare end_time=End start_time=pickup_time",
    "points": "pickup_geom=start_point dropoff_geom=end_point amount=fare pickup_ts=pickup_time",
    "a polyline": "POLYLINE=line FARE=fare TIMESTAMP=pickup_time",
}
OURS = {"start_point": "pickup_point", "end_point": "dropoff_point", "line": "polyline"}


def sample_of(tmp_path: Path, columns: dict[str, Any], *, header: bool = True) -> samples.Sample:
    pd.DataFrame(columns).to_csv(tmp_path / "trips.csv", index=False, header=header)
    return samples.sample(str(tmp_path / "trips.csv"))


@pytest.mark.parametrize("name", SOURCES)
def test_columns_are_known_by_name(tmp_path, name):
    pairs = [pair.split("=") for pair in SOURCES[name].split()]
    values = trips()
    found = match(sample_of(tmp_path, {theirs: values[ours.lower()] for theirs, ours in pairs}))
    assert found.columns == {OURS.get(ours, ours): theirs for theirs, ours in pairs if ours.islower()}


def test_columns_are_known_by_value(tmp_path):
    """No header: the file of the DEBS challenge of 2015, with durations, distances and totals around the fare."""
    values = trips()
    order = ("pickup_time", "end", "seconds", "km", *PLACES, "fare", "total")
    found = match(sample_of(tmp_path, {name: values[name] for name in order}, header=False))
    expected = {
        "pickup_time": "column_1",
        **{name: f"column_{5 + i}" for i, name in enumerate(PLACES)},
        "fare": "column_9",
    }
    assert found.columns == expected
    assert {"fare", "pickup_latitude"} <= set(found.questions)


def test_latitudes_before_longitudes_are_known_by_value(tmp_path):
    values = trips()
    order = ("fare", "pickup_time", "pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
    found = match(sample_of(tmp_path, {name: values[name] for name in order}, header=False))
    assert [found.columns[name] for name in order[2:]] == ["column_3", "column_4", "column_5", "column_6"]


def test_exchanged_names_are_exchanged_back_and_told(tmp_path):
    """Nobody takes a taxi at 77 degrees south."""
    values = trips()
    names = {
        "lat": "pickup_longitude",
        "lon": "pickup_latitude",
        "lat2": "dropoff_longitude",
        "lon2": "dropoff_latitude",
    }
    columns = {f"{theirs}": values[ours] for theirs, ours in names.items()}
    found = match(sample_of(tmp_path, {**columns, "fare": values["fare"], "when": values["pickup_time"]}))
    assert (found.columns["pickup_longitude"], found.columns["dropoff_latitude"]) == ("lat", "lon2")
    assert "exchanged" in found.questions["pickup_longitude"]


def test_cents_become_units(tmp_path):
    values = trips()
    columns = {name: values[name] for name in (*PLACES, "pickup_time")}
    found = match(sample_of(tmp_path, {**columns, "priceCents": (values["fare"] * 100).astype(int)}))
    assert found.columns["fare"] == "`priceCents` / 100"


def test_names_of_places_are_locations(tmp_path):
    values = trips()
    columns = {
        "price": values["fare"],
        "source": ["Fenway", "Back Bay"] * 400,
        "destination": ["Back Bay", "Fenway"] * 400,
    }
    found = match(sample_of(tmp_path, {**columns, "time": values["pickup_time"]}))
    assert (found.columns["pickup_location"], found.columns["dropoff_location"]) == ("source", "destination")


def test_words_of_a_name():
    assert tokens("Trip_Pickup_DateTime") == ("trip", "pickup", "datetime")
    assert tokens("PULocationID") == ("pu", "location", "id")
    assert tokens("DOlocationID") == ("do", "location", "id")
    assert tokens("dropofflat") == ("dropoff", "lat")
    assert tags("Pick-up Longitude") == {"start", "longitude"}
    assert "end" not in tags("DOW")


FORMATS = {
    "2024-01-05 20:00:00": ("%Y-%m-%d %H:%M:%S",),
    "2024-01-05T20:00:00.125Z": ("%Y-%m-%dT%H:%M:%S.%fZ",),
    "2024-01-05 20:00:00+01:00": ("%Y-%m-%d %H:%M:%S%z",),
    "31.01.2024 20:00": ("%d.%m.%Y %H:%M",),
    "1/31/2024 8:00 PM": ("%m/%d/%Y %I:%M %p",),
    "31-JAN-24 08.00.00 PM": ("%d-%b-%y %I.%M.%S %p",),
    "Jan 31, 2024 8:00:00 PM": ("%b %d, %Y %I:%M:%S %p",),
    "Fri, 05 Jan 2024 20:00:00": ("%a, %d %b %Y %H:%M:%S",),
    "20:00 31/01/2024": ("%H:%M %d/%m/%Y",),
    "20240131 200000": ("%Y%m%d %H%M%S",),
    "20240131200000": ("%Y%m%d%H%M%S",),
    "2024-01-05 20:00:00 UTC": ("%Y-%m-%d %H:%M:%S UTC",),
    "1706731200": ("epoch",),
    "1706731200000": ("epoch_ms",),
    "1706731200000000": ("epoch_us",),
    "1706731200000000000": ("epoch_ns",),
    "45322.8333": ("excel",),
}


@pytest.mark.parametrize("text", FORMATS)
def test_a_format_is_found(text):
    guess = time_guesses.guess_times(pa.array([text] * 3), PLAIN)
    assert guess is not None and guess.formats == FORMATS[text] and guess.share == 1


@pytest.mark.parametrize("text", ["hello", "12.5", "2024-01-05", "20:00", "-73.98", "99/99/2024 10:00"])
def test_no_time_is_no_time(text):
    assert time_guesses.guess_times(pa.array([text] * 3), PLAIN) is None


def test_several_formats_are_found_by_how_many_cells_they_read():
    column = pa.array(["31/01/2024 20:00"] * 5 + ["2024-01-31 20:00:00"] * 3 + ["never"])
    guess = time_guesses.guess_times(column, PLAIN)
    assert guess is not None
    assert guess.formats == ("%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%S")
    assert guess.share == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ((-87.6, 41.9), "America/Chicago"), ((-73.98, 40.75), "America/New_York"), ((-8.61, 41.15), "Europe/Lisbon"),
        ((13.4, 52.5), "Europe/Berlin"), ((-122.4, 37.8), "America/Los_Angeles"), ((151.2, -33.9), "Australia/Sydney"),
    ],
)  # fmt: skip
def test_the_nearest_zone_is_a_first_guess(place, zone):
    assert time_guesses.nearest_zone(*place) == zone


DIALECTS = {
    "a,b\n1.5,2\n": {},
    "a;b\n1,5;2\n1,25;3\n": {"separator": ";", "decimal": ","},
    "a;b\n1.234,5;2\n0,25;3\n": {"separator": ";", "decimal": ",", "thousands": "."},
    'a,b\n"1,020.00",2\n996.00,3\n': {"thousands": ","},
    "a\tb\n1.5\t2\n": {"separator": "\t"},
    "a|b\n1.5|2\n": {"separator": "|"},
    "# made today\na,b\n1.5,2\n": {"comment": "#"},
    "'a','b'\n'1.5','x'\n'2.5','y'\n'2.5','z'\n": {"quote": "'"},
    "a,b\n1.5,\\N\n2.5,3\n3.5,4\n": {"missing": ("\\N",)},
    "a,b\n1.5,2,,\n2.5,3,,\n": {},
    "a,b,c\n1.5,2\n2.5,3\n3.5,4,5\n": {"ragged": True},
    'a,b\n1.5,"say \\"yes\\" now"\n2.5,"x"\n': {"escape": "\\"},
    "1.5,2\n2.5,3\n": {"names": ("column_1", "column_2")},
}


def test_rows_that_begin_with_a_number_without_a_name_are_refused(tmp_path):
    """As R's write.table writes them: each field would stand under the name of the one before it."""
    path = tmp_path / "trips.csv"
    path.write_text("a,b\n1,1.5,2\n2,2.5,3\n")
    with pytest.raises(InputError, match="every row has 3 fields and the header 2: give it a name more"):
        samples.sample(str(path))


def test_rows_that_where_leaves_out_do_not_count_against_a_profile(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text("f,x,y,x2,y2,t,kind\n" + "".join(f"5,1,2,1,2,2019-01-31 10:15:00,{i % 2}\n" for i in range(10)))
    city = {
        "name": "c", "columns": {
            "fare": "f", "pickup_longitude": "x", "pickup_latitude": "y", "dropoff_longitude": "x2",
            "dropoff_latitude": "y2", "pickup_time": "t",
        },
        "time_format": "%Y-%m-%d %H:%M:%S", "box": {"west": 0, "east": 3, "south": 0, "north": 3},
        "fare": {"min": 1, "max": 9}, "where": "kind == 1",
    }  # fmt: skip
    assert list(trial.reads([samples.sample(str(path))], trial.profile_of(city))) == [1.0]


@pytest.mark.parametrize("content", DIALECTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_dialect_is_found(tmp_path, content, end):
    path = tmp_path / "trips.csv"
    path.write_bytes(content.replace("\n", end).encode())
    assert samples.sample(str(path)).dialect == CsvDialect(**DIALECTS[content])


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("cp1252", "cp1252"), ("cp1251", "cp1251")],
)
def test_an_encoding_is_found(tmp_path, encoding, name):
    names = "цена,имя,улица" if encoding == "cp1251" else "prix payé,prénom,hôtel"
    words = "Невский проспект" if encoding == "cp1251" else "Hôtel de l'Étoile, près d'ici"
    path = tmp_path / "trips.csv"
    path.write_bytes("\n".join([names, *[f'{i}.5,"{words}",a' for i in range(40)]]).encode(encoding))
    found = samples.sample(str(path))
    assert found.dialect.encoding == name
    assert found.names == tuple(names.split(","))


def test_a_number_that_may_be_a_thousand_is_asked(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text('a,b\n"1,020",2\n"2,020",3\n')
    found = samples.sample(str(path))
    assert found.dialect.thousands == "," and "taken for a thousand" in found.questions["csv"]


@pytest.mark.parametrize(
    ("above", "skip_rows", "separator"),
    [
        ("", 0, None),
        ("sep=;\n", 0, ";"),
        ("sep=;\r\nTrips of January;;\r\n\r\n", 3, ";"),
        ("Trips, all of them\n\n", 0, None),  # two fields: a header for all that is known
        ('"Trips, all of them"\n\n', 2, None),
        ("# Trips\n", 0, None),
    ],
)
def test_lines_above_the_header_are_counted_and_the_draft_reads_the_file(tmp_path, above, skip_rows, separator):
    path = tmp_path / "trips.csv"
    values = trips()
    frame = pd.DataFrame({name: values[name] for name in ("fare", *PLACES, "pickup_time")})
    path.write_bytes(above.encode() + frame.to_csv(index=False, sep=separator or ",").encode())
    dialect = samples.sample(str(path)).dialect
    assert (dialect.skip_rows, dialect.separator) == (skip_rows, separator)
    if not above.startswith("Trips"):
        assert drafting.inspect([str(path)], "toy").trips.examples.num_rows >= 0.99 * len(frame)


def test_files_with_other_separators_are_told(tmp_path):
    values = trips()
    frame = pd.DataFrame({name: values[name] for name in ("fare", *PLACES, "pickup_time")})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";")
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    with pytest.raises(InputError, match=r"b.csv: must have the csv.separator of .*a.csv, None, got ';'"):
        drafting.inspect(paths, "toy")
