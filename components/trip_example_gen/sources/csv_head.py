"""The beginning of a CSV file: what is above its rows, its header, and messages about a file of another dialect."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Callable
from typing import Any

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources.csv_rows import first_row
from farebox.components.trip_example_gen.sources.csv_text import (
    UTF_8,
    Utf8Stream,
    count_lines,
    encoding_of,
    keeps_ascii,
    not_text,
)
from farebox.components.trip_example_gen.sources.packed import UnpackedFile, text_name
from farebox.components.trip_example_gen.values.dialect import SEPARATOR_LINE, CsvDialect

HEAD_BYTES = 1 << 16
MAX_HEAD_BYTES = 1 << 20
SEPARATORS = (";", "\t", "|", ",")
MAX_TITLES = 50  # lines below the first one that may be the header
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)")
_SEPARATOR_LINE = re.compile(SEPARATOR_LINE + rb"(?:[\r\n]|\Z)")


@dataclasses.dataclass(frozen=True)
class Head:
    """The beginning of a file.

    text: in the encoding of `dialect`, or in UTF-8 if the bytes of that cannot be cut at line ends. offset: number of
    bytes before it. n_above: number of bytes of `text` above header and rows. rest: the file below it. dialect: the
    profile's, with separator and encoding. is_stream: whether the file can be read from its beginning only.
    """

    text: bytes
    offset: int
    n_above: int
    rest: Any
    dialect: CsvDialect
    is_stream: bool

    @property
    def encoding(self) -> str:
        return encoding_of_blocks(self.dialect)

    def first_row(self) -> tuple[int, int]:
        """First and last byte + 1 of the header or, without one, of the first row."""
        start, end = first_row(self.text[self.n_above :], self.dialect)
        return self.n_above + start, self.n_above + end

    def line_of(self, position: int) -> int:
        """The number of the line that begins at a byte, from 1 on."""
        return 1 + count_lines(self.text[:position])


def encoding_of_blocks(dialect: CsvDialect) -> str:
    """The encoding of a file's blocks of rows: its own, or UTF-8 if its bytes cannot be cut at line ends."""
    encoding = dialect.encoding or UTF_8
    return encoding if keeps_ascii(encoding) else UTF_8


def read_head(path: str, file: Any, dialect: CsvDialect) -> Head:
    """Reads the beginning. Raises InputError if its lines above the header are not as `city.csv` says."""
    head = file.read(HEAD_BYTES)
    if head.find(b"\n") < 0 and head.find(b"\r") < 0:
        head += file.read(MAX_HEAD_BYTES - HEAD_BYTES)
    encoding = encoding_of(head, dialect)
    is_stream = not keeps_ascii(encoding)
    rest = Utf8Stream(file, head, encoding, path) if is_stream else file
    text = rest.read(1) if is_stream else head.removeprefix(codecs.BOM_UTF8)
    offset = 0 if is_stream else len(head) - len(text)
    declared = _declared_separator(text, dialect, path)
    usual = "\t" if text_name(path).lower().endswith(".tsv") else ","
    settled = dataclasses.replace(dialect, separator=declared or dialect.separator or usual, encoding=encoding)
    n_above = _length_of_lines(text, max(dialect.skip_rows, bool(declared)), path)
    return Head(text, offset, n_above, rest, settled, is_stream or isinstance(file, UnpackedFile))


def _declared_separator(text: bytes, dialect: CsvDialect, path: str) -> str | None:
    """The separator that a first line `sep=;` names, as Excel reads it. Raises InputError if it is not city.csv's."""
    if not (line := _SEPARATOR_LINE.match(text)):
        return None
    separator = line[1].decode()
    if dialect.separator not in (None, separator):
        raise InputError(
            f"{path}: line 1 is sep={separator}, so city.csv.separator={dialect.separator!r} must be {separator!r} or "
            "null"
        )
    return separator


def _length_of_lines(text: bytes, n_lines: int, path: str) -> int:
    """The number of bytes of the first lines. Raises InputError if the text has no more than these."""
    ends = [line.end() for line in itertools.islice(_LINE.finditer(text), n_lines)]
    if n_lines and (len(ends) < n_lines or ends[-1] == len(text)):
        raise InputError(
            f"{path}: city.csv.skip_rows={n_lines} must leave a line below, got {len(ends)} lines within "
            f"{len(text)} bytes"
        )
    return ends[-1] if ends else 0


def n_named(names: tuple[str, ...]) -> int:
    """The number of columns up to the last one that has a name."""
    return max((place for place, name in enumerate(names, 1) if name), default=0)


def names_of(head: Head, path: str, check: Callable[[tuple[str, ...]], object]) -> tuple[str, ...]:
    """The names of the columns, from the file's first row or from the profile.

    check: raises InputError for names that cannot be used. Raises InputError; it tells if the header is further down.
    """
    start, end = head.first_row()
    try:
        names = _names(head, start, end, path)
        check(names)
    except InputError as error:
        if head.dialect.names is None and (line := _header_below(head, end, check)):
            raise InputError(
                f"{path}: line {head.line_of(start)} is no header and line {line} is: city.csv.skip_rows={line - 1} "
                "leaves out the lines above it"
            ) from error
        raise
    return names


def _header_below(head: Head, position: int, check: Callable[[tuple[str, ...]], object]) -> int:
    """The number of the first line from a byte on that has the columns; 0 if there is none."""
    for line in itertools.islice(_LINE.finditer(head.text, position), MAX_TITLES):
        try:
            check(_fields(line[0].decode(head.encoding, "replace"), head.dialect, ""))
        except InputError:
            continue
        return head.line_of(line.start())
    return 0


def _names(head: Head, start: int, end: int, path: str) -> tuple[str, ...]:
    """The names of the columns, from the file's first row or from the profile. Raises InputError."""
    names, line = head.dialect.names, head.line_of(start)
    where = f"{path}: line {line}"
    if not head.text[start:]:
        raise InputError(f"{path}: first line must be a {'row' if names else 'header'}, got an empty file")
    if end - start >= MAX_HEAD_BYTES - len(codecs.BOM_UTF8):
        raise InputError(f"{where} has no end within {MAX_HEAD_BYTES >> 20} MB, so this is not CSV")
    row = head.text[start:end]
    if b"\0" in row:
        raise InputError(
            f"{where} must be text, got NUL bytes: the file is binary, or UTF-16 that city.csv.encoding must name, "
            "such as utf-16-le"
        )
    try:
        text = row.decode(head.encoding)
    except UnicodeDecodeError as error:
        raise not_text(path, line, head.encoding, error) from error
    if not text.strip():
        if names:
            return names
        raise InputError(f"{path}: first line must be a header, got a blank line")
    fields = _fields(text, head.dialect, where)
    if names is None:
        _check_separator(fields, head.dialect, where)
        return fields
    _check_first_row(fields, head.dialect, where)
    return names


def _fields(text: str, dialect: CsvDialect, where: str) -> tuple[str, ...]:
    try:
        fields = next(
            csv.reader(
                io.StringIO(text, newline=""), delimiter=dialect.separator or ",", quotechar=dialect.quote,
                escapechar=dialect.escape, skipinitialspace=True,
            )
        )  # fmt: skip
    except csv.Error as error:
        raise InputError(f"{where} cannot be read as CSV: {error}") from error
    return tuple(_LINE_BREAK.sub(" ", field).strip() for field in fields)


def _check_separator(fields: tuple[str, ...], dialect: CsvDialect, where: str) -> None:
    """Raises InputError if a line has one field only, because its separator is another one."""
    if n_named(fields) > 1:
        return
    others = [mark for mark in SEPARATORS if mark != dialect.separator and mark in fields[0]]
    if others:
        likely = max(others, key=fields[0].count)
        raise InputError(
            f"{where} has one field ({fields[0][:80]}), so city.csv.separator={dialect.separator!r} must be "
            f"another one, such as {likely!r}"
        )


def _check_first_row(fields: tuple[str, ...], dialect: CsvDialect, where: str) -> None:
    """Raises InputError if a file's first row cannot have the columns of `city.csv.names`."""
    assert dialect.names is not None
    _check_separator(fields, dialect, where)
    n_names, n_filled = len(dialect.names), n_named(fields)
    if not dialect.ragged and (len(fields) < n_names or n_filled > n_names):
        raise InputError(
            f"{where} has {len(fields)} fields, city.csv.names has {n_names}: name every column, in order, or "
            "leave out lines above the first row with city.csv.skip_rows"
        )
    n_same = len(set(fields) & set(dialect.names))
    if 2 * n_same > n_names:
        raise InputError(
            f"{where} is a header, so city.csv.names must be null, got {n_same} of its {n_names} names in that line"
        )
