"""Samples of files whose format nobody has described: first rows and rows from the middle, and how they are written."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Hashable, Sequence

import charset_normalizer
import numpy as np
import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.inspection.punctuation import (
    is_separator_line,
    lines_above,
    punctuation,
    without_errors,
)
from farebox.components.trip_example_gen.sources.packed import (
    FileKind,
    UnpackedFile,
    contents_of,
    open_unpacked,
    text_name,
)
from farebox.components.trip_example_gen.sources.parquet_files import open_parquet
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

PART_BYTES = 1 << 20  # of text, from the beginning and from the middle
HEADER_BYTES = 1 << 16
MAX_ROWS = 20_000
WESTERN, CENTRAL = "cp1252", ("cp1250", "iso8859_2")
ENCODINGS = ["cp1252", "cp1250", "cp1251", "koi8_r", "iso8859_2", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
# Marks in numbers, in the order in which they are tried: the decimal, and what separates groups of three digits.
NUMBER_MARKS = ((".", None), (".", ","), (",", None), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"))
NULLS = ("\\N", "-", "--", "?", ".", "nil", "unknown", "missing", "undefined")
GROUPED = re.compile(r"^[^\d]*\d{1,3}([.,])\d{3}[^\d]*$")
MIN_RAGGED = 0.01  # share of rows from which on they are no accident


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows of a file.

    names: of the columns; `column_1`, ... if the file has no header.
    columns: by name: text for CSV, Arrow's types for Parquet, n values each.
    raw: the sampled lines of a CSV in its own encoding, header included.
    questions: what the rows do not settle, by key of the profile.
    """

    path: str
    names: tuple[str, ...]
    columns: dict[str, pa.Array]
    dialect: CsvDialect = PLAIN
    raw: bytes = b""
    has_header: bool = True
    questions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_csv(self) -> bool:
        return bool(self.raw)

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def contents(paths: Sequence[str]) -> list[tuple[str, FileKind]]:
    """Place and kind of the files of trips, and of the texts in archives; empty ones are left out.

    Raises InputError if all are empty.
    """
    found = [content for path in paths for content in contents_of(path, open)]
    if all(kind == "empty" for _, kind in found):
        raise InputError(f"{paths[0]}: must have rows, got an empty file")
    return [(place, kind) for place, kind in found if kind != "empty"]


def sample(path: str, kind: FileKind = "text") -> Sample:
    """Reads rows of a CSV or Parquet file. Raises InputError for a file without rows."""
    taken = _sample_parquet(path) if kind == "parquet" else _sample_csv(path)
    if not taken.n_rows:
        raise InputError(f"{path}: must have rows, got {'a header' if taken.names else 'an empty file'}")
    return taken


def header_of(path: str, kind: FileKind) -> Hashable:
    """The first line or the names of the columns: equal for files of one kind."""
    if kind == "parquet":
        with open_parquet(path, open) as file:
            return tuple(file.schema_arrow.names)
    with open_unpacked(path, open) as text:
        first: bytes = text.readline(HEADER_BYTES)
    return first if re.search(rb"[A-Za-z]", first) else first.count(b",")


def _sample_parquet(path: str) -> Sample:
    with open_parquet(path, open) as file:
        names = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
        groups = sorted({0, file.num_row_groups // 2} & set(range(file.num_row_groups)))
        batches = [
            batch
            for group in groups
            for batch in itertools.islice(file.iter_batches(MAX_ROWS // 2, [group], columns=names), 1)
        ]
    if not batches:
        return Sample(path, tuple(names), {})
    table = pa.Table.from_batches(batches)
    columns = {name: _whole(cells.undictionary(table[name].combine_chunks())) for name in names}
    return _with_number_marks(Sample(path, tuple(names), columns))


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array: Arrow 10 makes a chunked one of a dictionary's parts."""
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


# CSV


def _sample_csv(path: str) -> Sample:
    head, middle = _parts(path)
    encoding = _encoding(head + middle)
    first, rest = (_decode(part, encoding) for part in (head, middle))
    first, rest = first[: _end(first)], rest[: _end(rest)] if rest else ""
    n_above = lines_above(first.splitlines())
    above = "".join(first.splitlines(keepends=True)[:n_above])
    text = first[len(above) :] + rest
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: must have rows, got an empty file")
    if "\0" in lines[0]:
        raise InputError(f"{path}: line {n_above + 1} must be text, got NUL bytes: the file is binary")
    comment = "#" if lines[0].startswith("#") and not all(line.startswith("#") for line in lines) else None
    dialect = punctuation([line for line in lines if not (comment and line.startswith(comment))])
    dialect = dataclasses.replace(dialect, comment=comment, encoding=encoding)
    if not is_separator_line(above):
        dialect = dataclasses.replace(dialect, skip_rows=n_above)
    if text_name(path).lower().endswith(".tsv") and dialect.separator is None:
        dialect = dataclasses.replace(dialect, separator=",")
    rows = _rows(text, dialect)
    if not rows:
        raise InputError(f"{path}: must be CSV, but none of its first lines can be read: one is too long, or not text")
    names, has_header, rows = _names(rows)
    columns, dialect = _columns(names, rows, dialect, path)
    if not has_header:
        dialect = dataclasses.replace(dialect, names=names)
    raw = (above + text).encode(encoding or "utf-8", "replace")
    return _with_number_marks(Sample(path, names, columns, dialect, raw, has_header))


def _parts(path: str) -> tuple[bytes, bytes]:
    """The first bytes, and whole lines from the middle if the file can be read from there."""
    with open_unpacked(path, open) as text:
        head = text.read(PART_BYTES)
        is_utf_16 = b"\0" in head[:64]  # whose bytes are no characters
        if isinstance(text, UnpackedFile) or is_utf_16 or len(head) < PART_BYTES:
            return head, b""
        text.seek(max(PART_BYTES, text.seek(0, 2) // 2))
        return head, text.read(PART_BYTES).partition(b"\n")[2]


def _end(text: str) -> int:
    """The end of the last whole line; of all text if it is short, as a file's last line need have no end."""
    if len(text) < PART_BYTES // 4:
        return len(text)
    return max(text.rfind("\n"), text.rfind("\r")) + 1 or len(text)


def _encoding(octets: bytes) -> str | None:
    """Python's name of the encoding; None for UTF-8, or UTF-16 with a byte order mark."""
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    for cut in range(4):  # the last character may be cut
        try:
            octets[: len(octets) - cut].decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start < len(octets) - 4:
                break
        else:
            return None
    if octets[:64].count(b"\0") > 8:
        return "utf-16-le" if octets[1:2] == b"\0" else "utf-16-be"
    likely = charset_normalizer.from_bytes(octets, cp_isolation=ENCODINGS)
    best = likely.best()
    if best is None:
        return WESTERN
    # Few words tell Western and Central Europe apart: of equally likely ones the commoner is taken.
    is_western = any(each.encoding == WESTERN and each.chaos <= best.chaos for each in likely)
    return WESTERN if is_western and best.encoding in CENTRAL else best.encoding


def _decode(octets: bytes, encoding: str | None) -> str:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return octets.decode("utf-16", "ignore")
    return octets.decode(encoding or "utf-8-sig", "replace")


def _rows(text: str, dialect: CsvDialect) -> list[list[str]]:
    lines = text.splitlines(keepends=True)
    if dialect.comment:
        lines = [line for line in lines if not line.startswith(dialect.comment)]
    reader = csv.reader(
        lines, delimiter=dialect.separator or ",", quotechar=dialect.quote, escapechar=dialect.escape,
        skipinitialspace=True,
    )  # fmt: skip
    return [row for row in itertools.islice(without_errors(reader), MAX_ROWS) if any(field.strip() for field in row)]


def _names(rows: list[list[str]]) -> tuple[tuple[str, ...], bool, list[list[str]]]:
    """The header's names, or invented ones; whether there is a header; and the rows below it."""
    first = [field.strip() for field in rows[0]]
    is_value = re.compile(r"^[^A-Za-z]*\d[^A-Za-z]*$|^\d.*\d$|^POINT|^\[\[", re.I)
    if any(is_value.match(field) for field in first if field) or not any(re.search(r"\w", field) for field in first):
        n_fields = Counter(map(len, rows)).most_common(1)[0][0]
        return tuple(f"column_{i + 1}" for i in range(n_fields)), False, rows
    names = first
    while names and not names[-1] and len(names) > 1:
        names = names[:-1]
    return tuple(names), True, [row for row in rows[1:] if [field.strip() for field in row] != first]


def _columns(
    names: tuple[str, ...], rows: list[list[str]], dialect: CsvDialect, path: str
) -> tuple[dict[str, pa.Array], CsvDialect]:
    """The cells by column; and the dialect, ragged if rows are short or have more fields than the header.

    Raises InputError if every row has one more: then the fields are not those under whose names they would stand.
    """
    n = len(names)
    if rows and all(len(row) == n + 1 and row[n].strip() for row in rows):
        raise InputError(
            f"{path}: every row has {n + 1} fields and the header {n}: give it a name more, the first one if the rows "
            "begin with their number, or put quotes around numbers with a decimal comma"
        )
    is_ragged = [len(row) < n or any(field.strip() for field in row[n:]) for row in rows]
    if rows and np.mean(is_ragged) >= MIN_RAGGED and sum(is_ragged) > 1:
        dialect = dataclasses.replace(dialect, ragged=True)
    else:
        rows = [row for row, bad in zip(rows, is_ragged, strict=True) if not bad]
    columns: dict[str, pa.Array] = {}
    for i, name in enumerate(names):
        if name and name not in columns:
            columns[name] = pa.array([row[i].strip() if i < len(row) else None for row in rows], pa.string())
    return columns, dialect


# Numbers in text


def _with_number_marks(found: Sample) -> Sample:
    """The sample with decimal, thousands and missing values in its dialect: those by which most cells are numbers."""
    texts = [column for column in found.columns.values() if cells.is_text(column.type)]
    texts = [column for column in texts if len(column) and _is_numeric(column)]
    if not texts:
        return found
    missing = _missing(texts)
    best, most = found.dialect, -1
    for decimal, thousands in NUMBER_MARKS:
        if (found.dialect.separator or ",") in (decimal, thousands) and found.is_csv and b'"' not in found.raw:
            continue
        dialect = dataclasses.replace(found.dialect, decimal=decimal, thousands=thousands, missing=missing)
        n_numbers = sum(int((~cells.numbers(column, dialect)[1]).sum()) for column in texts)
        if n_numbers > most:
            best, most = dialect, n_numbers
    return dataclasses.replace(found, dialect=best, questions={**found.questions, **_doubts(texts, best)})


def _is_numeric(column: pa.Array) -> bool:
    """Whether half of the cells that are not blank are numbers in some dialect."""
    filled = [each for each in column.to_pylist()[:500] if each and each.strip()]
    number = re.compile(r"^[-+]?[^\w\s.,+-]?\s?[-+]?(?:\d[\d.,' \u00a0]*|[.,]\d+)(?:[eE][-+]?\d+)?\s?[^\w\s]?$")
    return bool(filled) and sum(bool(number.match(each.strip())) for each in filled) >= len(filled) / 2


def _missing(columns: Sequence[pa.Array]) -> tuple[str, ...]:
    """Words for a missing value, in columns of numbers."""
    seen = {each for column in columns for each in column.unique().to_pylist() if each}
    return tuple(word for word in NULLS if word in seen)


def _doubts(columns: Sequence[pa.Array], dialect: CsvDialect) -> dict[str, str]:
    """A question if 1,020 may be about one or a thousand: no cell has another form."""
    marks = {
        mark[1] for column in columns for each in column.unique().to_pylist() if each and (mark := GROUPED.match(each))
    }
    if dialect.thousands and dialect.thousands in marks:
        others = [
            each for column in columns for each in column.unique().to_pylist() if each and not GROUPED.match(each)
        ]
        if not any(dialect.decimal in each for each in others):
            return {
                "csv": f"numbers such as 1{dialect.thousands}020 are taken for a thousand; write decimal: "
                f'"{dialect.thousands}" without thousands if they are about one'
            }
    return {}
