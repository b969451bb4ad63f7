"""Files of trips, their chunks, and the rows of a chunk as the source has them; judging.py finds the trips.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import glob
import gzip
import importlib.util
import io
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import PICKUP_TIME
from farebox.components.trip_example_gen.profile import CityProfile

SUFFIXES = (".csv", ".csv.gz", ".parquet")
CHUNK_BYTES = 16 << 20
SAMPLE_BYTES = 1 << 20  # of a CSV file, to estimate its rows
MAX_RATIO = 64  # of a packed sample's text in memory to its bytes
GZIP = 16  # added to zlib's window size for a gzip header
BATCH_ROWS = 1 << 17
MAX_TEXT = 500
ZONELESS = (None, "UTC", "Z", "+00:00")

# One line of CSV whose quotes are closed. An open quote would swallow the lines below it.
_FIELD = r'(?:"(?:[^"]|"")*"|[^",][^,]*|)'
_CLOSED_QUOTES = rf"\A{_FIELD}(?:,{_FIELD})*\n?\z"

OpenFile = Callable[[str, str], Any]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A part of a file that is read in one go, and the unit of work of TripExampleGen.

    index: the chunk's place among all chunks of a run.
    first, last: CSV: bytes [first, last), both at line starts; gzip: the whole file; Parquet: row groups [first, last).
    row: the number in its file, from 1, of its first line (CSV, where the header is line 1) or row (Parquet).
    names: the header of a CSV file.
    """

    path: str
    index: int
    first: int
    last: int
    row: int
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows as the source has them.

    columns: our column name: the source's values, numbers or text, n values each.
    numbers: line (CSV) or row (Parquet) in the file, from 1, shape (n,).
    lines: the n lines of a CSV.
    malformed: number and text of lines that have no columns: a wrong number of fields, or a quote never closed.
    """

    columns: dict[str, pa.Array]
    numbers: npt.NDArray[np.int64]
    lines: pa.Array | None = None
    malformed: tuple[tuple[int, str], ...] = ()

    def text(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """The rows at `positions` as text: the line of a CSV, the used columns of a Parquet row as JSON."""
        if self.lines is not None:
            return [_decode(line) for line in self.lines.take(pa.array(positions)).to_pylist()]
        used = pa.RecordBatch.from_pydict(
            {ours: cells.take(pa.array(positions)) for ours, cells in self.columns.items()}
        )
        return [json.dumps(row, default=str)[:MAX_TEXT] for row in used.to_pylist()]


def resolve_source(source: str) -> str:
    """The path of a city's own trips: `package:NAME/FOLDER` is found without importing the package."""
    if not source.startswith("package:"):
        return source
    package, _, folder = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"city.source={source} must name an installed package, got no package {package}")
    return os.path.join(next(iter(spec.submodule_search_locations)), folder)


def find_files(path: str) -> list[str]:
    """The files of trips that `path` (a file, a folder or a glob pattern) stands for, sorted.

    Raises:
        InputError: there is no file, or none that is CSV or Parquet.
    """
    if os.path.isdir(path):
        return pick_files(glob.glob(os.path.join(glob.escape(path), "*")), path)
    if os.path.exists(path):
        return pick_files([path], path)
    matches = glob.glob(path, recursive=True)
    if not matches:
        raise InputError(f"{path}: no such file or folder")
    return pick_files(matches, path)


def pick_files(matches: Iterable[str], where: str) -> list[str]:
    """The CSV and Parquet files among `matches`, sorted. Raises InputError, naming `where`, if there are none."""
    files = sorted(match for match in matches if match.lower().endswith(SUFFIXES))
    if not files:
        raise InputError(f"{where}: must be or hold files that end in {', '.join(SUFFIXES)}, found none")
    return files


def estimated_rows(files: Iterable[str]) -> int:
    """The approximate number of rows in local `files`: Parquet's own, CSV's by its size and first lines.

    A file that cannot be read counts 0 rows; ingest will refuse it.
    """
    rows = 0.0
    for path in files:
        with contextlib.suppress(OSError, EOFError, zlib.error, pa.ArrowException):
            if path.lower().endswith(".parquet"):
                rows += pq.read_metadata(path).num_rows
                continue
            with open(path, "rb") as file:
                head = file.read(SAMPLE_BYTES)
            taken = len(head)
            if path.lower().endswith(".gz"):  # not GzipFile: how far it reads ahead depends on Python's version
                unpacking = zlib.decompressobj(zlib.MAX_WBITS | GZIP)
                head = unpacking.decompress(head, MAX_RATIO * SAMPLE_BYTES)
                taken -= len(unpacking.unused_data) + len(unpacking.unconsumed_tail)
            if head:
                rows += max(head.count(b"\n") - 1, 0) * os.path.getsize(path) / taken
    return round(rows)


def plan_chunks(
    files: Iterable[str], profile: CityProfile, chunk_bytes: int = CHUNK_BYTES, open_file: OpenFile = open
) -> list[Chunk]:
    """Cuts `files` into chunks and checks every header.

    Raises:
        InputError: a file is empty, lacks a column, or is not in the format that its name says.
    """
    chunks: list[Chunk] = []
    for path in files:
        if path.lower().endswith(".parquet"):
            cuts = _plan_parquet(path, profile, open_file)
        else:
            cuts = _plan_csv(path, profile, chunk_bytes, open_file)
        for cut in cuts:
            chunks.append(dataclasses.replace(cut, index=len(chunks)))
    return chunks


def read_rows(chunk: Chunk, profile: CityProfile, open_file: OpenFile = open) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    if chunk.path.lower().endswith(".parquet"):
        yield from _read_parquet(chunk, profile, open_file)
        return
    for block, line in _read_blocks(chunk, open_file):
        yield _parse_block(block, line, chunk, profile)


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\n")[:MAX_TEXT]


def _check_columns(names: Iterable[str], profile: CityProfile, path: str) -> None:
    names = list(names)
    for ours, theirs in profile.columns.sources().items():
        if names.count(theirs) != 1:
            fault = "occurs more than once" if theirs in names else "is missing"
            raise InputError(f"{path}: column {theirs} (city.columns.{ours}) {fault}, found {', '.join(names)}")


# CSV


def _open_csv(path: str, open_file: OpenFile) -> Any:
    file = open_file(path, "rb")
    return gzip.GzipFile(fileobj=file) if path.lower().endswith(".gz") else file


def _plan_csv(path: str, profile: CityProfile, chunk_bytes: int, open_file: OpenFile) -> Iterator[Chunk]:
    try:
        with _open_csv(path, open_file) as file:
            header = file.readline()
            names = _parse_header(header, path)
            _check_columns(names, profile, path)
            if path.lower().endswith(".gz"):
                yield Chunk(path, 0, 0, 0, 2, names)
                return
            first, line = len(header), 2
            while block := file.read(chunk_bytes):
                block += file.readline()
                yield Chunk(path, 0, first, first + len(block), line, names)
                first, line = first + len(block), line + block.count(b"\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked: {error}") from error


def _parse_header(header: bytes, path: str) -> tuple[str, ...]:
    text = header.decode("utf-8-sig", "replace").strip()
    if not text:
        raise InputError(f"{path}: first line must be a header, got " + ("a blank line" if header else "an empty file"))
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))


def _read_blocks(chunk: Chunk, open_file: OpenFile) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of whole lines, each with the number of its first line."""
    try:
        with _open_csv(chunk.path, open_file) as file:
            if not chunk.path.lower().endswith(".gz"):
                file.seek(chunk.first)
                yield file.read(chunk.last - chunk.first), chunk.row
                return
            file.readline()
            line = chunk.row
            while block := file.read(CHUNK_BYTES):
                block += file.readline()
                yield block, line
                line += block.count(b"\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{chunk.path}: cannot be unpacked: {error}") from error


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


def _parse_block(raw: bytes, first: int, chunk: Chunk, profile: CityProfile) -> Rows:
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
    columns, invalid = _parse_lines(lines, chunk, profile)
    has_all_fields = np.ones(len(lines), bool)
    has_all_fields[invalid] = False
    lines, numbers, miscounted = _keep(lines, numbers, has_all_fields)
    malformed += miscounted
    if any(len(column) != len(lines) for column in columns.values()):
        raise InputError(f"{chunk.path}: the block at line {first} must be lines of CSV, got something else")
    return Rows(columns, numbers, lines, tuple(sorted(malformed)))


def _keep(
    lines: pa.Array, numbers: npt.NDArray[np.int64], is_kept: npt.NDArray[np.bool_]
) -> tuple[pa.Array, npt.NDArray[np.int64], list[tuple[int, str]]]:
    """Lines and numbers if `is_kept`, and number and text of the others."""
    if is_kept.all():
        return lines, numbers, []
    dropped = [_decode(line) for line in lines.filter(pa.array(~is_kept)).to_pylist()]
    return (
        lines.filter(pa.array(is_kept)),
        numbers[is_kept],
        list(zip(numbers[~is_kept].tolist(), dropped, strict=True)),
    )


def _parse_lines(lines: pa.Array, chunk: Chunk, profile: CityProfile) -> tuple[dict[str, pa.Array], list[int]]:
    """Our columns of `lines`, and the positions of the lines that have a wrong number of fields.

    Numbers are parsed as numbers; if a cell of the block is not a number, the whole block comes as text.
    """
    positions = {ours: str(chunk.names.index(theirs)) for ours, theirs in profile.columns.sources().items()}
    texts = {positions[PICKUP_TIME]} if PICKUP_TIME in positions and profile.time_format != "epoch" else set()
    types = {name: pa.string() if name in texts else pa.float64() for name in positions.values()}
    try:
        table, invalid = _read_csv(lines, len(chunk.names), types)
    except pa.ArrowInvalid:
        table, invalid = _read_csv(lines, len(chunk.names), dict.fromkeys(types, pa.string()))
    return {ours: table[name].combine_chunks() for ours, name in positions.items()}, invalid


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


# Parquet


def _open_parquet(path: str, open_file: OpenFile) -> pq.ParquetFile:
    try:
        # Of a local file Arrow reads what it needs; TFX's file objects lack what Arrow asks of a file.
        return pq.ParquetFile(path if "://" not in path else io.BytesIO(open_file(path, "rb").read()))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: unreadable Parquet: {str(error).splitlines()[0]}") from error


def _check_types(schema: pa.Schema, profile: CityProfile, path: str) -> None:
    """Raises InputError for a column whose type can hold neither our values nor text."""
    for ours, theirs in profile.columns.sources().items():
        kind = schema.field(theirs).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if ours == PICKUP_TIME:
            moment = pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz in ZONELESS)
            fits, wanted = moment or text or (number and profile.time_format == "epoch"), "a local time"
        else:
            fits, wanted = number or text, "a number"
        if not fits:
            raise InputError(f"{path}: column {theirs} (city.columns.{ours}) must be {wanted}, got {kind}")


def _plan_parquet(path: str, profile: CityProfile, open_file: OpenFile) -> Iterator[Chunk]:
    """Row groups, joined until they hold `BATCH_ROWS`."""
    if "://" not in path and os.path.getsize(path) == 0:
        raise InputError(f"{path}: must be Parquet, got an empty file")
    file = _open_parquet(path, open_file)
    _check_columns(file.schema_arrow.names, profile, path)
    _check_types(file.schema_arrow, profile, path)
    first, row, rows = 0, 1, 0
    for group in range(file.num_row_groups):
        rows += file.metadata.row_group(group).num_rows
        if rows >= BATCH_ROWS or group == file.num_row_groups - 1:
            yield Chunk(path, 0, first, group + 1, row)
            first, row, rows = group + 1, row + rows, 0


def _read_parquet(chunk: Chunk, profile: CityProfile, open_file: OpenFile) -> Iterator[Rows]:
    file = _open_parquet(chunk.path, open_file)
    sources = profile.columns.sources()
    row = chunk.row
    try:
        for batch in file.iter_batches(BATCH_ROWS, list(range(chunk.first, chunk.last)), sorted(set(sources.values()))):
            columns = {ours: batch.column(batch.schema.get_field_index(theirs)) for ours, theirs in sources.items()}
            yield Rows(columns, np.arange(row, row + batch.num_rows))
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{chunk.path}: unreadable Parquet: {str(error).splitlines()[0]}") from error
