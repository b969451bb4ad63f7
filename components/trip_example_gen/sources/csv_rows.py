"""The rows in a block of CSV: lines, and lines that a line break in quotes joins; whole blocks at a time.

A line of the right number of fields, with every quote around a field and closed, is a row, whatever stands above it. So
a quote that is never closed spoils its own line only, and a file can be cut below such a line.
"""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.trip_example_gen.sources.csv_text import CR, LF
from farebox.components.trip_example_gen.values.dialect import CsvDialect

MAX_ROW_LINES = 1000  # a quote that is open for longer is a stray one
MAX_HEADER_LINES = 20
TAIL_BYTES = 1 << 16
WORD_BYTES = 8

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The fields of a file's rows: `least` to the last column that has a name, `most` to the last one."""

    dialect: CsvDialect
    least: int
    most: int


@dataclasses.dataclass(frozen=True)
class Grammar:
    """A dialect as regular expressions of RE2 and Python; a field may have blanks before and behind its quotes.

    line: lines or rows whose quotes are closed; quotes inside a field without quotes stand for themselves.
    row: those in which every quote is around a field or doubled.
    quoted: separator or beginning (group 1), then a field in quotes (group 2).
    trailing: empty fields at the end. escaped: an escaped character, None if there are none.
    """

    separator: str
    field: str
    line: str
    row: str
    quoted: str
    trailing: str
    escaped: str | None


@functools.cache
def grammar(dialect: CsvDialect) -> Grammar:
    """The regular expressions of a dialect whose separator is known."""
    assert dialect.separator is not None, "the reader settles it"
    mark, quote = _octet(dialect.separator), _octet(dialect.quote)
    blanks = "".join(_octet(blank) for blank in " \t" if blank != dialect.separator)
    blank = f"[{blanks}]*"
    escape = _octet(dialect.escape) if dialect.escape else ""
    escaped = f"|{escape}(?s:.)" if escape else ""
    quoted = f"{quote}(?:[^{quote}{escape}]|{quote}{quote}{escaped})*{quote}"

    def field(stray_quotes: str) -> str:
        first = f"(?:[^{mark}{quote}{blanks}{escape}\\n]{escaped})"
        rest = f"(?:[^{mark}{stray_quotes}{escape}\\n]{escaped})*"
        return f"{blank}(?:{quoted}{blank}|{first}{rest}|)"

    def row(field: str) -> str:
        return f"\\A{field}(?:{mark}{field})*[\\r\\n]*$"

    return Grammar(
        mark, field(""), row(field("")), row(field(quote)), f"(\\A|{mark}){blank}({quoted}){blank}",
        f"(?:{mark}{blank}(?:{quote}{quote}{blank})?)+[\\r\\n]*$", f"{escape}(?s:.)" if escape else None,
    )  # fmt: skip


def _octet(character: str) -> str:
    return f"\\x{ord(character):02x}"


@dataclasses.dataclass(frozen=True)
class Block:
    """The rows of a block, n of them.

    text: the block with LF as its line ends. rows: with their line ends. numbers: each row's first line in the file.
    is_closed: whether a row's quotes are closed; None if the block has none. has_breaks: whether rows may have line
    breaks.
    """

    text: bytes
    rows: pa.Array
    numbers: Positions
    is_closed: Mask | None
    has_breaks: bool


def rows_of(raw: bytes, first: int, layout: Layout) -> Block:
    """The rows of a block of whole rows, without blank lines and comments; `first` is the number of its first line."""
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = _lines_of(raw, layout.dialect)
    bounds, numbers, is_closed = lines.bounds, lines.numbers + first, None
    has_breaks = layout.dialect.escape is not None
    if layout.dialect.quote.encode() in raw:
        is_closed = _matches(lines.array, grammar(layout.dialect).line)
        if not is_closed.all():
            joins = _joins(lines, is_closed, layout)
            has_breaks |= bool(joins.are_taken.any())
            is_closed[joins.firsts[joins.are_taken]] = True
            is_first = ~joins.are_below
            bounds = np.append(bounds[:-1][is_first], bounds[-1])
            numbers, is_closed = numbers[is_first], is_closed[is_first]
    rows = lines.array if len(bounds) == len(lines.bounds) else _slices(raw, bounds)
    octets = np.frombuffer(raw, np.uint8)[bounds[:-1]]
    is_row = octets != LF
    if layout.dialect.comment:
        is_row &= octets != ord(layout.dialect.comment)
    if not is_row.all():
        rows, numbers = rows.filter(pa.array(is_row)), numbers[is_row]
        is_closed = is_closed if is_closed is None else is_closed[is_row]
    return Block(raw, rows, numbers, is_closed, has_breaks)


def first_row(head: bytes, dialect: CsvDialect) -> tuple[int, int]:
    """First and last byte + 1 of a file's first row below comments; a header may have line breaks in quotes."""
    lines = _lines_of(head, dialect)
    n_above = int(np.argmin(np.append(lines.is_comment, False)))
    if n_above == len(lines.numbers):
        return len(head), len(head)
    start = int(lines.bounds[n_above])
    is_closed = re.compile(grammar(dialect).line.encode())
    for end in lines.bounds[n_above + 1 : n_above + 1 + MAX_HEADER_LINES].tolist():
        if is_closed.search(head[start:end].replace(b"\r", b"\n")):
            return start, end
    return start, int(lines.bounds[n_above + 1])


def end_of_rows(raw: bytes, layout: Layout) -> int:
    """The length of the longest known part of `raw` that ends between two rows whatever follows, 0 if there is none.

    `raw` begins at a row.
    """
    end = max(raw.rfind(b"\n"), raw.rfind(b"\r", 0, len(raw) - 1)) + 1
    if layout.dialect.escape is None and raw.find(layout.dialect.quote.encode(), 0, end) < 0:
        return end
    start = max(0, end - TAIL_BYTES)
    tail = _lines_of(raw[start:end], layout.dialect, is_whole=False)
    is_row = _is_row(tail, layout)
    is_row[:1] &= start == 0  # else the tail begins inside a line
    if is_row.any():
        return start + int(tail.bounds[np.flatnonzero(is_row)[-1] + 1])
    lines = _lines_of(raw[:end], layout.dialect, is_whole=False)
    return int(lines.bounds[_first_open(lines, layout)])


def _first_open(lines: _Lines, layout: Layout) -> int:
    """The number of the line from which on it depends on the lines below where rows end."""
    n_lines = len(lines.numbers)
    joins = _joins(lines, _matches(lines.array, grammar(layout.dialect).line), layout)
    if not len(joins.odd) or not joins.is_last_open:
        return n_lines
    last = int(joins.odd[-1])
    below = np.arange(last + 1, n_lines)
    is_decided = n_lines - last > MAX_ROW_LINES or _is_row(lines.take(below), layout).any()
    return n_lines if is_decided else last


@dataclasses.dataclass(frozen=True)
class _Lines:
    """Lines of a text: line i is bytes bounds[i] to bounds[i + 1], and the text's line numbers[i] from 0 on."""

    text: bytes
    array: pa.Array
    bounds: Positions
    numbers: Positions
    is_comment: Mask

    def take(self, positions: Positions) -> _Lines:
        """Some of the lines; their bounds do not follow each other."""
        array = self.array.take(pa.array(positions))
        return dataclasses.replace(
            self, array=array, numbers=self.numbers[positions], is_comment=self.is_comment[positions]
        )


def _lines_of(raw: bytes, dialect: CsvDialect, *, is_whole: bool = True) -> _Lines:
    """The lines of a text; an escaped line end is none. Without `is_whole` the last line may go on below."""
    octets = np.frombuffer(raw, np.uint8)
    is_end = octets == LF
    if b"\r" in raw:
        is_end[:-1] |= (octets[:-1] == CR) & (octets[1:] != LF)
        is_end[-1] |= octets[-1] == CR
    ends = _positions(is_end) + 1
    if raw and (not len(ends) or ends[-1] < len(raw)):
        ends = np.append(ends, len(raw))
    bounds, numbers = np.append(0, ends), np.arange(len(ends))
    if dialect.escape and re.search(re.escape(dialect.escape.encode()) + rb"[\r\n]", raw):
        is_end = ~_is_escaped(octets, ends, ord(dialect.escape))
        is_end[-1:] |= is_whole
        bounds, numbers = (
            np.append(0, ends[is_end]).astype(np.int32),
            numbers[np.append(True, is_end[:-1])[: len(is_end)]],
        )
        numbers = numbers[: len(bounds) - 1]
    is_comment = np.zeros(len(numbers), bool)
    if dialect.comment:
        is_comment = octets[bounds[:-1]] == ord(dialect.comment)
    return _Lines(raw, _slices(raw, bounds), bounds, numbers, is_comment)


def _positions(flags: Mask) -> Positions:
    """Positions of the flags that are set, which are few: in half the time of np.flatnonzero."""
    n_words = len(flags) // WORD_BYTES
    words = flags[: n_words * WORD_BYTES].view(np.uint64)
    filled = np.flatnonzero(words != 0)
    places = np.flatnonzero(words[filled].view(bool))
    behind = np.flatnonzero(flags[n_words * WORD_BYTES :]) + n_words * WORD_BYTES
    return np.concatenate([filled[places // WORD_BYTES] * WORD_BYTES + places % WORD_BYTES, behind])


def _is_escaped(octets: npt.NDArray[np.uint8], ends: Positions, escape: int) -> Mask:
    """Which line ends follow an odd number of escape characters."""
    place = ends - 2
    place -= (octets[ends - 1] == LF) & (octets[place] == CR) & (place >= 0)
    is_escaped = np.zeros(len(ends), bool)
    is_run = (place >= 0) & (octets[place] == escape)
    while is_run.any():
        is_escaped ^= is_run
        place = place - 1
        is_run &= (place >= 0) & (octets[place] == escape)
    return is_escaped


def _slices(raw: bytes, bounds: Positions) -> pa.Array:
    """The parts of a text between bounds, without a copy."""
    buffers = [None, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(raw)]
    return pa.Array.from_buffers(pa.binary(), len(bounds) - 1, buffers)


@dataclasses.dataclass(frozen=True)
class _Joins:
    """Lines with an odd number of quotes, and which two in a row begin and end a row of several lines.

    odd: their positions. firsts, are_taken: of each but the last one. are_below: lines that continue a row, shape (n,).
    is_last_open: whether the last of `odd` opens a quote and ends no row.
    """

    odd: Positions
    are_taken: Mask
    are_below: Mask
    is_last_open: bool

    @property
    def firsts(self) -> Positions:
        return self.odd[:-1]


def _joins(lines: _Lines, is_closed: Mask, layout: Layout) -> _Joins:
    odd = np.flatnonzero(_is_odd(lines.array, layout.dialect))
    firsts, lasts = odd[:-1], odd[1:]
    opens = ~is_closed[odd] & ~lines.is_comment[odd]
    is_pair = opens[:-1] & (lasts - firsts < MAX_ROW_LINES)
    if is_pair.any():
        is_pair[is_pair] = _are_rows(lines, firsts[is_pair], lasts[is_pair], layout)
    if is_pair.any():
        is_pair[is_pair] = ~_have_row_between(lines, firsts[is_pair], lasts[is_pair], layout)
    # Two pairs that follow each other share a line: from above, every other one is taken.
    order = np.arange(len(is_pair))
    are_taken = is_pair & ((order - np.maximum.accumulate(np.where(is_pair, -1, order))) % 2 == 1)
    are_below = _between(firsts[are_taken], lasts[are_taken] + 1, len(lines.numbers))
    is_last_open = bool(len(odd)) and bool(opens[-1]) and not (len(are_taken) and are_taken[-1])
    return _Joins(odd, are_taken, are_below, is_last_open)


def _is_odd(lines: pa.Array, dialect: CsvDialect) -> Mask:
    """Which lines have an odd number of quotes, escaped ones left out."""
    escaped = grammar(dialect).escaped
    if escaped:
        lines = pc.replace_substring_regex(lines, escaped, "")
    counts = pc.count_substring(lines, dialect.quote).to_numpy(zero_copy_only=False)
    return np.asarray(counts % 2 == 1)


def _are_rows(lines: _Lines, firsts: Positions, lasts: Positions, layout: Layout) -> Mask:
    """Which lines from `firsts` to `lasts` are a row together."""
    is_row = np.zeros(len(firsts), bool)
    for every in (slice(0, None, 2), slice(1, None, 2)):  # neighbours may share a line
        spans = np.stack([lines.bounds[firsts[every]], lines.bounds[lasts[every] + 1]], axis=1).ravel()
        if len(spans):
            rows = _slices(lines.text, spans).take(pa.array(np.arange(0, len(spans), 2)))
            is_row[every] = _matches(rows, grammar(layout.dialect).row)
            is_row[every] &= layout.dialect.ragged or _fits(rows, layout)
    return is_row


def _have_row_between(lines: _Lines, firsts: Positions, lasts: Positions, layout: Layout) -> Mask:
    """Which pairs have a line between them that is a row by itself."""
    n_lines = len(lines.numbers)
    inside = np.flatnonzero(_between(firsts, lasts, n_lines))
    n_rows = np.zeros(n_lines + 1, np.int64)
    n_rows[inside + 1] = _is_row(lines.take(inside), layout)
    n_rows = np.cumsum(n_rows)
    return np.asarray(n_rows[lasts] > n_rows[firsts + 1])


def _between(firsts: Positions, ends: Positions, n_lines: int) -> Mask:
    """Which lines lie below one of `firsts` and before its `ends`."""
    steps = np.zeros(n_lines + 1, np.int64)
    np.add.at(steps, firsts + 1, 1)
    np.add.at(steps, ends, -1)
    return np.asarray(np.cumsum(steps)[:n_lines] > 0)


def _is_row(lines: _Lines, layout: Layout) -> Mask:
    """Which lines are a row by themselves, whatever stands above."""
    return _matches(lines.array, grammar(layout.dialect).row) & _fits(lines.array, layout) & ~lines.is_comment


def _fits(rows: pa.Array, layout: Layout) -> Mask:
    """Which rows have the right number of fields, empty ones at the end not counted."""
    n_fields = count_fields(rows, layout.dialect)
    longer = np.flatnonzero(n_fields > layout.most)
    if len(longer):
        filled = without_trailing(rows.take(pa.array(longer)), layout.dialect)
        n_fields[longer] = np.maximum(count_fields(filled, layout.dialect), layout.least)
    return np.asarray((n_fields >= layout.least) & (n_fields <= layout.most))


def count_fields(rows: pa.Array, dialect: CsvDialect) -> Positions:
    """The number of fields of rows whose quotes are closed, shape (n,)."""
    expressions = grammar(dialect)
    rows = pc.replace_substring_regex(rows, expressions.quoted, r"\1")
    if expressions.escaped:
        rows = pc.replace_substring_regex(rows, expressions.escaped, "")
    counts = pc.count_substring(rows, dialect.separator)
    return np.asarray(counts.to_numpy(zero_copy_only=False), np.int64) + 1


def without_trailing(rows: pa.Array, dialect: CsvDialect) -> pa.Array:
    """Rows without line ends and without the empty fields at their end."""
    rows = pc.replace_substring_regex(rows, grammar(dialect).trailing, "")
    return pc.replace_substring_regex(rows, "[\\r\\n]+$", "")


def _matches(rows: pa.Array, expression: str) -> Mask:
    return np.array(pc.match_substring_regex(rows, expression).to_numpy(zero_copy_only=False), bool)
