"""The raw columns of a trip, in one table: profile, schema, reader, simulator and model inputs follow from it.

Only NumPy here: `farebox predict` imports it.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

PICKUP_LONGITUDE, PICKUP_LATITUDE = "pickup_longitude", "pickup_latitude"
DROPOFF_LONGITUDE, DROPOFF_LATITUDE = "dropoff_longitude", "dropoff_latitude"
PASSENGER_COUNT, FARE = "passenger_count", "fare"
PICKUP_TIME, PICKUP_HOUR, PICKUP_WEEKDAY = "pickup_time", "pickup_hour", "pickup_weekday"
PICKUP_EPOCH, PICKUP_ERA = "pickup_epoch", "pickup_era"
PICKUP_LOCATION, DROPOFF_LOCATION = "pickup_location", "dropoff_location"
PICKUP_POINT, DROPOFF_POINT, POLYLINE = "pickup_point", "dropoff_point", "polyline"

CURRENCY = "currency"  # a unit: that of the city

COORDINATES = (PICKUP_LONGITUDE, PICKUP_LATITUDE, DROPOFF_LONGITUDE, DROPOFF_LATITUDE)


@dataclasses.dataclass(frozen=True)
class RawColumn:
    """A column of a source, of the examples, or of both.

    name: ours, in `city.columns` and in the examples.
    dtype: of its values in the examples; np.float32 or np.int64.
    source: whether `city.columns` must, may or cannot name it.
    in_examples: whether TripExampleGen writes it.
    model: whether the model takes it; `dated`: only if the tariff's era is a feature.
    is_time: read together with the other columns of time, by `judging._times`.
    is_place: gives coordinates, by `places.coordinates`, to a source that has no columns of them.
    bounds: the closed interval of valid values, or the part of CityProfile that has it: `fare`, `box.longitudes`.
    is_categorical: DataGate compares the shares of its values, not their distribution.
    default: the value if the source gives none, or the field of CityProfile that has it; optional columns need one.
    meaning, unit: for people and for the model file; meaning has the coding (`Monday 0`), unit may be `currency`: the
        city's.
    missing_reason: why a row without a value is rejected; empty for a column with a default.
    bounds_reason: why a row with a value out of bounds is rejected.
    """

    name: str
    dtype: type[np.float32] | type[np.int64]
    source: Literal["required", "optional", "derived"] = "optional"
    in_examples: bool = True
    model: Literal["always", "dated", "never"] = "always"
    is_time: bool = False
    is_place: bool = False
    bounds: tuple[float, float] | str | None = None
    is_categorical: bool = False
    default: float | str | None = None
    meaning: str = ""
    unit: str = ""
    missing_reason: str = ""
    bounds_reason: str = ""

    @property
    def is_required(self) -> bool:
        return self.source == "required"


def _coordinate(name: str, bounds: str) -> RawColumn:
    return RawColumn(
        name, np.float32, bounds=bounds, meaning=f"{bounds.removeprefix('box.').removesuffix('s')}, WGS84",
        unit="degrees", missing_reason="missing_coordinate", bounds_reason="outside_city",
    )  # fmt: skip


def _place(name: str, meaning: str) -> RawColumn:
    return RawColumn(name, np.float32, in_examples=False, model="never", is_place=True, meaning=meaning)


RAW_COLUMNS = (
    RawColumn(
        FARE, np.float32, "required", model="never", bounds="fare", meaning="fare", unit=CURRENCY,
        missing_reason="missing_label", bounds_reason="fare_out_of_bounds",
    ),
    _coordinate(PICKUP_LONGITUDE, "box.longitudes"),
    _coordinate(PICKUP_LATITUDE, "box.latitudes"),
    _coordinate(DROPOFF_LONGITUDE, "box.longitudes"),
    _coordinate(DROPOFF_LATITUDE, "box.latitudes"),
    RawColumn(
        PASSENGER_COUNT, np.int64, bounds="passengers", is_categorical=True, default="passengers_default",
        meaning="passengers", bounds_reason="passengers_out_of_bounds",
    ),
    RawColumn(PICKUP_TIME, np.int64, in_examples=False, model="never", is_time=True),
    # Hours are no category: a shift by some of them moves no single hour's share by much.
    RawColumn(PICKUP_HOUR, np.int64, is_time=True, bounds=(0, 23), meaning="local time"),
    RawColumn(
        PICKUP_WEEKDAY, np.int64, is_time=True, bounds=(0, 6), is_categorical=True,
        meaning="local time, Monday 0",
    ),
    RawColumn(
        PICKUP_ERA, np.int64, "derived", model="dated", is_time=True, meaning="earlier tariff changes",
    ),
    RawColumn(
        PICKUP_EPOCH, np.int64, "derived", model="never", is_time=True,
        meaning="local time as if it were UTC", unit="s since 1970",
    ),
    _place(PICKUP_LOCATION, "id of a zone or name of a place, in `city.locations`"),
    _place(DROPOFF_LOCATION, "id of a zone or name of a place, in `city.locations`"),
    _place(PICKUP_POINT, "POINT (longitude latitude)"),
    _place(DROPOFF_POINT, "POINT (longitude latitude)"),
    _place(POLYLINE, "[[longitude, latitude], ...] from pickup to dropoff"),
)  # fmt: skip

SOURCE_COLUMNS = tuple(column for column in RAW_COLUMNS if column.source != "derived")
NUMBER_COLUMNS = tuple(column for column in RAW_COLUMNS if not (column.is_time or column.is_place))
# The columns of an example by name, in the order in which they are written and hashed: the label is last.
EXAMPLE_COLUMNS = {
    column.name: column for column in sorted(RAW_COLUMNS, key=lambda column: column.name == FARE) if column.in_examples
}
MODEL_INPUTS = tuple(name for name, column in EXAMPLE_COLUMNS.items() if column.model == "always")
DATED_INPUTS = tuple(name for name, column in EXAMPLE_COLUMNS.items() if column.model != "never")
