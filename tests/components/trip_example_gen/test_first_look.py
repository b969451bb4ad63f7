"""The line about a parsed trip."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.extra_features import Feature
from farebox.components.trip_example_gen.judging.first_look import describe_first
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns

CITY = CityProfile(
    name="lisbon",
    columns=Columns("fare", "x1", "y1", "x2", "y2", pickup_time="when"),
    box=Box(-9.3, -9.0, 38.6, 38.9),
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S",
    currency="EUR",
)
TRIP = {
    "pickup_longitude": -9.14, "pickup_latitude": 38.72, "dropoff_longitude": -9.2, "dropoff_latitude": 38.7,
    "passenger_count": 2, "pickup_hour": 20, "pickup_weekday": 4, "pickup_era": 0, "pickup_epoch": 1296247379,
    "fare": 12.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("has_time", "changes", "time", "people"),
    [
        # 1296247379 is 20:42:59 of Friday, 28 January 2011, by `date -ud @1296247379`
        (True, {}, "Friday 2011-01-28 20:42:59 local time", "2 passengers"),
        (True, {"pickup_epoch": -1, "pickup_weekday": 2}, "Wednesday 1969-12-31 23:59:59 local time", "2 passengers"),
        (False, {"pickup_epoch": 0, "passenger_count": 1}, "Friday, hour 20 local time", "1 passenger"),
    ],
)
def test_the_first_trip_in_a_line(has_time, changes, time, people):
    columns = Columns("fare", "x1", "y1", "x2", "y2", pickup_hour="h", pickup_weekday="d")
    city = CITY if has_time else dataclasses.replace(CITY, columns=columns, weekdays="monday_0")
    trip = TRIP | changes
    kinds = {name: pa.from_numpy_dtype(column.dtype) for name, column in EXAMPLE_COLUMNS.items()}
    examples = pa.RecordBatch.from_arrays([pa.array([trip[name]], kind) for name, kind in kinds.items()], list(kinds))
    expected = f"{time}, from -9.1400, 38.7200 to -9.2000, 38.7000, {people}, 12.50 EUR"
    assert describe_first(examples, city) == expected


def test_the_value_of_a_category_is_shown_and_not_its_code():
    city = dataclasses.replace(CITY, features={"traffic": Feature(), "vehicle": Feature(values=("sedan", "van"))})
    trip = TRIP | {"traffic": 42.5, "vehicle": 1}
    kinds = {name: pa.from_numpy_dtype(column.dtype) for name, column in city.example_columns.items()}
    examples = pa.RecordBatch.from_arrays([pa.array([trip[name]], kind) for name, kind in kinds.items()], list(kinds))
    assert describe_first(examples, city).endswith("2 passengers, traffic=42.5, vehicle=van, 12.50 EUR")
