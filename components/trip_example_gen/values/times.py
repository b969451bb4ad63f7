"""Cells of a source as local times and weekdays, whole columns at a time."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.dialect import CsvDialect
from farebox.components.trip_example_gen.values.time_zones import local_seconds

Held = Literal["local", "utc", "offset"]
Weekdays = Literal["monday_0", "monday_1", "sunday_0", "sunday_1", "names"]

# Numbers as times: seconds of one unit, and its zero in s since 1970.
NUMBERS: dict[str, tuple[float, int]] = {
    "epoch": (1.0, 0),
    "epoch_ms": (1e-3, 0),
    "epoch_us": (1e-6, 0),
    "epoch_ns": (1e-9, 0),
    "excel": (86400.0, -25569 * 86400),  # days since 30 December 1899
}
INSTANTS = ("epoch", "epoch_ms", "epoch_us", "epoch_ns")
UTC_NAMES = (None, "UTC", "Etc/UTC", "Z", "GMT", "+00:00")

DIRECTIVE = re.compile(r"%(.)")
# strptime's directives: the parts of a time that each one gives.
PARTS = {
    "Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "h": "month", "d": "day", "e": "day",
    "j": "month day", "H": "hour", "I": "half", "p": "noon", "M": "minute", "S": "second", "f": "fraction",
    "z": "offset", "F": "year month day", "D": "year month day", "T": "hour minute second", "R": "hour minute",
    "r": "half noon minute second", "a": "", "A": "", "n": "", "t": "", "%": "",
}  # fmt: skip
LITERAL_ZONE = re.compile(r"(?<!%)(?:Z|UTC|GMT)\s*$")
_OFFSET = r"Z|UTC|GMT|[+-]\d\d(?::?\d\d)?"
# Of strptime in C; Python's lacks them.
_EXPANDED = {"%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%T": "%H:%M:%S", "%R": "%H:%M", "%r": "%I:%M:%S %p", "%e": "%d",
             "%h": "%b", "%n": " ", "%t": " "}  # fmt: skip
LONGEST_OVERFLOW = 3  # 31 February becomes 3 March, or 2 March in a leap year

WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# The number of a Monday, and the least and the largest number.
WEEKDAY_NUMBERS: dict[str, tuple[int, int, int]] = {
    "monday_0": (0, 0, 6), "monday_1": (1, 1, 7), "sunday_0": (1, 0, 6), "sunday_1": (2, 1, 7),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TimeSource:
    """How a source writes the time of a pickup.

    formats: names of `NUMBERS` or strptime formats, tried in order on each cell. holds: what its hours are, None if the
    profile does not say. zone: the city's IANA time zone.
    """

    formats: tuple[str, ...]
    holds: Held | None = None
    zone: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether a cell of text has a format, so that the column must be read as text."""
        return any(each not in NUMBERS for each in self.formats)


def check_format(text: str, key: str) -> None:
    """Raises InputError for a format without a day or an hour, or with one that strptime would misread."""
    if text in NUMBERS:
        return
    wanted = f"must be {', '.join(NUMBERS)}, or a strptime format with day and hour such as %Y-%m-%d %H:%M:%S"
    directives = DIRECTIVE.findall(text)
    unknown = sorted({each for each in directives if each not in PARTS})
    if unknown:
        raise InputError(f"{key}={text} {wanted}: %{unknown[0]} is not known")
    given = [part for each in directives for part in PARTS[each].split()]
    twice = sorted({part for part in given if given.count(part) > 1})
    if "hour" in given and "noon" in given:
        raise InputError(f"{key}={text} {wanted}: %p goes with %I, the hour from 1 to 12, not with %H")
    if twice:
        hint = " (%M is the minute, %m the month)" if twice[0] == "minute" else ""
        raise InputError(f"{key}={text} {wanted}: it has the {twice[0]} twice{hint}")
    if "%z" in text.removesuffix("%z"):
        raise InputError(f"{key}={text} {wanted}: %z must be at its end")
    if "half" in given and "noon" not in given:
        raise InputError(f"{key}={text} {wanted}: %I, the hour from 1 to 12, needs %p")
    for part in ("year", "month", "day", "hour"):
        if part not in given and not (part == "hour" and "half" in given):
            hint = " (%m; %M is the minute)" if part == "month" else ""
            raise InputError(f"{key}={text} {wanted}: it has no {part}{hint}")


def check_formats(formats: Sequence[str], key: str) -> None:
    """Raises InputError for a format that cannot be used, or two that read the same text as different days."""
    for each in formats:
        check_format(each, key)
    days = {"%d": "%m", "%e": "%m", "%m": "%d"}
    for i, each in enumerate(formats):
        exchanged = re.sub("%[dem]", lambda match: days[match[0]], each)
        if exchanged != each and exchanged in formats[i + 1 :]:
            raise InputError(
                f"{key}={each}, {exchanged} must be one of the two: 01/02/2024 fits both, so the first would take "
                "2 January for 1 February, or the reverse, without a word"
            )


def names_instants(text: str) -> bool:
    """Whether cells of this format name a moment and not only the hands of a clock: epochs, offsets and `Z`."""
    return text in INSTANTS or "%z" in text or bool(LITERAL_ZONE.search(text))


def check_source(source: TimeSource, kind: pa.DataType | None, column: str) -> None:
    """Raises InputError if nobody says what the hours of a column are.

    kind: the column's type; None in a file of text. column: its name, for the message, with the file.
    """
    if kind is not None and pa.types.is_date(kind):
        raise InputError(f"{column} must be a time, got {kind}: a date has no hour, so give a column that has one")
    is_typed = kind is not None and pa.types.is_temporal(kind)
    zone = getattr(kind, "tz", None)
    if source.holds is None:
        instants = [str(kind)] if zone else []
        if not is_typed:
            instants = [each for each in source.formats if names_instants(each)]
        if instants:
            converted = "offset" if "%z" in instants[0] else "utc"
            raise InputError(
                f'{column} names moments ({instants[0]}): city.times must say what its hours are: write "times: local" '
                f'if they are the city\'s own, whatever their label says, or "times: {converted}" with '
                '"time_zone: America/Chicago" (the IANA name of the city\'s) if they must be converted'
            )
    if source.holds == "offset":
        without = "no zone" if is_typed and not zone else ""
        if not is_typed:
            without = next((each for each in source.formats if not names_instants(each)), "")
        if without:
            raise InputError(
                f"{column} has times without an offset ({without}), so city.times=offset must be local or utc, or "
                "city.time_format must end in %z"
            )


def seconds(column: pa.Array, source: TimeSource, dialect: CsvDialect) -> npt.NDArray[np.float64]:
    """Local times in seconds since 1970 as if they were UTC, shape (n,), NaN if a cell has none."""
    column = cells.undictionary(column)
    if pa.types.is_temporal(column.type):
        return _of_type(column, source)
    values = np.full(len(column), np.nan)
    for each in source.formats:
        is_open = np.isnan(values)
        if not is_open.any():
            break
        moments = _of_numbers(column, each, dialect) if each in NUMBERS else _of_text(column, each, source)
        if source.holds in ("utc", "offset") and "%z" not in each:
            moments = _localized(moments, source.zone)
        values = np.where(is_open, moments, values)
    return values


def _of_type(column: pa.Array, source: TimeSource) -> npt.NDArray[np.float64]:
    zone = getattr(column.type, "tz", None)
    counts = column.cast(pa.timestamp("s", zone), safe=False).cast(pa.int64()).cast(pa.float64())
    values: npt.NDArray[np.float64] = counts.to_numpy(zero_copy_only=False)
    if source.holds in ("utc", "offset"):
        return _localized(values, source.zone)
    return values if zone in UTC_NAMES else _localized(values, zone)


def _localized(moments: npt.NDArray[np.float64], zone: str | None) -> npt.NDArray[np.float64]:
    """Moments in UTC as local times; NaN stays NaN."""
    if zone is None:
        raise ValueError("times in UTC need city.time_zone")  # CityProfile asks for it
    is_known = np.abs(moments) < 1e12  # NaN is not
    local = local_seconds(np.where(is_known, moments, 0).astype(np.int64), zone)
    return np.where(is_known, local, np.nan)


def _of_numbers(column: pa.Array, name: str, dialect: CsvDialect) -> npt.NDArray[np.float64]:
    values, is_bad = cells.numbers(column, dialect)
    unit, zero = NUMBERS[name]
    return np.where(is_bad, np.nan, np.floor(values * unit + zero + (0.5 if name == "excel" else 0)))


def _of_text(column: pa.Array, time_format: str, source: TimeSource) -> npt.NDArray[np.float64]:
    """Arrow's strptime, which knows no fractions and takes an offset off: both are cut from the text before."""
    text = pc.ascii_trim_whitespace(cells.text(column))
    if "%f" in time_format:
        time_format = re.sub(r"[.,]?%f", "", time_format)
        text = pc.replace_substring_regex(text, r"(:\d\d)[.,]\d+", r"\1")
    has_offset = time_format.endswith("%z")
    if has_offset:
        time_format = time_format.removesuffix("%z").rstrip()
        east = _seconds_east(pc.struct_field(pc.extract_regex(text, f"(?P<zone>{_OFFSET})$"), [0]))
        text = pc.ascii_rtrim_whitespace(pc.replace_substring_regex(text, f"(?:{_OFFSET})$", ""))
    moments = pc.strptime(text, format=time_format, unit="s", error_is_null=True)
    moments = pc.if_else(_is_beyond_month(moments, text, time_format), pa.scalar(None, moments.type), moments)
    values: npt.NDArray[np.float64] = moments.cast(pa.int64()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not has_offset:
        return values
    if source.holds in ("utc", "offset"):
        return _localized(values - east, source.zone)
    return np.where(np.isnan(east), np.nan, values)


def _is_beyond_month(moments: pa.Array, text: pa.Array, time_format: str) -> pa.Array:
    """Marks days such as 31 February, which Arrow's strptime takes for 2 or 3 March."""
    is_suspect = pc.fill_null(pc.less_equal(pc.day(moments), LONGEST_OVERFLOW), fill_value=False)
    suspects = np.flatnonzero(is_suspect.to_numpy(zero_copy_only=False))
    is_beyond = np.zeros(len(moments), bool)
    if len(suspects):
        written = pc.strftime(moments.take(pa.array(suspects)), format=time_format)
        differs = pc.not_equal(written, text.take(pa.array(suspects))).to_numpy(zero_copy_only=False)
        is_beyond[suspects[differs]] = [
            not _exists(each, time_format) for each in text.take(pa.array(suspects[differs])).to_pylist()
        ]
    return pa.array(is_beyond)


def _exists(text: str, time_format: str) -> bool:
    known_to_python = DIRECTIVE.sub(lambda match: _EXPANDED.get(match[0], match[0]), time_format)
    try:
        datetime.datetime.strptime(text, known_to_python)
    except ValueError:
        return False
    return True


def _seconds_east(zones: pa.Array) -> npt.NDArray[np.float64]:
    """Seconds east of UTC of texts such as `-0500`, shape (n,), NaN if there is none."""
    encoded = zones.dictionary_encode()
    table = np.array([_one_offset(each) for each in encoded.dictionary.to_pylist()] + [np.nan])
    codes = pc.fill_null(encoded.indices, len(table) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(table[codes], np.float64)


def _one_offset(text: str | None) -> float:
    if text is None:
        return np.nan
    if text in ("Z", "UTC", "GMT"):
        return 0.0
    digits = text[1:].replace(":", "").ljust(4, "0")
    return (-1 if text[0] == "-" else 1) * (int(digits[:2]) * 3600.0 + int(digits[2:]) * 60.0)


def weekdays(column: pa.Array, coding: Weekdays, dialect: CsvDialect) -> npt.NDArray[np.float64]:
    """0 (Monday) to 6, shape (n,), NaN for a cell that the coding does not have."""
    if coding == "names":
        names = cells.text(column).dictionary_encode()
        known = [_weekday_of(name) for name in names.dictionary.to_pylist()] + [np.nan]
        codes = pc.fill_null(names.indices, len(known) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(np.asarray(known, np.float64)[codes])
    numbers, _ = cells.numbers(column, dialect)
    monday, first, last = WEEKDAY_NUMBERS[coding]
    is_known = (numbers >= first) & (numbers <= last) & (numbers % 1 == 0)
    return np.where(is_known, (numbers - monday) % 7, np.nan)


def fitting_codings(column: pa.Array, dialect: CsvDialect) -> list[str]:
    """The codings that every weekday of the column fits."""
    is_filled = ~cells.is_missing(column, dialect)
    return [
        coding
        for coding in (*WEEKDAY_NUMBERS, "names")
        if not np.isnan(weekdays(column, coding, dialect)[is_filled]).any()  # type: ignore[arg-type] # keys of Weekdays
    ]


def _weekday_of(name: str) -> float:
    """The weekday of an English name or its beginning of at least two letters, in any case."""
    text = name.strip().lower().rstrip(".")
    matches = [i for i, each in enumerate(WEEKDAY_NAMES) if len(text) >= 2 and each.startswith(text)]
    return matches[0] if matches else np.nan
