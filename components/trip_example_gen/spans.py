"""Deliveries of trips: the spans and versions in a folder, whether they can be taken, and their content's digest.

No TFX here: a tick that finds nothing new should not wait for its import.
"""

from __future__ import annotations

import dataclasses
import datetime
import glob
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import span_rules
from farebox.components.trip_example_gen.sources.file_lists import (
    LOCAL_FILES,
    FileSystem,
    files_at,
    may_be_trips,
    size_and_time,
)
from farebox.components.trip_example_gen.span_pattern import (
    regular_expression,
    span_and_version,
    span_of_tomorrow,
    wildcards,
)

BLOCK = 1 << 20
STAMP_DIGITS = 16
SKEW_S = 60.0  # by which another machine's clock may be ahead
NAMED = 3  # names in a message; a count tells the others

State = Literal["complete", "waits", "left"]


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
    """The files at a path that matches the pattern; `version` is 1 if the pattern has no version.

    state: `complete`; `waits` for a marker or for quiet; `left` out by a rule, complete or not. why: for the last two.
    """

    span: int
    version: int
    path: str
    files: tuple[str, ...]
    state: State = "complete"
    why: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it can be taken."""
        return self.state == "complete"

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
class LeftOut:
    """A path in the folder of the trips that is not taken. path: relative to that folder."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} is left out: {self.why}"


@dataclasses.dataclass(frozen=True)
class Survey:
    """The content of a folder of spans. spans: by span and version. strangers: names that are no span."""

    base: str
    spans: tuple[SpanFiles, ...]
    strangers: tuple[LeftOut, ...] = ()

    @property
    def left(self) -> tuple[LeftOut, ...]:
        """Everything that a rule leaves out; not what only waits."""
        spans = (
            LeftOut(os.path.relpath(each.path, self.base), each.why) for each in self.spans if each.state == "left"
        )
        return (*spans, *self.strangers)


def told(left: Sequence[LeftOut]) -> list[str]:
    """A sentence for each of the first ones, and one that counts the others."""
    others = [f"{len(left) - NAMED} other names are left out"] if len(left) > NAMED else []
    return [*map(str, left[:NAMED]), *others]


@dataclasses.dataclass(frozen=True)
class Window:
    """The newest `size` spans of a folder, and how its spans are told and when they are complete.

    base: the folder of the trips. marker: the name of a file that says that a span is complete; without it, a span is
    complete if it was last written at least quiet_s seconds ago. ignore: patterns of names of files that are no trips,
    as `city.ignore_files`. time_zone: the city's, in which tomorrow is the last plausible date.
    """

    base: str
    pattern: str
    size: int
    marker: str | None
    quiet_s: float
    ignore: Sequence[str] = ()
    time_zone: str | None = None

    def survey(
        self,
        now: float,
        newest: int | None = None,
        forgotten: Collection[int] = (),
        file_system: FileSystem = LOCAL_FILES,
    ) -> Survey:
        """Everything in the folder at `now`, s since 1970.

        newest: the newest span that was taken before. forgotten: spans that support no other span's number.
        """
        found, strangers = self._found(now, file_system)
        twins = span_rules.twins(((each.span, each.version), self._relative(each.path)) for each in found)
        spans = [_left(each, twins.get(self._relative(each.path), "")) for each in found]
        numbers = [each.span for each in spans if each.is_complete]
        alone = set(forgotten) & set(numbers)
        for span, before in span_rules.jumps(numbers, self.size, newest, alone).items():
            why = span_rules.why_jump(self.pattern, span, before, self.size)
            spans = [_left(each, why) if each.span == span and each.is_complete else each for each in spans]
        return Survey(self.base, tuple(spans), tuple(strangers))

    def spans(
        self, first: int | None, last: int | None, now: float, file_system: FileSystem = LOCAL_FILES
    ) -> tuple[list[SpanFiles], Survey]:
        """The newest complete version of each span up to `last`, or from `first` on, and what else is there.

        Raises InputError if there is none.
        """
        survey = self.survey(now, file_system=file_system)
        window = window_of(survey.spans, self.size, first, last)
        if not window:
            limits = f", from {first} to {last}" if first is not None or last is not None else ""
            raise InputError(
                f"{self.base}: must hold a complete span of spans.pattern={self.pattern}{limits}, got "
                f"{len(survey.spans)} spans, {sum(each.is_complete for each in survey.spans)} of them complete"
                + "".join(f"; {line}" for line in told(survey.left))
            )
        return window, survey

    def _found(self, now: float, file_system: FileSystem) -> tuple[list[SpanFiles], list[LeftOut]]:
        """The paths that match the pattern, by span and version, and those that do not although they may be trips."""
        spans: list[SpanFiles] = []
        strangers: list[LeftOut] = []
        expression = regular_expression(self.pattern)
        for path in sorted(file_system.glob(f"{glob.escape(self.base.rstrip('/'))}/{wildcards(self.pattern)}")):
            match = expression.fullmatch(self._relative(path))
            numbers = span_and_version(match.groupdict()) if match else None
            if numbers:
                spans.append(self._span_at(path, numbers, now, file_system))
            elif may_be_trips(path, self.ignore, file_system):
                why = "it has no such date" if match else f"its name is no span of {self.pattern}"
                strangers.append(LeftOut(self._relative(path), why))
        return sorted(spans, key=lambda each: (each.span, each.version, each.path)), strangers

    def _span_at(self, path: str, numbers: tuple[int, int], now: float, file_system: FileSystem) -> SpanFiles:
        span, version = numbers
        files = tuple(files_at(path, self.ignore, file_system) or ())
        tomorrow = span_of_tomorrow(self.pattern, now, self.time_zone)
        if why := span_rules.why_future(self.pattern, span, tomorrow):
            return SpanFiles(span, version, path, files, "left", why)
        if self.marker is not None:
            there = file_system.exists(os.path.join(path, self.marker))
            return SpanFiles(
                span, version, path, files, *(("complete", "") if there else ("waits", f"{self.marker} is not there"))
            )
        age_s = min(now - file_system.size_and_time(each)[1] / 1e9 for each in (path, *files))
        return SpanFiles(span, version, path, files, *_rest(age_s, self.quiet_s, now))

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.base.rstrip("/") + "/").rstrip("/")


def _rest(age_s: float, quiet_s: float, now: float) -> tuple[State, str]:
    """Whether a span without a marker is complete, by the seconds since it was last written."""
    if age_s >= quiet_s:
        return "complete", ""
    if age_s >= -max(quiet_s, SKEW_S):
        return "waits", f"it was written {max(age_s, 0):.0f} s ago, less than spans.quiet_s={quiet_s:g}"
    written = datetime.datetime.fromtimestamp(now - age_s, datetime.timezone.utc)
    return "left", f"its files are of {written:%Y-%m-%d %H:%M} UTC, in the future: set their times, or spans.marker"


def _left(files: SpanFiles, why: str) -> SpanFiles:
    """The same, left out for this reason if there is one."""
    return dataclasses.replace(files, state="left", why=why) if why else files


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
