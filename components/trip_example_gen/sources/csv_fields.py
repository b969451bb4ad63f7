"""The columns of CSV rows, whole blocks at a time: Arrow parses rows that have been given the same number of fields."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources.csv_rows import (
    Block,
    Layout,
    Mask,
    Positions,
    count_fields,
    grammar,
    without_trailing,
)
from farebox.components.trip_example_gen.sources.safe_arrow import until_released
from farebox.components.trip_example_gen.values.dialect import CsvDialect

SAMPLE_ROWS = 100
MAX_REPEATS = 1000  # in a regular expression of RE2
MAX_RETRIES = 3  # each with one column more as text


def columns_of(
    block: Block, layout: Layout, positions: Mapping[str, int], texts: frozenset[str], where: str
) -> tuple[dict[str, pa.Array], Mask]:
    """Columns by name, of the rows that have the right number of fields; and which rows these are, shape (n,).

    positions: the places of the columns from 0 on. texts: columns that stay text; in the others numbers are parsed as
    numbers, and a column of the block with a cell that is no number comes as text. where: the block, for messages.
    """
    width, is_mixed = _width(block.rows, layout)
    rows = _plain(block, layout)
    if layout.dialect.ragged or is_mixed:
        rows = _levelled(rows, np.flatnonzero(count_fields(rows, layout.dialect) != width), width, layout)
    kinds = {place: pa.string() if name in texts else pa.float64() for name, place in positions.items()}
    if not layout.dialect.ragged:
        kinds |= dict.fromkeys(range(layout.most, width), pa.string())
    parser = _Parser(layout.dialect, width, kinds, block.has_breaks, where)
    table, skipped = parser.parse(rows)
    if len(skipped) and not layout.dialect.ragged:
        mended = _levelled(rows, skipped, width, layout)
        if mended is not rows:
            table, skipped = parser.parse(mended)
    is_row = np.ones(len(rows), bool)
    is_row[skipped] = False
    columns = {name: table[str(place)].combine_chunks() for name, place in positions.items()}
    behind = [_is_blank(table[str(place)].combine_chunks()) for place in kinds if place >= layout.most]
    is_empty = np.logical_and.reduce(behind) if behind else np.True_
    if not is_empty.all():
        columns = {name: column.filter(pa.array(is_empty)) for name, column in columns.items()}
        is_row[is_row] = is_empty
    return columns, is_row


def _is_blank(cells: pa.Array) -> Mask:
    if pc.sum(pc.binary_length(cells)).as_py() in (0, None):
        return np.ones(len(cells), bool)
    return np.asarray(pc.match_substring_regex(cells.cast(pa.binary()), r"^\s*$").to_numpy(zero_copy_only=False))


def _width(rows: pa.Array, layout: Layout) -> tuple[int, bool]:
    """The usual number of fields, and whether some of the first rows have another one.

    It is that of the header and of the empty fields that most of the first rows have behind them.
    """
    sample = rows.slice(0, SAMPLE_ROWS)
    if layout.dialect.ragged or not len(sample):
        return layout.most, False
    n_fields = count_fields(sample, layout.dialect)
    n_filled = count_fields(without_trailing(sample, layout.dialect), layout.dialect)
    usual = n_fields[n_filled <= layout.most]
    width = max(layout.most, int(np.bincount(usual).argmax())) if len(usual) else layout.most
    return width, bool((n_fields != width).any())


def _plain(block: Block, layout: Layout) -> pa.Array:
    """The rows as Arrow reads them: no blanks around quotes, and no missing values that begin with the escape."""
    dialect, rows = layout.dialect, block.rows
    quote = dialect.quote
    beside = (f"{blank}{quote}" for blank in " \t" if blank != dialect.separator)
    if block.is_closed is not None and any(
        pair.encode() in block.text or pair[::-1].encode() in block.text for pair in beside
    ):
        rows = pc.replace_substring_regex(rows, grammar(dialect).quoted, r"\1\2")
    for word in dialect.missing:
        if dialect.escape and dialect.escape in word and word.encode() in block.text:
            mark = grammar(dialect).separator
            alone = f"(\\A|{mark}){re.escape(word)}({mark}|\\n|$)"
            for _ in range(2):  # neighbours share a separator
                rows = pc.replace_substring_regex(rows, alone, r"\1\2")
    return rows


def _levelled(rows: pa.Array, positions: Positions, width: int, layout: Layout) -> pa.Array:
    """All rows, those at `positions` with `width` fields if they may have it; `rows` itself if none changes.

    Empty fields are added or, at the end, taken away. Ragged rows may lack fields, and what is too much is cut.
    """
    dialect = layout.dialect
    some = without_trailing(rows.take(pa.array(positions)), dialect)
    n_fields = count_fields(some, dialect)
    if dialect.ragged:
        is_long = np.flatnonzero(n_fields > width)
        if len(is_long) and width <= MAX_REPEATS:
            some = _replaced(some, is_long, _cut(some.take(pa.array(is_long)), width, dialect))
            n_fields[is_long] = width
        may_have = n_fields <= width
    else:
        n_given = count_fields(rows.take(pa.array(positions)), dialect)
        may_have = (n_given >= layout.least) & (n_fields <= layout.most)
    if not may_have.any():
        return rows
    n_missing = width - n_fields[may_have]
    separators = [(dialect.separator or "") * n + "\n" for n in range(int(n_missing.max()) + 1)]
    ends = pa.array(separators).cast(pa.binary()).take(pa.array(n_missing))
    return _replaced(
        rows,
        positions[may_have],
        pc.binary_join_element_wise(some.filter(pa.array(may_have)), ends, pa.scalar(b"", pa.binary())),
    )


def _cut(rows: pa.Array, width: int, dialect: CsvDialect) -> pa.Array:
    """The first `width` fields of rows that have more."""
    field, mark = grammar(dialect).field, grammar(dialect).separator
    return pc.replace_substring_regex(rows, f"(?s)\\A({field}(?:{mark}{field}){{{width - 1}}}){mark}.*$", r"\1")


def _replaced(rows: pa.Array, positions: Positions, others: pa.Array) -> pa.Array:
    order = np.arange(len(rows))
    order[positions] = len(rows) + np.arange(len(positions))
    return pa.concat_arrays([rows, others]).take(pa.array(order))


@dataclasses.dataclass
class _Parser:
    """Arrow's reader for rows of `width` fields; `kinds` are the types of the columns that are read, by their place."""

    dialect: CsvDialect
    width: int
    kinds: dict[int, pa.DataType]
    has_breaks: bool
    where: str

    def parse(self, rows: pa.Array) -> tuple[pa.Table, Positions]:
        """The columns by their place as text, and the positions of the rows that do not have `width` fields."""
        if not _are_numbers_plain(self.dialect):
            self.kinds = dict.fromkeys(self.kinds, pa.string())
        for _ in range(MAX_RETRIES):
            try:
                return self._read(rows)
            except pa.ArrowInvalid as error:
                column = re.search(r"CSV column #(\d+)", str(error))
                if column is None:
                    break
                self.kinds[int(column[1])] = pa.string()
        self.kinds = dict.fromkeys(self.kinds, pa.string())
        try:
            return self._read(rows)
        except pa.ArrowInvalid:  # it cannot hand on a row of a wrong number of fields that is not UTF-8
            has_width = count_fields(rows, self.dialect) == self.width
        try:
            table, skipped = self._read(rows.filter(pa.array(has_width)))
        except pa.ArrowInvalid as error:
            raise InputError(f"{self.where} must be rows of CSV: {' '.join(str(error).split())[:200]}") from error
        return table, np.append(np.flatnonzero(~has_width), np.flatnonzero(has_width)[skipped])

    def _read(self, rows: pa.Array) -> tuple[pa.Table, Positions]:
        skipped: list[int] = []

        def note(row: pa_csv.InvalidRow) -> str:
            skipped.append(row.number - 1)
            return "skip"

        octets = _octets(rows)
        with until_released(note, octets):
            # read_csv of pyarrow 10 also walks all live Python objects: 0.1 s beside TensorFlow.
            table = pa_csv.open_csv(pa.BufferReader(pa.py_buffer(octets)), *self._options(octets.size, note)).read_all()
        return table, np.array(skipped, np.int64)

    def _options(self, n_bytes: int, note: Callable[[pa_csv.InvalidRow], str]) -> tuple[Any, ...]:
        """Arrow's options for text of `n_bytes`, to read, to parse and to convert it."""
        return (
            # Only without threads does Arrow number the rows that it skips.
            pa_csv.ReadOptions(
                use_threads=False, block_size=n_bytes + 1, column_names=list(map(str, range(self.width)))
            ),
            pa_csv.ParseOptions(
                delimiter=self.dialect.separator, quote_char=self.dialect.quote, invalid_row_handler=note,
                escape_char=self.dialect.escape or False, newlines_in_values=self.has_breaks,
            ),
            pa_csv.ConvertOptions(
                check_utf8=False, include_columns=list(map(str, self.kinds)),
                column_types={str(place): kind for place, kind in self.kinds.items()},
                null_values=_null_values(self.dialect.missing), decimal_point=self.dialect.decimal,
            ),
        )  # fmt: skip


def _octets(rows: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of rows one after the other."""
    if not len(rows):
        return np.frombuffer(b"\n", np.uint8)
    first, last = np.frombuffer(rows.buffers()[1], np.int32)[[rows.offset, rows.offset + len(rows)]]
    return np.frombuffer(rows.buffers()[2], np.uint8)[first:last]


@functools.cache
def _null_values(missing: tuple[str, ...]) -> list[str]:
    return [*pa_csv.ConvertOptions().null_values, *missing]


@functools.cache
def _are_numbers_plain(dialect: CsvDialect) -> bool:
    """Whether Arrow tells numbers from missing values: not if a number such as -1 stands for one."""
    for word in dialect.missing:
        try:
            float(word.replace(dialect.decimal, "."))
        except ValueError:
            continue
        return False
    return True
