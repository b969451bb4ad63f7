"""The instants at which a crontab line fires in a time zone, days of clock changes included."""

from __future__ import annotations

import bisect
import datetime
import functools
import zoneinfo

from apscheduler.triggers.base import BaseTrigger

from farebox.components.errors import InputError
from farebox.pipeline.schedule.crontab import Crontab

UTC = datetime.timezone.utc
MAX_DAYS = 41 * 366  # a 29 February on a given weekday comes after 40 years at most


class CrontabTrigger(BaseTrigger):
    """APScheduler's trigger for a crontab line. Its own CronTrigger counts weekdays from Monday, has no `day_or`, and
    repeats a firing in the hour in which clocks go back, or returns a past one (3.11.3). Here all is in UTC."""

    def __init__(self, crontab: Crontab, zone: datetime.tzinfo) -> None:
        self.crontab, self.zone = crontab, zone

    def get_next_fire_time(
        self, previous_fire_time: datetime.datetime | None, now: datetime.datetime
    ) -> datetime.datetime | None:
        """The first instant (UTC) after the previous one, or from now on, as APScheduler requires."""
        start = now if previous_fire_time is None else previous_fire_time + datetime.timedelta(microseconds=1)
        return next_firing(self.crontab, self.zone, start)

    def __str__(self) -> str:
        return self.crontab.text


def next_firing(crontab: Crontab, zone: datetime.tzinfo, start: datetime.datetime) -> datetime.datetime | None:
    """The first instant (UTC) not before `start`; None if there is none within 40 years."""
    start = start.astimezone(UTC)
    day = start.astimezone(zone).date() - datetime.timedelta(days=1)  # whose last firing a gap may have put off
    for _ in range(MAX_DAYS):
        next_day = day + datetime.timedelta(days=1)
        instants = [
            *_not_before(start, firings(crontab, zone, day))[:1],
            *_not_before(start, firings(crontab, zone, next_day))[:1],
        ]
        if instants:
            return min(instants)
        day = next_day
    return None


def _not_before(start: datetime.datetime, instants: tuple[datetime.datetime, ...]) -> tuple[datetime.datetime, ...]:
    return instants[bisect.bisect_left(instants, start) :]


@functools.lru_cache(maxsize=8)
def firings(crontab: Crontab, zone: datetime.tzinfo, day: datetime.date) -> tuple[datetime.datetime, ...]:
    """The instants (UTC, sorted) of a day of the zone's calendar.

    As in cron(8), a named time that a clock change skips is not lost: it fires as long after the change as it would
    have without it. A time that comes twice fires once, the first time. A wildcard job follows the new time at once.
    """
    if not crontab.has_day(day):
        return ()
    instants = set()
    for hour in crontab.hours:
        for minute in crontab.minutes:
            wall_time = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            instant = wall_time.astimezone(UTC)
            if not crontab.is_wildcard:
                instants.add(instant)
            elif instant.astimezone(zone).replace(tzinfo=None) == wall_time.replace(tzinfo=None):
                instants |= {instant, wall_time.replace(fold=1).astimezone(UTC)}
    return tuple(sorted(instants))


def time_zone(name: str | None) -> datetime.tzinfo:
    """The zone with a name such as Europe/London; this machine's if the name is None. Raises InputError."""
    if name is None:
        import tzlocal

        return tzlocal.get_localzone()
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"timezone={name} must be a time zone's name, such as Europe/London") from error


def format_instant(instant: datetime.datetime, zone: datetime.tzinfo) -> str:
    """`2026-11-26 03:00 GMT (03:00 UTC)`, with the day if it differs in UTC."""
    local, utc = instant.astimezone(zone), instant.astimezone(UTC)
    day = "" if local.date() == utc.date() else "%Y-%m-%d "
    return f"{local:%Y-%m-%d %H:%M %Z} ({utc.strftime(day + '%H:%M')} UTC)"
