"""CSV files of trips: their chunks and rows."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import PICKUP_TIME
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources import chunks
from farebox.components.trip_example_gen.sources.binding import bind
from farebox.components.trip_example_gen.sources.chunks import Chunk, OpenFile, Rows, decode
from farebox.components.trip_example_gen.sources.csv_fields import columns_of
from farebox.components.trip_example_gen.sources.csv_rows import Block, Layout, Mask, end_of_rows, first_row, rows_of
from farebox.components.trip_example_gen.sources.csv_text import (
    UTF_8,
    Utf8Stream,
    count_lines,
    encoding_of,
    keeps_ascii,
    not_text,
    to_utf8,
)
from farebox.components.trip_example_gen.sources.packed import UnpackedFile, open_unpacked, text_name
from farebox.components.trip_example_gen.values.cells import is_text
from farebox.components.trip_example_gen.values.dialect import CsvDialect
from farebox.components.trip_example_gen.values.times import check_source

HEAD_BYTES = 1 << 16
MAX_HEAD_BYTES = 1 << 20
MAX_ROW_BYTES = 64 << 20
SEPARATORS = (";", "\t", "|", ",")
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")


class _Ahead:
    """A file of which `head` is read already."""

    def __init__(self, head: bytes, file: Any) -> None:
        self._head, self._file = head, file

    def read(self, size: int) -> bytes:
        """At most `size` bytes, or more if the file gives more; none at its end."""
        block, self._head = self._head[:size], self._head[size:]
        return block + self._file.read(size - len(block)) if len(block) < size else block


@dataclasses.dataclass(frozen=True)
class _Head:
    """The beginning of a file.

    text: in the encoding of `dialect`, or in UTF-8 if the bytes of that cannot be cut at line ends. offset: number of
    bytes before it. rest: the file below it. dialect: the profile's, with separator and encoding. is_stream: whether
    the file can be read from its beginning only.
    """

    text: bytes
    offset: int
    rest: Any
    dialect: CsvDialect
    is_stream: bool

    @property
    def encoding(self) -> str:
        return _encoding_of_blocks(self.dialect)


def _encoding_of_blocks(dialect: CsvDialect) -> str:
    encoding = dialect.encoding or UTF_8
    return encoding if keeps_ascii(encoding) else UTF_8


def _read_head(path: str, file: Any, dialect: CsvDialect) -> _Head:
    head = file.read(HEAD_BYTES)
    if head.find(b"\n") < 0 and head.find(b"\r") < 0:
        head += file.read(MAX_HEAD_BYTES - HEAD_BYTES)
    encoding = encoding_of(head, dialect)
    separator = dialect.separator or ("\t" if text_name(path).lower().endswith(".tsv") else ",")
    settled = dataclasses.replace(dialect, separator=separator, encoding=encoding)
    if not keeps_ascii(encoding):
        stream = Utf8Stream(file, head, encoding, path)
        return _Head(stream.read(1), 0, stream, settled, is_stream=True)
    text = head.removeprefix(codecs.BOM_UTF8)
    return _Head(text, len(head) - len(text), file, settled, isinstance(file, UnpackedFile))


def plan_csv(path: str, profile: CityProfile, chunk_bytes: int, open_file: OpenFile) -> Iterator[Chunk]:
    """Cuts a file between rows.

    Raises:
        InputError: the file lacks a column, is not CSV of the profile's dialect, or cannot be unpacked.
    """
    with open_unpacked(path, open_file) as file:
        head = _read_head(path, file, profile.csv)
        start, end = first_row(head.text, head.dialect)
        line = 1 + count_lines(head.text[:start])
        names = _names(head, start, end, f"{path}: line {line}")
        if profile.csv.names is None:
            line, start = line + count_lines(head.text[start:end]), end
        binding = bind(profile, names, path)
        if PICKUP_TIME in binding.columns:
            where = f"{path}: column {binding.text_of(PICKUP_TIME)} (city.columns.{PICKUP_TIME})"
            check_source(profile.time_source, None, where)
        chunk = Chunk(path, 0, head.offset + start, 0, line, binding, names, dialect=head.dialect)
        if head.is_stream:
            yield chunk
            return
        yield from _cut(file, chunk, chunk_bytes)


def _cut(file: Any, chunk: Chunk, size: int) -> Iterator[Chunk]:
    """Cuts the rest of a file, from `chunk.first` on, into chunks of about `size` bytes."""
    layout, first, line, wanted = _layout(chunk), chunk.first, chunk.row, size
    file.seek(first)
    while block := file.read(wanted):
        is_over = len(block) < wanted
        end = len(block) if is_over else end_of_rows(block, layout)
        if end:
            yield dataclasses.replace(chunk, first=first, last=first + end, row=line)
            first, line, wanted = first + end, line + count_lines(block, end), size
        elif wanted > MAX_ROW_BYTES:
            raise _endless(chunk.path, line)
        else:
            wanted *= 2
        if end < len(block):
            file.seek(first)  # reads some bytes twice, copies none


def _endless(path: str, line: int) -> InputError:
    return InputError(f"{path}: line {line} has no end within {MAX_ROW_BYTES >> 20} MB, so this is not CSV")


def _layout(chunk: Chunk) -> Layout:
    return Layout(chunk.dialect, _n_named(chunk.names), len(chunk.names))


def _n_named(names: tuple[str, ...]) -> int:
    """The number of columns up to the last one that has a name."""
    return max((place for place, name in enumerate(names, 1) if name), default=0)


def _names(head: _Head, start: int, end: int, where: str) -> tuple[str, ...]:
    """The names of the columns, from the file's first row or from the profile. Raises InputError."""
    path = where.rpartition(": line ")[0]
    names = head.dialect.names
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
        raise not_text(path, int(where.rpartition(" ")[2]), head.encoding, error) from error
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
    if _n_named(fields) > 1:
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
    n_names, n_filled = len(dialect.names), _n_named(fields)
    if not dialect.ragged and (len(fields) < n_names or n_filled > n_names):
        raise InputError(f"{where} has {len(fields)} fields, city.csv.names has {n_names}: name every column, in order")
    n_same = len(set(fields) & set(dialect.names))
    if 2 * n_same > n_names:
        raise InputError(
            f"{where} is a header, so city.csv.names must be null, got {n_same} of its {n_names} names in that line"
        )


def read_csv(chunk: Chunk, open_file: OpenFile) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    for block, line in _read_blocks(chunk, open_file):
        yield _parse_block(to_utf8(block, _encoding_of_blocks(chunk.dialect), chunk.path, line), line, chunk)


def _read_blocks(chunk: Chunk, open_file: OpenFile) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of whole rows, each with the number of its first line."""
    if chunk.last:
        with open_file(chunk.path, "rb") as file:
            file.seek(chunk.first)
            yield file.read(chunk.last - chunk.first), chunk.row
        return
    with open_unpacked(chunk.path, open_file) as file:
        head = _read_head(chunk.path, file, chunk.dialect)
        yield from _blocks(_Ahead(head.text[chunk.first - head.offset :], head.rest), chunk, chunks.CHUNK_BYTES)


def _blocks(file: Any, chunk: Chunk, size: int) -> Iterator[tuple[bytes, int]]:
    """Yields the rows of a stream in blocks of about `size` bytes, each with the number of its first line."""
    layout, line, rest = _layout(chunk), chunk.row, b""
    while block := file.read(size):
        block = rest + block
        end = end_of_rows(block, layout)
        rest = block[end:]
        if end:
            yield block[:end], line
            line += count_lines(block, end)
        if len(rest) > MAX_ROW_BYTES:
            raise _endless(chunk.path, line)
    if rest:
        yield rest, line


def _parse_block(raw: bytes, first: int, chunk: Chunk) -> Rows:
    """The rows of a block of whole rows in UTF-8."""
    layout = _layout(chunk)
    block = rows_of(raw, first, layout)
    malformed: list[tuple[int, str]] = []
    if block.is_closed is not None:
        block, unclosed = _keep(block, block.is_closed)
        malformed += unclosed
    positions = {name: chunk.names.index(name) for name in chunk.binding.names}
    where = f"{chunk.path}: the block at line {first}"
    columns, is_row = columns_of(block, layout, positions, chunk.binding.texts, where)
    block, miscounted = _keep(block, is_row)
    if any(len(column) != len(block.rows) for column in columns.values()):
        raise InputError(f"{where} must be rows of CSV, got something else")
    _check_utf8(columns, block, chunk)
    return Rows(chunk.binding, columns, block.numbers, block.rows, tuple(sorted(malformed + miscounted)))


def _keep(block: Block, is_kept: Mask) -> tuple[Block, list[tuple[int, str]]]:
    """The rows that are kept, and number and text of the others."""
    if is_kept.all():
        return block, []
    dropped = [decode(row) for row in block.rows.filter(pa.array(~is_kept)).to_pylist()]
    kept = dataclasses.replace(
        block,
        rows=block.rows.filter(pa.array(is_kept)),
        numbers=block.numbers[is_kept],
        is_closed=None if block.is_closed is None else block.is_closed[is_kept],
    )
    return kept, list(zip(block.numbers[~is_kept].tolist(), dropped, strict=True))


def _check_utf8(columns: dict[str, pa.Array], block: Block, chunk: Chunk) -> None:
    """Raises InputError for the first cell of a used column that is not text; other columns may hold anything."""
    for column in columns.values():
        try:
            if is_text(column.type):
                column.validate(full=True)
        except pa.ArrowInvalid:
            for number, cell in zip(block.numbers.tolist(), column.cast(pa.binary()).to_pylist(), strict=True):
                try:
                    (cell or b"").decode(UTF_8)
                except UnicodeDecodeError as error:
                    raise not_text(chunk.path, number, UTF_8, error) from error
