"""Values of a city's own inputs, as people give them and as the model's file takes them. No TensorFlow here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError, is_number
from farebox.modules.columns import STANDARD_INPUTS

CATEGORIES, FEATURE_DEFAULTS = "categories", "feature_defaults"  # facts of a model's description
NOTHING = ("None", "nan", "<NA>", "NaT")  # as text, of NumPy's and pandas'

Columns = Mapping[str, npt.NDArray[Any]]


def with_features(rows: Columns, names: Sequence[str], facts: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The same rows with the file's own inputs as it takes them: numbers, codes of categories, defaults where missing.

    names: the file's inputs; facts: of its description, `categories` with the values in the order of their codes and
    `feature_defaults`. Raises InputError if a feature without default is missing or a category has no such value.
    """
    completed = dict(rows)
    n_rows = len(next(iter(rows.values()), ()))
    for name in (name for name in names if name not in STANDARD_INPUTS):
        values = facts.get(CATEGORIES, {}).get(name)
        default = facts.get(FEATURE_DEFAULTS, {}).get(name)
        if name not in rows and default is None:
            raise InputError(f"{name} is missing: {_asked(values)}")
        column = np.asarray(rows[name]).reshape(-1) if name in rows else np.full(n_rows, np.nan)
        completed[name] = _numbers(name, column, default) if values is None else _codes(name, column, values, default)
    return completed


def _asked(values: Sequence[str] | None) -> str:
    what = "a number" if values is None else f"one of {', '.join(values)}"
    return f"the model asks for {what}, and its city has no default"


def _without_missing(
    name: str, texts: npt.NDArray[Any], values: Sequence[str] | None, default: float | None
) -> npt.NDArray[np.int64]:
    """The places of values that are not None or NaN. Raises InputError if one is and there is no default."""
    is_missing = np.isin(texts, NOTHING) & ~np.isin(texts, list(values or ()))
    missing = np.flatnonzero(is_missing)
    if len(missing) and default is None:
        raise InputError(f"{name}={texts[missing[0]]}{_row(missing, texts)} is missing: {_asked(values)}")
    return np.flatnonzero(~is_missing)


def _row(places: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> str:
    return f" in row {places[0]}" if len(rows) > 1 else ""


def _numbers(name: str, column: npt.NDArray[Any], default: float | None) -> npt.NDArray[np.float32]:
    texts = column if column.dtype.kind in "iub" else column.astype(str)
    places = _without_missing(name, texts, None, default)
    numbers = np.full(len(column), 0.0 if default is None else default)
    try:
        numbers[places] = column[places].astype(np.float64)
    except (TypeError, ValueError) as error:
        wrong = places[[not is_number(value) for value in column[places]]]
        raise InputError(f"{name}={column[wrong[0]]}{_row(wrong, column)} must be a number") from error
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise InputError(f"{name}={numbers[wrong[0]]}{_row(wrong, numbers)} must be a finite number")
    return numbers.astype(np.float32)


def _codes(name: str, column: npt.NDArray[Any], values: Sequence[str], default: float | None) -> npt.NDArray[np.int64]:
    """The codes of a category's values, which are given as text or as codes, shape (n,)."""
    texts = column.astype(str)
    places = _without_missing(name, texts, values, default)
    distinct, order = np.unique(texts[places], return_inverse=True)
    is_text = column.dtype.kind not in "iufb"
    of_distinct = np.array([_code(name, text, values, is_text) for text in distinct.tolist()], np.int64)
    codes = np.full(len(column), 0 if default is None else int(default))
    codes[places] = of_distinct[order.reshape(-1)]
    return codes


def _code(name: str, text: str, values: Sequence[str], is_text: bool) -> int:
    """The code of a value or of a code, given as text or as a number.

    A number is a code, unless the values are numbers that differ from their codes: then only text is clear.
    """
    number, last = number_of(text), len(values) - 1
    is_clear = all(number_of(value) is None for value in values) or list(values) == list(map(str, range(len(values))))
    if is_text and text in values:
        return list(values).index(text)
    if number is not None and is_clear and number in range(len(values)):
        return int(number)
    if number is not None and not is_clear and not is_text:
        raise InputError(f"{name}={text} may be a value or a code: give a value as text, such as {values[0]!r}")
    codes = f", or their codes, 0 to {last}" if is_clear else ""
    raise InputError(f"{name}={text} must be one of {', '.join(values)}{codes}")


def number_of(text: str) -> float | None:
    """The finite number that a text is; None for another text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
