"""Deliveries found in folders: patterns as TFX writes them, completeness, contents."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import spans
from farebox.components.trip_example_gen.span_pattern import check_pattern, name_of_span, span_of_name

NOW = 2_000_000_000.0


def deliver(folder: Path, trips: str = "fare\n1\n", marker: str | None = None, age_s: float = 1000.0) -> Path:
    """A folder with one file, written `age_s` seconds before NOW."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trips.csv").write_text(trips)
    if marker:
        (folder / marker).touch()
    for path in (*folder.iterdir(), folder):
        os.utime(path, (NOW - age_s, NOW - age_s))
    return folder


def find(base: Path, pattern: str = "span-{SPAN}", marker: str | None = None, quiet_s: float = 60.0):
    return survey(base, pattern, marker, quiet_s).spans


def survey(base: Path, pattern: str = "span-{SPAN}", marker: str | None = None, quiet_s: float = 60.0, **known):
    """The folder at NOW, 18 May 2033."""
    return spans.Window(str(base), pattern, 7, marker, quiet_s).survey(NOW, **known)


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("span-{SPAN}", ["span-3", "span-12", "span-x", "spam-4"], [(3, 1), (12, 1)]),
        ("span-{SPAN:3}", ["span-003", "span-12", "span-0123"], [(3, 1)]),
        ("span-{SPAN}/v-{VERSION}", ["span-3/v-2", "span-3/v-1", "span-4/v"], [(3, 1), (3, 2)]),
        ("{YYYY}-{MM}-{DD}", ["1970-01-02", "1970-02-30", "1971-01-01"], [(1, 1), (365, 1)]),
        ("{YYYY}/{MM}/{DD}", ["1970/01/03"], [(2, 1)]),
        ("{YYYY}-{MM}", ["1970-01", "1970-13", "2018-12", "2019-01"], [(0, 1), (587, 1), (588, 1)]),
        ("year={YYYY}/month={MM}", ["year=2019/month=01", "year=2019/day=02"], [(588, 1)]),
        ("a.b-{SPAN}", ["a.b-1", "aXb-2"], [(1, 1)]),
    ],
)
def test_spans_and_versions_of_a_pattern(tmp_path, pattern, names, expected):
    for name in names:
        deliver(tmp_path / name)
    assert [(each.span, each.version) for each in find(tmp_path, pattern)] == expected


@pytest.mark.slow
def test_tfx_finds_the_same_span_and_version(tmp_path):
    """The newest, by TFX's own reading of the same patterns."""
    from tfx.components.example_gen import utils
    from tfx.proto import example_gen_pb2

    for name in ("span-003/v-01", "span-010/v-02", "span-010/v-01"):
        deliver(tmp_path / "n" / name)
    for name in ("2024-02-29", "2023-12-31"):
        deliver(tmp_path / "d" / name)
    for base, pattern in (("n", "span-{SPAN:3}/v-{VERSION:2}"), ("d", "{YYYY}-{MM}-{DD}")):
        split = example_gen_pb2.Input.Split(name="all", pattern=f"{pattern}/*")
        _, span, version = utils.calculate_splits_fingerprint_span_and_version(str(tmp_path / base), [split])
        newest = find(tmp_path / base, pattern)[-1]
        assert (newest.span, newest.version) == (span, version or 1)


def test_files_may_be_spans(tmp_path):
    (tmp_path / "trips-7.csv").write_text("fare\n")
    (one,) = find(tmp_path, "trips-{SPAN}.csv", quiet_s=0)
    assert (one.span, one.files) == (7, (str(tmp_path / "trips-7.csv"),))


def test_the_folder_may_have_glob_characters(tmp_path):
    deliver(tmp_path / "[a]*" / "span-1")
    assert len(find(tmp_path / "[a]*")) == 1


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("trips", "either {SPAN} or {YYYY}"),
        ("{SPAN}-{SPAN}", "once each"),
        ("{YYYY}-{DD}", "either {SPAN} or {YYYY}"),
        ("{MM}", "either {SPAN} or {YYYY}"),
        ("{SPAN}-{YYYY}-{MM}-{DD}", "either {SPAN} or {YYYY}"),
        ("{SPAN}/{VERSION}/{VERSION}", "{VERSION} at most once"),
        ("span-{SPAN}*", "no wildcards"),
        ("{NUMBER}", "only TFX's braces"),
        ("../span-{SPAN}", "relative to the folder"),
        ("/span-{SPAN}", "relative to the folder"),
    ],
)
def test_invalid_patterns_are_refused(pattern, words):
    with pytest.raises(ValueError, match=f"^spans.pattern={pattern.translate(ESCAPED)} must .*{words}"):
        check_pattern(pattern)


ESCAPED = str.maketrans({character: f"\\{character}" for character in "{}*.-"})


@pytest.mark.parametrize(
    ("marker", "written", "age_s", "complete"),
    [
        ("_SUCCESS", "_SUCCESS", 0, True),  # a marker needs no quiet
        ("_SUCCESS", None, 1000, False),
        ("_SUCCESS", "done", 1000, False),
        (None, None, 61, True),
        (None, None, 59, False),
    ],
)
def test_complete_by_a_marker_or_by_a_quiet_time(tmp_path, marker, written, age_s, complete):
    deliver(tmp_path / "span-1", marker=written, age_s=age_s)
    assert [each.is_complete for each in find(tmp_path, marker=marker)] == [complete]


def test_a_recent_file_makes_the_span_incomplete(tmp_path):
    folder = deliver(tmp_path / "span-1")
    (folder / "more.csv").write_text("fare\n")
    os.utime(folder / "more.csv", (NOW - 1, NOW - 1))
    os.utime(folder, (NOW - 1000, NOW - 1000))
    assert [each.is_complete for each in find(tmp_path)] == [False]


def test_a_deliverys_digest_depends_only_on_its_content(tmp_path):
    """Names, times, the marker and files of other kinds do not matter."""
    one, other = deliver(tmp_path / "span-1"), deliver(tmp_path / "span-2", age_s=5000, marker="_SUCCESS")
    (other / "trips.csv").rename(other / "renamed.csv")
    (other / "notes.md").write_text("not trips")
    deliver(tmp_path / "span-3", trips="fare\n2\n")
    first, second, third = find(tmp_path)
    assert first.sha256() == second.sha256() != third.sha256()
    before = first.stamp
    assert before != second.stamp
    os.utime(one / "trips.csv", (NOW, NOW))
    assert find(tmp_path)[0].stamp != before


def test_an_unreadable_file_is_still_a_delivery(tmp_path):
    """A broken link, and a folder with a file's name: ingest will refuse them; other spans must not wait."""
    for span, make in ((1, lambda path: path.symlink_to("nowhere")), (2, lambda path: path.mkdir())):
        (tmp_path / f"span-{span}").mkdir()
        make(tmp_path / f"span-{span}" / "trips.csv")
    deliver(tmp_path / "span-3")
    seen = find(tmp_path, quiet_s=0)
    assert [(each.span, each.is_complete) for each in seen] == [(1, True), (2, True), (3, True)]
    assert len({each.sha256() for each in seen}) == 3 and all(each.stamp for each in seen)


def test_a_span_has_a_number_or_a_day_as_name():
    day = (datetime.date(2024, 2, 29) - datetime.date(1970, 1, 1)).days
    assert (name_of_span("{YYYY}{MM}{DD}", day), name_of_span("{SPAN}", day)) == (
        "2024-02-29",
        str(day),
    )
    assert [name_of_span("{YYYY}/{MM}", span) for span in (0, 587, 588)] == [
        "1970-01",
        "2018-12",
        "2019-01",
    ]


@pytest.mark.parametrize(
    ("pattern", "name"), [("{SPAN}", "12"), ("{YYYY}{MM}{DD}", "2024-02-29"), ("{YYYY}/{MM}", "2019-01")]
)
def test_a_span_is_found_by_its_name(pattern, name):
    assert name_of_span(pattern, span_of_name(pattern, name)) == name


def window(base: Path, size: int = 2, first: int | None = None, last: int | None = None) -> list[tuple[int, int]]:
    asked = spans.Window(str(base), "span-{SPAN}/v-{VERSION}", size, "_SUCCESS", 60.0)
    return [(each.span, each.version) for each in asked.spans(first, last, NOW)[0]]


def test_a_window_is_the_newest_complete_version_of_each_of_the_last_spans(tmp_path):
    for name in ("span-1/v-1", "span-3/v-1", "span-3/v-2", "span-4/v-1"):
        deliver(tmp_path / name, marker="_SUCCESS")
    deliver(tmp_path / "span-4/v-2")  # still arrives
    deliver(tmp_path / "span-5/v-1")
    (tmp_path / "span-6/v-1").mkdir(parents=True)
    (tmp_path / "span-6/v-1/_SUCCESS").touch()  # complete, and nothing in it
    assert window(tmp_path) == [(3, 2), (4, 1)]
    assert window(tmp_path, size=4) == [(1, 1), (3, 2), (4, 1)]  # span 2 is a hole
    assert window(tmp_path, last=3) == [(3, 2)]
    assert window(tmp_path, first=1) == [(1, 1), (3, 2), (4, 1)]
    assert window(tmp_path, first=2, last=3) == [(3, 2)]


def test_a_window_without_a_complete_span_is_one_line(tmp_path):
    deliver(tmp_path / "span-5/v-1")
    with pytest.raises(
        InputError, match=f"{tmp_path}: must hold a complete span of .*, got 1 spans, 0 of them complete"
    ):
        window(tmp_path)
    deliver(tmp_path / "span-5/v-1", marker="_SUCCESS")
    with pytest.raises(InputError, match="spans.pattern=.*, from 6 to None, got 1 spans, 1 of them complete"):
        window(tmp_path, first=6)
