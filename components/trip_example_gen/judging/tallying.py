"""Tallies judged rows: their losses by file and reason, the evidence for a city file that does not fit, and how the
rejected rows differ from the kept."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import (
    EXAMPLE_COLUMNS,
    FARE,
    PICKUP_HOUR,
    PICKUP_TIME,
    PICKUP_WEEKDAY,
)
from farebox.components.trip_example_gen.judging.losses import FileRows, Key, Losses, Moments, RejectedRow, Sides
from farebox.components.trip_example_gen.judging.reasons import (
    BAD_TIMESTAMP,
    BAD_WEEKDAY,
    MISFITS,
    UNKNOWN_LOCATION,
    UNPARSEABLE,
    Judgement,
    RowCheck,
)
from farebox.components.trip_example_gen.judging.suspects import HOURS, Suspect
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources.chunks import Rows
from farebox.components.trip_example_gen.values import cells, times
from farebox.components.trip_example_gen.values.dialect import CsvDialect
from farebox.components.trip_example_gen.values.expressions import Expression
from farebox.components.trip_example_gen.values.times import NUMBERS, TimeSource, Weekdays

SAMPLE = 500  # cells of a piece that other codings and formats are tried on
MANY_CELLS = 20_000  # rejected ones of a piece that are counted by value
TEXT_FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%Y%m%d %H:%M:%S",
)  # fmt: skip
# Ways to write numbers: what the city file would say, and the fields of the dialect.
DIALECTS: dict[str, dict[str, str | None]] = {
    '{thousands: ","}': {"decimal": ".", "thousands": ","},
    '{decimal: ","}': {"decimal": ",", "thousands": None},
    '{decimal: ",", thousands: "."}': {"decimal": ",", "thousands": "."},
    '{decimal: ",", thousands: " "}': {"decimal": ",", "thousands": " "},
}

Mask = npt.NDArray[np.bool_]
Reading = Callable[[pa.Array], Mask]  # which cells can be read


def tally(rows: Rows, path: str, profile: CityProfile, judgement: Judgement) -> Losses:
    """The losses of a piece of a file."""
    checks, failed = judgement.checks, judgement.failed
    counts = np.bincount(failed, minlength=len(checks) + 1)
    reasons: Counter[Key] = Counter()
    shown: dict[Key, RejectedRow] = {}
    suspects: dict[Key, Suspect] = {}
    for i in np.flatnonzero(counts[:-1]):
        key = checks[i].reason, checks[i].column
        positions = np.flatnonzero(failed == i)
        reasons[key] += int(counts[i])
        row = RejectedRow(path, int(rows.numbers[positions[0]]), rows.text(positions[:1])[0])
        shown[key] = min(row, shown.get(key, row))
        with np.errstate(invalid="ignore"):  # infinity is what may be wrong
            suspect = _suspect(checks[i], positions, rows, path, profile)
        if suspect:
            suspects[key] = suspects[key] + suspect if key in suspects else suspect
    if rows.malformed:
        key = UNPARSEABLE, ""
        reasons[key] += len(rows.malformed)
        shown[key] = RejectedRow(path, *rows.malformed[0])
    total = FileRows(
        len(rows.numbers) + len(rows.malformed),
        int(np.count_nonzero(judgement.is_trip)),
        int(np.count_nonzero(~judgement.is_wanted)),
        reasons,
    )
    return Losses(total, {path: total}, shown, suspects, _sides(profile, judgement))


def _sides(profile: CityProfile, judgement: Judgement) -> Sides:
    """Fares within their bounds, and weekdays and hours, of kept and of rejected rows."""
    values, is_trip = judgement.values, judgement.is_trip
    rejected = np.flatnonzero(judgement.failed < len(judgement.checks))
    fares = values[FARE][rejected].astype(np.float64)
    plausible = fares[(fares >= profile.fare.min) & (fares <= profile.fare.max)]  # NaN is not
    has_time = np.ones(len(rejected), bool)
    for check in judgement.checks:
        if check.reason in (BAD_TIMESTAMP, BAD_WEEKDAY):
            has_time &= ~check.rejects[rejected]
    categories = {}
    for name in (PICKUP_WEEKDAY, PICKUP_HOUR):
        bounds = profile.bounds_of(EXAMPLE_COLUMNS[name])
        assert bounds is not None, "weekdays and hours have bounds"
        kept, lost = (
            tuple(np.bincount(each.astype(np.int64), minlength=int(bounds.max) + 1).tolist())
            for each in (values[name][is_trip], values[name][rejected[has_time]])
        )
        categories[name] = kept, lost
    return Sides({FARE: (Moments.of(values[FARE][is_trip].astype(np.float64)), Moments.of(plausible))}, categories)


def _suspect(
    check: RowCheck, positions: npt.NDArray[np.int64], rows: Rows, path: str, profile: CityProfile
) -> Suspect | None:
    """Evidence on the rows at `positions`, which a check rejected; None if they are dirt, or have no value."""
    binding = rows.binding
    is_label = check.reason == UNPARSEABLE and check.column == binding.text_of(FARE)
    if check.reason not in MISFITS and not is_label:
        return None
    expression = next(each for each in (*binding.columns.values(), binding.where) if each and each.text == check.column)
    column = _column_at_fault(expression, rows)
    positions = positions[~cells.is_missing(column.take(pa.array(positions)), profile.csv)]
    if not len(positions):
        return None
    bad = column.take(pa.array(positions[:SAMPLE]))
    everywhere = np.unique(np.linspace(0, len(column) - 1, SAMPLE).astype(np.int64))
    everywhere = np.union1d(everywhere, positions[:: max(len(positions) // SAMPLE, 1)])
    sample = column.take(pa.array(everywhere))
    sample = sample.filter(pa.array(~cells.is_missing(sample, profile.csv)))
    written, readings = _readings(check, column, profile)
    listed = cells.text(column.take(pa.array(positions[:MANY_CELLS])))
    counted = listed.value_counts().to_pylist()
    return Suspect(
        rows=len(positions),
        written=written,
        seen=len(sample),
        fits=Counter({name: n for name, reads in readings.items() if (n := int(reads(sample).sum()))}),
        tried=len(bad),
        mends=Counter({name: n for name, reads in readings.items() if (n := int(reads(bad).sum()))}),
        cells=Counter({each["values"]: each["counts"] for each in counted}),
        first=(path, int(rows.numbers[positions[0]]), _as_read(check, bad[:1], profile)),
        reason=check.reason,
        column=check.column,
    )


def _column_at_fault(expression: Expression, rows: Rows) -> pa.Array:
    """The cells of an expression's column, of its first one of text if it has several."""
    columns = [cells.undictionary(rows.columns[name]) for name in expression.names]
    return next((column for column in columns if cells.is_text(column.type)), columns[0])


def _readings(check: RowCheck, column: pa.Array, profile: CityProfile) -> tuple[str, dict[str, Reading]]:
    """The city file's words, and by other words that it could have, which cells these would read."""
    if check.reason == BAD_WEEKDAY:
        codings: list[Weekdays] = [each for each in get_args(Weekdays) if each != profile.weekdays]
        return f"city.weekdays={profile.weekdays}", {
            coding: functools.partial(_is_weekday, coding=coding, dialect=profile.csv) for coding in codings
        }
    if check.reason == BAD_TIMESTAMP and PICKUP_TIME not in profile.columns.sources():
        return f"{HOURS}={check.column}", {}
    if check.reason == BAD_TIMESTAMP:
        written = profile.time_source.formats
        others = () if pa.types.is_temporal(column.type) else (*NUMBERS, *TEXT_FORMATS)
        return f"city.time_format={', '.join(written)}", {
            name: functools.partial(_is_plausible, name=name, profile=profile) for name in others if name not in written
        }
    if check.reason == UNKNOWN_LOCATION:
        return "city.locations", {}
    dialects = {name: _other_dialect(profile.csv, fields) for name, fields in DIALECTS.items()}
    return "city.csv", {
        name: functools.partial(_is_number, dialect=dialect) for name, dialect in dialects.items() if dialect
    }


def _is_weekday(part: pa.Array, coding: Weekdays, dialect: CsvDialect) -> Mask:
    return ~np.isnan(times.weekdays(part, coding, dialect))


def _is_number(part: pa.Array, dialect: CsvDialect) -> Mask:
    return ~cells.numbers(part, dialect)[1]


def _other_dialect(dialect: CsvDialect, fields: Mapping[str, Any]) -> CsvDialect | None:
    try:
        return dataclasses.replace(dialect, **fields)
    except InputError:
        return None


def _is_plausible(part: pa.Array, name: str, profile: CityProfile) -> Mask:
    source = TimeSource((name,), profile.times, profile.time_zone)
    first, end = profile.days.seconds
    moments = times.seconds(part, source, profile.csv)
    return np.asarray((moments >= first) & (moments < end))


def _as_read(check: RowCheck, cell: pa.Array, profile: CityProfile) -> str:
    """A cell with the moment that it was read as, such as `43831 read as epoch is 1970-01-01`."""
    text = str(cells.text(cell)[0])
    if check.reason != BAD_TIMESTAMP or PICKUP_TIME not in profile.columns.sources():
        return text
    if pa.types.is_temporal(cell.type):
        return f"{text} is not in city.days"
    for name in profile.time_source.formats:
        source = TimeSource((name,), profile.times, profile.time_zone)
        (moment,) = times.seconds(cell, source, profile.csv)
        if np.isfinite(moment):
            day = np.datetime64(int(np.clip(moment, -1e17, 1e17)), "s").astype("datetime64[D]")
            return f"{text} read as {name} is {day}"
    return f"{text} is not {' or '.join(profile.time_source.formats)}"
