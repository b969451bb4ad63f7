"""Cells of a source as numbers and text, whole columns at a time."""

from __future__ import annotations

import functools
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.trip_example_gen.values.currencies import BESIDE_AMOUNT
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

_MISSING = r"null|none|n/a|na|#n/a|#na|<na>|[-+]?nan"
# Of a blank and an apostrophe also the kinds that are not ASCII.
_ALIKE = {" ": " \u00a0\u202f\u2009", "'": "'\u2019"}
_USUAL = tuple(
    CsvDialect(decimal=decimal, thousands=thousands)
    for decimal, others in ((".", ", '"), (",", ". '"))
    for thousands in others
)


def numbers(column: pa.Array, dialect: CsvDialect) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The numbers in a column of numbers or text, shape (n,), NaN if missing; and which cells cannot be parsed."""
    column = undictionary(column)
    is_bad = np.zeros(len(column), bool)
    if is_text(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        is_number = pc.fill_null(pc.match_substring_regex(trimmed, _number(dialect)), fill_value=False)
        is_empty = pa.array(is_missing(column, dialect))
        if dialect.missing:
            is_number = pc.and_not(is_number, is_empty)  # -1 may stand for a missing value
        is_bad = pc.invert(pc.or_(is_number, is_empty)).to_numpy(zero_copy_only=False)
        column = _plain(pc.if_else(is_number, trimmed, pa.scalar(None, trimmed.type)), dialect)
    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values, is_bad | np.isinf(values)


def are_of_other_dialect(column: pa.Array, dialect: CsvDialect) -> npt.NDArray[np.bool_]:
    """Mask of the cells, shape (n,), that are no numbers in this dialect and are in a usual other one.

    Such as `1,020.00` without `thousands`, or `12,50` with a decimal point: numbers, of which the file has others that
    are read, so that to leave these out alone would tilt the label.
    """
    column = undictionary(column)
    _, is_bad = numbers(column, dialect)
    if not is_text(column.type) or not is_bad.any():
        return np.zeros(len(column), bool)
    suspects = pc.utf8_trim_whitespace(column.filter(pa.array(is_bad)))
    is_number = [pc.match_substring_regex(suspects, _number(each)) for each in _USUAL]
    is_bad[is_bad] = np.logical_or.reduce([each.to_numpy(zero_copy_only=False) for each in is_number])
    return is_bad


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
    """A regular expression (RE2) of numbers, with a currency's sign or code on either side or none."""
    point = re.escape(dialect.decimal)
    whole = r"\d+"
    if dialect.thousands:
        whole = rf"(?:\d{{1,3}}(?:[{_groups(dialect)}]\d{{3}})+|\d+)"
    digits = rf"(?:{whole}(?:{point}\d*)?|{point}\d+)"
    mark = BESIDE_AMOUNT
    return rf"^(?:[-+]?{mark}?\s?{digits}(?:[eE][-+]?\d+)?|{mark}?\s?[-+]{digits}|[-+]?{digits}\s?{mark})$"


def _groups(dialect: CsvDialect) -> str:
    """The characters between groups of digits, for a class of a regular expression."""
    mark = dialect.thousands or ""
    return _ALIKE.get(mark, re.escape(mark))


@functools.cache
def _missing(dialect: CsvDialect) -> str:
    return rf"^(?i:{'|'.join(['', _MISSING, *map(re.escape, dialect.missing)])})$"


def _plain(numbers_as_text: pa.Array, dialect: CsvDialect) -> pa.Array:
    """Numbers as Arrow's cast reads them: Arrow 10 parses no leading plus sign, Arrow 18 does."""
    plain = numbers_as_text
    if dialect.thousands:
        for mark in _ALIKE.get(dialect.thousands, dialect.thousands):
            plain = pc.replace_substring(plain, mark, "")
    if dialect.decimal != ".":
        plain = pc.replace_substring(plain, dialect.decimal, ".")
    signs = pc.match_substring_regex(plain, rf"{BESIDE_AMOUNT}|\s")
    if pc.any(signs).as_py():
        plain = pc.replace_substring_regex(plain, rf"{BESIDE_AMOUNT}|\s", "")
    return pc.ascii_ltrim(plain, "+")
