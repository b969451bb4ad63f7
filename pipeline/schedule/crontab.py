"""Parses a line of a crontab as cron(5) says: five fields of text into sets of numbers."""

from __future__ import annotations

import dataclasses
import datetime
import re

from farebox.components.errors import InputError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One of the five fields: its name, the least and the greatest number, and names for numbers."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def parse_number(self, text: str) -> int:
        """The number that `7` or `sun` means. Raises ValueError."""
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        if not re.fullmatch(r"[0-9]{1,3}", text):
            raise ValueError(f"{self.name}={text} must be a number{' or a name of three letters' * bool(self.names)}")
        if not self.low <= int(text) <= self.high:
            raise ValueError(f"{self.name}={text} must be between {self.low} and {self.high}")
        return int(text)

    def parse(self, text: str) -> frozenset[int]:
        """The numbers that a field means: `*`, `*/15`, `1-5`, `1-5/2`, `1,15` and lists of them. Raises ValueError."""
        result: set[int] = set()
        for part in text.split(","):
            interval, slash, step = part.partition("/")
            if slash and (not re.fullmatch(r"[0-9]{1,3}", step) or int(step) < 1):
                raise ValueError(f"{self.name}={part} must have a step of at least 1 after /")
            first, dash, last = interval.partition("-")
            if interval == "*":
                low, high = self.low, self.high
            elif dash:
                low, high = self.parse_number(first), self.parse_number(last)
            elif slash:
                raise ValueError(
                    f"{self.name}={part} must name a range before /, such as {interval}-{self.high}/{step}"
                )
            else:
                low = high = self.parse_number(interval)
            if low > high:
                raise ValueError(f"{self.name}={part} must rise from {first} to {last}")
            result.update(range(low, high + 1, int(step or 1)))
        return frozenset(result)


MINUTE, HOUR = Field("minute", 0, 59), Field("hour", 0, 23)
DAY, MONTH = Field("day-of-month", 1, 31), Field("month", 1, 12, MONTHS)
WEEKDAY = Field("day-of-week", 0, 7, WEEKDAYS)  # 0 and 7 are Sunday
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
EVERY_DAY, EVERY_WEEKDAY = frozenset(range(1, 32)), frozenset(range(7))


@dataclasses.dataclass(frozen=True)
class Crontab:
    """The moments of a crontab line; weekdays from 0, Sunday.

    day_or: a day is one of `days` or of `weekdays`, else it must be in both (the name is croniter's). is_wildcard: `*`
    in minute or hour, a wildcard job of cron(8): it fires by elapsed time, even when clocks go back; otherwise by the
    clock, once per named time.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    day_or: bool
    is_wildcard: bool

    def has_day(self, day: datetime.date) -> bool:
        """Whether the line fires on that day."""
        in_days, in_weekdays = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_days or in_weekdays if self.day_or else in_days and in_weekdays)


def parse(text: str) -> Crontab:
    """The moments of `minute hour day-of-month month day-of-week`, or of @daily and the like. Raises InputError.

    As in cron, a day must be in either field if neither begins with `*`, and in both fields if one does.
    """
    parts = ALIASES.get(text.strip().lower(), text).split()
    if len(parts) != len(FIELDS):
        names = " ".join(field.name for field in FIELDS)
        raise InputError(f"cron={text} must have the five fields {names}, got {len(parts)}")
    try:
        minutes, hours, days, months, weekdays = (field.parse(part) for field, part in zip(FIELDS, parts, strict=True))
    except ValueError as error:
        raise InputError(f"cron={text}: {error}") from error
    weekdays = frozenset(number % 7 for number in weekdays)
    day_or = not (parts[2].startswith("*") or parts[4].startswith("*"))
    if day_or and (days == EVERY_DAY or weekdays == EVERY_WEEKDAY):  # 1-31 or 0-6: any day is one of them
        days, weekdays, day_or = EVERY_DAY, EVERY_WEEKDAY, False
    if not day_or and all(min(days) > LONGEST_MONTH[month - 1] for month in months):
        raise InputError(f"cron={text}: day-of-month={parts[2]} must exist in month={parts[3]}")
    is_wildcard = "*" in parts[0] or "*" in parts[1]
    return Crontab(" ".join(parts), minutes, hours, days, months, weekdays, day_or, is_wildcard)


def ranges(numbers: frozenset[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers: the first and the last of each."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
