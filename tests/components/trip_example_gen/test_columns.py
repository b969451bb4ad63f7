"""The table of raw columns: everything else follows from it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.trip_example_gen.columns import NUMBER_COLUMNS, RAW_COLUMNS
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns, Interval

ROOT = Path(__file__).parents[3]
CITY = CityProfile(
    "nyc",
    Columns("f", "a", "b", "c", "d", pickup_time="t"),
    Box(-74, -73, 40, 41),
    Bounds(2.5, 200),
    passengers_default=2,
)
ENTRY = 'RawColumn("bags", np.int64, bounds=(0, 9), default=1, bounds_reason="bags_out_of_bounds"),'
USE = """
import json, sys
from pathlib import Path
import numpy as np
import yaml
from farebox.components.trip_example_gen import reader, schema
from farebox.components.trip_example_gen.simulation import simulator
from farebox.modules import columns
from farebox.pipeline.settings.load import build, city_file

content = yaml.safe_load(city_file("nyc").read_text()) | {"data": "simulated", "schema": None}
default = build(content, "nyc").city
content["city"]["columns"]["bags"] = "n_bags"
city = build(content, "nyc").city
simulator.simulate(city, simulator.Order(200, dirt=0), "trips.csv")
header, first, *lines = Path("trips.csv").read_text().splitlines()
place = header.split(",").index("n_bags")
cells = first.split(",")
wrong = [",".join([*cells[:place], cell, *cells[place + 1 :]]) for cell in ("", "10", "1.5", "x")]
Path("trips.csv").write_text("\\n".join([header, *wrong, *lines]) + "\\n")

def read(city):
    (trips,) = reader.read_trips("trips.csv", city)
    reasons = {reason: n for (reason, _), n in trips.reasons().items()}
    return trips.examples.column(trips.examples.schema.get_field_index("bags")).to_pylist(), reasons

bags, reasons = read(city)
print(json.dumps({
    "bags": bags, "reasons": reasons, "default": read(default), "schema": schema.schema_text(city),
    "inputs": columns.MODEL_INPUTS, "plain": columns.PLAIN_INPUTS, "defaults": columns.DEFAULTS,
}))
"""  # fmt: skip


def test_every_column_says_what_it_means():
    """The model's file and the manifest repeat it; the fare's unit is the city's currency."""
    assert [column.name for column in RAW_COLUMNS if column.in_examples and not column.meaning] == []
    units = {column.name: CITY.unit_of(column) for column in RAW_COLUMNS if column.unit}
    assert (units["fare"], units["pickup_longitude"]) == ("USD", "degrees")


@pytest.fixture(scope="module")
def with_bags(tmp_path_factory) -> dict:
    """Uses of a column `bags` in a copy of the sources whose table has one more entry."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("components", "modules", "pipeline", "data"):
        shutil.copytree(ROOT / folder, copy / "farebox" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "farebox" / "__init__.py", copy / "farebox")
    table = copy / "farebox" / "components" / "trip_example_gen" / "columns.py"
    before, name, after = table.read_text().partition("    RawColumn(PICKUP_TIME,")
    assert name
    table.write_text(f"{before}    {ENTRY}\n{name}{after}")
    result = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=copy,
        env={"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_new_column_is_simulated_read_and_judged(with_bags):
    bags, reasons = with_bags["bags"], with_bags["reasons"]
    assert reasons == {"bags_out_of_bounds": 2, "unparseable": 1}
    assert (len(bags), bags[0]) == (200, 1), "the row with an empty cell has the default"
    assert set(bags) == set(range(10))


def test_a_source_without_the_new_column_has_its_default(with_bags):
    bags, reasons = with_bags["default"]
    assert (set(bags), len(bags), reasons) == ({1}, 203, {})


def test_a_new_column_is_in_the_schema_and_in_the_model(with_bags):
    feature = with_bags["schema"].partition('name: "bags"')[2].partition("feature {")[0]
    assert "type: INT" in feature and "int_domain { min: 0 max: 9 }" in feature
    assert with_bags["inputs"][4:6] == ["passenger_count", "bags"]
    assert with_bags["plain"] == ["passenger_count", "bags"]
    assert with_bags["defaults"] == {"bags": 1}


@pytest.mark.parametrize("column", NUMBER_COLUMNS, ids=lambda column: column.name)
def test_a_row_is_rejected_with_a_reason(column):
    """A column without a default says why a row without a value is rejected."""
    assert column.bounds_reason
    if not column.missing_reason:
        assert np.isfinite(CITY.default_of(column))


def test_bounds_are_the_citys_or_those_of_the_table():
    bounds = {column.name: CITY.bounds_of(column) for column in RAW_COLUMNS}
    assert bounds["pickup_longitude"] == bounds["dropoff_longitude"] == Bounds(-74, -73)
    assert bounds["pickup_latitude"] == bounds["dropoff_latitude"] == Bounds(40, 41)
    assert (bounds["fare"], bounds["passenger_count"]) == (Bounds(2.5, 200), Bounds(1, 6))
    assert (bounds["pickup_hour"], bounds["pickup_weekday"]) == (Interval(0, 23), Interval(0, 6))
    assert bounds["pickup_time"] is bounds["pickup_epoch"] is None
