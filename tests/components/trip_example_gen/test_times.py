"""Times of a source as the city's local time: zones, offsets, formats, fractions and epochs, DST nights included."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values import times
from farebox.components.trip_example_gen.values.dialect import PLAIN
from farebox.components.trip_example_gen.values.time_zones import check_zone, local_seconds
from farebox.components.trip_example_gen.values.times import TimeSource, check_format, check_formats, check_source

ZONES = ("America/New_York", "Europe/London", "Africa/Casablanca", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
MOMENTS = st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2099, 12, 30))


def local(cells: list, formats: str | tuple[str, ...], holds: str | None = "local", zone: str | None = None) -> list:
    """Local times as text, None for a cell that has none."""
    source = TimeSource((formats,) if isinstance(formats, str) else formats, holds, zone)
    column = cells if isinstance(cells, pa.Array) else pa.array(cells)
    seconds = times.seconds(column, source, PLAIN)
    return [None if np.isnan(each) else str(np.datetime64(int(each), "s")) for each in seconds]


def test_an_offset_names_a_moment_which_the_citys_clocks_show():
    """20 h in New York is the evening of Friday, whatever UTC says."""
    cells = ["2024-01-05 20:00:00-0500", "2024-01-06 01:00:00Z", "2024-01-06 02:00:00+01:00", "2024-01-05 20:00:00 -05"]
    for holds in ("offset", "utc"):
        assert local(cells, "%Y-%m-%d %H:%M:%S%z", holds, "America/New_York") == ["2024-01-05T20:00:00"] * 4


def test_the_clock_beside_an_offset_may_be_the_citys():
    cells = ["2024-01-05 20:00:00-0500", "2024-07-05 20:00:00-0400", "2024-01-05 20:00:00"]
    wanted = ["2024-01-05T20:00:00", "2024-07-05T20:00:00", None]
    assert local(cells, "%Y-%m-%d %H:%M:%S%z") == wanted


@pytest.mark.parametrize(
    ("cell", "time_format"),
    [
        ("2024-07-01 00:30:00", "%Y-%m-%d %H:%M:%S"),
        ("2024-07-01T00:30:00Z", "%Y-%m-%dT%H:%M:%SZ"),
        ("2024-07-01 00:30:00 UTC", "%Y-%m-%d %H:%M:%S UTC"),
        ("2024-07-01 00:30:00.123456 UTC", "%Y-%m-%d %H:%M:%S.%f UTC"),
        ("1719793800", "epoch"),
        ("1719793800123", "epoch_ms"),
        ("1719793800123456", "epoch_us"),
        ("1719793800123456789", "epoch_ns"),
        ("45474.0208333333", "excel"),
        (1719793800, "epoch"),
    ],
)
def test_times_in_utc_become_local(cell, time_format):
    """Chicago's clocks are five hours behind in summer: it is still June there."""
    assert local([cell], time_format, "utc", "America/Chicago") == ["2024-06-30T19:30:00"]
    assert local([cell], time_format, "local") == ["2024-07-01T00:30:00"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times(unit):
    moments = pa.array([datetime.datetime(2024, 7, 1, 0, 30)]).cast(pa.timestamp(unit))
    utc, zoned, fixed = (
        moments.cast(pa.int64()).cast(pa.timestamp(unit, tz)) for tz in ("UTC", "America/Denver", "+02:00")
    )
    assert local(moments, "epoch", None) == local(utc, "epoch", "local") == ["2024-07-01T00:30:00"]
    assert local(utc, "epoch", "utc", "America/Chicago") == ["2024-06-30T19:30:00"]
    assert local(zoned, "epoch", "offset", "America/Chicago") == ["2024-06-30T19:30:00"]
    assert local(zoned, "epoch", "local") == ["2024-06-30T18:30:00"], "Denver's clocks"
    assert local(fixed, "epoch", "local") == ["2024-07-01T02:30:00"]


@given(moment=MOMENTS, zone=st.sampled_from(ZONES))
def test_every_moment_as_zoneinfo_has_it(moment, zone):
    aware = moment.replace(microsecond=0, tzinfo=datetime.timezone.utc)
    expected = np.datetime64(aware.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None), "s")
    assert local_seconds(np.array([int(aware.timestamp())]), zone)[0] == expected.astype(np.int64)


@pytest.mark.parametrize("zone", ZONES)
def test_the_hours_around_every_change_of_the_clocks(zone):
    """All hours of 2024, both sides of each change to the second."""
    rules = zoneinfo.ZoneInfo(zone)
    start = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    hours = start + 1800 * np.arange(2 * 24 * 366)
    moments = np.sort(np.concatenate([hours, hours - 1]))
    expected = [
        np.datetime64(datetime.datetime.fromtimestamp(each, rules).replace(tzinfo=None), "s").astype(int)
        for each in moments.tolist()
    ]
    assert local_seconds(moments, zone).tolist() == expected


@given(
    moment=MOMENTS,
    time_format=st.sampled_from(
        [
            "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %I:%M:%S %p", "%m/%d/%y %H:%M", "%d %b %Y %H:%M", "%b %d, %Y %I:%M %p",
            "%Y%m%d%H%M%S", "%A, %d %B %Y %H:%M", "%Y-%jT%H:%M", "%F %T", "%D %R",
        ]
    ),
)  # fmt: skip
def test_formats_read_what_python_writes(moment, time_format):
    text = moment.strftime(time_format)
    has_century = "%y" not in time_format and "%D" not in time_format
    if has_century or 1990 <= moment.year < 2069:
        exact = (
            moment.replace(microsecond=0)
            if "%S" in time_format or "%T" in time_format
            else moment.replace(second=0, microsecond=0)
        )
        assert local([text], time_format) == [str(np.datetime64(exact, "s"))]


@pytest.mark.parametrize(
    "cell", ["2024-02-30 10:00:00", "2023-02-29 10:00:00", "2024-04-31 10:00:00", "2024-13-01 10:00:00"]
)
def test_days_that_do_not_exist_are_no_times(cell):
    assert local([cell, "2024-03-01 10:00:00"], "%Y-%m-%d %H:%M:%S") == [None, "2024-03-01T10:00:00"]


def test_several_formats_are_tried_in_order():
    cells = ["2024-01-05 20:00:00", "2024-01-05T20:00:00", "05.01.2024 20:00", "x", None]
    formats = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M")
    assert local(cells, formats) == ["2024-01-05T20:00:00"] * 3 + [None, None]


@pytest.mark.parametrize(
    ("time_format", "reason"),
    [
        ("", "it has no year"),
        ("%Y-%m-%d", "it has no hour"),
        ("%Y-%M-%d %H:%S", r"it has no month \(%m; %M is the minute\)"),
        ("%Y-%M-%d %H:%M:%S", r"it has the minute twice \(%M is the minute, %m the month\)"),
        ("%Y-%m-%d %H:%M:%S %p", "%p goes with %I"),
        ("%Y-%m-%d %I:%M:%S", "%I, the hour from 1 to 12, needs %p"),
        ("%Y-%m-%d %H:%M:%S %Z", "%Z is not known"),
        ("%z %Y-%m-%d %H:%M", "%z must be at its end"),
        ("yyyy-MM-dd HH:mm", "it has no year"),
        ("%H:%M", "it has no year"),
    ],
)
def test_formats_that_would_lose_something_are_refused(time_format, reason):
    with pytest.raises(InputError, match=f"^city.time_format=.* must be epoch, .*: {reason}"):
        check_format(time_format, "city.time_format")


@pytest.mark.parametrize(
    "formats",
    [
        ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("%Y-%m-%d %H:%M:%S", "%d.%m.%y %H:%M", "%m.%d.%y %H:%M"),
    ],
)
def test_formats_that_read_one_text_as_two_days_are_refused(formats):
    with pytest.raises(InputError, match="^city.time_format=.*%d.*%m.* must be one of the two: 01/02/2024 fits both"):
        check_formats(formats, "city.time_format")
    check_formats(formats[:-1], "city.time_format")


@pytest.mark.parametrize("time_format", ["epoch", "%Y-%m-%d %H:%M%z", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M UTC"])
def test_a_source_that_names_moments_must_say_what_its_hours_are(time_format):
    converted = "offset" if "%z" in time_format else "utc"
    line = f'c names moments .*"times: local" .* "times: {converted}" with "time_zone: America/'
    with pytest.raises(InputError, match=line):
        check_source(TimeSource((time_format,)), None, "c")
    check_source(TimeSource((time_format,), "local"), None, "c")
    check_source(TimeSource((time_format,), "utc", "UTC"), None, "c")


def test_typed_times_with_a_zone_must_say_it_too():
    with pytest.raises(InputError, match=r"names moments \(timestamp\[us, tz=UTC\]\)"):
        check_source(TimeSource(("epoch",)), pa.timestamp("us", "UTC"), "c")
    check_source(TimeSource(("epoch",)), pa.timestamp("us"), "c")
    with pytest.raises(InputError, match="times without an offset"):
        check_source(TimeSource(("epoch",), "offset", "UTC"), pa.timestamp("us"), "c")


def test_text_without_an_offset_cannot_hold_offsets():
    with pytest.raises(InputError, match="times without an offset"):
        check_source(TimeSource(("%Y-%m-%d %H:%M",), "offset", "UTC"), None, "c")


@pytest.mark.parametrize("zone", ["America/Chicgo", "America", "", "../etc/passwd", "central"])
def test_zones_that_do_not_exist_are_refused(zone):
    with pytest.raises(InputError, match=f"^k={zone} must be an IANA time zone"):
        check_zone(zone, "k")


@pytest.mark.parametrize(("zone", "city"), [("EST", "America/New_York"), ("MST", "America/Denver")])
def test_a_zone_without_summer_is_refused(zone, city):
    """`times: utc` with EST is New York's hour in winter, and one hour off in summer."""
    with pytest.raises(InputError, match=f"^city.time_zone={zone} must be a city's time zone: .* write {city}, or"):
        check_zone(zone, "city.time_zone")


def test_a_similar_zone_is_named():
    with pytest.raises(InputError, match="perhaps America/Chicago"):
        check_zone("America/Chicgo", "k")


def test_weekdays_that_fit_several_codings():
    assert times.fitting_codings(pa.array([1, 7, 3]), PLAIN) == ["monday_1", "sunday_1"]
    assert times.fitting_codings(pa.array(["Mon", "sunday", None]), PLAIN) == ["names"]
    assert times.fitting_codings(pa.array([0, 6]), PLAIN) == ["monday_0", "sunday_0"]
    assert times.fitting_codings(pa.array([0, 7]), PLAIN) == []
