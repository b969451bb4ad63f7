"""Patterns of spans' paths: which span and version a path stands for, and how people call a span.

Patterns are TFX's: `span-{SPAN}`, `span-{SPAN:4}/v-{VERSION}`, `{YYYY}-{MM}-{DD}`, where a span is a day since 1970;
and ours: `{YYYY}-{MM}`, where a span is a month since January 1970.
"""

from __future__ import annotations

import datetime
import os
import re
import zoneinfo
from pathlib import Path

TOKEN = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
DATE = ("YYYY", "MM", "DD")
FIRST_DAY, FIRST_YEAR = datetime.date(1970, 1, 1), 1970
MONTHS = 12


def check_pattern(pattern: str) -> None:
    """Raises ValueError if a path does not tell the span by it."""
    names = [name for name, _ in TOKEN.findall(pattern)]
    by_number, by_date = names.count("SPAN"), [names.count(name) for name in DATE]
    if re.search(r"[{}*?\[\]]", TOKEN.sub("", pattern)):
        raise ValueError(f"spans.pattern={pattern} must have no wildcards and only TFX's braces, such as {{SPAN}}")
    if (by_number, by_date) not in ((1, [0, 0, 0]), (0, [1, 1, 1]), (0, [1, 1, 0])):
        raise ValueError(
            f"spans.pattern={pattern} must have either {{SPAN}} or {{YYYY}}, {{MM}} and, if a span is a day, {{DD}}, "
            "once each"
        )
    if names.count("VERSION") > 1:
        raise ValueError(f"spans.pattern={pattern} must have {{VERSION}} at most once")
    if os.path.isabs(pattern) or ".." in Path(pattern).parts:
        raise ValueError(f"spans.pattern={pattern} must be relative to the folder of the trips")


def wildcards(pattern: str) -> str:
    """A glob pattern of the paths in which a span is expected, also those whose names are no span."""
    return "/".join("*" if TOKEN.search(part) else part for part in pattern.split("/"))


def regular_expression(pattern: str) -> re.Pattern[str]:
    """Matches the paths of spans; the groups are named as the pattern's braces, for `span_and_version`."""
    widths = {"YYYY": r"\d{4}", "MM": r"\d{2}", "DD": r"\d{2}"}
    parts, end = [], 0
    for token in TOKEN.finditer(pattern):
        name, width = token.groups()
        digits = rf"\d{{{width}}}" if width else widths.get(name, r"\d+")
        parts.append(f"{re.escape(pattern[end : token.start()])}(?P<{name}>{digits})")
        end = token.end()
    return re.compile("".join(parts) + re.escape(pattern[end:]), re.ASCII)


def span_and_version(numbers: dict[str, str]) -> tuple[int, int] | None:
    """Span and version, 1 without one, from the texts by name; None if the date does not exist."""
    version = int(numbers.get("VERSION", 1))
    if "SPAN" in numbers:
        return int(numbers["SPAN"]), version
    try:
        day = datetime.date(*(int(numbers.get(name, 1)) for name in DATE))
    except ValueError:
        return None
    return (day - FIRST_DAY).days if "DD" in numbers else _month_of(day), version


def span_of_tomorrow(pattern: str, now: float, zone: str | None) -> int | None:
    """The span with the day after `now` (s since 1970) in a time zone, UTC without one; None if spans have no dates."""
    if "{YYYY}" not in pattern:
        return None
    here = zoneinfo.ZoneInfo(zone) if zone else datetime.timezone.utc
    tomorrow = datetime.datetime.fromtimestamp(now, here).date() + datetime.timedelta(days=1)
    return (tomorrow - FIRST_DAY).days if "{DD}" in pattern else _month_of(tomorrow)


def name_of_span(pattern: str, span: int) -> str:
    """The span for people: `12`, or the day or month if the pattern has dates."""
    if "{YYYY}" not in pattern:
        return str(span)
    if "{DD}" in pattern:
        return str(FIRST_DAY + datetime.timedelta(days=span))
    return f"{FIRST_YEAR + span // MONTHS}-{span % MONTHS + 1:02}"


def span_of_name(pattern: str, name: str) -> int:
    """The inverse of `name_of_span`. Raises ValueError."""
    if "{YYYY}" not in pattern:
        return int(name)
    if "{DD}" in pattern:
        return (datetime.date.fromisoformat(name) - FIRST_DAY).days
    return _month_of(datetime.date.fromisoformat(f"{name}-01"))


def _month_of(day: datetime.date) -> int:
    return (day.year - FIRST_YEAR) * MONTHS + day.month - 1
