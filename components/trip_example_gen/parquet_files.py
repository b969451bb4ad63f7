"""Parquet files of trips: their chunks and rows."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import chunks, safe_arrow
from farebox.components.trip_example_gen.binding import Binding, bind
from farebox.components.trip_example_gen.cells import is_text
from farebox.components.trip_example_gen.chunks import Chunk, OpenFile, Rows
from farebox.components.trip_example_gen.columns import PICKUP_TIME
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.times import NUMBERS, check_source

safe_arrow.close_cve_2023_47248()  # before the first file is opened, in every process


def _open_parquet(path: str, open_file: OpenFile) -> pq.ParquetFile:
    try:
        # Of a local file Arrow reads what it needs; TFX's file objects lack what Arrow asks of a file.
        return pq.ParquetFile(path if "://" not in path else io.BytesIO(open_file(path, "rb").read()))
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:  # ValueError: a refused type
        raise InputError(f"{path}: unreadable Parquet: {str(error).splitlines()[0]}") from error


def _check_types(schema: pa.Schema, binding: Binding, profile: CityProfile, path: str) -> None:
    """Raises InputError for a column whose type can hold neither our values nor text."""
    for ours, expression in binding.columns.items():
        for name in expression.names:
            kind = schema.field(name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            where = f"{path}: column {name} (city.columns.{ours})"
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            wanted = "a number"
            if ours == PICKUP_TIME:
                check_source(profile.time_source, kind, where)
                is_number = set(profile.time_source.formats) & set(NUMBERS)
                number, wanted = bool(number and is_number) or pa.types.is_timestamp(kind), "a time"
            if not (number or is_text(kind) or pa.types.is_null(kind)):
                raise InputError(f"{where} must be {wanted}, got {kind}")


def plan_parquet(path: str, profile: CityProfile, open_file: OpenFile) -> Iterator[Chunk]:
    """Row groups, joined until they hold `chunks.BATCH_ROWS`."""
    if "://" not in path and os.path.getsize(path) == 0:
        raise InputError(f"{path}: must be Parquet, got an empty file")
    file = _open_parquet(path, open_file)
    binding = bind(profile, file.schema_arrow.names, path)
    _check_types(file.schema_arrow, binding, profile, path)
    first, row, rows = 0, 1, 0
    for group in range(file.num_row_groups):
        rows += file.metadata.row_group(group).num_rows
        if rows >= chunks.BATCH_ROWS or group == file.num_row_groups - 1:
            yield Chunk(path, 0, first, group + 1, row, binding)
            first, row, rows = group + 1, row + rows, 0


def read_parquet(chunk: Chunk, open_file: OpenFile) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    file = _open_parquet(chunk.path, open_file)
    names = list(chunk.binding.names)
    row = chunk.row
    try:
        for batch in file.iter_batches(chunks.BATCH_ROWS, list(range(chunk.first, chunk.last)), names):
            columns = {name: batch.column(batch.schema.get_field_index(name)) for name in names}
            yield Rows(chunk.binding, columns, np.arange(row, row + batch.num_rows))
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{chunk.path}: unreadable Parquet: {str(error).splitlines()[0]}") from error
