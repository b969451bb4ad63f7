"""A file of trips in parts, and the rows of a part as the source has them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.trip_example_gen.sources.binding import Binding
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

CHUNK_BYTES = 16 << 20
BATCH_ROWS = 1 << 17
MAX_TEXT = 500

OpenFile = Callable[[str, str], Any]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A part of a file that is read in one go, and the unit of work of TripExampleGen.

    index: the chunk's place among all chunks of a run.
    first, last: CSV: bytes [first, last), both at row starts; a file that can be read from its beginning only, such as
        a packed one: bytes from `first` on, last is 0; Parquet: row groups [first, last).
    row: the number in its file, from 1, of its first line (CSV, where the header is line 1) or row (Parquet).
    binding: which of the file's columns give ours.
    names, dialect: of a CSV file; with separator and encoding.
    is_parquet: whether the file is Parquet, whatever its name.
    """

    path: str
    index: int
    first: int
    last: int
    row: int
    binding: Binding
    names: tuple[str, ...] = ()
    is_parquet: bool = False
    dialect: CsvDialect = PLAIN


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows as the source has them.

    binding: which columns give ours.
    columns: the source's columns that are read, by the source's name: numbers or text, n values each.
    numbers: first line (CSV) or row (Parquet) in the file, from 1, shape (n,).
    lines: the n rows of a CSV with their line ends.
    malformed: number and text of rows that have no columns: a wrong number of fields, or a quote never closed.
    """

    binding: Binding
    columns: dict[str, pa.Array]
    numbers: npt.NDArray[np.int64]
    lines: pa.Array | None = None
    malformed: tuple[tuple[int, str], ...] = ()

    def text(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """The rows at `positions` as text: the line of a CSV, the used columns of a Parquet row as JSON."""
        if self.lines is not None:
            return [decode(line) for line in self.lines.take(pa.array(positions)).to_pylist()]
        used = pa.RecordBatch.from_pydict(
            {name: cells.take(pa.array(positions)) for name, cells in self.columns.items()}
        )
        return [json.dumps(row, default=str)[:MAX_TEXT] for row in used.to_pylist()]


def decode(line: bytes) -> str:
    """A row of CSV as text, at most `MAX_TEXT` characters."""
    return line.decode("utf-8", "replace").rstrip("\n")[:MAX_TEXT]
