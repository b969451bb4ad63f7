"""Deliveries of trips: the spans and versions in a folder, whether they are complete, and their content's digest.

Patterns are TFX's: `span-{SPAN}`, `span-{SPAN:4}/v-{VERSION}`, `{YYYY}-{MM}-{DD}`, where a span is a day since 1970;
and ours: `{YYYY}-{MM}`, where a span is a month since January 1970. No TFX here: a tick that finds nothing new should
not wait for its import.
"""

from __future__ import annotations

import dataclasses
import datetime
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources.file_lists import LOCAL_FILES, FileSystem, files_at, size_and_time

TOKEN = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
DATE = ("YYYY", "MM", "DD")
FIRST_DAY, FIRST_YEAR = datetime.date(1970, 1, 1), 1970
MONTHS = 12
BLOCK = 1 << 20
STAMP_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A version of a span, in a folder or a file.

    sha256: of the files' contents; their names do not matter.
    stamp: digest of the files' names, sizes and times; while it is the same, the files need not be read again.
    """

    span: int
    version: int
    path: str
    sha256: str
    stamp: str = ""


@dataclasses.dataclass(frozen=True)
class SpanFiles:
    """The files at a path that matches the pattern; `version` is 1 if the pattern has no version."""

    span: int
    version: int
    path: str
    files: tuple[str, ...]
    is_complete: bool

    @property
    def stamp(self) -> str:
        """Digest that changes when a file of this machine is written, added or removed."""
        status = [(os.path.basename(file), *size_and_time(file)) for file in self.files]
        return hashlib.sha256(repr(status).encode()).hexdigest()[:STAMP_DIGITS]

    def sha256(self) -> str:
        """Digest of the files' contents in any order: a copy under other names is the same delivery."""
        contents = sorted(_sha256(file) for file in self.files)
        return hashlib.sha256("".join(contents).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Window:
    """The newest `size` spans of a folder, for a TripExampleGen that finds its spans itself.

    base: the folder of the trips. pattern, marker, quiet_s, ignore: see `find_spans`.
    """

    base: str
    pattern: str
    size: int
    marker: str | None
    quiet_s: float
    ignore: Sequence[str] = ()

    def spans(
        self, first: int | None, last: int | None, now: float, file_system: FileSystem = LOCAL_FILES
    ) -> list[SpanFiles]:
        """The newest complete version of each span up to `last`, or from `first` on. Raises InputError if none is."""
        versions = list(
            find_spans(
                self.base,
                self.pattern,
                marker=self.marker,
                quiet_s=self.quiet_s,
                now=now,
                ignore=self.ignore,
                file_system=file_system,
            )
        )
        window = window_of(versions, self.size, first, last)
        if not window:
            limits = f", from {first} to {last}" if first is not None or last is not None else ""
            raise InputError(
                f"{self.base}: must hold a complete span of spans.pattern={self.pattern}{limits}, got "
                f"{len(versions)} spans, {sum(each.is_complete for each in versions)} of them complete"
            )
        return window


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


def find_spans(
    base: str,
    pattern: str,
    *,
    marker: str | None,
    quiet_s: float,
    now: float,
    ignore: Sequence[str] = (),
    file_system: FileSystem = LOCAL_FILES,
) -> Iterator[SpanFiles]:
    """The paths in a folder that match the pattern, complete or not, by span and version.

    One is complete if it holds a file of the marker's name or, without a marker, was last written at least quiet_s
    seconds before `now` (s since 1970).

    ignore: patterns of names of files that are no trips, as `city.ignore_files`.
    """
    expression = re.compile(_regular_expression(pattern))
    wildcards = glob.escape(base.rstrip("/")) + "/" + TOKEN.sub("*", pattern)
    spans = []
    for path in file_system.glob(wildcards):
        match = expression.fullmatch(path.removeprefix(base.rstrip("/") + "/").rstrip("/"))
        numbers = _span_and_version(match.groupdict()) if match else None
        if numbers:
            files = tuple(files_at(path, ignore, file_system) or ())
            if marker is not None:
                is_complete = file_system.exists(os.path.join(path, marker))
            else:
                is_complete = all(now - file_system.size_and_time(each)[1] / 1e9 >= quiet_s for each in (path, *files))
            spans.append(SpanFiles(*numbers, path, files, is_complete))
    yield from sorted(spans, key=lambda each: (each.span, each.version, each.path))


def window_of(
    spans: Iterable[SpanFiles], size: int, first: int | None = None, last: int | None = None
) -> list[SpanFiles]:
    """The newest complete version of each of the last `size` spans, or of those from `first` to `last`, in order."""
    newest = {
        each.span: each for each in spans if each.is_complete and each.files and (last is None or each.span <= last)
    }
    window: Sequence[int] = sorted(newest)
    if first is not None:
        window = [span for span in window if span >= first]
    elif window:
        window = [span for span in window if span > window[-1] - size]
    return [newest[span] for span in window]


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


def _regular_expression(pattern: str) -> str:
    widths = {"YYYY": r"\d{4}", "MM": r"\d{2}", "DD": r"\d{2}"}
    parts, end = [], 0
    for token in TOKEN.finditer(pattern):
        name, width = token.groups()
        digits = rf"\d{{{width}}}" if width else widths.get(name, r"\d+")
        parts.append(f"{re.escape(pattern[end : token.start()])}(?P<{name}>{digits})")
        end = token.end()
    return "".join(parts) + re.escape(pattern[end:])


def _span_and_version(numbers: dict[str, str]) -> tuple[int, int] | None:
    """None if the date does not exist."""
    version = int(numbers.get("VERSION", 1))
    if "SPAN" in numbers:
        return int(numbers["SPAN"]), version
    try:
        day = datetime.date(*(int(numbers.get(name, 1)) for name in DATE))
    except ValueError:
        return None
    return (day - FIRST_DAY).days if "DD" in numbers else _month_of(day), version


def _sha256(file: str) -> str:
    """Digest of the content or, if it cannot be read, of the reason."""
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    except OSError as error:
        return hashlib.sha256(str(error.strerror).encode()).hexdigest()
    return digest.hexdigest()
