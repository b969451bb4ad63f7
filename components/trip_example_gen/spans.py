"""Deliveries of trips: which spans and versions lie in a folder, whether they are complete, and what they hold.

Patterns are TFX's: `span-{SPAN}`, `span-{SPAN:4}/v-{VERSION}`, `{YYYY}-{MM}-{DD}`, where a span is a day since 1970. No
TFX here: a tick that finds nothing new has no time for it.
"""

from __future__ import annotations

import dataclasses
import datetime
import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources import SUFFIXES

TOKEN = re.compile(r"\{(SPAN|VERSION|YYYY|MM|DD)(?::(\d+))?\}")
DATE = ("YYYY", "MM", "DD")
FIRST_DAY = datetime.date(1970, 1, 1)
BLOCK = 1 << 20
STAMP_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A version of a span, in a folder or a file; `sha256` is that of its files' contents, whatever they are called.

    stamp: of the files' names, sizes and times: while it is the same, nobody needs to read them again.
    """

    span: int
    version: int
    path: str
    sha256: str
    stamp: str = ""


def size_and_time(path: str) -> tuple[int, int]:
    """In bytes and ns since 1970; zeros where nobody can tell, as of a link to nowhere, which ingest will refuse."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@dataclasses.dataclass(frozen=True)
class Files:
    """The file system that spans lie in; without arguments, this machine's. size_and_time: as the function here."""

    glob: Callable[[str], Iterable[str]] = glob.glob
    is_folder: Callable[[str], bool] = os.path.isdir
    exists: Callable[[str], bool] = os.path.exists
    size_and_time: Callable[[str], tuple[int, int]] = size_and_time


LOCAL_FILES = Files()


@dataclasses.dataclass(frozen=True)
class Found:
    """What lies at a path that the pattern fits; `version` is the pattern's, 1 where it has none."""

    span: int
    version: int
    path: str
    files: tuple[str, ...]
    complete: bool

    @property
    def stamp(self) -> str:
        """Changes when a file is written, added or removed; of files of this machine."""
        seen = [(os.path.basename(file), *size_and_time(file)) for file in self.files]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:STAMP_DIGITS]

    def sha256(self) -> str:
        """Of the files' contents, in no order: a copy under other names is no other delivery."""
        contents = sorted(_sha256(file) for file in self.files)
        return hashlib.sha256("".join(contents).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Window:
    """Spans that TripExampleGen finds by itself, where nothing has gathered them before: the newest `size` of them.

    base: the folder of the trips. pattern, marker, quiet_s: as of `find`.
    """

    base: str
    pattern: str
    size: int
    marker: str | None
    quiet_s: float

    def spans(self, first: int | None, last: int | None, now: float, files: Files = LOCAL_FILES) -> list[Found]:
        """Of the spans up to `last`, or from `first` on, the newest complete version each. Raises InputError."""
        found = list(find(self.base, self.pattern, self.marker, self.quiet_s, now, files))
        window = window_of(found, self.size, first, last)
        if not window:
            asked = f", from {first} to {last}" if first is not None or last is not None else ""
            raise InputError(
                f"{self.base}: must hold a complete span of spans.pattern={self.pattern}{asked}, got "
                f"{len(found)} spans, {sum(each.complete for each in found)} of them complete"
            )
        return window


def check_pattern(pattern: str) -> None:
    """Raises ValueError where TFX could not tell a span by it."""
    names = [name for name, _ in TOKEN.findall(pattern)]
    by_number, by_date = names.count("SPAN"), [names.count(name) for name in DATE]
    if re.search(r"[{}*?\[\]]", TOKEN.sub("", pattern)):
        raise ValueError(f"spans.pattern={pattern} must have no wildcards and no braces but TFX's, such as {{SPAN}}")
    if (by_number, by_date) not in ((1, [0, 0, 0]), (0, [1, 1, 1])):
        raise ValueError(f"spans.pattern={pattern} must have either {{SPAN}} or {{YYYY}}, {{MM}} and {{DD}}, once each")
    if names.count("VERSION") > 1:
        raise ValueError(f"spans.pattern={pattern} must have {{VERSION}} at most once")
    if os.path.isabs(pattern) or ".." in Path(pattern).parts:
        raise ValueError(f"spans.pattern={pattern} must be relative to the folder of the trips")


def find(
    base: str, pattern: str, marker: str | None, quiet_s: float, now: float, files: Files = LOCAL_FILES
) -> Iterator[Found]:
    """What the pattern fits in a folder, complete or not, by span and version.

    Complete is what holds a file of the marker's name or, without a marker, was written last quiet_s seconds before
    `now` (s since 1970).
    """
    expression = re.compile(_regular_expression(pattern))
    wildcards = glob.escape(base.rstrip("/")) + "/" + TOKEN.sub("*", pattern)
    found = []
    for path in files.glob(wildcards):
        match = expression.fullmatch(path.removeprefix(base.rstrip("/") + "/").rstrip("/"))
        numbers = _span_and_version(match.groupdict()) if match else None
        if numbers:
            inside = _inside(path, files)
            found.append(Found(*numbers, path, inside, _is_complete(path, inside, marker, quiet_s, now, files)))
    yield from sorted(found, key=lambda each: (each.span, each.version, each.path))


def window_of(found: Iterable[Found], size: int, first: int | None = None, last: int | None = None) -> list[Found]:
    """The newest complete version of each of the last `size` spans, or of those from `first` to `last`, in order."""
    newest = {each.span: each for each in found if each.complete and each.files and (last is None or each.span <= last)}
    window: Sequence[int] = sorted(newest)
    if first is not None:
        window = [span for span in window if span >= first]
    elif window:
        window = [span for span in window if span > window[-1] - size]
    return [newest[span] for span in window]


def name_of_span(pattern: str, span: int) -> str:
    """As people call it: `12`, or the day where the pattern is dated."""
    return str(FIRST_DAY + datetime.timedelta(days=span)) if "{YYYY}" in pattern else str(span)


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
    """None where the date is none."""
    version = int(numbers.get("VERSION", 1))
    if "SPAN" in numbers:
        return int(numbers["SPAN"]), version
    try:
        day = datetime.date(*(int(numbers[name]) for name in DATE))
    except ValueError:
        return None
    return (day - FIRST_DAY).days, version


def _inside(path: str, files: Files) -> tuple[str, ...]:
    """The files of trips at a path, sorted."""
    inside = sorted(files.glob(os.path.join(glob.escape(path), "*"))) if files.is_folder(path) else [path]
    return tuple(file for file in inside if file.lower().endswith(SUFFIXES))


def _is_complete(
    path: str, inside: tuple[str, ...], marker: str | None, quiet_s: float, now: float, files: Files
) -> bool:
    if marker is not None:
        return files.exists(os.path.join(path, marker))
    return all(now - files.size_and_time(each)[1] / 1e9 >= quiet_s for each in (path, *inside))


def _sha256(file: str) -> str:
    """Of the content; where it cannot be read, of the reason."""
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as content:
            while block := content.read(BLOCK):
                digest.update(block)
    except OSError as error:
        return hashlib.sha256(str(error.strerror).encode()).hexdigest()
    return digest.hexdigest()
