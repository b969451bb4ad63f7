"""The times of a draft: formats, what their hours are, the city's zone, and the coding of weekdays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen.columns import PICKUP_EPOCH, PICKUP_HOUR, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.inspection import time_guesses
from farebox.components.trip_example_gen.inspection.draft import WIDE, Answers, Draft
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.inspection.time_guesses import TimeGuess
from farebox.components.trip_example_gen.inspection.trial import profile_of, read_samples
from farebox.components.trip_example_gen.profile import Box
from farebox.components.trip_example_gen.values import cells, times

CLEAR, CLEAR_ERRORS = 1.3, 4  # ratio and standard errors from which on nights at weekends tell the coding of weekdays
SATURDAY, EARLY = 5, 5  # the weekday, Monday 0; the hour
AGREEING = 0.99  # share of times whose offset is that of the city's zone


def add_formats(draft: Draft, guesses: Sequence[TimeGuess]) -> None:
    """Adds `time_format`; asks if day and month cannot be told apart."""
    formats = list(dict.fromkeys(each for guess in guesses for each in guess.formats))
    if not formats:
        return
    draft.city["time_format"] = formats[0] if len(formats) == 1 else formats
    alternatives = [guess for guess in guesses if guess.alternative]
    if len(alternatives) == len(guesses):
        options = (formats[0], alternatives[0].alternative)
        if alternatives[0].is_clear:
            draft.questions["time_format"] = f"{options[1]} reads them, too, but then the rows lie on many more days"
        else:
            del draft.city["time_format"]
            draft.choices["time_format"] = [(each, "no value tells day and month apart") for each in options]


def add_times(
    draft: Draft, taken: Sequence[Sample], guesses: Sequence[TimeGuess], box: Box | None, answers: Answers
) -> None:
    """Adds `times` and `time_zone`; asks whose hours they are if the source names moments."""
    typed = next((guess.zone for guess in guesses if guess.zone not in times.UTC_NAMES), None)
    middle = ((box.west + box.east) / 2, (box.south + box.north) / 2) if box else None
    nearest = time_guesses.nearest_zone(*middle) if middle else None
    zone = answers.time_zone or typed or nearest
    if zone:
        draft.city["time_zone"] = zone
        if zone == nearest and not answers.time_zone:
            draft.questions["time_zone"] = "the zone whose city is nearest to the middle of the box"
    if answers.times or not any(guess.names_instants for guess in guesses):
        draft.city["times"] = answers.times or "local"
        return
    if typed:
        draft.city["times"] = "utc"
        draft.notes["times"] = f"the type says that they are moments, shown in {typed}"
        return
    readings = _readings(draft, taken, zone, answers.folder)
    if all(guess.has_offsets for guess in guesses) and _agree(readings):
        draft.city["times"] = "offset"
        draft.notes["times"] = f"the offsets are those of {zone}"
        return
    draft.choices["times"] = [
        ("local", "the hours are the city's own, whatever their label says" + _quiet(readings.get("local"))),
        ("utc", "the hours must be converted" + _quiet(readings.get("utc"))),
    ]
    if not zone:
        draft.choices["time_zone"] = [("UTC", ""), ("America/Chicago", "the IANA name of the city's zone")]


def _readings(
    draft: Draft, taken: Sequence[Sample], zone: str | None, folder: Path
) -> dict[str, npt.NDArray[np.float64]]:
    """The moments, s since 1970 by the city's clocks, if the hours are local, and if they are UTC."""
    held: dict[str, dict[str, Any]] = {"local": {"times": "local"}}
    if zone:
        held["utc"] = {"times": "utc", "time_zone": zone}
    return {
        name: read_samples(taken, profile_of(draft.usable(**WIDE, **each), folder))
        .examples.column(PICKUP_EPOCH)
        .to_numpy()
        for name, each in held.items()
    }


def _agree(readings: dict[str, npt.NDArray[np.float64]]) -> bool:
    """Whether the hours that are written are those of the zone's clocks, and not of UTC by chance."""
    if len(readings) < 2 or len(readings["local"]) != len(readings["utc"]):
        return False
    return bool(np.mean(readings["local"] == readings["utc"]) >= AGREEING)


def _quiet(moments: npt.NDArray[np.float64] | None) -> str:
    if moments is None:
        return ""
    hours = time_guesses.quiet_hours(moments.astype(np.float64))
    return f"; then the quiet hours are {hours}" if hours else "; too few rows to tell when the city sleeps"


def add_weekdays(draft: Draft, taken: Sequence[Sample]) -> None:
    """Adds `weekdays`; asks if neither the values nor the nights of the weekend tell the coding."""
    names = draft.names_of(PICKUP_WEEKDAY)
    pairs = [
        (each.columns[name], each.columns[hour], each)
        for each in taken
        for name in names
        for hour in draft.names_of(PICKUP_HOUR)
        if name in each.columns and hour in each.columns
    ]
    if not pairs:
        return
    dialect = pairs[0][2].dialect
    days = pa.concat_arrays([cells.text(day) for day, _, _ in pairs])
    hours = np.concatenate([cells.numbers(hour, dialect)[0] for _, hour, _ in pairs])
    fitting = times.fitting_codings(days, dialect)
    kinds = {coding: times.weekdays(days, coding, dialect) for coding in fitting}  # type: ignore[arg-type] # of Weekdays
    shares = {coding: _share_of_early(kind >= SATURDAY, hours) for coding, kind in kinds.items()}
    ranked = sorted(fitting, key=lambda coding: -shares[coding])
    if not ranked:
        draft.choices["weekdays"] = [("names", "the values fit no coding: " + ", ".join(days.unique().to_pylist()[:8]))]
        return
    best, note = ranked[0], "by it, {:.0%} of the rides on Saturdays and Sundays start before five"
    if len(ranked) == 1:
        draft.city["weekdays"] = best
    elif all(_is_busier(kinds[best], kinds[each], hours) for each in ranked[1:]):
        draft.city["weekdays"] = best
        others = ", ".join(f"{each}: {shares[each]:.0%}" for each in ranked[1:])
        draft.questions["weekdays"] = f"{note.format(shares[best])} ({others})"
    else:
        draft.choices["weekdays"] = [(each, note.format(shares[each])) for each in ranked]


def _share_of_early(is_day: npt.NDArray[np.bool_], hours: npt.NDArray[np.float64]) -> float:
    return float(np.mean(hours[is_day] < EARLY)) if is_day.any() else 0.0


def _is_busier(best: npt.NDArray[np.float64], other: npt.NDArray[np.float64], hours: npt.NDArray[np.float64]) -> bool:
    """Whether the nights that are at weekends by the best coding only are busier than those that are by the other only.

    Beyond chance: by four standard errors of the difference of two shares.
    """
    sets = [(best >= SATURDAY) & (other < SATURDAY), (other >= SATURDAY) & (best < SATURDAY)]
    if not all(each.any() for each in sets):
        return False
    shares = [_share_of_early(each, hours) for each in sets]
    error = np.sqrt(sum(share * (1 - share) / np.count_nonzero(each) for share, each in zip(shares, sets, strict=True)))
    return bool(shares[0] > CLEAR * shares[1] and shares[0] - shares[1] > CLEAR_ERRORS * error)
