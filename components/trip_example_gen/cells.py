"""Cells of a source as numbers and text, whole columns at a time."""

from __future__ import annotations

import functools
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.trip_example_gen.dialect import PLAIN, CsvDialect

_MISSING = r"null|none|n/a|na|#n/a|#na|<na>|[-+]?nan"
_CURRENCY = r"[$€£¥₹₽₺₩₱฿]"


def numbers(column: pa.Array, dialect: CsvDialect) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The numbers in a column of numbers or text, shape (n,), NaN if missing; and which cells cannot be parsed."""
    column = undictionary(column)
    is_bad = np.zeros(len(column), bool)
    if is_text(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        is_number = pc.fill_null(pc.match_substring_regex(trimmed, _number(dialect)), fill_value=False)
        is_bad = pc.invert(pc.or_(is_number, pa.array(is_missing(column, dialect)))).to_numpy(zero_copy_only=False)
        column = _plain(pc.if_else(is_number, trimmed, pa.scalar(None, trimmed.type)), dialect)
    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values, is_bad | np.isinf(values)


def is_missing(column: pa.Array, dialect: CsvDialect = PLAIN) -> npt.NDArray[np.bool_]:
    """Which cells hold no value, shape (n,): null, NaN, blank, or one of the usual words for it or of the dialect's."""
    column = undictionary(column)
    if is_text(column.type):
        flags = pc.match_substring_regex(pc.utf8_trim_whitespace(column), _missing(dialect))
        return np.asarray(pc.fill_null(flags, fill_value=True).to_numpy(zero_copy_only=False))
    return np.asarray(column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))


def text(column: pa.Array) -> pa.Array:
    """The cells as text; whole numbers have no decimals."""
    column = undictionary(column)
    if is_text(column.type):
        return column
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        if np.all(np.isnan(values) | (np.abs(values) < 2**53) & (values % 1 == 0)):
            column = pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())
    return column.cast(pa.string())


def undictionary(column: pa.Array) -> pa.Array:
    """The column without its dictionary encoding, if it has one."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


@functools.cache
def _number(dialect: CsvDialect) -> str:
    """A regular expression (RE2) of numbers, with a currency sign on either side or none."""
    point = re.escape(dialect.decimal)
    whole = r"\d+"
    if dialect.thousands:
        whole = rf"(?:\d{{1,3}}(?:{re.escape(dialect.thousands)}\d{{3}})+|\d+)"
    digits = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)"
    return (
        rf"^(?:[-+]?{_CURRENCY}?\s?{digits}(?:[eE][-+]?\d+)?|{_CURRENCY}?\s?[-+]{digits}|[-+]?{digits}\s?{_CURRENCY})$"
    )


@functools.cache
def _missing(dialect: CsvDialect) -> str:
    return rf"^(?i:{'|'.join(['', _MISSING, *map(re.escape, dialect.missing)])})$"


def _plain(numbers_as_text: pa.Array, dialect: CsvDialect) -> pa.Array:
    """Numbers as Arrow's cast reads them: Arrow 10 parses no leading plus sign, Arrow 18 does."""
    plain = numbers_as_text
    if dialect.thousands:
        plain = pc.replace_substring(plain, dialect.thousands, "")
    if dialect.decimal != ".":
        plain = pc.replace_substring(plain, dialect.decimal, ".")
    signs = pc.match_substring_regex(plain, rf"{_CURRENCY}|\s")
    if pc.any(signs).as_py():
        plain = pc.replace_substring_regex(plain, rf"{_CURRENCY}|\s", "")
    return pc.ascii_ltrim(plain, "+")
