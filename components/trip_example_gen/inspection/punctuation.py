"""Separator, quote and escape of a CSV file by its first lines, and the lines above its header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from farebox.components.trip_example_gen.sources.csv_head import MAX_TITLES
from farebox.components.trip_example_gen.values.dialect import SEPARATOR_LINE, CsvDialect

DIALECT_ROWS = 200
SEPARATORS = (",", ";", "\t", "|")


def lines_above(lines: Sequence[str]) -> int:
    """The number of lines above the header: Excel's `sep=;`, titles and blank ones.

    A title has one field at most, where half of the lines below have three or more.
    """
    n_above = int(bool(lines) and is_separator_line(lines[0]))
    lines = lines[:DIALECT_ROWS]
    filled = [line for line in lines[n_above:] if line.strip()]
    if not filled or filled[0].startswith("#"):
        return n_above
    dialect = punctuation(filled)
    n_filled = [_n_filled(line, dialect) for line in lines]
    first = next((place for place, n in enumerate(n_filled[:MAX_TITLES]) if n > 1 and place >= n_above), 0)
    is_table = 2 * sum(n > 2 for n in n_filled[first:]) >= len(lines) - first
    return first if first and is_table else n_above


def _n_filled(line: str, dialect: CsvDialect) -> int:
    """The number of a line's fields that are not blank."""
    reader = csv.reader([line], delimiter=dialect.separator or ",", quotechar=dialect.quote, escapechar=dialect.escape)
    return sum(bool(field.strip()) for row in without_errors(reader) for field in row)


def without_errors(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows of `csv.reader` but those that it cannot read: with a field without end or, in Python 3.10, a NUL."""
    while True:
        try:
            yield next(reader)
        except csv.Error:
            continue
        except StopIteration:
            return


def is_separator_line(text: str) -> bool:
    """Whether the text is one line `sep=;`, by which Excel reads a file."""
    return bool(re.fullmatch(SEPARATOR_LINE, text.rstrip("\r\n").encode()))


def punctuation(lines: Sequence[str]) -> CsvDialect:
    """Separator, quote and escape of the first lines.

    csv.Sniffer finds neither a separator among decimal commas nor one in rows with empty fields behind the last column.
    """
    lines = lines[:DIALECT_ROWS]
    single, double = (
        sum(len(re.findall(rf"(?:^|[,;\t|]){q}[^{q}]*{q}(?=$|[,;\t|])", each)) for each in lines) for q in "'\""
    )
    quote = "'" if single > double and single >= len(lines) else '"'
    scores = {each: _steadiness(lines, each, quote) for each in SEPARATORS}
    separator = max(SEPARATORS, key=lambda each: scores[each])
    escape = "\\" if any(re.search(rf"[^,;\t|]\\{quote}[^,;\t|]", each) for each in lines) else None
    return CsvDialect(separator=None if separator == "," else separator, quote=quote, escape=escape)


def _steadiness(lines: Sequence[str], separator: str, quote: str) -> tuple[float, int]:
    """How well a separator cuts lines into equal numbers of fields without others' separators; and the number."""
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
    rows = [row for row in without_errors(reader) if row]
    (n_fields, n_rows), *_ = [*Counter(map(len, rows)).most_common(1), (0, 0)]
    if n_fields < 2:
        return 0.0, n_fields
    others = [each for each in SEPARATORS if each not in (separator, ",")]
    fields = [field for row in rows for field in row]
    n_clean = sum(not any(each in field for each in others) for field in fields)
    return round(n_rows / len(rows) * (n_clean / len(fields)) ** 2, 2), n_fields
