"""CSV files of trips: their chunks and rows."""

from __future__ import annotations

import dataclasses
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
from farebox.components.trip_example_gen.sources.csv_head import encoding_of_blocks, n_named, names_of, read_head
from farebox.components.trip_example_gen.sources.csv_rows import Block, Layout, Mask, end_of_rows, rows_of
from farebox.components.trip_example_gen.sources.csv_text import UTF_8, count_lines, not_text, to_utf8
from farebox.components.trip_example_gen.sources.packed import open_unpacked
from farebox.components.trip_example_gen.values.cells import is_text
from farebox.components.trip_example_gen.values.times import check_source

MAX_ROW_BYTES = 64 << 20


class _Ahead:
    """A file of which `head` is read already."""

    def __init__(self, head: bytes, file: Any) -> None:
        self._head, self._file = head, file

    def read(self, size: int) -> bytes:
        """At most `size` bytes, or more if the file gives more; none at its end."""
        block, self._head = self._head[:size], self._head[size:]
        return block + self._file.read(size - len(block)) if len(block) < size else block


def plan_csv(path: str, profile: CityProfile, chunk_bytes: int, open_file: OpenFile) -> Iterator[Chunk]:
    """Cuts a file between rows.

    Raises:
        InputError: the file lacks a column, is not CSV of the profile's dialect, or cannot be unpacked.
    """
    with open_unpacked(path, open_file) as file:
        head = read_head(path, file, profile.csv)
        names = names_of(head, path, lambda names: bind(profile, names, path))
        start = head.first_row()[profile.csv.names is None]
        binding = bind(profile, names, path)
        if PICKUP_TIME in binding.columns:
            where = f"{path}: column {binding.text_of(PICKUP_TIME)} (city.columns.{PICKUP_TIME})"
            check_source(profile.time_source, None, where)
        chunk = Chunk(path, 0, head.offset + start, 0, head.line_of(start), binding, names, dialect=head.dialect)
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
    return Layout(chunk.dialect, n_named(chunk.names), len(chunk.names))


def read_csv(chunk: Chunk, open_file: OpenFile) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    for block, line in _read_blocks(chunk, open_file):
        yield _parse_block(to_utf8(block, encoding_of_blocks(chunk.dialect), chunk.path, line), line, chunk)


def _read_blocks(chunk: Chunk, open_file: OpenFile) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of whole rows, each with the number of its first line."""
    if chunk.last:
        with open_file(chunk.path, "rb") as file:
            file.seek(chunk.first)
            yield file.read(chunk.last - chunk.first), chunk.row
        return
    with open_unpacked(chunk.path, open_file) as file:
        head = read_head(chunk.path, file, chunk.dialect)
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
