"""The table of zones: CSV and GeoJSON, each fault by its message, and trips whose ends are ids or names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import locations
from farebox.components.trip_example_gen.judging import places
from farebox.components.trip_example_gen.profile import (
    Bounds,
    Box,
    CityProfile,
    Columns,
    Locations,
    Place,
    profile_from_json,
    profile_to_json,
)
from farebox.components.trip_example_gen.reader import read_trips

BOX = Box(-74.27, -73.69, 40.49, 40.92)
TABLE = """LocationID,zone,borough,longitude,latitude
132,JFK Airport,Queens,-73.78653,40.64699
230,Times Sq/Theatre District,Manhattan,-73.98420,40.75982
"""
# Two squares: a large one with a hole in its south-west quarter, and a small one.
SQUARE = [[-74.0, 40.6], [-73.6, 40.6], [-73.6, 41.0], [-74.0, 41.0], [-74.0, 40.6]]
HOLE = [[-74.0, 40.6], [-74.0, 40.8], [-73.8, 40.8], [-73.8, 40.6], [-74.0, 40.6]]
ISLAND = [[-73.5, 40.7], [-73.3, 40.7], [-73.3, 40.9], [-73.5, 40.9], [-73.5, 40.7]]


def filled(folder: Path, text: str, name: str = "zones.csv", **settings: str) -> Locations:
    (folder / name).write_text(text, encoding="utf-8")
    return locations.filled(Locations(file=name, **settings), folder, BOX)


def geojson(*features: tuple[object, str, list]) -> str:
    """A collection of features; each has an id, a type of geometry and its coordinates."""
    listed = [
        {"type": "Feature", "properties": {"LocationID": id_, "zone": f"zone {id_}"}, "geometry": geometry}
        for id_, kind, coordinates in features
        for geometry in [{"type": kind, "coordinates": coordinates}]
    ]
    return json.dumps({"type": "FeatureCollection", "features": listed})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_table_gives_places_by_id(tmp_path: Path, separator: str) -> None:
    table = "\ufeff" + TABLE.replace(",", separator).replace("\n", "\r\n") + "\r\n"
    assert filled(tmp_path, table).places == {
        "132": Place(-73.78653, 40.64699, "JFK Airport"),
        "230": Place(-73.9842, 40.75982, "Times Sq/Theatre District"),
    }


def test_columns_of_a_csv_table_may_have_other_names(tmp_path: Path) -> None:
    table = 'label,lon,lat,key\n"Back Bay, east",-71.08,42.35,7\n'
    (tmp_path / "t.csv").write_text(table)
    named = Locations(file="t.csv", id="key", longitude="lon", latitude="lat", name="label")
    read = locations.filled(named, tmp_path, Box(-71.2, -71.0, 42.2, 42.4))
    assert read.places == {"7": Place(-71.08, 42.35, "Back Bay, east")}


def test_rows_without_coordinates_are_no_places(tmp_path: Path) -> None:
    assert list(filled(tmp_path, TABLE + "264,Unknown,Unknown,,\n\n").places) == ["132", "230"]


def test_the_centroid_of_all_parts_is_weighted_by_area(tmp_path: Path) -> None:
    # 0.16 square degrees around (-73.8, 40.8), less 0.04 around (-73.9, 40.7), and 0.04 around (-73.4, 40.8):
    # longitude (0.16 * -73.8 + 0.04 * 73.9 - 0.04 * 73.4) / 0.16 = -73.675; latitude 40.8 + 0.04 * 0.1 / 0.16 = 40.825.
    of_features = geojson((4, "Polygon", [SQUARE, HOLE]), (4.0, "Polygon", [ISLAND[::-1]]), (5, "Point", [-74, 40.7]))
    read = locations.filled(
        Locations(file="zones.geojson"), _written(tmp_path, "zones.geojson", of_features), Box(-75, -73, 40, 41)
    )
    assert list(read.places) == ["4", "5"]
    assert read.places["4"].name == "zone 4"
    np.testing.assert_allclose([read.places["4"].longitude, read.places["4"].latitude], [-73.675, 40.825], rtol=1e-12)
    of_parts = geojson((4, "MultiPolygon", [[SQUARE, HOLE], [ISLAND]]))
    again = locations.filled(Locations(file="z.json"), _written(tmp_path, "z.json", of_parts), Box(-75, -73, 40, 41))
    assert again.places["4"] == read.places["4"]


def _written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


def test_a_triangle_by_hand() -> None:
    area, longitude, latitude = locations.ring_centroid(np.array([[0, 0], [3, 0], [0, 6.0]]))  # not closed
    np.testing.assert_allclose([area, longitude, latitude], [9, 1, 2])
    assert locations.ring_centroid(np.array([[1, 1], [3, 3], [1, 1.0]]))[0] == 0  # no area


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("LocationID", "zone_id"), "column LocationID (city.locations.id) is missing, found zone_id"),
        (TABLE.replace("latitude", "y"), "column latitude (city.locations.latitude) is missing, found LocationID"),
        ("", "column LocationID (city.locations.id) is missing, found none"),
        ("LocationID,longitude,latitude\n", "must have at least one place, got none"),
        (TABLE + "132,JFK,Queens,-73.8,40.6\n", "id 132 must have one place, got longitude=-73.7865 latitude=40.647"),
        (TABLE + "132.0,JFK,Queens,-73.8,40.6\n", "id 132.0, also written 132, must have one place"),
        ("LocationID,longitude,latitude\n1,40.7,-74\n2,40.8,-73.9\n", "longitude and latitude of 1, 2 must be swapped"),
        (TABLE + "3,x,y,40.7,-74\n", "longitude and latitude of 3 must be swapped"),
        (TABLE + "3,x,y,913175,120121\n", "longitude=913175 and latitude=120121 of 3 must be degrees (WGS84)"),
        ("LocationID,longitude,latitude\n1,-87.6,41.9\n", "at least one of 1 places must lie in city.box, got none: 1"),
        (TABLE + "3,x,y,-73.9,\n", "each row must have an id, a longitude and a latitude, got '-73.9' and '' for 3"),
        (TABLE + "3,x,y,east,40.7\n", "got 'east' and '40.7' for 3"),
        (TABLE + ",x,y,-73.9,40.7\n", "got '-73.9' and '40.7' for no id"),
    ],
)  # fmt: skip
def test_each_fault_of_a_csv_table_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        filled(tmp_path, text)
    assert str(caught.value).startswith("city.locations.file=zones.csv")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LocationID,longitude\n", "must be a GeoJSON FeatureCollection"),
        ('{"type": "Polygon"}', "must be a GeoJSON FeatureCollection"),
        ('{"features": [1, 2]}', "must be a GeoJSON FeatureCollection"),
        (geojson((1, "LineString", SQUARE)), "1 must be a Point, Polygon or MultiPolygon, got LineString"),
        (geojson((1, "Polygon", [])), "1 must be a Point, Polygon or MultiPolygon, got Polygon"),
        (geojson((1, "Polygon", SQUARE)), "the coordinates of 1 must be pairs of numbers"),
        (geojson((1, "Polygon", [SQUARE])).replace("LocationID", "OBJECTID"), "property LocationID"),
        (geojson((1, "Point", [913175, 120121])), "must be degrees (WGS84)"),
    ],
)
def test_each_fault_of_geojson_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        filled(tmp_path, text, "zones.geojson")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_and_both_or_neither(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file=zones.csv must be a file beside the city file, got nothing at .*zones"):
        locations.filled(Locations(file="zones.csv"), tmp_path, BOX)
    with pytest.raises(InputError, match=r"must have either file or places, got neither$"):
        locations.filled(Locations(), tmp_path, BOX)
    with pytest.raises(InputError, match=r"must have either file or places, got both$"):
        locations.filled(Locations(file="zones.csv", places={"1": Place(-74, 40.7)}), tmp_path, BOX)


def test_places_outside_the_box_are_told(tmp_path: Path) -> None:
    read = filled(tmp_path, TABLE + "8,far,x,-75,40.7\n")
    assert locations.outside(read, BOX) == ["8"]
    line = "1 of 3 places lie outside city.box, trips there are rejected as outside_city: 8"
    assert locations.told_outside(read, BOX) == line
    assert locations.told_outside(read, dataclasses.replace(BOX, west=-75.5)) is None


def test_ids_are_compared_without_case_spaces_and_decimals() -> None:
    table = {"Upper East Side": Place(-73.96, 40.77), "230": Place(-73.98, 40.76)}
    cells = pa.array([" upper  EAST side", "230", "230.0", "", None, "Harlem", "2300"])
    (longitude, latitude), is_unknown = places.of_locations(cells, table)
    np.testing.assert_array_equal(longitude, [-73.96, -73.98, -73.98, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(latitude, [40.77, 40.76, 40.76, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(is_unknown, [False] * 5 + [True, True])
    (longitude, _), _ = places.of_locations(pa.array([230.0, None]), table)
    np.testing.assert_array_equal(longitude, [-73.98, np.nan])


PROFILE = CityProfile(
    name="manhattan",
    columns=Columns("fare", pickup_location="from", dropoff_location="to", pickup_time="when"),
    box=BOX,
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S",
    locations=Locations(places={"132": Place(-73.78653, 40.64699), "230": Place(-73.9842, 40.75982)}),
)


def test_columns_of_locations_need_a_table() -> None:
    with pytest.raises(InputError, match=r"city.columns.pickup_location=from needs city.locations"):
        dataclasses.replace(PROFILE, locations=None)


def test_the_table_travels_in_the_profile_and_gives_coordinates(tmp_path: Path) -> None:
    profile = profile_from_json(profile_to_json(PROFILE))
    assert profile == PROFILE
    (tmp_path / "trips.csv").write_text(
        "fare,from,to,when\n52,132,230,2019-01-05 06:36:51\n9,230,264,2019-01-05 06:36:51\n9,230,,2019-01-05 06:36:51\n"
    )
    (trips,) = read_trips(str(tmp_path / "trips.csv"), profile)
    (row,) = trips.examples.to_pylist()
    assert {name: row[name] for name in ("pickup_longitude", "dropoff_latitude")} == {
        "pickup_longitude": np.float32(-73.78653), "dropoff_latitude": np.float32(40.75982),
    }  # fmt: skip
    assert trips.reasons() == {("unknown_location", "to"): 1, ("missing_coordinate", "to"): 1}
