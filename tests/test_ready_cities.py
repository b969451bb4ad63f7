"""The shipped profiles, each on a few made rows in the exact dialect of its source; no row is real."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from farebox.components.trip_example_gen.reader import read_trips
from farebox.pipeline.settings.load import CITIES, CITY_FILE, load_settings

GREEN_2013 = (
    "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,Pickup_longitude,Pickup_latitude,"
    "Dropoff_longitude,Dropoff_latitude,Passenger_count,Trip_distance,Fare_amount,Extra,MTA_tax,Tip_amount,Tolls_amount,"
    "Ehail_fee,Total_amount,Payment_type,Trip_type "
)
GREEN_2017 = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,DOLocationID,"
    "passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,improvement_surcharge,"
    "total_amount,payment_type,trip_type"
)
YELLOW_2009 = (
    "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,Start_Lon,Start_Lat,Rate_Code,"
    "store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,surcharge,mta_tax,Tip_Amt,Tolls_Amt,Total_Amt"
)
YELLOW_2014 = (
    "vendor_id, pickup_datetime, dropoff_datetime, passenger_count, trip_distance, pickup_longitude, pickup_latitude, "
    "rate_code, store_and_fwd_flag, dropoff_longitude, dropoff_latitude, payment_type, fare_amount, surcharge, mta_tax, "
    "tip_amount, tolls_amount, total_amount"
)
YELLOW_2015 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
    "RateCodeID,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,extra,mta_tax,tip_amount,"
    "tolls_amount,improvement_surcharge,total_amount"
)
FHVHV = (
    "hvfhs_license_num,dispatching_base_num,originating_base_num,request_datetime,on_scene_datetime,pickup_datetime,"
    "dropoff_datetime,PULocationID,DOLocationID,trip_miles,trip_time,base_passenger_fare,tolls,bcf,sales_tax,"
    "congestion_surcharge,airport_fee,tips,driver_pay,shared_request_flag,shared_match_flag,access_a_ride_flag,"
    "wav_request_flag,wav_match_flag"
)
PORTAL = (
    "Trip ID,Taxi ID,Trip Start Timestamp,Trip End Timestamp,Trip Seconds,Trip Miles,Pickup Census Tract,"
    "Dropoff Census Tract,Pickup Community Area,Dropoff Community Area,Fare,Tips,Tolls,Extras,Trip Total,Payment Type,"
    "Company,Pickup Centroid Latitude,Pickup Centroid Longitude,Pickup Centroid Location,Dropoff Centroid Latitude,"
    "Dropoff Centroid Longitude,Dropoff Centroid  Location"
)
PORTAL_API = (
    "trip_id,taxi_id,trip_start_timestamp,trip_end_timestamp,trip_seconds,trip_miles,pickup_census_tract,"
    "dropoff_census_tract,pickup_community_area,dropoff_community_area,fare,tips,tolls,extras,trip_total,payment_type,"
    "company,pickup_centroid_latitude,pickup_centroid_longitude,pickup_centroid_location,dropoff_centroid_latitude,"
    "dropoff_centroid_longitude,dropoff_centroid_location"
)
KAGGLE = "key,fare_amount,pickup_datetime,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,passenger_count"


@dataclasses.dataclass(frozen=True)
class Head:
    """The first lines of a file, and its trips: fare, hour, weekday (Monday 0), passengers and pickup's longitude."""

    city: str
    lines: tuple[str, ...]
    trips: tuple[tuple[float, int, int, int, float], ...]
    end: str = "\n"


# Days by `date -d`: 1 October 2013 a Tuesday, 1 February 2017 a Wednesday, 26 March 2009 a Thursday, 31 May 2014 a
# Saturday, 8 February 2015 a Sunday, 15 January 2023 a Sunday, 15 June 2009 a Monday, 13 February 2019 a Wednesday.
# ruff: noqa: E501 - lines of files
HEADS = {
    "green, coordinates, two separators too many, a blank line": Head(
        "nyc-tlc-green",
        (
            GREEN_2013, "",
            "2,2013-10-01 00:00:00,2013-10-01 15:33:36,N,1,0,0,-73.91,40.84,1,.19,42,0,0.5,0,0,,42.5,2,1,,",
            "2,2013-10-01 08:15:00,2013-10-01 08:33:36,N,1,-73.95,40.81,-73.91,40.84,2,3.19,13.5,0,0.5,0,0,,14,2,1,,",
        ),
        ((13.5, 8, 1, 2, -73.95),), "\r\n",
    ),
    "green, zones": Head(
        "nyc-tlc-green",
        (
            GREEN_2017, "",
            "2,2017-02-01 00:00:15,2017-02-01 00:07:09,N,1,230,132,1,14.54,43.5,0.5,0.5,4.44,0,,0.3,49.24,1,1",
            "2,2017-02-01 00:03:19,2017-02-01 00:17:59,N,1,264,264,1,3.21,13.5,0.5,0.5,0,0,,0.3,14.8,2,1",
        ),
        ((43.5, 0, 2, 1, -73.984197),), "\r\n",
    ),
    "yellow, 2009": Head(
        "nyc-tlc-2009",
        (
            YELLOW_2009, "",
            "CMT,2009-03-26 15:30:14,2009-03-26 15:33:45,1,0.29999999999999999,-73.970708999999999,40.796382000000001,,"
            "0,-73.973602,40.792057999999997,Cash,4.0999999999999996,0,,0,0,4.0999999999999996",
        ),
        ((4.1, 15, 3, 1, -73.970709),), "\r\n",
    ),
    "yellow, 2014, spaces in the header": Head(
        "nyc-tlc-2009",
        (
            YELLOW_2014, "",
            "VTS,2014-05-31 17:17:00,2014-05-31 17:17:00,2,0,0,0,1,,0,0,CSH,2.5,0,0.5,0,0,3",
            "VTS,2014-05-31 17:07:00,2014-05-31 17:19:00,2,2.2200000000000002,-73.98,40.75,1,,-73.96,40.77,CRD,10.5,0,"
            "0.5,2,0,13",
        ),
        ((10.5, 17, 5, 2, -73.98),), "\r\n",
    ),
    "yellow, 2015": Head(
        "nyc-tlc-2009",
        (
            YELLOW_2015,
            "2,2015-02-08 11:33:46,2015-02-08 11:37:45,1,.56,-73.949905395507813,40.717437744140625,1,N,"
            "-73.95001220703125,40.724010467529297,1,4.5,0,0.5,1.06,0,0.3,6.36",
        ),
        ((4.5, 11, 6, 1, -73.949905),), "\r\n",
    ),
    "Chicago's portal, dollars": Head(
        "chicago-portal",
        (
            PORTAL,
            'a1,b2,01/15/2023 06:45:00 PM,01/15/2023 07:15:00 PM,"1,860",17.4,17031839100,,32,76,$45.25,$9.00,$0.00,'
            '$4.00,"$1,058.75",Credit Card,Flash Cab,41.880994471,-87.632746489,POINT (-87.6327464887 41.8809944707),'
            "41.97907082,-87.903039661,POINT (-87.9030396611 41.9790708201)",
            "a2,b2,01/15/2023 12:15:00 AM,01/15/2023 12:30:00 AM,600,2.1,,,,,$8.25,$0.00,$0.00,$0.00,$8.25,Cash,"
            "Flash Cab,,,,,,",
        ),
        ((45.25, 18, 6, 1, -87.632746),),
    ),
    "Chicago's portal, API": Head(
        "chicago-portal",
        (
            PORTAL_API,
            '"a1","b2","2023-01-15T00:15:00.000","2023-01-15T00:45:00.000","1860","17.4",,,"32","76","45.25","9","0","4",'
            '"58.75","Credit Card","Flash Cab","41.880994471","-87.632746489","POINT (-87.6327464887 41.8809944707)",'
            '"41.97907082","-87.903039661","POINT (-87.9030396611 41.9790708201)"',
        ),
        ((45.25, 0, 6, 1, -87.632746),),
    ),
    "Kaggle": Head(
        "kaggle-nyc-fare",
        (
            KAGGLE,
            "2009-06-15 17:26:21.0000001,4.5,2009-06-15 17:26:21 UTC,-73.844311,40.721319,-73.84161,40.712278,1",
            "2009-06-15 17:26:22.0000001,-4.5,2009-06-15 17:26:21 UTC,-73.844311,40.721319,-73.84161,40.712278,1",
        ),
        ((4.5, 17, 0, 1, -73.844311),),
    ),
    "high-volume for-hire vehicles": Head(
        "nyc-tlc-fhvhv",
        (
            FHVHV,
            "HV0003,B02764,B02764,2019-02-13 00:05:18,,2019-02-13 00:08:18,2019-02-13 00:30:18,230,132,16.4,1320,52.1,6.12,"
            "1.4,4.6,0,0,0,41.2,N,N, ,N,",
            "HV0005,B02510,,2019-02-13 00:05:18,,2019-02-13 00:09:18,2019-02-13 00:30:18,230,68,2.4,1320,12.1,0,0.2,1.0,"
            "2.75,0,0,9.2,Y,Y,N,N,",
        ),
        ((52.1, 0, 2, 1, -73.984197),),
    ),
}  # fmt: skip


def read(city: str, path: Path) -> list[tuple[float, ...]]:
    settings = load_settings(city, str(path))
    names = ("fare", "pickup_hour", "pickup_weekday", "passenger_count", "pickup_longitude")
    rows = [row for part in read_trips(settings.data, settings.city) for row in part.examples.to_pylist()]
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_read(tmp_path, name):
    head = HEADS[name]
    path = tmp_path / "trips.csv"
    path.write_bytes((head.end.join(head.lines) + head.end).encode())
    trips = read(head.city, path)
    assert len(trips) == len(head.trips)
    for trip, expected in zip(trips, head.trips, strict=True):
        assert trip == pytest.approx(expected, abs=2e-4)


def test_parquet_of_for_hire_vehicles(tmp_path):
    """As the TLC writes them today: timestamps without a zone, integers of 64 bits; one ride of two is shared."""
    frame = pd.DataFrame(
        {
            "hvfhs_license_num": ["HV0003", "HV0005"],
            "pickup_datetime": pd.to_datetime(["2023-01-15 18:45:07", "2023-01-15 18:45:08"]).astype("datetime64[us]"),
            "PULocationID": [230, 68], "DOLocationID": [132, 230],
            "base_passenger_fare": [52.1, 9.0], "shared_request_flag": ["N", "Y"],
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "fhvhv_tripdata_2023-01.parquet", index=False)
    (trip,) = read("nyc-tlc-fhvhv", tmp_path)
    assert trip == pytest.approx((52.1, 18, 6, 1, -73.984197), abs=2e-4)


def test_parquet_of_green_cabs_has_missing_passengers(tmp_path):
    frame = pd.DataFrame(
        {
            "lpep_pickup_datetime": pd.to_datetime(["2023-01-15 18:45:07"]), "PULocationID": [230], "DOLocationID": [132],
            "passenger_count": [np.nan], "fare_amount": [43.5],
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "green_tripdata_2023-01.parquet", index=False)
    assert read("nyc-tlc-green", tmp_path) == [pytest.approx((43.5, 18, 6, 1, -73.984197), abs=2e-4)]


def test_yellow_cabs_before_july_2016_may_have_zones(tmp_path):
    """As the TLC publishes 2011 to 2016 today: Parquet with zones, beside files of 2009 and 2010 with coordinates."""
    zones = {"PULocationID": [230], "DOLocationID": [132], "passenger_count": [1], "fare_amount": [43.5]}
    pd.DataFrame({"tpep_pickup_datetime": pd.to_datetime(["2012-01-15 18:45:07"]), **zones}).to_parquet(
        tmp_path / "yellow_tripdata_2012-01.parquet", index=False
    )
    head = HEADS["yellow, 2009"]
    (tmp_path / "yellow_tripdata_2009-03.csv").write_text("\n".join(head.lines) + "\n")
    trips = [*head.trips, (43.5, 18, 6, 1, -73.984197)]
    assert read("nyc-tlc-2009", tmp_path) == [pytest.approx(trip, abs=2e-4) for trip in trips]


def test_each_city_has_a_file_and_a_page():
    """Porto's trips have no fares: a page says so."""
    cities = {path.parent.name for path in CITIES.glob(f"*/{CITY_FILE}")}
    pages = {path.parent.name: path.read_text() for path in CITIES.glob("*/README.md")}
    assert set(pages) == cities | {"porto"}
    assert "no fares" in pages["porto"]
    for city in cities - {"nyc", "chicago"}:
        assert "https://" in pages[city] and f"--city {city}" in pages[city], city
        assert load_settings(city, "trips.csv").city.name == city


def test_the_wheel_has_every_file_of_a_city():
    """setup.py's package data, which tests/test_wheel.py builds, name each kind of file that is there."""
    kinds = {path.name.partition(".")[2] for path in CITIES.glob("*/*") if path.is_file()}
    assert kinds <= {"yaml", "md", "pbtxt", "csv"}
    assert importlib.util.find_spec("farebox.data") is not None
