"""Judges rows: each one becomes a trip's example or is rejected with a reason, whole columns at a time.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen import cells, clock
from farebox.components.trip_example_gen.columns import (
    EXAMPLE_COLUMNS,
    NUMBER_COLUMNS,
    PICKUP_EPOCH,
    PICKUP_ERA,
    PICKUP_HOUR,
    PICKUP_TIME,
    PICKUP_WEEKDAY,
    RawColumn,
)
from farebox.components.trip_example_gen.profile import Bounds, CityProfile
from farebox.components.trip_example_gen.sources import Rows

UNPARSEABLE, BAD_TIMESTAMP = "unparseable", "bad_timestamp"
REJECTED = pa.schema(
    {"file": pa.string(), "row": pa.int64(), "reason": pa.string(), "column": pa.string(), "text": pa.string()}
)


@dataclasses.dataclass(frozen=True)
class Trips:
    """Judged rows: each one is in `examples` or in `rejected`.

    examples: the columns of `EXAMPLE_COLUMNS`, float32 degrees and fare, int64 the rest.
    rejected: file, row (CSV: the line, where the header is line 1; Parquet: the row, from 1), reason, column (the
        source's that is at fault, empty for a malformed line) and the row as text.
    """

    examples: pa.RecordBatch
    rejected: pa.Table

    @property
    def n_read(self) -> int:
        return int(self.examples.num_rows + self.rejected.num_rows)

    def reasons(self) -> Counter[tuple[str, str]]:
        """Rejected rows by (reason, source column)."""
        groups = self.rejected.group_by(["reason", "column"]).aggregate([("row", "count")])
        return Counter({(g["reason"], g["column"]): g["row_count"] for g in groups.to_pylist()})


Values = dict[str, npt.NDArray[Any]]  # our column: float32, float64 or int64 of shape (n,)


@dataclasses.dataclass(frozen=True)
class RowCheck:
    """A reason to reject rows, the source's column at fault, and which rows it rejects, shape (n,)."""

    reason: str
    column: str
    rejects: npt.NDArray[np.bool_]


def judge(rows: Rows, path: str, profile: CityProfile) -> Trips:
    """Examples and rejected rows; `path` is the rows' file."""
    with np.errstate(over="ignore", invalid="ignore"):  # cells like 1e300 are what the checks are for
        values, checks = _values_and_checks(rows, profile)
    first = np.full(len(rows.numbers), len(checks))
    for i in reversed(range(len(checks))):
        first[checks[i].rejects] = i
    is_trip = first == len(checks)
    arrays = [pa.array(values[name][is_trip].astype(column.dtype)) for name, column in EXAMPLE_COLUMNS.items()]
    return Trips(pa.RecordBatch.from_arrays(arrays, list(EXAMPLE_COLUMNS)), _rejected(rows, path, checks, first))


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
    sources = profile.columns.sources()
    values, unparseable = _parse(rows, sources)
    missing = []
    for column in NUMBER_COLUMNS:
        is_missing = np.isnan(values[column.name])
        if column.is_required:
            missing.append(RowCheck(column.missing_reason, sources[column.name], is_missing))
        else:
            values[column.name] = np.where(is_missing, profile.default_of(column), values[column.name])
    times, bad_times = _times(rows, profile)
    outside = [
        RowCheck(
            column.bounds_reason,
            sources.get(column.name, ""),
            _is_invalid(values[column.name], column, profile.bounds_of(column)),
        )
        for column in NUMBER_COLUMNS
    ]
    return values | times, [*unparseable, *missing, *bad_times, *outside]


def _parse(rows: Rows, sources: dict[str, str]) -> tuple[Values, list[RowCheck]]:
    """The columns of numbers, NaN if missing; the checks of required columns come first."""
    values: Values = {}
    checks = []
    numbers = [column for column in EXAMPLE_COLUMNS.values() if not column.is_time]
    for column in sorted(numbers, key=lambda column: not column.is_required):
        name = column.name
        values[name] = np.full(len(rows.numbers), np.nan)
        if name in sources:
            values[name], is_bad = cells.numbers(rows.columns[name])
            checks.append(RowCheck(UNPARSEABLE, sources[name], is_bad))
        if column.dtype is np.float32:
            values[name] = values[name].astype(np.float32)  # before the bounds: what is written is what was judged
    return values, checks


def _is_invalid(values: npt.NDArray[Any], column: RawColumn, bounds: Bounds | None) -> npt.NDArray[np.bool_]:
    """Marks values that are out of bounds, or not whole in a column of integers, shape (n,)."""
    is_invalid: npt.NDArray[np.bool_] = np.zeros(len(values), bool) if column.dtype is np.float32 else values % 1 != 0
    if bounds is None:
        return is_invalid
    low, high = values.dtype.type(bounds.min), values.dtype.type(bounds.max)
    is_invalid |= (values < low) | (values > high)
    return is_invalid


def _times(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    """Hour, weekday (Monday 0), era of the tariff and epoch (s) of the pickup; if the source gives hour and weekday,
    the last era and epoch 0."""
    if profile.columns.pickup_time is not None:
        return _from_moments(rows, profile)
    return _from_parts(rows, profile)


def _from_moments(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    seconds = cells.seconds(rows.columns[PICKUP_TIME], profile.time_format)
    is_bad = ~((seconds >= 0) & (seconds < clock.END_OF_EPOCH_S))
    epoch = np.where(is_bad, 0, seconds).astype(np.int64)  # NumPy divides integers faster than floats
    times: Values = {
        PICKUP_HOUR: clock.hour_of(epoch),
        PICKUP_WEEKDAY: clock.weekday_of(epoch // clock.DAY_S),
        PICKUP_ERA: clock.era_of(epoch, profile.tariff_changes),
        PICKUP_EPOCH: epoch,
    }
    return times, [RowCheck(BAD_TIMESTAMP, profile.columns.pickup_time, is_bad)]


def _from_parts(rows: Rows, profile: CityProfile) -> tuple[Values, list[RowCheck]]:
    hour, weekday = (cells.numbers(rows.columns[name])[0] for name in (PICKUP_HOUR, PICKUP_WEEKDAY))
    is_hour = (hour >= 0) & (hour <= 23) & (hour % 1 == 0)
    # Weekdays are numbered from 0 or from 1: if Monday is 1, Sunday may be 0 (cron) or 7 (ISO).
    first, last = int(profile.weekday_of_monday > 1), 7 - int(profile.weekday_of_monday == 0)
    is_weekday = (weekday >= first) & (weekday <= last) & (weekday % 1 == 0)
    times: Values = {
        PICKUP_HOUR: hour,
        PICKUP_WEEKDAY: (weekday - profile.weekday_of_monday) % 7,
        PICKUP_ERA: np.full(len(hour), len(profile.tariff_changes)),
        PICKUP_EPOCH: np.zeros(len(hour)),
    }
    return times, [
        RowCheck(BAD_TIMESTAMP, profile.columns.pickup_hour, ~is_hour),
        RowCheck(BAD_TIMESTAMP, profile.columns.pickup_weekday, ~is_weekday),
    ]
