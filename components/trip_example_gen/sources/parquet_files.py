"""Parquet files of trips: their chunks and rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import PICKUP_TIME
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources import chunks, safe_arrow
from farebox.components.trip_example_gen.sources.binding import Binding, bind
from farebox.components.trip_example_gen.sources.chunks import Chunk, OpenFile, Rows
from farebox.components.trip_example_gen.sources.packed import SeekableFile
from farebox.components.trip_example_gen.values.cells import is_text
from farebox.components.trip_example_gen.values.times import NUMBERS, check_source

safe_arrow.close_cve_2023_47248()  # before the first file is opened, in every process


@contextlib.contextmanager
def _reading(path: str, *more: type[Exception]) -> Iterator[None]:
    """Raises InputError for what Arrow raises, and for `more`."""
    try:
        yield
    except (pa.ArrowException, OSError, *more) as error:
        raise InputError(f"{path}: unreadable Parquet: {(str(error).splitlines() or [''])[0]}") from error


@contextlib.contextmanager
def open_parquet(path: str, open_file: OpenFile) -> Iterator[pq.ParquetFile]:
    """A Parquet file, of which only the columns that are asked for are read, of a bucket's too."""
    with contextlib.ExitStack() as stack:
        is_remote = "://" in path
        place: Any = stack.enter_context(SeekableFile(open_file(path, "rb"))) if is_remote else path
        if is_remote:
            stack.enter_context(safe_arrow.until_released(place))
        with _reading(path, ValueError, RuntimeError):  # of a refused type: safe_arrow's, pyarrow-hotfix's
            # Of a bucket, nearby columns are read at once. The oldest type of times (INT96) reaches far beyond ns.
            file = pq.ParquetFile(place, pre_buffer=is_remote, coerce_int96_timestamp_unit="us")
        stack.callback(delattr, file, "reader")  # what Arrow's threads hold is Arrow's alone then
        with _reading(path):
            yield file


def count_rows(path: str, open_file: OpenFile) -> int:
    """The number of rows by the file's metadata. Raises InputError."""
    with open_parquet(path, open_file) as file:
        return int(file.metadata.num_rows)


def _check_types(schema: pa.Schema, binding: Binding, profile: CityProfile, path: str) -> None:
    """Raises InputError for a column whose type can hold neither our values nor text."""
    for ours, expression in binding.columns.items():
        for name in set(expression.names) - set(binding.partitions):
            key = f"features.{ours}" if ours in profile.extra else f"columns.{ours}"
            where = f"{path}: column {name} (city.{key})"
            if expression.is_column:
                _check_column(schema.field(name).type, ours, profile, where)
            else:
                _check_operand(schema.field(name).type, where)
    for name in binding.where.names if binding.where else ():
        if name not in binding.partitions:
            _check_operand(schema.field(name).type, f"{path}: column {name} (city.where)")


def _check_column(kind: pa.DataType, ours: str, profile: CityProfile, where: str) -> None:
    kind = _plain_type(kind)
    has_values = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    wanted = "a number"
    if ours == PICKUP_TIME:
        check_source(profile.time_source, kind, where)
        is_number = set(profile.time_source.formats) & set(NUMBERS)
        has_values, wanted = bool(has_values and is_number) or pa.types.is_timestamp(kind), "a time"
    elif ours in profile.extra:
        has_values = has_values or pa.types.is_boolean(kind)
    if not (has_values or is_text(kind) or pa.types.is_null(kind)):
        raise InputError(f"{where} must be {wanted}, got {kind}")


def _check_operand(kind: pa.DataType, where: str) -> None:
    kind = _plain_type(kind)
    if pa.types.is_nested(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        raise InputError(f"{where} must be numbers, text, moments, or true and false, got {kind}")


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type as `_plain` leaves it, without dictionary."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if _is_octets(kind) else kind


def _is_octets(kind: pa.DataType) -> bool:
    """Whether a type is one of bytes: some writers do not mark their text as text. Views are newer than Arrow 10."""
    return str(kind).endswith(("binary", "_view")) or pa.types.is_fixed_size_binary(kind)


def _plain(cells: pa.Array, where: str) -> pa.Array:
    """The cells of a column as the rest of the reader knows them. Raises InputError for bytes that are no text."""
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    if pa.types.is_dictionary(cells.type) and _is_octets(cells.type.value_type):
        cells = cells.dictionary_decode()
    if not _is_octets(cells.type):
        return cells
    if pa.types.is_fixed_size_binary(cells.type):
        cells = cells.cast(pa.binary())
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise InputError(f"{where} must be text in UTF-8, got other bytes") from error


def plan_parquet(path: str, profile: CityProfile, open_file: OpenFile) -> Iterator[Chunk]:
    """Row groups, joined until they hold `chunks.BATCH_ROWS`."""
    with open_parquet(path, open_file) as file:
        schema, metadata = file.schema_arrow, file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    binding = bind(profile, schema.names, path)
    _check_types(schema, binding, profile, path)
    first, row, rows = 0, 1, 0
    for group, size in enumerate(sizes):
        rows += size
        if rows >= chunks.BATCH_ROWS or (rows and group == len(sizes) - 1):
            yield Chunk(path, 0, first, group + 1, row, binding, is_parquet=True)
            first, row, rows = group + 1, row + rows, 0


def read_parquet(chunk: Chunk, open_file: OpenFile) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    names = list(chunk.binding.names)
    row = chunk.row
    with open_parquet(chunk.path, open_file) as file:
        for batch in file.iter_batches(chunks.BATCH_ROWS, list(range(chunk.first, chunk.last)), names):
            columns = {
                name: _plain(batch.column(batch.schema.get_field_index(name)), f"{chunk.path}: column {name}")
                for name in names
            }
            yield Rows(chunk.binding, columns, np.arange(row, row + batch.num_rows))
            row += batch.num_rows
