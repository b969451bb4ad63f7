"""Guesses about columns of times: their formats, the zone of a city, and by which reading its nights are quiet."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import itertools
import math
import re
import zoneinfo
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen.values import cells, times
from farebox.components.trip_example_gen.values.clock import DAY_S, hour_of
from farebox.components.trip_example_gen.values.dialect import CsvDialect
from farebox.components.trip_example_gen.values.time_zones import local_seconds
from farebox.components.trip_example_gen.values.times import TimeSource

MAX_FORMATS, MAX_SHAPES = 4, 40
FIRST_S, END_S = 631152000, 4102444800  # 1990 and 2100: numbers between them are seconds since 1970
UNITS = {"epoch": 1, "epoch_ms": 1000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
MIN_MOMENTS = 200  # to say when nights are quiet
QUIET_HOURS = 3
CLEAR_SPAN = 5

_CLOCK = re.compile(
    r"(?<!\d)(?P<h>\d{1,2})(?P<mark>[:h.])(?P<m>\d{2})(?:(?P=mark)(?P<s>\d{2})(?P<f>[.,]\d+)?)?(?![\d:])"
    r"(?:(?P<gap>\s*)(?P<noon>[AaPp]\.?[Mm]\.?)(?![A-Za-z]))?"
)
_ZONE = re.compile(r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\s*$")
_WEEKDAY = re.compile(r"(?i)\b(?:mon|tue|wed|thu|fri|sat|sun)(?P<long>[a-z]*day)?\b")
_ORDERS = {"Y": ("Ymd",), "y": ("dmy", "mdy", "ymd"), "": ("dmY", "mdY")}
_DATE = re.compile(
    r"(?<!\d)(?:(?P<Y>\d{4})(?P<s1>[-/.])\d{1,2}(?P=s1)\d{1,2}|\d{1,2}(?P<s2>[-/.])\d{1,2}(?P=s2)(?P<last>\d{4}|\d{2}))(?!\d)"
)
_MONTH = r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)"
_NAMED = (
    (re.compile(rf"(?i)(?<!\d)\d{{1,2}}(?P<s>[- /.]){_MONTH}(?P=s)(?P<year>\d{{4}}|\d{{2}})(?!\d)"), "%d{s}{b}{s}{y}"),
    (re.compile(rf"(?i){_MONTH}\s+\d{{1,2}}(?P<s>,?\s+)(?P<year>\d{{4}})(?!\d)"), "{b} %d{s}{y}"),
    (re.compile(rf"(?i)\d{{4}}(?P<s>[- /]){_MONTH}(?P=s)\d{{1,2}}(?!\d)"), "%Y{s}{b}{s}%d"),
)
_COMPACT = {
    r"\d{14}": "%Y%m%d%H%M%S", r"\d{12}": "%Y%m%d%H%M", r"\d{8}([ T_-])\d{6}": "%Y%m%d{0}%H%M%S",
    r"\d{8}([ T_-])\d{4}": "%Y%m%d{0}%H%M",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TimeGuess:
    """How a column writes times.

    formats: for `city.time_format`; empty for a type of times. share: of the cells that have a value, those that they
    read. alternative: the other format that reads as many cells, if day and month cannot be told apart; is_clear:
    whether the rows lie on far more days by it. zone: that of a type of moments.
    """

    formats: tuple[str, ...]
    share: float
    alternative: str = ""
    is_clear: bool = True
    zone: str | None = None

    @property
    def names_instants(self) -> bool:
        """Whether the times name moments, so that a profile must say what their hours are."""
        return self.zone is not None or any(map(times.names_instants, self.formats))

    @property
    def has_offsets(self) -> bool:
        return bool(self.formats) and all(each.endswith("%z") for each in self.formats)


def guess_times(column: pa.Array, dialect: CsvDialect) -> TimeGuess | None:
    """The formats of a column; None if it has no times."""
    if pa.types.is_timestamp(column.type):
        return TimeGuess((), 1.0, zone=column.type.tz)
    is_filled = ~cells.is_missing(column, dialect)
    column = column.filter(pa.array(is_filled))
    if not len(column) or not (
        cells.is_text(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    ):
        return None
    if number := _of_numbers(column, dialect):
        return number
    return _of_text(cells.text(column), dialect) if cells.is_text(column.type) else None


def seconds(column: pa.Array, guess: TimeGuess, dialect: CsvDialect) -> npt.NDArray[np.float64]:
    """The times as the column writes them, in seconds since 1970, shape (n,), NaN if a cell has none."""
    if guess.zone:  # as UTC, whatever zone its type names
        column = column.cast(pa.timestamp("us", guess.zone)).cast(pa.int64()).cast(pa.timestamp("us"))
    return times.seconds(column, TimeSource(guess.formats or ("epoch",), "local"), dialect)


def _of_numbers(column: pa.Array, dialect: CsvDialect) -> TimeGuess | None:
    numbers, is_bad = cells.numbers(column, dialect)
    numbers = numbers[~is_bad & ~np.isnan(numbers)]
    if len(numbers) < 0.9 * len(column):
        return None
    middle = float(np.median(numbers))
    for name, unit in UNITS.items():
        if FIRST_S * unit <= middle < END_S * unit:
            share = np.mean((numbers >= FIRST_S * unit) & (numbers < END_S * unit))
            return TimeGuess((name,), float(share) * len(numbers) / len(column))
    if 32874 <= middle < 73051 and np.mean(numbers % 1 != 0) > 0.5:  # days from 1990 to 2100
        return TimeGuess(("excel",), len(numbers) / len(column))
    return None


def _of_text(column: pa.Array, dialect: CsvDialect) -> TimeGuess | None:
    distinct = column.unique().to_pylist()
    shapes: dict[str, str] = {}
    for each in distinct[:5000]:
        shapes.setdefault(re.sub(r"[A-Za-z]", "a", re.sub(r"\d", "9", each.strip())), each.strip())
    candidates = list(
        dict.fromkeys(f for each in itertools.islice(shapes.values(), MAX_SHAPES) for f in _formats(each))
    )
    reads = {}
    for each in candidates:
        try:
            times.check_format(each, "time_format")
        except ValueError:
            continue
        moments = times.seconds(column, TimeSource((each,), "local"), dialect)
        with np.errstate(invalid="ignore"):
            reads[each] = (moments >= 0) & (moments < END_S)
    formats: list[str] = []
    alternative, is_clear = "", True
    is_open = np.ones(len(column), bool)
    while reads and len(formats) < MAX_FORMATS:
        counts = {each: int((mask & is_open).sum()) for each, mask in reads.items()}
        best = max(counts, key=lambda each: counts[each])
        if counts[best] < max(1, 0.001 * len(column)):
            break
        twins = [each for each in counts if each != best and counts[each] == counts[best] and _is_swapped(each, best)]
        if twins and not formats:
            best, alternative, is_clear = _by_span(column, best, twins[0], dialect)
        formats.append(best)
        is_open &= ~reads.pop(best)
    return TimeGuess(tuple(formats), float(1 - is_open.mean()), alternative, is_clear) if formats else None


def _is_swapped(one: str, other: str) -> bool:
    return one != other and sorted(one) == sorted(other)


def _by_span(column: pa.Array, one: str, other: str, dialect: CsvDialect) -> tuple[str, str, bool]:
    """Two formats, first the one by which the rows lie on fewer days; and whether these are far fewer."""
    spans = {
        each: float(np.ptp(moments[~np.isnan(moments)]))
        for each in (one, other)
        for moments in [times.seconds(column, TimeSource((each,), "local"), dialect)]
    }
    first, second = sorted(spans, key=lambda each: spans[each])
    return first, second, spans[second] > CLEAR_SPAN * spans[first] + DAY_S


def _formats(text: str) -> list[str]:
    """Formats that may read a text."""
    for pattern, time_format in _COMPACT.items():
        if match := re.fullmatch(pattern, text):
            return [time_format.format(*match.groups())]
    parts = [part for part in (_clock(text), _date(text)) if part]
    if len(parts) < 2:
        return []
    end = parts[0][1]
    if zone := _ZONE.search(text, end):
        numeric = zone["zone"][0] in "+-"
        parts.append((zone.start("zone"), zone.end("zone"), ["%z" if numeric else zone["zone"]]))
    if (day := _WEEKDAY.search(text)) and not any(s < day.end() and day.start() < e for s, e, _ in parts):
        parts.append((day.start(), day.end(), ["%A" if day["long"] else "%a"]))
    parts.sort()
    if any(before[1] > after[0] for before, after in itertools.pairwise(parts)):
        return []
    literals = [text[a[1] : b[0]] for a, b in itertools.pairwise([(0, 0, []), *parts, (len(text), len(text), [])])]
    if any(re.search(r"[\d%]", each) for each in literals):
        return []
    choices = itertools.product(*(options for _, _, options in parts))
    return ["".join(itertools.chain(*zip(literals, (*choice, ""), strict=True))) for choice in choices]


Part = tuple[int, int, list[str]]  # first and last character, and the directives that may read them


def _clock(text: str) -> Part | None:
    matches = [match for match in _CLOCK.finditer(text) if int(match["h"]) < 24 and int(match["m"]) < 60]
    matches = [match for match in matches if match["mark"] != "." or match["s"] or match["noon"]]
    for mark in ":h.":
        for match in matches:
            if match["mark"] == mark and (mark != "." or match["noon"] or not _DATE.match(text, match.start())):
                hour = "%I" if match["noon"] else "%H"
                clock = f"{hour}{mark}%M" + (f"{mark}%S" if match["s"] else "") + ("%f" if match["f"] else "")
                clock = clock.replace("%f", f"{match['f'][0]}%f" if match["f"] else "")
                return match.start(), match.end(), [clock + (f"{match['gap']}%p" if match["noon"] else "")]
    return None


def _date(text: str) -> Part | None:
    for pattern, template in _NAMED:
        if match := pattern.search(text):
            year = match.groupdict().get("year")
            month = "%b" if len(match["month"]) == 3 else "%B"
            named = template.format(s=match["s"], b=month, y="%y" if year and len(year) == 2 else "%Y")
            return match.start(), match.end(), [named]
    if match := _DATE.search(text):
        mark = match["s1"] or match["s2"]
        orders = _ORDERS["Y" if match["Y"] else "" if len(match["last"]) == 4 else "y"]
        return match.start(), match.end(), [mark.join(f"%{letter}" for letter in order) for order in orders]
    if match := re.search(r"(?<!\d)\d{8}(?!\d)", text):
        return match.start(), match.end(), ["%Y%m%d"]
    return None


# Zones


def nearest_zone(longitude: float, latitude: float) -> str | None:
    """The IANA time zone whose city is nearest to a place; None if the machine has no table of them."""
    towns = _towns()
    if not towns:
        return None
    names = list(towns)
    degrees = np.radians(np.array([towns[name] for name in names]))
    here = np.radians([longitude, latitude])
    cosine = np.sin(degrees[:, 1]) * math.sin(here[1]) + np.cos(degrees[:, 1]) * math.cos(here[1]) * np.cos(
        degrees[:, 0] - here[0]
    )
    return names[int(np.argmax(cosine))]


@functools.cache
def _towns() -> dict[str, tuple[float, float]]:
    """Longitude and latitude of each zone's city, from the IANA database's zone.tab."""
    for folder in (*map(Path, zoneinfo.TZPATH), None):
        try:
            table = folder / "zone.tab" if folder else importlib.resources.files("tzdata") / "zoneinfo/zone.tab"
            text = table.read_text()
        except (OSError, ModuleNotFoundError):
            continue
        rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
        return {row[2]: _degrees(row[1]) for row in rows}
    return {}


def _degrees(text: str) -> tuple[float, float]:
    """Longitude and latitude of ISO 6709 text such as `+415100-0873900`."""
    latitude, longitude = re.findall(r"[+-]\d+", text)

    def decimal(part: str, n_degrees: int) -> float:
        digits = part[1:].ljust(n_degrees + 4, "0")
        minutes, rest = int(digits[n_degrees : n_degrees + 2]), int(digits[n_degrees + 2 : n_degrees + 4])
        return (int(digits[:n_degrees]) + minutes / 60 + rest / 3600) * (-1 if part[0] == "-" else 1)

    return decimal(longitude, 3), decimal(latitude, 2)


def quiet_hours(moments: npt.NDArray[np.float64]) -> str:
    """The three hours of the day with the fewest pickups, such as `03:00 to 06:00`; empty for few moments."""
    known = moments[~np.isnan(moments)].astype(np.int64)
    if len(known) < MIN_MOMENTS:
        return ""
    counts = np.bincount(hour_of(known), minlength=24)
    sums = [counts[(start + np.arange(QUIET_HOURS)) % 24].sum() for start in range(24)]
    first = int(np.argmin(sums))
    return f"{first:02d}:00 to {(first + QUIET_HOURS) % 24:02d}:00"


def converted(moments: npt.NDArray[np.float64], zone: str) -> npt.NDArray[np.float64]:
    """Seconds since 1970 in UTC as those of a zone's clocks, NaN stays NaN."""
    is_known = ~np.isnan(moments)
    return np.where(is_known, local_seconds(np.where(is_known, moments, 0).astype(np.int64), zone), np.nan)
