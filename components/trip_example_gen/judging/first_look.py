"""A parsed trip in one line, so that a person sees what was understood of a source."""

from __future__ import annotations

import pyarrow as pa

from farebox.components.trip_example_gen.columns import (
    COORDINATES,
    FARE,
    PASSENGER_COUNT,
    PICKUP_EPOCH,
    PICKUP_HOUR,
    PICKUP_WEEKDAY,
)
from farebox.components.trip_example_gen.extra_features import Feature
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.values.clock import DAY_S
from farebox.components.trip_example_gen.values.times import WEEKDAY_NAMES


def describe_first(examples: pa.RecordBatch, profile: CityProfile) -> str:
    """The first of at least one example: local time with weekday, places (longitude, latitude), passengers and fare."""
    trip = {name: examples.column(i)[0].as_py() for i, name in enumerate(examples.schema.names)}
    weekday = WEEKDAY_NAMES[trip[PICKUP_WEEKDAY]].capitalize()
    time = f"{weekday}, hour {trip[PICKUP_HOUR]}"
    if profile.columns.pickup_time:
        seconds = trip[PICKUP_EPOCH] % DAY_S
        day = pa.scalar(trip[PICKUP_EPOCH] // DAY_S, pa.int32()).cast(pa.date32()).as_py()
        time = f"{weekday} {day} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    west, south, east, north = (trip[name] for name in COORDINATES)
    people = trip[PASSENGER_COUNT]
    extra = "".join(f", {name}={_value(each, trip[name])}" for name, each in profile.extra.items() if name in trip)
    return (
        f"{time} local time, from {west:.4f}, {south:.4f} to {east:.4f}, {north:.4f}, "
        f"{people} passenger{'s' * (people != 1)}{extra}, {trip[FARE]:.2f} {profile.currency}"
    )


def _value(feature: Feature, value: float) -> str:
    """A number, or the text of a category's code."""
    return feature.texts[int(value)] if feature.is_category else f"{value:g}"
