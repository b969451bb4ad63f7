"""Cells of a source as numbers and times, whole columns at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_MISSING = r"^(?i:|null|none|n/a|na|#n/a|#na|<na>|[-+]?nan)$"
_NUMBER = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"


def numbers(column: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The numbers in a column of numbers or text, shape (n,), NaN if missing; and which cells cannot be parsed."""
    column = _undictionary(column)
    is_bad = np.zeros(len(column), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.ascii_trim_whitespace(column)
        is_number = pc.fill_null(pc.match_substring_regex(text, _NUMBER), fill_value=False)
        is_missing = pc.fill_null(pc.match_substring_regex(text, _MISSING), fill_value=True)
        is_bad = pc.invert(pc.or_(is_number, is_missing)).to_numpy(zero_copy_only=False)
        # Arrow 10 parses no leading plus sign, Arrow 18 does.
        column = pc.ascii_ltrim(pc.if_else(is_number, text, pa.scalar(None, text.type)), "+")
    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values, is_bad | np.isinf(values)


def seconds(column: pa.Array, time_format: str) -> npt.NDArray[np.float64]:
    """Seconds since 1970 of a column of times, shape (n,), NaN if a cell has none.

    time_format: `epoch` or a strptime format, for columns that have no type of time.
    """
    column = _undictionary(column)
    if pa.types.is_temporal(column.type):
        moments = column.cast(pa.timestamp("s", getattr(column.type, "tz", None)), safe=False)
    elif time_format == "epoch":
        values, is_bad = numbers(column)
        return np.where(is_bad, np.nan, values)
    else:
        text = pc.ascii_trim_whitespace(column)
        moments = pc.strptime(text, format=time_format, unit="s", error_is_null=True)
    times: npt.NDArray[np.float64] = moments.cast(pa.int64()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return times


def _undictionary(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
