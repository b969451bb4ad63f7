"""The ready profile of New York's yellow cabs reads each dialect of the monthly files since July 2016.

Rows are made up in the exact dialect. tests/test_zones_end_to_end.py runs the profile on real trips.
"""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farebox.components.trip_example_gen import locations
from farebox.components.trip_example_gen.reader import read_trips
from farebox.pipeline.settings.load import CITIES, load_settings

PROFILE = load_settings("nyc-tlc-yellow", "trips.csv").city
# Names, and what stands behind each row: until December 2016 two separators too many.
MONTHS = {
    "2016-09": (
        "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
        "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
        "improvement_surcharge,total_amount", ",,",
    ),
    "2019-04": (
        "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
        "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
        "improvement_surcharge,total_amount,congestion_surcharge", "",
    ),
    "renamed": (
        "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code_id,store_and_fwd_flag,"
        "pickup_location_id,dropoff_location_id,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
        "improvement_surcharge,total_amount,congestion_surcharge", "",
    ),
}  # fmt: skip
ROWS = (
    ("2019-04-06 06:36:51", "2", "132", "230", "52", []),
    ("2019-04-07 23:00:00", "", "230", "132", "52.0", []),
    ("2019-04-08 00:15:00", "0", "1", "1", "2.5", []),
    ("2019-04-08 00:15:00", "1", "264", "230", "9", ["unknown_location"]),
    ("2019-04-08 00:15:00", "1", "230", "265", "9", ["unknown_location"]),
    ("2019-04-08 00:15:00", "1", "230", "132", "-52", ["fare_out_of_bounds"]),
    ("2008-12-31 23:59:59", "1", "230", "132", "52", ["bad_timestamp"]),
)


def check(path: Path) -> None:
    """The three trips of ROWS, and the reasons of the others."""
    (trips,) = read_trips(str(path), PROFILE)
    rows = trips.examples.to_pylist()
    assert [row["fare"] for row in rows] == [52, 52, 2.5]
    assert [row["passenger_count"] for row in rows] == [2, 1, 0]
    assert [(row["pickup_hour"], row["pickup_weekday"]) for row in rows] == [(6, 5), (23, 6), (0, 0)]
    jfk, times_square = PROFILE.locations.places["132"], PROFILE.locations.places["230"]
    assert rows[0]["pickup_longitude"] == np.float32(jfk.longitude)
    assert rows[0]["dropoff_latitude"] == np.float32(times_square.latitude)
    assert rows[1]["dropoff_longitude"] == np.float32(jfk.longitude)
    assert [each["reason"] for each in trips.rejected.to_pylist()] == [row[-1][0] for row in ROWS if row[-1]]


@pytest.mark.parametrize("month", MONTHS)
def test_csv_of_each_month(tmp_path: Path, month: str) -> None:
    header, behind = MONTHS[month]
    lines = []
    for time, passengers, pickup, dropoff, fare, _ in ROWS:
        row = [
            "1",
            time,
            time,
            passengers,
            "1.2",
            "1",
            "N",
            pickup,
            dropoff,
            "1",
            fare,
            "0",
            "0.5",
            "1",
            "0",
            "0.3",
            "4",
        ]
        lines.append(",".join(row + [""] * (header.count(",") + 1 - len(row))) + behind)
    (tmp_path / "trips.csv").write_bytes("\r\n".join([header, *lines, ""]).encode())
    check(tmp_path / "trips.csv")


@pytest.mark.parametrize(("whole", "unit"), [(pa.int64(), "us"), (pa.int32(), "us"), (pa.float64(), "ns")])
def test_parquet(tmp_path: Path, whole: pa.DataType, unit: str) -> None:
    times, passengers, *zones, fares, _ = zip(*ROWS, strict=True)
    moments = [datetime.datetime.fromisoformat(each) for each in times]
    columns = {
        "tpep_pickup_datetime": pa.array(moments, pa.timestamp(unit)),
        "passenger_count": pa.array([float(each) if each else None for each in passengers], pa.float64()),
        "PULocationID": pa.array([int(each) for each in zones[0]]).cast(whole),
        "DOLocationID": pa.array([int(each) for each in zones[1]]).cast(whole),
        "fare_amount": pa.array([float(each) for each in fares], pa.float64()),
    }
    pq.write_table(pa.table(columns), tmp_path / "trips.parquet")
    check(tmp_path / "trips.parquet")


def test_the_table_has_the_260_zones_that_have_polygons() -> None:
    places = PROFILE.locations.places
    without = {57, 104, 105, 264, 265}  # 57 is written 56, and 104 and 105 are 103, in the polygons
    assert {int(id_) for id_ in places} == set(range(1, 266)) - without
    assert locations.outside(PROFILE.locations, PROFILE.box) == []
    assert places["138"].name == "LaGuardia Airport"
    with (CITIES / "nyc-tlc-yellow" / "taxi_zones.csv").open() as file:
        rows = list(csv.DictReader(file))
    boroughs = {"EWR", "Queens", "Bronx", "Manhattan", "Staten Island", "Brooklyn"}
    assert len(rows) == 260 and {row["borough"] for row in rows} == boroughs
    assert len({row["zone"] for row in rows}) == 260, "names find zones, too"


def test_the_airports_are_the_centroids_of_their_zones() -> None:
    """So that a trip from an airport's zone is at distance 0 from it."""
    for name, zone in (("jfk", "132"), ("laguardia", "138"), ("newark", "1")):
        airport, place = PROFILE.airports[name], PROFILE.locations.places[zone]
        assert (airport.longitude, airport.latitude) == (place.longitude, place.latitude)
