"""A file's columns and ours: names, alternatives, expressions, and the ways to say where a trip starts and ends."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pyarrow as pa
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.judging import places
from farebox.components.trip_example_gen.profile import (
    Bounds,
    Box,
    CityProfile,
    Columns,
    Feature,
    Locations,
    Place,
    profile_from_json,
    profile_to_json,
)
from farebox.components.trip_example_gen.sources.binding import bind

FOUR = ("x0", "y0", "x1", "y1")


def profile(columns: Columns, **others) -> CityProfile:
    return CityProfile("town", columns, Box(0, 1, 0, 1), Bounds(1, 9), times="local", **others)


def bound(city: CityProfile, *names: str) -> dict[str, str]:
    """Our column: the text of what gives it."""
    return {ours: expression.text for ours, expression in bind(city, names, "f.csv").columns.items()}


def test_a_file_uses_the_first_name_that_it_has():
    city = profile(Columns(("fare_amount", "Fare_Amt"), *FOUR, pickup_time=("tpep_pickup", "lpep_pickup")))
    assert bound(city, *FOUR, "Fare_Amt", "lpep_pickup", "tpep_pickup")["fare"] == "Fare_Amt"
    assert bound(city, *FOUR, "Fare_Amt", "fare_amount", "tpep_pickup")["fare"] == "fare_amount"
    with pytest.raises(InputError, match=r"f.csv: column fare_amount \(city.columns.fare\) is missing, found x0"):
        bound(city, *FOUR, "tpep_pickup")


def test_a_name_may_look_like_an_expression():
    city = profile(Columns("fare - tip", *FOUR, pickup_time="t"))
    assert bind(city, [*FOUR, "t", "fare - tip", "fare", "tip"], "f").names == (
        "fare - tip",
        "t",
        "x0",
        "x1",
        "y0",
        "y1",
    )
    assert bind(city, [*FOUR, "t", "fare", "tip"], "f").names == ("fare", "t", "tip", "x0", "x1", "y0", "y1")
    with pytest.raises(InputError, match=r"column tip \(city.columns.fare\) is missing"):
        bind(city, [*FOUR, "t", "fare"], "f")


@pytest.mark.parametrize("name", ["Trip Total", "Start-Time", "1st", "tarifa €", "class"])
def test_any_text_may_be_a_name(name):
    city = profile(Columns(name, *FOUR, pickup_time="t"))
    assert bound(city, *FOUR, "t", name)["fare"] == name
    with pytest.raises(InputError, match="is missing"):
        bound(city, *FOUR, "t")


def test_a_column_that_occurs_twice_is_refused_where_it_is_used():
    city = profile(Columns("fare", *FOUR, pickup_time="t"))
    assert bound(city, *FOUR, "t", "fare", "note", "note")
    with pytest.raises(InputError, match=r"column fare \(city.columns.fare\) occurs more than once"):
        bound(city, *FOUR, "t", "fare", "fare")


def test_a_condition_names_columns_of_the_file():
    city = profile(Columns("fare", *FOUR, pickup_time="t"), where="kind == 1 and `Trip Total` > 2")
    assert {"kind", "Trip Total"} <= set(bind(city, [*FOUR, "t", "fare", "kind", "Trip Total"], "f").names)
    with pytest.raises(InputError, match=r"f: column kind \(city.where\) is missing"):
        bind(city, [*FOUR, "t", "fare", "Trip Total"], "f")


def test_a_file_uses_the_first_condition_whose_columns_it_has():
    columns = Columns("fare", *FOUR, pickup_time="t")
    city = profile(columns, where=("RatecodeID == 1", "rate_code_id == 1"))
    for name in ("RatecodeID", "rate_code_id"):
        assert bind(city, [*FOUR, "t", "fare", name], "f").where.text == f"{name} == 1"
    with pytest.raises(InputError, match=r"f: column RatecodeID \(city.where\) is missing"):
        bind(city, [*FOUR, "t", "fare"], "f")
    with pytest.raises(InputError, match="^city.where=fare must be a condition"):
        profile(columns, where=("a == 1", "fare"))


def test_each_file_uses_the_first_way_to_say_where_that_it_has():
    columns = Columns("fare", *FOUR, pickup_time="t", pickup_location="PU", dropoff_location="DO")
    city = profile(columns, locations=Locations(places={"1": Place(0.5, 0.5)}))
    assert set(bound(city, "fare", "t", *FOUR, "PU", "DO")) == set(bound(city, "fare", "t", *FOUR))
    assert bound(city, "fare", "t", "PU", "DO") == {
        "fare": "fare", "pickup_time": "t", "pickup_location": "PU", "dropoff_location": "DO",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"column x1 \(city.columns.dropoff_longitude\) is missing"):
        bound(city, "fare", "t", "PU")


def test_a_polyline_gives_both_ends():
    assert bound(profile(Columns("fare", pickup_time="t", polyline="line")), "fare", "t", "line")["polyline"] == "line"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "city.columns must say where the pickup is: .* got none of them"),
        (
            {"pickup_longitude": "x", "pickup_point": "p", "dropoff_point": "q"},
            "where the pickup is: .* got pickup_longitude",
        ),
        ({"pickup_point": "p"}, "where the dropoff is"),
        ({"pickup_point": "p", "dropoff_point": "p"}, "columns.dropoff_point=p must be another column than city.col"),
        ({"pickup_point": "p", "dropoff_point": "`p`"}, "columns.dropoff_point=`p` must be another column than ci"),
        ({"pickup_point": "`a b`", "dropoff_point": "a b"}, "columns.dropoff_point=a b must be another column than c"),
        ({"pickup_point": "p", "dropoff_point": " (p)"}, r"columns.dropoff_point= \(p\) must be another column than"),
        ({"pickup_point": " ", "dropoff_point": "p"}, "city.columns.pickup_point must name a column, got blank text"),
        ({"polyline": ("fare", "l")}, "city.columns.polyline=fare must be another column than city.columns.fare=fare"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_meant_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        Columns("fare", pickup_time="t", **columns)


def test_a_profile_and_a_binding_travel():
    city = profile(
        Columns(("a", "b + c"), *FOUR, pickup_hour="h", pickup_weekday="w"),
        weekdays="sunday_1",
        where="k == 1",
        features={"surge": Feature("s", min=1), "kind": Feature(values=("van", "sedan"))},
        locations=Locations("zones.csv", places={"1": Place(0.25, 0.75)}),
        time_format=("%Y-%m-%d %H:%M", "epoch"),
        airports={"x": Place(0.1, 0.2)},
    )
    assert profile_from_json(profile_to_json(city)) == city
    binding = bind(city, [*FOUR, "b", "c", "h", "w", "k", "s", "kind"], "f")
    assert pickle.loads(pickle.dumps(binding)) == binding
    assert binding.text_of("fare") == "b + c" and binding.texts == {"k", "kind"}


def coordinates(pair_and_bad: tuple) -> list:
    """(longitude, latitude), None for a missing place, `bad` for a cell that holds none."""
    (longitude, latitude), is_bad = pair_and_bad
    return [
        "bad" if bad else None if np.isnan(x) else (x, y)
        for x, y, bad in zip(longitude.tolist(), latitude.tolist(), is_bad, strict=True)
    ]


def test_points_of_well_known_text():
    cells = ["POINT (-87.6 41.9)", "point(-87.6  41.9)", "SRID=4326;POINT Z (-87.6 41.9 3)", "POINT (1e1 .5)", "", None,
             "POINT EMPTY", "LINESTRING (1 2, 3 4)", "POINT (41.9)", "-87.6 41.9"]  # fmt: skip
    there = (-87.6, 41.9)
    expected = [there, there, there, (10.0, 0.5), None, None, None, "bad", "bad", "bad"]
    assert coordinates(places.of_points(pa.array(cells))) == expected


def test_polylines_start_at_the_pickup_and_end_at_the_dropoff():
    cells = ["[[-8.61,41.14],[-8.62,41.15],[-8.63,41.16]]", "[[-8.6, 41.1]]", "[]", "", None, "[[1,2],[3", "x"]
    assert coordinates(places.of_polyline(pa.array(cells), "pickup"))[:2] == [(-8.61, 41.14), (-8.6, 41.1)]
    dropoffs = coordinates(places.of_polyline(pa.array(cells), "dropoff"))
    assert dropoffs == [(-8.63, 41.16), (-8.6, 41.1), None, None, None, "bad", "bad"]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["230", " 7", "230.0", None, "265"]),
        pa.array(["0230", "007", "230", None, "265"]),
        pa.array([230, 7, 230, None, 265]),
        pa.array([230.0, 7, 230, None, 265]),
    ],
)
def test_locations_by_id(cells):
    table = {"230": Place(-73.98, 40.76), "7": Place(-73.92, 40.77)}
    expected = [(-73.98, 40.76), (-73.92, 40.77), (-73.98, 40.76), None, "bad"]
    assert coordinates(places.of_locations(cells, table)) == expected


def test_a_profile_may_list_its_features():
    city = profile(Columns("fare", *FOUR, pickup_time="t"), features=("traffic", "surge"))
    assert city.features == {"traffic": Feature(), "surge": Feature()}
    assert bound(city, "fare", "t", *FOUR, "traffic", "surge")["surge"] == "surge"
    assert dataclasses.replace(city, passengers_default=2).extra == city.features
