"""Moments in UTC as local times of a zone, whole columns at a time, with the rules of the IANA database.

Python's zoneinfo has the rules (PEP 615); where the machine has no database, the package tzdata does.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import re
import zoneinfo

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values.clock import DAY_S

FIRST, END = datetime.date(1970, 1, 1), datetime.date(2100, 1, 1)
# Names that the IANA database keeps for zones without daylight saving time; most people mean a city that has it.
WITHOUT_SUMMER = {
    "EST": "America/New_York, or America/Panama for a city without it",
    "MST": "America/Denver, or America/Phoenix for a city without it",
    "HST": "Pacific/Honolulu, which has none either",
}
_FIXED = re.compile(r"([+-])(\d\d):?(\d\d)")


def check_zone(name: str, key: str) -> None:
    """Raises InputError, which names the key and zones of a similar name, if there is no such zone, or if the name is
    a city's in winter only."""
    if cities := WITHOUT_SUMMER.get(name):
        raise InputError(f"{key}={name} must be a city's time zone: {name} has no daylight saving time, write {cities}")
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder, such as America
        names = sorted(zoneinfo.available_timezones() - set(WITHOUT_SUMMER))
        similar = difflib.get_close_matches(name.replace(" ", "_"), names, 3, 0.5)
        hint = f", perhaps {' or '.join(similar)}" if similar else ""
        raise InputError(f"{key}={name} must be an IANA time zone such as America/Chicago{hint}") from error


def local_seconds(moments: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """Seconds since 1970 of the zone's clocks, shape (n,), from seconds since 1970 in UTC.

    zone: an IANA name, or an offset such as `+05:30`, as Arrow's types have them.
    """
    if fixed := _FIXED.fullmatch(zone):
        sign = -1 if fixed[1] == "-" else 1
        return moments + sign * (int(fixed[2]) * 3600 + int(fixed[3]) * 60)
    starts, offsets = _offsets(zone)
    local: npt.NDArray[np.int64] = moments + offsets[np.searchsorted(starts, moments, side="right") - 1]
    return local


@functools.cache
def _offsets(zone: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The moments (s) from which an offset (s east of UTC) holds, and the offsets; the first one holds before, too."""
    rules = zoneinfo.ZoneInfo(zone)

    def offset(moment: int) -> int:
        at = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).astimezone(rules)
        return int(at.utcoffset().total_seconds())  # type: ignore[union-attr] # an aware time has one

    starts, offsets = [np.iinfo(np.int64).min], [offset(0)]
    for day in range(1, (END - FIRST).days):
        now = offset(day * DAY_S)
        if now != offsets[-1]:
            low, high = (day - 1) * DAY_S, day * DAY_S
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(now)
    return np.array(starts), np.array(offsets)
