"""Judges rows: each one becomes a trip's example or is rejected with a reason, whole columns at a time.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen import extra_features
from farebox.components.trip_example_gen.columns import (
    COORDINATES,
    NUMBER_COLUMNS,
    PICKUP_EPOCH,
    PICKUP_ERA,
    PICKUP_HOUR,
    PICKUP_TIME,
    PICKUP_WEEKDAY,
    POLYLINE,
    RawColumn,
)
from farebox.components.trip_example_gen.judging import places
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.components.trip_example_gen.judging.reasons import (
    BAD_TIMESTAMP,
    BAD_WEEKDAY,
    OTHER_DIALECT,
    UNKNOWN_LOCATION,
    UNPARSEABLE,
    Judgement,
    RowCheck,
)
from farebox.components.trip_example_gen.judging.tallying import tally
from farebox.components.trip_example_gen.profile import PLACES_OF, CityProfile, Interval
from farebox.components.trip_example_gen.sources.binding import Binding
from farebox.components.trip_example_gen.sources.chunks import Rows
from farebox.components.trip_example_gen.values import cells, clock, expressions, times

ENDS = ("pickup", "dropoff")
REJECTED = pa.schema(
    {"file": pa.string(), "row": pa.int64(), "reason": pa.string(), "column": pa.string(), "text": pa.string()}
)


@dataclasses.dataclass(frozen=True)
class Trips:
    """Judged rows: each one is in `examples`, in `rejected`, or left out by `city.where`.

    examples: the profile's `example_columns`, float32 degrees and fare, int64 the rest.
    rejected: file, row (CSV: the line, where the header is line 1; Parquet: the row, from 1), reason, column (the
        source's that is at fault, empty for a malformed line) and the row as text.
    losses: the same rows by file and reason.
    """

    examples: pa.RecordBatch
    rejected: pa.Table
    n_left_out: int = 0
    losses: Losses = dataclasses.field(default_factory=Losses)

    @property
    def n_read(self) -> int:
        """All rows of the source."""
        return int(self.examples.num_rows + self.rejected.num_rows + self.n_left_out)

    def reasons(self) -> Counter[tuple[str, str]]:
        """Rejected rows by (reason, source column)."""
        groups = self.rejected.group_by(["reason", "column"]).aggregate([("row", "count")])
        return Counter({(g["reason"], g["column"]): g["row_count"] for g in groups.to_pylist()})


Values = dict[str, npt.NDArray[Any]]  # our column: float32, float64 or int64 of shape (n,)


def judge(rows: Rows, path: str, profile: CityProfile) -> Trips:
    """Examples and rejected rows; `path` is the rows' file."""
    with np.errstate(over="ignore", invalid="ignore"):  # cells like 1e300 are what the checks are for
        is_wanted, where_checks = _wanted(rows, profile)
        values, checks = _values_and_checks(rows, profile)
        checks = [*where_checks, *checks]
    first = np.full(len(rows.numbers), len(checks))
    for i in reversed(range(len(checks))):
        first[checks[i].rejects] = i
    judgement = Judgement(values, checks, np.where(is_wanted, first, len(checks)), is_wanted)
    is_trip = judgement.is_trip
    example_columns = profile.example_columns
    arrays = [pa.array(values[name][is_trip].astype(column.dtype)) for name, column in example_columns.items()]
    return Trips(
        pa.RecordBatch.from_arrays(arrays, list(example_columns)),
        _rejected(rows, path, checks, judgement.failed),
        int(np.count_nonzero(~is_wanted)),
        tally(rows, path, profile, judgement),
    )


def _wanted(rows: Rows, profile: CityProfile) -> tuple[npt.NDArray[np.bool_], list[RowCheck]]:
    """Mask of the rows that `city.where` does not leave out, shape (n,), and the check of those where it cannot say."""
    where = rows.binding.where
    if where is None or not len(rows.numbers):
        return np.ones(len(rows.numbers), bool), []
    holds, is_other_dialect = expressions.holds(where, rows.columns, profile.csv, _clocks(rows, profile))
    return holds | is_other_dialect, [RowCheck(OTHER_DIALECT, where.text, is_other_dialect)]


def _clocks(rows: Rows, profile: CityProfile) -> expressions.Clocks:
    """The column of the pickup's time, if it is one, and what gives its local seconds."""
    time = rows.binding.columns.get(PICKUP_TIME)
    if time is None or not time.is_column:
        return {}
    name = time.names[0]
    return {name: functools.partial(times.seconds, rows.columns[name], profile.time_source, profile.csv)}


def _rejected(rows: Rows, path: str, checks: Sequence[RowCheck], first: npt.NDArray[np.int64]) -> pa.Table:
    """The rejected and the malformed rows; `first` is the place of the first check that a row failed, shape (n,)."""
    positions = np.flatnonzero(first < len(checks))
    failed = pa.array(first[positions])
    columns = [
        pa.array([path], pa.string()).take(pa.array(np.zeros(len(positions), np.int64))),
        pa.array(rows.numbers[positions], pa.int64()),
        pa.array([check.reason for check in checks], pa.string()).take(failed),
        pa.array([check.column for check in checks], pa.string()).take(failed),
        pa.array(rows.text(positions) if len(positions) else [], pa.string()),
    ]
    table = pa.Table.from_arrays(columns, schema=REJECTED)
    malformed = [
        {"file": path, "row": number, "reason": UNPARSEABLE, "column": "", "text": text}
        for number, text in rows.malformed
    ]
    return pa.concat_tables([table, pa.Table.from_pylist(malformed, REJECTED)]) if malformed else table


def _values_and_checks(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    """The columns of the examples, valid in rows that no check rejects; and the checks, gravest first."""
    binding = rows.binding
    values, unparseable = _parse(rows, profile)
    missing = []
    numbers = (*NUMBER_COLUMNS, *profile.extra_columns.values())
    for column in numbers:
        is_missing = np.isnan(values[column.name])
        if column.missing_reason:
            missing.append(RowCheck(column.missing_reason, _origin(column.name, binding), is_missing))
        else:
            values[column.name] = np.where(is_missing, profile.default_of(column), values[column.name])
    times, bad_times = _times(rows, profile)
    outside = [
        RowCheck(
            column.bounds_reason,
            _origin(column.name, binding),
            _is_invalid(values[column.name], column, profile.bounds_of(column)),
        )
        for column in numbers
    ]
    return values | times, [*unparseable, *missing, *bad_times, *outside]


def _origin(name: str, binding: Binding) -> str:
    """The source's column that gives ours, be it a coordinate from a point or a zone."""
    if name in binding.columns or name not in COORDINATES:
        return binding.text_of(name)
    ways = PLACES_OF[name.partition("_")[0]]
    return next(binding.text_of(way[0]) for way in ways if set(way) <= set(binding.columns))


def _parse(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    """The columns of numbers, NaN if missing; the checks of columns that must have a value come first."""
    values, checks = _places(rows, profile)
    numbers = [column for column in profile.example_columns.values() if not column.is_time]
    for column in sorted(numbers, key=lambda column: not column.missing_reason):
        name = column.name
        if name in profile.extra:
            values[name], of_cells = _extra_feature(name, rows, profile)
            checks += of_cells
        elif name in rows.binding.columns:
            values[name], is_bad = expressions.numbers(rows.binding.columns[name], rows.columns, profile.csv)
            checks += _unparseable(name, rows, is_bad, profile)
        elif name not in values:
            values[name] = np.full(len(rows.numbers), np.nan)
        if column.dtype is np.float32:
            values[name] = values[name].astype(np.float32)  # before the bounds: what is written is what was judged
    return values, checks


def _unparseable(
    name: str, rows: Rows, is_bad: npt.NDArray[np.bool_], profile: CityProfile, reason: str = UNPARSEABLE
) -> tuple[RowCheck, ...]:
    """The checks of our column's cells that cannot be parsed: are they numbers in another dialect, then the others."""
    where = rows.binding.text_of(name)
    unparseable = RowCheck(reason, where, is_bad)
    if not is_bad.any():
        return (unparseable,)
    used = [rows.columns[each] for each in rows.binding.columns[name].names]
    is_other = np.logical_or.reduce([cells.are_of_other_dialect(each, profile.csv) for each in used])
    return RowCheck(OTHER_DIALECT, where, is_bad & is_other), unparseable


def _extra_feature(name: str, rows: Rows, profile: CityProfile) -> tuple[npt.NDArray[Any], tuple[RowCheck, ...]]:
    """Numbers or codes of an extra feature, NaN if missing, shape (n,); and the checks of its cells."""
    feature, expression = profile.extra[name], rows.binding.columns[name]
    if feature.is_category:
        values, is_bad = extra_features.codes(column_of(name, rows, profile), feature, profile.csv)
        return values, (RowCheck(extra_features.UNKNOWN_VALUE, rows.binding.text_of(name), is_bad),)
    values, is_bad = expressions.numbers(expression, rows.columns, profile.csv)
    return values, _unparseable(name, rows, is_bad, profile, extra_features.NOT_A_NUMBER)


def _places(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    """Coordinates, float64 of shape (n,), of a source that has points, polylines or locations instead."""
    values: Values = {}
    checks = []
    for end in ENDS:
        for way in (f"{end}_point", POLYLINE, f"{end}_location"):
            if way not in rows.binding.columns:
                continue
            cells_of_way = expressions.texts(rows.binding.columns[way], rows.columns, profile.csv)
            if way == POLYLINE:
                pair, is_bad = places.of_polyline(cells_of_way, end)
            elif way == f"{end}_point":
                pair, is_bad = places.of_points(cells_of_way)
            else:
                known = profile.locations.places if profile.locations else {}
                pair, is_bad = places.of_locations(cells_of_way, known)
            values[f"{end}_longitude"], values[f"{end}_latitude"] = pair
            reason = UNKNOWN_LOCATION if way == f"{end}_location" else UNPARSEABLE
            checks.append(RowCheck(reason, rows.binding.text_of(way), is_bad))
    return values, checks


def _is_invalid(values: npt.NDArray[Any], column: RawColumn, bounds: Interval | None) -> npt.NDArray[np.bool_]:
    """Marks values that are out of bounds or infinite, or not whole in a column of integers, shape (n,)."""
    is_invalid: npt.NDArray[np.bool_] = np.isinf(values) if column.dtype is np.float32 else values % 1 != 0
    if bounds is None:
        return is_invalid
    low, high = values.dtype.type(bounds.min), values.dtype.type(bounds.max)
    is_invalid |= (values < low) | (values > high)
    return is_invalid


def _times(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    """Hour, weekday (Monday 0), era of the tariff and epoch (s) of the pickup; if the source gives hour and weekday,
    the last era and epoch 0."""
    if PICKUP_TIME in rows.binding.columns:
        return _from_moments(rows, profile)
    return _from_parts(rows, profile)


def _from_moments(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    moments = times.seconds(column_of(PICKUP_TIME, rows, profile), profile.time_source, profile.csv)
    first, end = profile.days.seconds
    is_bad = ~((moments >= first) & (moments < end))
    epoch = np.where(is_bad, 0, moments).astype(np.int64)  # NumPy divides integers faster than floats
    values: Values = {
        PICKUP_HOUR: clock.hour_of(epoch),
        PICKUP_WEEKDAY: clock.weekday_of(epoch // clock.DAY_S),
        PICKUP_ERA: clock.era_of(epoch, profile.tariff_changes),
        PICKUP_EPOCH: epoch,
    }
    return values, [RowCheck(BAD_TIMESTAMP, rows.binding.text_of(PICKUP_TIME), is_bad)]


def column_of(ours: str, rows: Rows, profile: CityProfile) -> pa.Array:
    """The cells of our column: as they are, or joined as text by an expression."""
    expression = rows.binding.columns[ours]
    if expression.is_column:
        return rows.columns[expression.names[0]]
    return expressions.texts(expression, rows.columns, profile.csv)


def _from_parts(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    hour = expressions.numbers(rows.binding.columns[PICKUP_HOUR], rows.columns, profile.csv)[0]
    is_hour = (hour >= 0) & (hour <= 23) & (hour % 1 == 0)
    assert profile.weekdays is not None, "CityProfile asks for it"
    weekday = times.weekdays(column_of(PICKUP_WEEKDAY, rows, profile), profile.weekdays, profile.csv)
    values: Values = {
        PICKUP_HOUR: hour,
        PICKUP_WEEKDAY: weekday,
        PICKUP_ERA: np.full(len(hour), len(profile.tariff_changes)),
        PICKUP_EPOCH: np.zeros(len(hour)),
    }
    return values, [
        RowCheck(BAD_TIMESTAMP, rows.binding.text_of(PICKUP_HOUR), ~is_hour),
        RowCheck(BAD_WEEKDAY, rows.binding.text_of(PICKUP_WEEKDAY), np.isnan(weekday)),
    ]
