"""Spans that are left out although they are complete: dates, numbers, names and times that cannot be right."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import span_pattern, span_rules, spans

NOW = datetime.datetime(2026, 11, 28, 23, 30, tzinfo=datetime.timezone.utc).timestamp()
DAYS = "{YYYY}-{MM}-{DD}"
NUMBERS = "span-{SPAN}"


def deliver(folder: Path, *names: str, age_s: float = 1000.0) -> None:
    """A folder with trips for each name."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "trips.csv").write_text("fare\n1\n")
        for path in (folder / name / "trips.csv", folder / name):
            os.utime(path, (NOW - age_s, NOW - age_s))


def window(folder: Path, pattern: str = NUMBERS, size: int = 3, zone: str | None = None) -> spans.Window:
    return spans.Window(str(folder), pattern, size, None, 60.0, time_zone=zone)


def left(folder: Path, pattern: str = NUMBERS, zone: str | None = None, **known) -> dict[str, str]:
    return {each.path: each.why for each in window(folder, pattern, zone=zone).survey(NOW, **known).left}


@pytest.mark.parametrize(
    ("numbers", "newest", "expected"),
    [
        ([1, 2, 3], None, {}),
        ([1, 4, 7], None, {}),  # holes as wide as the window
        ([1, 2, 3, 2062], None, {2062: 3}),
        ([2062], None, {}),  # there is nothing to hold it against
        ([1, 2062], None, {2062: 1}),
        ([1, 2062, 2063], None, {}),  # a second one follows
        ([1, 9, 17], None, {9: 1, 17: 1}),  # nothing follows either
        ([2062], 3, {2062: 3}),
        ([2062, 2065], 3, {}),
        ([2062, 2066], 3, {2062: 3, 2066: 3}),
        ([4, 2062], 3, {2062: 4}),
        ([1, 2, 6], 2062, {}),  # late
        ([10, 11, 2062], 3, {2062: 11}),  # believed, and then none
        ([7], 3, {7: 3}),
        ([6], 3, {}),
    ],
)
def test_one_number_far_beyond_the_others_is_a_jump(numbers, newest, expected):
    """By hand, with a window of three."""
    assert span_rules.jumps(numbers, 3, newest) == expected


def test_a_forgotten_span_supports_no_other():
    assert span_rules.jumps([1, 2, 2062, 2063], 3, None, alone=[2062]) == {2062: 2, 2063: 2}
    assert span_rules.jumps([1, 2, 3], 3, None, alone=[3]) == {}


@pytest.mark.parametrize("pattern", [NUMBERS, DAYS])
def test_a_wrong_number_is_left_out_with_its_name_until_another_follows(tmp_path, pattern):
    names = ["span-1", "span-2", "span-9"] if pattern == NUMBERS else ["2026-10-01", "2026-10-02", "2026-10-09"]
    deliver(tmp_path, *names)
    before = span_pattern.name_of_span(pattern, window(tmp_path, pattern).survey(NOW).spans[1].span)
    assert left(tmp_path, pattern) == {
        names[2]: f"it is 7 after span {before}, more than spans.window=3: it is taken once another span follows it "
        "within the window"
    }
    deliver(tmp_path, "span-10" if pattern == NUMBERS else "2026-10-11")
    assert left(tmp_path, pattern) == {}


@pytest.mark.parametrize(
    ("zone", "tomorrow"),
    [(None, "2026-11-29"), ("America/Chicago", "2026-11-29"), ("Asia/Tokyo", "2026-11-30")],
)
def test_a_date_after_tomorrow_is_left_out(tmp_path, zone, tomorrow):
    """At 23:30 UTC it is the 28th in Chicago and the 29th in Tokyo; many of them support each other in vain."""
    deliver(tmp_path, "2026-11-27", "2026-11-28", "2026-11-29", "2026-11-30", "2026-12-01", "2062-01-01", "2062-01-02")
    late = ["2026-12-01", "2062-01-01", "2062-01-02"]
    refused = late if tomorrow == "2026-11-30" else ["2026-11-30", *late]
    assert left(tmp_path, DAYS, zone) == dict.fromkeys(refused, f"it is dated after tomorrow, {tomorrow}")


def test_a_month_after_that_of_tomorrow_is_left_out(tmp_path):
    deliver(tmp_path, "2026-11", "2026-12")
    assert left(tmp_path, "{YYYY}-{MM}") == {"2026-12": "it is dated after tomorrow, 2026-11"}


def test_names_that_are_no_span_are_told(tmp_path):
    """A letter O, a day that does not exist, another folder; not what is hidden or no trips by its name."""
    deliver(tmp_path, "2026-11-20", "2026-11-2O", "2026-02-30", "old", ".tmp", "_delta_log")
    for name in ("README.md", "_SUCCESS", "trips.csv"):
        (tmp_path / name).touch()
    assert left(tmp_path, DAYS) == {
        "2026-02-30": "it has no such date",
        "2026-11-2O": f"its name is no span of {DAYS}",
        "old": f"its name is no span of {DAYS}",
        "trips.csv": f"its name is no span of {DAYS}",
    }


def test_a_folder_without_its_version_is_told(tmp_path):
    deliver(tmp_path, "span-1/v-1", "span-2")
    assert left(tmp_path, "span-{SPAN}/v-{VERSION}") == {
        "span-2/trips.csv": "its name is no span of span-{SPAN}/v-{VERSION}"
    }


def test_digits_of_other_scripts_are_no_digits(tmp_path):
    deliver(tmp_path, "span-١")
    assert left(tmp_path) == {"span-١": "its name is no span of span-{SPAN}"}


def test_two_names_of_one_span_are_both_left_out(tmp_path):
    deliver(tmp_path, "span-1", "span-01", "span-2")
    why = "span-01 and span-1 are the same span: none of them is taken before the others are removed"
    assert left(tmp_path) == {"span-01": why, "span-1": why}


@pytest.mark.parametrize(("ahead_s", "state"), [(50, "waits"), (3600, "left"), (10 * 365 * 86400, "left")])
def test_files_of_the_future_are_told_and_not_waited_for_in_silence(tmp_path, ahead_s, state):
    deliver(tmp_path, "span-1", age_s=-ahead_s)
    (one,) = window(tmp_path).survey(NOW).spans
    assert one.state == state
    if state == "left":
        written = datetime.datetime.fromtimestamp(NOW + ahead_s, datetime.timezone.utc)
        assert one.why == (
            f"its files are of {written:%Y-%m-%d %H:%M} UTC, in the future: set their times, or spans.marker"
        )


def test_many_strangers_are_counted(tmp_path):
    deliver(tmp_path, *(f"old-{number}" for number in range(7)))
    lines = spans.told(window(tmp_path).survey(NOW).left)
    assert [line.partition(":")[0] for line in lines] == [
        "old-0 is left out", "old-1 is left out", "old-2 is left out", "4 other names are left out",
    ]  # fmt: skip


def test_a_window_that_is_found_without_a_journal_follows_the_same_rules(tmp_path):
    """As on a cluster: a wrong number does not take over, and a folder of wrong names alone is bad input."""
    deliver(tmp_path, "2026-11-26", "2026-11-27", "2062-01-01")
    found, survey = window(tmp_path, DAYS).spans(None, None, NOW)
    assert [Path(each.path).name for each in found] == ["2026-11-26", "2026-11-27"]
    assert [each.path for each in survey.left] == ["2062-01-01"]
    deliver(tmp_path / "alone", "2062-01-01")
    with pytest.raises(InputError, match="0 of them complete; 2062-01-01 is left out: it is dated after tomorrow"):
        window(tmp_path / "alone", DAYS).spans(None, None, NOW)
