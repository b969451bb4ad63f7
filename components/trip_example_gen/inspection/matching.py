"""Guesses which columns of a file are ours, by their names in several languages and by their values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.trip_example_gen.columns import (
    DROPOFF_LATITUDE,
    DROPOFF_LOCATION,
    DROPOFF_LONGITUDE,
    DROPOFF_POINT,
    FARE,
    PASSENGER_COUNT,
    PICKUP_HOUR,
    PICKUP_LATITUDE,
    PICKUP_LOCATION,
    PICKUP_LONGITUDE,
    PICKUP_POINT,
    PICKUP_TIME,
    PICKUP_WEEKDAY,
    POLYLINE,
)
from farebox.components.trip_example_gen.inspection.column_names import ENDS, by_end, tags, tokens
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.inspection.time_guesses import TimeGuess, guess_times
from farebox.components.trip_example_gen.judging import places
from farebox.components.trip_example_gen.profile import PLACES_OF
from farebox.components.trip_example_gen.values import cells

EXACT_WEEKDAY = re.compile(r"day\s*(of\s*)?week|dia\s*(da|de la)?\s*semana|jour\s*(de)?\s*semaine|week\s*day")
DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}$|\d{8}$|\d{1,2}[- ][A-Za-z]{3,}[- ]\d{2,4}$"
CLOCK = r"\d{1,2}:\d{2}(:\d{2})?(\s*[AaPp][Mm])?$"
CENTS = {"cent", "cents", "pence", "centavos", "centimes"}
MIN_CORRELATION, MIN_BASE = 0.3, 0.15  # of a fare with the distance; share of the median that a trip of no length costs
MIN_FINE_SHARE, FINE = 0.5, 1e-3  # of coordinates with more than two decimals
PLACES = {name for ways in PLACES_OF.values() for way in ways for name in way}
POLAR = 70  # degrees: people ride below it


@dataclasses.dataclass(frozen=True)
class Match:
    """Our columns in a file: names, or expressions.

    times: how the pickup's column writes times. questions: what is open, by our column. unused: the other columns.
    """

    columns: dict[str, str]
    times: TimeGuess | None = None
    questions: dict[str, str] = dataclasses.field(default_factory=dict)
    unused: tuple[str, ...] = ()


class _Numbers:
    """The numbers in a sample's columns, each parsed once."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._parsed: dict[str, npt.NDArray[np.float64]] = {}

    def of(self, name: str) -> npt.NDArray[np.float64]:
        """Numbers, NaN if a cell has none; empty for a column whose filled cells are mostly something else."""
        if name not in self._parsed:
            column = self._sample.columns[name]
            kind = column.type
            is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            if not (is_number or cells.is_text(kind)):
                self._parsed[name] = np.empty(0)
                return self._parsed[name]
            values, is_bad = cells.numbers(column, self._sample.dialect)
            n_filled = np.count_nonzero(~cells.is_missing(column, self._sample.dialect))
            is_sound = n_filled and np.count_nonzero(is_bad) <= 0.1 * n_filled
            self._parsed[name] = np.where(is_bad, np.nan, values) if is_sound else np.empty(0)
        return self._parsed[name]

    def filled(self, name: str) -> npt.NDArray[np.float64]:
        values = self.of(name)
        return values[~np.isnan(values)]

    def fits(self, name: str, low: float, high: float, whole: bool = False) -> bool:
        """Whether a column has numbers, nine in ten of them within bounds, and whole ones if they must be."""
        values = self.filled(name)
        if not len(values):
            return False
        is_good = (values >= low) & (values <= high)
        return bool(np.mean(is_good) >= 0.9 and not (whole and np.mean(values % 1 == 0) < 0.99))

    def is_coordinate(self, name: str) -> bool:
        """Whether values look like degrees of one city without being told: fine, and close together."""
        values = self.filled(name)
        values = values[np.abs(values) > FINE]
        if not len(values) or not self.fits(name, -180, 180):
            return False
        is_fine = np.abs(values * 100 - np.round(values * 100)) > 1e-6
        low, high = np.quantile(values, [0.1, 0.9])
        return bool(np.mean(is_fine) >= MIN_FINE_SHARE and high - low < 3 and abs(np.median(values)) > 0.05)


def match(sample: Sample, named: Mapping[str, str] = MappingProxyType({})) -> Match:
    """Our columns in a file. named: names that a person gave for some of ours, of which the file may have some."""
    given = {ours: theirs for ours, theirs in named.items() if theirs in sample.columns}
    free = {name: column for name, column in sample.columns.items() if name not in given.values()}
    rest = dataclasses.replace(sample, columns=free)
    numbers, columns = _Numbers(rest), dict[str, str]()
    questions: dict[str, str] = {}
    (_named_coordinates if given.keys() & PLACES else _match_places)(rest, numbers, columns, questions)
    guess = guess_times(sample.columns[given[PICKUP_TIME]], sample.dialect) if PICKUP_TIME in given else None
    if not given.keys() & {PICKUP_TIME, PICKUP_HOUR}:
        guess = _match_times(rest, numbers, columns, questions)
    _match_passengers(rest, numbers, columns)
    if FARE not in given:
        _match_fare(rest, numbers, columns, questions)
    columns |= given
    questions = {ours: text for ours, text in questions.items() if ours not in given}
    used = set(columns.values())
    unused = [name for name in sample.columns if name not in used and not any(f"`{name}`" in each for each in used)]
    return Match(columns, guess, questions, tuple(unused))


# Places


def _match_places(sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]) -> None:
    _named_coordinates(sample, numbers, columns, questions)
    if len(columns) == 4:
        return
    columns.clear()
    if _points(sample, columns) or _locations(sample, columns):
        return
    _coordinates_by_value(sample, numbers, columns, questions)


def _named_coordinates(sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]) -> None:
    for axis, bound in (("longitude", 180), ("latitude", 90)):
        names = [name for name in sample.columns if axis in tags(name) and numbers.fits(name, -bound, bound)]
        for end, name in by_end(names).items():
            columns[f"{end}_{axis}"] = name
    for end in ENDS.values():
        ours = (f"{end}_longitude", f"{end}_latitude")
        if set(ours) <= set(columns):
            longitude, latitude = (columns[name] for name in ours)
            if _middle(numbers.filled(latitude)) > POLAR >= _middle(numbers.filled(longitude)):
                columns.update(zip(ours, (latitude, longitude), strict=True))
                questions[ours[0]] = f"{latitude} has what only longitudes can be, so the two are exchanged here"


def _middle(values: npt.NDArray[np.float64]) -> float:
    values = values[np.abs(values) > FINE]
    return float(np.abs(np.median(values))) if len(values) else 0.0


def _points(sample: Sample, columns: dict[str, str]) -> bool:
    texts = {name: column for name, column in sample.columns.items() if cells.is_text(column.type)}
    wkt = [name for name, column in texts.items() if _reads(column, places.of_points)]
    ends = by_end(wkt)
    if len(ends) == 2:
        columns.update({PICKUP_POINT: ends["pickup"], DROPOFF_POINT: ends["dropoff"]})
        return True
    for name, column in texts.items():
        if _reads(column, lambda cell: places.of_polyline(cell, "pickup")):
            columns[POLYLINE] = name
            return True
    return False


def _reads(column: pa.Array, read) -> bool:  # type: ignore[no-untyped-def] # a function of places.py
    column = column.filter(pa.array(~cells.is_missing(column))).slice(0, 500)
    if not len(column) or not pc.any(pc.match_substring_regex(column.slice(0, 20), r"[(\[]")).as_py():
        return False
    (longitude, _), is_bad = read(column)
    return bool(np.mean(is_bad) < 0.1 and np.mean(~np.isnan(longitude)) > 0.5)


def _locations(sample: Sample, columns: dict[str, str]) -> bool:
    names = [name for name in sample.columns if "location" in tags(name) and not tags(name) & {"time", "date", "flag"}]
    if not names:  # `source` and `destination` alone
        alone = (name for name in sample.columns if tags(name) and tags(name) <= {"start", "end"})
        names = [name for name in alone if not _all_match(sample.columns[name], r"\W*\d")]
    names = [name for name in names if np.mean(~cells.is_missing(sample.columns[name], sample.dialect)) > 0.5]
    ends = by_end(names)
    if len(ends) == 2:
        columns.update({PICKUP_LOCATION: ends["pickup"], DROPOFF_LOCATION: ends["dropoff"]})
    return len(ends) == 2


def _coordinates_by_value(
    sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]
) -> None:
    names = [name for name in sample.columns if numbers.is_coordinate(name)]
    if len(names) != 4:
        return
    first, second = names[:2]
    middles = [_middle(numbers.filled(name)) for name in names]
    if abs(middles[0] - middles[2]) > abs(middles[0] - middles[1]):  # lon lon lat lat
        names = [names[0], names[2], names[1], names[3]]
        middles = [middles[0], middles[2], middles[1], middles[3]]
        first, second = names[:2]
    is_latitude_first = middles[1] > POLAR >= middles[0]
    if max(middles[:2]) <= POLAR:
        questions[PICKUP_LONGITUDE] = f"by values alone: {first} may be the latitude and {second} the longitude"
    ours = (PICKUP_LONGITUDE, PICKUP_LATITUDE, DROPOFF_LONGITUDE, DROPOFF_LATITUDE)
    if is_latitude_first:
        ours = (PICKUP_LATITUDE, PICKUP_LONGITUDE, DROPOFF_LATITUDE, DROPOFF_LONGITUDE)
    columns.update(zip(ours, names, strict=True))
    questions.setdefault(PICKUP_LATITUDE, "by values alone: the first pair is taken for the pickup")


# Times


def _match_times(
    sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]
) -> TimeGuess | None:
    guesses = {
        name: guess
        for name, column in sample.columns.items()
        if name not in columns.values() and _may_be_time(name, column, sample)
        if (guess := guess_times(column, sample.dialect)) and guess.share >= 0.5
    }
    if guesses:
        ranked = sorted(guesses, key=_rank_of_time)
        best = ranked[0]
        columns[PICKUP_TIME] = best
        if "end" in tags(best):
            questions[PICKUP_TIME] = f"{best} sounds like the end of a trip, and no other column has times"
        elif "other" in tags(best):
            questions[PICKUP_TIME] = f"{best} need not be when the trip started"
        return guesses[best]
    if joined := _date_and_time(sample):
        expression, guess = joined
        columns[PICKUP_TIME] = expression
        return guess
    _match_hours(sample, numbers, columns, questions)
    return None


def _may_be_time(name: str, column: pa.Array, sample: Sample) -> bool:
    if pa.types.is_timestamp(column.type):
        return True
    if cells.is_text(column.type) and not re.fullmatch(
        r"[\d.,\s]*", "".join(filter(None, column.slice(0, 20).to_pylist()))
    ):
        return True
    is_named = bool(tags(name) & {"time", "date", "hour", "start"}) or "epoch" in tokens(name) or "unix" in tokens(name)
    return is_named or (not sample.has_header and not pa.types.is_boolean(column.type))


def _rank_of_time(name: str) -> tuple[int, int, int, int]:
    """Columns of pickups first, then those of no end; short names first."""
    found = tags(name)
    return ("other" in found, "end" in found and "start" not in found, "start" not in found, len(tokens(name)))


def _date_and_time(sample: Sample) -> tuple[str, TimeGuess] | None:
    """An expression that joins a column of dates with one of clock times."""
    texts = [name for name, column in sample.columns.items() if cells.is_text(column.type)]
    dates = [name for name in texts if _all_match(sample.columns[name], DATE)]
    clocks = [name for name in texts if _all_match(sample.columns[name], CLOCK)]
    if not dates or not clocks:
        return None
    date, clock = min(dates, key=_rank_of_time), min(clocks, key=_rank_of_time)
    joined = pc.binary_join_element_wise(sample.columns[date], sample.columns[clock], " ")
    guess = guess_times(joined, sample.dialect)
    return (f"`{date}` + ' ' + `{clock}`", guess) if guess else None


def _all_match(column: pa.Array, pattern: str) -> bool:
    filled = [each for each in cells.text(column.slice(0, 500)).to_pylist() if each]
    return bool(filled) and sum(bool(re.match(pattern, each)) for each in filled) > 0.9 * len(filled)


def _match_hours(sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]) -> None:
    free = [name for name in sample.columns if name not in columns.values()]
    hours = [name for name in free if "hour" in tags(name) and numbers.fits(name, 0, 24, whole=True)]
    days = [name for name in free if "weekday" in tags(name) or EXACT_WEEKDAY.search(" ".join(tokens(name)))]
    if hours and days:
        columns[PICKUP_HOUR], columns[PICKUP_WEEKDAY] = min(hours, key=_rank_of_time), min(days, key=_rank_of_time)
        return
    if sample.has_header:
        return
    hours = [
        name for name in free if numbers.fits(name, 0, 23, whole=True) and len(np.unique(numbers.filled(name))) > 12
    ]
    days = [name for name in free if numbers.fits(name, 0, 7, whole=True) and _is_even(numbers.filled(name))]
    if hours and days:
        columns[PICKUP_HOUR], columns[PICKUP_WEEKDAY] = hours[0], days[0]
        questions[PICKUP_HOUR] = "by values alone: whole numbers from 0 to 23"
        questions[PICKUP_WEEKDAY] = "by values alone: seven whole numbers, each about as frequent"


def _is_even(values: npt.NDArray[np.float64]) -> bool:
    _, counts = np.unique(values, return_counts=True)
    return len(counts) == 7 and bool(counts.max() < 2.5 * counts.min())


# Numbers


def _match_passengers(sample: Sample, numbers: _Numbers, columns: dict[str, str]) -> None:
    names = [
        name
        for name in sample.columns
        if name not in columns.values()
        and "passengers" in tags(name)
        and not tags(name) & {"fare", "price", "total", "distance", "time"}
        and numbers.fits(name, 0, 20, whole=True)
    ]
    if names:
        columns[PASSENGER_COUNT] = min(names, key=lambda name: len(tokens(name)))


def _match_fare(sample: Sample, numbers: _Numbers, columns: dict[str, str], questions: dict[str, str]) -> None:
    free = [name for name in sample.columns if name not in columns.values()]
    ranked = sorted((rank, i, name) for i, name in enumerate(free) if (rank := _rank_of_fare(name, numbers)))
    if ranked:
        (_, kind), _, best = ranked[0][0], 0, ranked[0][2]
        columns[FARE] = f"`{best}` / 100" if set(tokens(best)) & CENTS else best
        if kind > 1:
            questions[FARE] = f"{best} may hold tips, tolls or taxes: the model learns what it holds"
        return
    if sample.has_header:
        return
    found = [name for name in free if _is_money(numbers.filled(name))]
    distance = _distance(numbers, columns)
    if found:
        likely = [name for name in found if _is_like_a_fare(numbers.of(name), distance)]
        best = likely[0] if likely else max(found, key=lambda name: _correlation(numbers.of(name), distance))
        columns[FARE] = best
        questions[FARE] = "by values alone: money that grows with the distance between pickup and dropoff"


def _rank_of_fare(name: str, numbers: _Numbers) -> tuple[int, int] | None:
    """(whether its name has further words, 0 for a fare, 1 for a price, 2 for a total); None if it is none of them."""
    found = tags(name)
    kinds = [i for i, tag in enumerate(("fare", "price", "total")) if tag in found]
    if not kinds or found & {"extra", "distance", "location", "time"} or not len(numbers.filled(name)):
        return None
    if np.mean(numbers.filled(name) > 0) < 0.5:
        return None
    return kinds[0], kinds[0]


def _is_money(values: npt.NDArray[np.float64]) -> bool:
    """Whether values look like fares: positive, with at most two decimals, and many of them."""
    if not len(values):
        return False
    is_cent = np.abs(values * 100 - np.round(values * 100)) < 1e-6
    return bool(
        np.mean(values > 0) > 0.9 and np.mean(is_cent) > 0.99 and len(np.unique(values)) > min(20, len(values) / 2)
    )


def _distance(numbers: _Numbers, columns: dict[str, str]) -> npt.NDArray[np.float64]:
    """Distance of the ends in any unit, shape (n,); empty without coordinates."""
    names = (PICKUP_LONGITUDE, DROPOFF_LONGITUDE, PICKUP_LATITUDE, DROPOFF_LATITUDE)
    if not set(names) <= set(columns):
        return np.empty(0)
    west, east, south, north = (numbers.of(columns[name]) for name in names)
    shrink = np.cos(np.radians(np.nanmedian(south)))
    return np.asarray(np.hypot((east - west) * shrink, north - south))


def _is_like_a_fare(values: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]) -> bool:
    """Whether values grow with the distance, from a base for none; distances and durations have no base."""
    if _correlation(values, distance) < MIN_CORRELATION or np.all(values[~np.isnan(values)] % 1 == 0):
        return False
    is_known = ~(np.isnan(values) | np.isnan(distance)) & (distance < 1)
    slope, base = np.polyfit(distance[is_known], values[is_known], 1)
    return bool(slope > 0 and base > MIN_BASE * np.median(values[is_known]))


def _correlation(values: npt.NDArray[np.float64], distance: npt.NDArray[np.float64]) -> float:
    """Spearman's rank correlation of the rows that have both; 0 without a distance."""
    if not len(distance):
        return 0.0
    is_known = ~(np.isnan(values) | np.isnan(distance))
    if np.count_nonzero(is_known) < 3:
        return 0.0
    ranks = [np.argsort(np.argsort(each[is_known])) for each in (values, distance)]
    return float(np.corrcoef(np.stack(ranks))[0, 1])


def merged(matches: Sequence[Match]) -> dict[str, tuple[str, ...]]:
    """Our column: its names in several files, each once, in order; without passengers, if some files have none."""
    found: dict[str, list[str]] = {}
    for each in matches:
        for ours, theirs in each.columns.items():
            if theirs not in found.setdefault(ours, []):
                found[ours].append(theirs)
    if not all(PASSENGER_COUNT in each.columns for each in matches):
        found.pop(PASSENGER_COUNT, None)
    return {ours: tuple(theirs) for ours, theirs in found.items()}
