"""How a source writes CSV: the settings of `city.csv`."""

from __future__ import annotations

import codecs
import dataclasses
from typing import Annotated

from farebox.components.errors import Condition, InputError, between, check_fields

ONE_CHARACTER = Condition(
    "one ASCII character, no line break", lambda value: len(value) == 1 and value.isascii() and value not in "\0\r\n"
)
Character = Annotated[str, ONE_CHARACTER]
MAX_SKIPPED = 1000
SEPARATOR_LINE = rb"(?i:sep)=([\x01-\x7f])"  # the first line by which Excel reads a file
_DIGITS = tuple("0123456789+-eE")


@dataclasses.dataclass(frozen=True)
class CsvDialect:
    """How a source writes CSV. The defaults are RFC 4180's, in UTF-8."""

    separator: Character | None = None
    """Character between two fields; null for that of a first line `sep=;`, a tab in `.tsv` files, else a comma."""
    decimal: Character = "."
    """Character before the decimals of a number."""
    thousands: Character | None = None
    """Character between groups of three digits, such as the comma of `1,020.00`; null if numbers have none. A blank
    stands for every kind of blank, an apostrophe for the curved one, too."""
    quote: Character = '"'
    """Character around a field that holds separators or line breaks; a double one stands for itself."""
    escape: Character | None = None
    """Character before a quote that is part of a field, such as a backslash; null if quotes are doubled."""
    names: tuple[str, ...] | None = None
    """Names of the columns, for files whose first line is a row; null if it is a header."""
    skip_rows: Annotated[int, between(0, MAX_SKIPPED)] = 0
    """Lines at the top of a file, such as a title, that are not read: the header comes below them, or with `names` the
    first row. A first line `sep=;`, as Excel has it, is one of them and need not be counted if it is the only one."""
    comment: Character | None = None
    """Character at the start of lines that are not read."""
    ragged: bool = False
    """Whether a row may have fewer fields than the header, which then are missing, or more, which are not read. Empty
    fields behind the last column are never a fault."""
    encoding: str | None = None
    """Encoding of the text, by Python's name such as `latin-1`; null for UTF-8, or UTF-16 with a byte order mark."""
    missing: tuple[str, ...] = ()
    """Further texts that stand for a missing value, such as `\\N` or `-`."""

    def __post_init__(self) -> None:
        check_fields(self, "city.csv")
        if self.encoding is not None:
            try:
                is_text = codecs.lookup(self.encoding)._is_text_encoding  # hex is none
            except LookupError:
                is_text = False
            if not is_text:
                raise InputError(
                    f"city.csv.encoding={self.encoding} must be an encoding of text that Python knows, such as latin-1"
                )
        if self.thousands == self.decimal:
            raise InputError(f"city.csv.thousands={self.thousands} must differ from city.csv.decimal={self.decimal}")
        marks = [mark for mark in (self.separator, self.quote, self.escape, self.comment) if mark]
        if len(set(marks)) != len(marks):
            raise InputError(f"city.csv: separator, quote, escape and comment must differ, got {' '.join(marks)}")
        if self.decimal in _DIGITS or self.thousands in _DIGITS:
            raise InputError(
                f"city.csv.decimal={self.decimal} and thousands={self.thousands} must be no digit and no sign"
            )
        if self.names is not None and len(set(self.names)) != len(self.names):
            raise InputError(f"city.csv.names={list(self.names)} must be different names")


PLAIN = CsvDialect()


def dialect_hint(dialect: CsvDialect) -> str:
    """The settings to choose from where cells are numbers of another dialect."""
    thousands = "null" if dialect.thousands is None else repr(dialect.thousands)
    return (
        f"numbers are not written as city.csv says (decimal {dialect.decimal!r}, thousands {thousands}): 1,020.00 "
        "needs city.csv.thousands=',', and 12,50 needs city.csv.decimal=','"
    )
