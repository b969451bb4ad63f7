"""CSV files of trips: their chunks and rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import chunks
from farebox.components.trip_example_gen.binding import bind
from farebox.components.trip_example_gen.chunks import Chunk, OpenFile, Rows, decode
from farebox.components.trip_example_gen.columns import PICKUP_TIME
from farebox.components.trip_example_gen.packed import UnpackedFile, open_unpacked
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.times import check_source

# One line of CSV whose quotes are closed. An open quote would swallow the lines below it.
_FIELD = r'(?:"(?:[^"]|"")*"|[^",][^,]*|)'
_CLOSED_QUOTES = rf"\A{_FIELD}(?:,{_FIELD})*\n?\z"


def plan_csv(path: str, profile: CityProfile, chunk_bytes: int, open_file: OpenFile) -> Iterator[Chunk]:
    """Cuts a file at line starts; a packed file is one chunk.

    Raises InputError if its header lacks a column, or if it cannot be unpacked.
    """
    with open_unpacked(path, open_file) as file:
        header = file.readline()
        names = _parse_header(header, path)
        binding = bind(profile, names, path)
        if PICKUP_TIME in binding.columns:
            where = f"{path}: column {binding.text_of(PICKUP_TIME)} (city.columns.{PICKUP_TIME})"
            check_source(profile.time_source, None, where)
        if isinstance(file, UnpackedFile):
            yield Chunk(path, 0, 0, 0, 2, binding, names)
            return
        first, line = len(header), 2
        while block := file.read(chunk_bytes):
            block += file.readline()
            yield Chunk(path, 0, first, first + len(block), line, binding, names)
            first, line = first + len(block), line + block.count(b"\n")


def _parse_header(header: bytes, path: str) -> tuple[str, ...]:
    text = header.decode("utf-8-sig", "replace").strip()
    if not text:
        raise InputError(f"{path}: first line must be a header, got " + ("a blank line" if header else "an empty file"))
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))


def read_csv(chunk: Chunk, open_file: OpenFile) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    for block, line in _read_blocks(chunk, open_file):
        yield _parse_block(block, line, chunk)


def _read_blocks(chunk: Chunk, open_file: OpenFile) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of whole lines, each with the number of its first line."""
    if chunk.last:
        with open_file(chunk.path, "rb") as file:
            file.seek(chunk.first)
            yield file.read(chunk.last - chunk.first), chunk.row
        return
    with open_unpacked(chunk.path, open_file) as file:
        file.readline()
        line = chunk.row
        while block := file.read(chunks.CHUNK_BYTES):
            block += file.readline()
            yield block, line
            line += block.count(b"\n")


def _split_lines(raw: bytes, first: int) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The lines of `raw` that are not blank, newlines kept, and their numbers counted from `first`."""
    octets = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(octets == ord("\n")) + 1
    if raw and not raw.endswith(b"\n"):
        ends = np.append(ends, len(raw))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(raw)])
    is_filled = octets[offsets[:-1]] != ord("\n")
    numbers = np.arange(first, first + len(ends))
    return (lines, numbers) if is_filled.all() else (lines.filter(pa.array(is_filled)), numbers[is_filled])


def _parse_block(raw: bytes, first: int, chunk: Chunk) -> Rows:
    """The rows of a block of whole lines.

    A line is a row: a quoted field may hold commas and quotes but no line break. So chunks can be cut at any line,
    and a quote that is never closed spoils its own line only.
    """
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines, numbers = _split_lines(raw, first)
    malformed: list[tuple[int, str]] = []
    if b'"' in raw:
        is_closed = pc.match_substring_regex(lines, _CLOSED_QUOTES).to_numpy(zero_copy_only=False)
        lines, numbers, unclosed = _keep(lines, numbers, is_closed)
        malformed += unclosed
    columns, invalid = _parse_lines(lines, chunk)
    has_all_fields = np.ones(len(lines), bool)
    has_all_fields[invalid] = False
    lines, numbers, miscounted = _keep(lines, numbers, has_all_fields)
    malformed += miscounted
    if any(len(column) != len(lines) for column in columns.values()):
        raise InputError(f"{chunk.path}: the block at line {first} must be lines of CSV, got something else")
    return Rows(chunk.binding, columns, numbers, lines, tuple(sorted(malformed)))


def _keep(
    lines: pa.Array, numbers: npt.NDArray[np.int64], is_kept: npt.NDArray[np.bool_]
) -> tuple[pa.Array, npt.NDArray[np.int64], list[tuple[int, str]]]:
    """Lines and numbers if `is_kept`, and number and text of the others."""
    if is_kept.all():
        return lines, numbers, []
    dropped = [decode(line) for line in lines.filter(pa.array(~is_kept)).to_pylist()]
    return (
        lines.filter(pa.array(is_kept)),
        numbers[is_kept],
        list(zip(numbers[~is_kept].tolist(), dropped, strict=True)),
    )


def _parse_lines(lines: pa.Array, chunk: Chunk) -> tuple[dict[str, pa.Array], list[int]]:
    """The used columns of `lines`, and the positions of the lines that have a wrong number of fields.

    Numbers are parsed as numbers; if a cell of the block is not a number, the whole block comes as text.
    """
    positions = {name: str(chunk.names.index(name)) for name in chunk.binding.names}
    types = {
        position: pa.string() if name in chunk.binding.texts else pa.float64() for name, position in positions.items()
    }
    try:
        table, invalid = _read_csv(lines, len(chunk.names), types)
    except pa.ArrowInvalid:
        table, invalid = _read_csv(lines, len(chunk.names), dict.fromkeys(types, pa.string()))
    return {name: table[position].combine_chunks() for name, position in positions.items()}, invalid


def _read_csv(lines: pa.Array, n_fields: int, types: dict[str, pa.DataType]) -> tuple[pa.Table, list[int]]:
    """The fields named in `types` (by their position), and the positions of the lines that do not have `n_fields`."""
    invalid: list[int] = []

    def note(row: pa_csv.InvalidRow) -> str:
        invalid.append(row.number - 1)
        return "skip"

    octets = lines.buffers()[2] if len(lines) else pa.py_buffer(b"\n")
    table = pa_csv.read_csv(
        pa.BufferReader(octets),
        # Only without threads does Arrow number the rows that it skips.
        pa_csv.ReadOptions(use_threads=False, block_size=octets.size + 1, column_names=list(map(str, range(n_fields)))),
        pa_csv.ParseOptions(invalid_row_handler=note),
        pa_csv.ConvertOptions(check_utf8=False, include_columns=list(types), column_types=types),
    )
    return table, invalid
