"""docs/data.md: every example and every row of its tables is read as the page says, and every key is on it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from farebox.components.trip_example_gen.columns import SOURCE_COLUMNS
from farebox.components.trip_example_gen.inspection.trial import profile_of
from farebox.components.trip_example_gen.profile import CityProfile, Feature, Locations
from farebox.components.trip_example_gen.reader import read_trips
from farebox.components.trip_example_gen.values.dialect import CsvDialect
from farebox.pipeline.settings.load import build

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
OF_THE_CITY = {"name", "box", "fare", "passengers", "airports", "landmarks", "grid_angle", "tariff_changes"}
HEADER = "fare,lon_a,lat_a,lon_b,lat_b,when"
BASE = """
name: toy
columns: {fare: fare, pickup_longitude: lon_a, pickup_latitude: lat_a, dropoff_longitude: lon_b,
          dropoff_latitude: lat_b, pickup_time: when}
time_format: "%Y-%m-%d %H:%M:%S"
times: local
box: {west: -87.95, east: -87.52, south: 41.64, north: 42.03}
fare: {min: 1, max: 2000}
"""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EXAMPLE = re.compile(r"```csv\n(.*?)```\n```yaml\n(.*?)```\nFarebox reads (.*?)\.\n", re.S)


def city_of(*fragments: str) -> dict[str, Any]:
    """The base with the keys of the fragments, column by column."""
    city: dict[str, Any] = yaml.safe_load(BASE)
    for fragment in fragments:
        keys = yaml.safe_load(fragment)
        columns = keys.pop("columns", {})
        if "pickup_hour" in columns:
            del city["columns"]["pickup_time"]
        city["columns"].update(columns)
        city.update(keys)
    return city


def read(folder: Path, content: str, city: dict[str, Any]) -> str:
    """The only trip, as the page writes it: `56.25, Friday 20 h`."""
    (folder / "trips.csv").write_text(content)
    parts = list(read_trips(str(folder / "trips.csv"), profile_of(city)))
    (trip,) = [row for part in parts for row in part.examples.to_pylist()]
    assert trip["pickup_longitude"] == pytest.approx(-87.63) and trip["dropoff_latitude"] == pytest.approx(41.98)
    return f"{trip['fare']:.2f}, {DAYS[trip['pickup_weekday']]} {trip['pickup_hour']} h"


def rows(head: str) -> list[tuple[str, ...]]:
    """The rows of the table whose header begins with `head`, cells as written."""
    table = PAGE[PAGE.index(f"| {head} ") :].partition("\n\n")[0]
    return [tuple(re.split(r"(?<!\\)\|", line.strip("|"))) for line in table.splitlines()[2:]]


def codes(cell: str) -> list[str]:
    found = re.findall(r"``\s(.*?)\s``|`(.*?)`", cell)
    return [(double or single).replace("\\|", "|") for double, single in found]


@pytest.mark.parametrize("example", EXAMPLE.findall(PAGE), ids=lambda example: example[1].partition(":")[0])
def test_an_example_is_read_as_the_page_says(tmp_path, example):
    content, fragment, line = example
    assert read(tmp_path, content, city_of(fragment)) == line


@pytest.mark.parametrize("row", [row for row in rows("`when` is") if row[2].strip()], ids=lambda row: row[0].strip())
def test_a_time_is_read_as_the_table_says(tmp_path, row):
    (when, *_), fragments = codes(row[0]), codes(row[1])
    content = f"{HEADER}\n56.25,-87.63,41.88,-87.90,41.98,{when}\n"
    assert read(tmp_path, content, city_of(*fragments)) == f"56.25, {row[2].strip()}"


@pytest.mark.parametrize("row", rows("`fare` is"), ids=lambda row: row[0].strip())
def test_a_fare_is_read_as_the_table_says(tmp_path, row):
    city = city_of(*codes(row[1])[:1])
    degrees = ("-87.63", "41.88", "-87.90", "41.98")
    if "decimal" in city.get("csv", {}):
        degrees = tuple(f'"{each.replace(".", ",")}"' for each in degrees)
    for fare in codes(row[0]):
        content = f"{HEADER}\n{','.join((fare, *degrees))},2024-01-05 20:00:00\n"
        assert read(tmp_path, content, city) == f"{row[2].strip()}, Friday 20 h"


@pytest.mark.parametrize("row", rows("your source says"), ids=lambda row: row[0].strip())
def test_what_a_table_says_to_write_is_a_profile(row, tmp_path):
    (tmp_path / "zones.csv").write_text("LocationID,longitude,latitude\n1,-87.63,41.88\n")
    city = city_of(*(code for code in codes(row[1]) if not code.startswith("passengers_default")))
    assert profile_of(city, tmp_path).name == "toy"


@pytest.mark.parametrize("kind", [CityProfile, CsvDialect, Locations, Feature])
def test_every_key_of_the_source_is_on_the_page(kind):
    names = {field.name for field in dataclasses.fields(kind)}
    missing = [name for name in names - (OF_THE_CITY if kind is CityProfile else set()) if f"`{name}" not in PAGE]
    assert missing == []


def test_every_column_is_on_the_page():
    assert [column.name for column in SOURCE_COLUMNS if column.name not in PAGE] == []


def test_the_example_of_a_city_is_a_profile():
    page = (Path(__file__).parents[1] / "docs" / "city.md").read_text()
    (example,) = re.findall(r"```yaml\n(city:.*?)```", page, re.S)
    assert build({**yaml.safe_load(example), "data": "trips.csv"}, "docs/city.md").city.name == "lisbon"
    assert [name for name in OF_THE_CITY | {"columns", "currency"} if f"`{name}`" not in page] == []
