"""Trips as the inputs of a model: columns of any table, local times, coordinates of zones, bounds. No TensorFlow."""

from __future__ import annotations

import datetime
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.files import LOCATIONS_FILE
from farebox.components.trip_example_gen.columns import (
    DROPOFF_LOCATION,
    EXAMPLE_COLUMNS,
    PICKUP_LOCATION,
    PICKUP_TIME,
)
from farebox.components.trip_example_gen.place_table import PlaceTable
from farebox.components.trip_example_gen.values.time_zones import local_seconds
from farebox.modules import columns

# Of a model whose file tells no bounds.
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys((columns.PICKUP_LONGITUDE, columns.DROPOFF_LONGITUDE), (-180, 180)),
    **dict.fromkeys((columns.PICKUP_LATITUDE, columns.DROPOFF_LATITUDE), (-90, 90)),
    columns.PASSENGER_COUNT: (1, 99),
    **{name: column.bounds for name, column in EXAMPLE_COLUMNS.items() if isinstance(column.bounds, tuple)},
}

FAR_DAYS = 366
LAST_ERA = np.iinfo(np.int32).max  # a model takes a number above its last era for the last one
PLACES = (
    (columns.PICKUP_LONGITUDE, columns.PICKUP_LATITUDE),
    (columns.DROPOFF_LONGITUDE, columns.DROPOFF_LATITUDE),
)
LOCATIONS = (PICKUP_LOCATION, DROPOFF_LOCATION)  # ends whose coordinates are PLACES, in this order
Columns = dict[str, npt.NDArray[Any]]


def columns_of(table: Any, zone: str | None = None) -> Columns:
    """Arrays by column of a mapping, a DataFrame or an Arrow table; times that have a zone become those of `zone`.

    zone: the city's IANA time zone, None if nobody tells it. Raises InputError for anything else than a table, and for
    times with a zone if the city's is not known.
    """
    if isinstance(table, Mapping):
        given = {str(name): values for name, values in table.items()}
    elif hasattr(table, "schema") and hasattr(table, "column"):  # Arrow
        given = {name: table.column(name) for name in table.schema.names}
    elif hasattr(table, "columns") and hasattr(table, "__getitem__"):  # pandas, Polars
        given = {str(name): table[name] for name in table.columns}
    else:
        raise InputError(f"trips={type(table).__name__} must be a dict, a DataFrame or an Arrow table")
    return {name: _local_times(each, zone) if name == PICKUP_TIME else np.asarray(each) for name, each in given.items()}


def _local_times(values: Any, zone: str | None) -> npt.NDArray[Any]:
    """Times without a zone as they are, others as the city's clocks show them."""
    kind = getattr(values, "type", getattr(values, "dtype", None))  # of Arrow, else of the others
    named = getattr(kind, "tz", getattr(kind, "time_zone", None))  # of Polars
    moments = np.asarray(values, "datetime64[ns]") if named else np.asarray(values)
    if not named:
        first = next((each for each in moments.reshape(-1) if getattr(each, "tzinfo", None)), None)
        if first is None:
            return moments
        named = first.tzinfo
        in_utc = [each.astimezone(datetime.timezone.utc).replace(tzinfo=None) for each in moments.reshape(-1)]
        moments = np.array(in_utc, "datetime64[s]").reshape(moments.shape)
    if zone is None:
        raise InputError(
            f"column {PICKUP_TIME} has the zone {named}, but the model does not tell its city's: give local times"
        )
    return local_seconds(moments.astype("datetime64[s]").astype(np.int64), zone).astype("datetime64[s]")


def check_days(rows: Columns, days: tuple[str, str] | None) -> None:
    """Raises InputError for a pickup before the first of the days that the model was made from.

    Warns of a pickup more than a year after the last one: fares may have changed.
    """
    if days is None or PICKUP_TIME not in rows:
        return
    moments = rows[PICKUP_TIME].astype("datetime64[D]")
    first, last = (np.datetime64(day, "D") for day in days)
    if (moments < first).any():
        raise InputError(
            f"{PICKUP_TIME}={moments.min()} must be on {first} or later: the model was made from trips of {first} to "
            f"{last}"
        )
    if (moments > last + FAR_DAYS).any():
        warnings.warn(
            f"{PICKUP_TIME}={moments.max()} is more than {FAR_DAYS} days after {last}, the last day that the model was "
            "made from: fares may have changed",
            stacklevel=3,
        )


def with_coordinates(rows: Columns, places: PlaceTable | None, path: Path) -> Columns:
    """The same rows with coordinates of the ends that have a location instead. Raises InputError for an unknown one."""
    completed = dict(rows)
    for location, ends in zip(LOCATIONS, PLACES, strict=True):
        if location in rows and not set(ends) & set(rows):
            if places is None:
                raise InputError(
                    f"column {location} needs {LOCATIONS_FILE} beside the model, got none beside {path}: "
                    f"give {' and '.join(ends)}"
                )
            completed |= dict(zip(ends, places.coordinates(rows[location], location), strict=True))
    return completed


def with_time(rows: Columns, tariff_changes: npt.NDArray[Any]) -> Columns:
    """The same rows with hour, weekday, era and passengers filled in where they can be.

    tariff_changes: moments in the city's local time, datetime64, in order.
    """
    completed = dict(rows)
    n_rows = len(next(iter(rows.values()), ()))
    if PICKUP_TIME in rows:
        seconds = _seconds(rows[PICKUP_TIME])
        completed.setdefault(columns.PICKUP_HOUR, seconds // 3600 % 24)
        completed.setdefault(columns.PICKUP_WEEKDAY, (seconds // 86400 + 3) % 7)  # 1970-01-01 was a Thursday
        completed.setdefault(
            columns.PICKUP_ERA, np.searchsorted(tariff_changes.astype(np.int64), seconds, side="right")
        )
    for name, default in columns.DEFAULTS.items():
        completed.setdefault(name, np.full(n_rows, default))
    completed.setdefault(columns.PASSENGER_COUNT, np.ones(n_rows, np.int64))
    completed.setdefault(columns.PICKUP_ERA, np.full(n_rows, LAST_ERA))
    return completed


def _seconds(moments: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Seconds since 1970 of local times. Raises InputError if they are no times."""
    try:
        times = moments.astype("datetime64[s]")
    except (TypeError, ValueError) as error:
        raise InputError(f"column {PICKUP_TIME} must be datetime64, got {moments.dtype}: {error}") from error
    if np.isnat(times).any() or moments.dtype.kind in "iufb":
        raise InputError(f"column {PICKUP_TIME} must be datetime64 without missing times, got {moments.dtype}")
    return times.astype(np.int64)


def check_bounds(rows: Mapping[str, npt.NDArray[Any]], description: Description) -> None:
    """Raises InputError, which names the first value out of the file's bounds or of `BOUNDS`; NaN is out of bounds.

    A longitude for a latitude cost 10 USD a trip in Chicago, and no bound of the Earth notices it there.
    """
    bounds = bounds_of(description)
    for name, (low, high) in bounds.items():
        values = rows.get(name, np.zeros(0))
        if values.dtype.kind == "O" and all(isinstance(each, int) for each in values.reshape(-1)):
            values = values.astype(np.float64)  # integers beyond 64 bits
        if values.dtype.kind not in "fiu":
            continue  # the interpreter says what is wrong with it
        outside = np.flatnonzero(~((values >= low) & (values <= high)))  # NaN, too
        if len(outside):
            where = f" in row {outside[0]}" if len(values) > 1 else ""
            hint = _swap_hint(rows, int(outside[0]), name, bounds)
            raise InputError(f"{name}={values[outside[0]]:g}{where} must be {bound_text(name, description)}{hint}")


def bounds_of(description: Description) -> dict[str, tuple[float, float]]:
    """The closed interval of valid values of each input that has one: the file's own, or one of `BOUNDS`."""
    own = {
        each.name: (
            -math.inf if each.minimum is None else each.minimum,
            math.inf if each.maximum is None else each.maximum,
        )
        for each in description.inputs
        if _is_bounded(each)
    }
    if columns.PICKUP_ERA in own:
        own[columns.PICKUP_ERA] = own[columns.PICKUP_ERA][0], LAST_ERA
    return {**BOUNDS, **own}


def bound_text(name: str, description: Description) -> str:
    """The bounds of an input in words, `between -87.95 and -87.52 for the model of chicago`."""
    is_own = any(each.name == name and _is_bounded(each) for each in description.inputs)
    model = f" for the model of {description.name}" if is_own and description.name else ""
    return _between(*bounds_of(description)[name]) + model


def _is_bounded(tensor: TensorDescription) -> bool:
    return tensor.minimum is not None or tensor.maximum is not None


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low}"
    return f"at most {high}" if math.isinf(low) else f"between {low} and {high}"


def _swap_hint(
    rows: Mapping[str, npt.NDArray[Any]], i: int, name: str, bounds: Mapping[str, tuple[float, float]]
) -> str:
    """Advice for a place that fits once longitude and latitude are swapped; empty for any other value."""
    for longitude, latitude in PLACES:
        if name in (longitude, latitude) and {longitude, latitude} <= set(rows):
            swapped = {longitude: rows[latitude][i], latitude: rows[longitude][i]}
            if all(bounds[each][0] <= value <= bounds[each][1] for each, value in swapped.items()):
                return f"; swap {longitude} and {latitude}: then the place fits"
    return ""
