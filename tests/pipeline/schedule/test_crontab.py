"""A crontab line's moments against cron(5)'s own examples, a walk minute by minute, and systemd's calendar."""

from __future__ import annotations

import datetime
import itertools
import os
import re
import shutil
import subprocess
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.pipeline.schedule.crontab import parse
from farebox.pipeline.schedule.files import calendar_events, kubernetes_schedule
from farebox.pipeline.schedule.firing import UTC, CrontabTrigger, format_instant, next_firing, time_zone

LONDON = ZoneInfo("Europe/London")
MINUTE = datetime.timedelta(minutes=1)


def moments(text: str, start: str, count: int, zone: datetime.tzinfo = UTC) -> list[str]:
    """The first firings from a wall-clock time on, in UTC: `01-31 Sat 04:30`."""
    trigger, firings = CrontabTrigger(parse(text), zone), []
    now = datetime.datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    previous = None
    for _ in range(count):
        previous = trigger.get_next_fire_time(previous, now)
        firings.append(f"{previous:%m-%d %a %H:%M}")
        now = previous
    return firings


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # 2026-01-01 is a Thursday
        ("5 0 * * *", ["01-01 Thu 00:05", "01-02 Fri 00:05"]),  # "run five minutes after midnight, every day"
        ("15 14 1 * *", ["01-01 Thu 14:15", "02-01 Sun 14:15"]),  # "at 2:15pm on the first of every month"
        ("0 22 * * 1-5", ["01-01 Thu 22:00", "01-02 Fri 22:00", "01-05 Mon 22:00"]),  # "at 10 pm on weekdays"
        ("23 0-23/2 * * *", ["01-01 Thu 00:23", "01-01 Thu 02:23"]),  # "23 minutes after midnight, 2am, 4am ..."
        ("5 4 * * sun", ["01-04 Sun 04:05", "01-11 Sun 04:05"]),  # "at 5 after 4 every sunday"
        # "at 4:30 am on the 1st and 15th of each month, plus every Friday"
        ("30 4 1,15 * 5", ["01-01 Thu 04:30", "01-02 Fri 04:30", "01-09 Fri 04:30", "01-15 Thu 04:30"]),
        ("0 4 8-14 * *", ["01-08 Thu 04:00", "01-09 Fri 04:00"]),
        ("@weekly", ["01-04 Sun 00:00", "01-11 Sun 00:00"]),
        ("@monthly", ["01-01 Thu 00:00", "02-01 Sun 00:00"]),
        # Sunday is 0 and 7; APScheduler's own from_crontab fires on Monday for 0
        ("0 3 * * 0", ["01-04 Sun 03:00", "01-11 Sun 03:00"]),
        ("0 3 * * 7", ["01-04 Sun 03:00", "01-11 Sun 03:00"]),
        ("0 3 * * 5-7", ["01-02 Fri 03:00", "01-03 Sat 03:00", "01-04 Sun 03:00", "01-09 Fri 03:00"]),
        ("0 3 * JAN,Jul MON-wed", ["01-05 Mon 03:00", "01-06 Tue 03:00", "01-07 Wed 03:00", "01-12 Mon 03:00"]),
        # a field that begins with * restricts the other one's days, 1-31 does not
        ("0 3 */10 * 6", ["01-31 Sat 03:00", "02-21 Sat 03:00"]),
        ("0 3 1-31 * 6", ["01-01 Thu 03:00", "01-02 Fri 03:00"]),
        ("0 0 29 2 *", ["02-29 Tue 00:00", "02-29 Sun 00:00"]),  # 2028, 2032
        ("*/25 1-2 * * *", ["01-01 Thu 01:00", "01-01 Thu 01:25", "01-01 Thu 01:50", "01-01 Thu 02:00"]),
    ],
)
def test_as_the_manual_says(text, expected):
    assert moments(text, "2026-01-01", len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [  # clocks go from 01:00 to 02:00 on 29 March, and from 02:00 to 01:00 on 25 October (UTC is winter time)
        ("30 1 * * *", "2026-03-28", ["03-28 Sat 01:30", "03-29 Sun 01:30", "03-30 Mon 00:30"]),
        ("0 3 * * *", "2026-03-28", ["03-28 Sat 03:00", "03-29 Sun 02:00", "03-30 Mon 02:00"]),
        ("*/30 * * * *", "2026-03-29T00:30", ["03-29 Sun 00:30", "03-29 Sun 01:00", "03-29 Sun 01:30"]),
        ("30 */1 * * *", "2026-03-29T00:30", ["03-29 Sun 00:30", "03-29 Sun 01:30", "03-29 Sun 02:30"]),
        ("*/30 1 * * *", "2026-03-28", ["03-28 Sat 01:00", "03-28 Sat 01:30", "03-30 Mon 00:00"]),
        ("30 1 * * *", "2026-10-24", ["10-24 Sat 00:30", "10-25 Sun 00:30", "10-26 Mon 01:30"]),
        ("0 3 * * *", "2026-10-24", ["10-24 Sat 02:00", "10-25 Sun 03:00", "10-26 Mon 03:00"]),
        ("30 * * * *", "2026-10-25T00:30", [f"10-{day} {hour}:30" for day, hour in (
            ("24 Sat", "23"), ("25 Sun", "00"), ("25 Sun", "01"), ("25 Sun", "02"))]),
    ],
)  # fmt: skip
def test_days_of_clock_changes(text, start, expected):
    """A daily time comes once on each day; hours and minutes by `*` follow the time that passes."""
    assert moments(text, start, len(expected), LONDON) == expected


def test_clocks_that_go_back_over_midnight():
    """St. John's, at 00:01 to 23:01 (UTC-2:30 to UTC-3:30): half past eleven comes again after midnight has begun."""
    zone = ZoneInfo("America/St_Johns")
    assert moments("30 * * * *", "2010-11-07T00:00:30", 2, zone) == ["11-07 Sun 03:00", "11-07 Sun 04:00"]


def test_every_named_time_comes_once_a_day_for_ten_years():
    """In a zone whose clocks change at midnight, too."""
    for zone in (LONDON, ZoneInfo("America/Santiago"), ZoneInfo("Australia/Lord_Howe")):
        start = datetime.datetime(2020, 1, 1, 12, tzinfo=zone)
        for text in ("15 0 * * *", "45 23 * * *", "45 1 * * *"):
            firings, crontab, now = [], parse(text), start
            for _ in range(3650):
                now = next_firing(crontab, zone, now)
                firings.append(now)
                now += MINUTE
            gaps = {(after - before) / datetime.timedelta(hours=1) for before, after in itertools.pairwise(firings)}
            assert gaps <= {23, 23.5, 24, 24.5, 25}, (zone, text)


NUMBERS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


@st.composite
def field(draw, low: int, high: int) -> str:
    def part() -> str:
        kind = draw(st.sampled_from(["number", "range", "stepped range", "stepped *"]))
        first = draw(st.integers(low, high))
        last, step = draw(st.integers(first, high)), draw(st.integers(1, high))
        return {
            "number": f"{first}", "range": f"{first}-{last}", "stepped range": f"{first}-{last}/{step}",
            "stepped *": f"*/{step}",
        }[kind]  # fmt: skip

    return draw(st.one_of(st.just("*"), st.just(",".join(part() for _ in range(draw(st.integers(1, 3)))))))


crontabs = st.tuples(*(field(*bounds) for bounds in NUMBERS.values())).map(" ".join)


def matches(text: str, moment: datetime.datetime) -> bool:
    """cron(5) read anew: a moment's five numbers, each looked for in its field."""

    def has(part: str, value: int, low: int, high: int) -> bool:
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        return int(first) <= value <= int(last or first) and (value - int(first)) % int(step or 1) == 0

    def holds(name: str, text: str, *values: int) -> bool:
        return any(has(part, value, *NUMBERS[name]) for part in text.split(",") for value in values)

    minute, hour, day, month, weekday = text.split()
    if not (holds("month", month, moment.month) and holds("hour", hour, moment.hour)):
        return False
    days = holds("day", day, moment.day)
    weekdays = holds("weekday", weekday, *([0, 7] if moment.isoweekday() == 7 else [moment.isoweekday()]))
    starred = day[0] == "*" or weekday[0] == "*"
    return holds("minute", minute, moment.minute) and ((days and weekdays) if starred else (days or weekdays))


@settings(max_examples=60, deadline=None)
@given(text=crontabs, offset=st.integers(0, 366 * 24 * 60))
def test_no_moment_is_missed_or_invented(text, offset):
    """Two days, minute by minute."""
    start = datetime.datetime(2027, 12, 1, tzinfo=UTC) + offset * MINUTE
    expected = [moment for moment in (start + step * MINUTE for step in range(2880)) if matches(text, moment)]
    try:
        crontab = parse(text)
    except InputError as error:
        assert "must exist in month" in str(error) and not expected  # 30 and 31 February
        return
    firings, now = [], start
    while (now := next_firing(crontab, UTC, now)) and now < start + 2880 * MINUTE:
        firings.append(now)
        now += MINUTE
    assert firings == expected


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: systemd)")
@settings(max_examples=60, deadline=None)
@given(text=crontabs)
def test_systemd_fires_at_the_same_moments(text):
    """OnCalendar's events, evaluated by systemd itself."""
    start = datetime.datetime(2027, 12, 1, tzinfo=UTC)
    try:
        crontab = parse(text)
    except InputError:
        return
    expected, now = [], start
    for _ in range(12):
        now = next_firing(crontab, UTC, now)
        if now is None or now.year > 2040:
            return
        expected.append(now)
        now += MINUTE
    systemd_firings = {moment for event in calendar_events(crontab, "UTC") for moment in systemd(event, 12)}
    assert sorted(systemd_firings)[:12] == expected


def systemd(event: str, count: int) -> list[datetime.datetime]:
    """The event's first firings from 1 December 2027 on, by systemd."""
    calendar = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2027-11-30 23:59:59 UTC", f"--iterations={count}", event],
        capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    times = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\S+ \S+) UTC", calendar)
    return [datetime.datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 3 * * *", "0,15,30,45 3 * * *"),
        ("0 3 1,15 * 1-5", "0 3 1,15 * 1-5"),
        ("0 3 1-31 * 1", "0 3 * * *"),
        ("0 3 * jan-mar 5-7", "0 3 * 1-3 0,5-6"),
        ("@daily", "0 0 * * *"),
    ],
)
def test_kubernetes_reads_the_same_days(text, expected):
    """Its 7 is no Sunday."""
    assert kubernetes_schedule(parse(text)) == expected


def test_kubernetes_refuses_days_that_it_would_take_otherwise():
    with pytest.raises(InputError, match=r"^cron=0 3 \*/2 \* 1: day-of-month and day-of-week must not both be"):
        kubernetes_schedule(parse("0 3 */2 * 1"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0 3 * *", "must have the five fields minute hour day-of-month month day-of-week, got 4"),
        ("0 0 3 * * *", "must have the five fields minute hour day-of-month month day-of-week, got 6"),
        ("@reboot", "must have the five fields minute hour day-of-month month day-of-week, got 1"),
        ("60 3 * * *", "minute=60 must be between 0 and 59"),
        ("0 24 * * *", "hour=24 must be between 0 and 23"),
        ("0 3 0 * *", "day-of-month=0 must be between 1 and 31"),
        ("0 3 * 13 *", "month=13 must be between 1 and 12"),
        ("0 3 * * 8", "day-of-week=8 must be between 0 and 7"),
        ("0 3 * * monday", "day-of-week=monday must be a number or a name of three letters"),
        ("0 3am * * *", "hour=3am must be a number"),
        ("-5 3 * * *", "minute= must be a number"),
        ("0 3 * * sat-sun", "day-of-week=sat-sun must rise from sat to sun"),
        ("*/0 3 * * *", "minute=*/0 must have a step of at least 1 after /"),
        ("5/10 3 * * *", "minute=5/10 must name a range before /, such as 5-59/10"),
        ("0,, 3 * * *", "minute= must be a number"),
        ("0 3 L * *", "day-of-month=L must be a number"),
        ("0 3 31 2,4 *", "day-of-month=31 must exist in month=2,4"),
    ],
)
def test_refuses(text, line):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert str(caught.value) in (f"cron={text}: {line}", f"cron={text} {line}")


@pytest.mark.parametrize("name", ["Europe/Londres", "Europe", "../etc/passwd", "/etc/localtime", ""])
def test_refuses_a_zone(name):
    with pytest.raises(InputError, match=rf"^timezone={re.escape(name)} must be a time zone's name, such as Europe/"):
        time_zone(name)


def test_shown_in_both_clocks():
    instant = datetime.datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert format_instant(instant, UTC) == "2026-07-01 23:30 UTC (23:30 UTC)"
    assert format_instant(instant, LONDON) == "2026-07-02 00:30 BST (2026-07-01 23:30 UTC)"
