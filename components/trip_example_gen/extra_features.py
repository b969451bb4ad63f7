"""Extra features: a city's own inputs of the model, from columns of its source. Only NumPy and PyArrow here."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import RAW_COLUMNS, RawColumn
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

MAX_VALUES = 16  # each value is a number of its own in the network
MISSING, OUT_OF_BOUNDS = "feature_missing", "feature_out_of_bounds"
UNKNOWN_VALUE, NOT_A_NUMBER = "feature_unknown_value", "feature_not_a_number"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
WORD = re.compile(r"\w+")
RESERVED = frozenset(  # our own columns, derived ones included
    (*(column.name for column in RAW_COLUMNS), "numeric", "raw", "distance_km", "distance_band", "pickup_cell",
     "dropoff_cell", "pair_cell", "hour_of_week", "airport", "pickup_area", "row_hash")
)  # fmt: skip
UNPRINTABLE = re.compile(r"[\[\]\x00-\x1f\x7f]|\*/")  # brackets hold the unit; the others would end a comment
# Words in the name of a column that is known only after the trip, and what they say.
KNOWN_AFTER = {
    "a duration": ("duration", "elapsed", "seconds", "secs", "sec", "minutes", "mins"),
    "a distance driven": (
        "distance", "miles", "mile", "mi", "km", "kms", "kilometers", "kilometer", "kilometres", "kilometre", "meters",
        "metres", "driven", "odometer",
    ),
    "a tip": ("tip", "tips", "gratuity"),
    "a part of the fare": ("total", "totals", "fare", "fares", "toll", "tolls"),
    "a payment": ("payment", "payments", "paid"),
}  # fmt: skip
ENDS_OF_TRIPS, TIMES = ("dropoff", "end", "ended", "stop", "arrival"), ("time", "datetime", "date", "timestamp", "at")
ARRIVAL = "a time of the dropoff"


@dataclasses.dataclass(frozen=True)
class Feature:
    """A further input of the model, from a column of the source; it must be known before the trip."""

    column: str | tuple[str, ...] | None = None
    """Name of the column, or expression; null for the feature's own name."""
    values: tuple[str | bool | int | float, ...] = ()
    """The values of a category, at most 16, which the model takes as their number from 0 on; empty for a number."""
    min: float | None = None
    """Least valid number; trips with a lesser one are rejected."""
    max: float | None = None
    """Largest valid number; trips with a larger one are rejected."""
    default: str | bool | float | None = None
    """Number or value where a trip has none, or a value that is not among `values`; null to reject such trips."""
    meaning: str = ""
    """Meaning, for people and for the model's file."""
    unit: str = ""
    """Unit of a number."""
    known_before: bool = False
    """Whether to take a feature whose name sounds as if it were known only after the trip, such as `trip_seconds`."""

    @property
    def is_category(self) -> bool:
        """Whether it is one of `values`, not a number."""
        return bool(self.values)

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of a category, in the order of their codes."""
        return tuple(map(_text, self.values))

    def code_of(self, text: str) -> int | None:
        """The code of a value of the category; None for another one."""
        return self.texts.index(text) if text in self.texts else None


def _text(value: object) -> str:
    """A value as a source's cell shows it: whole numbers have no decimals."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def check_feature(name: str, feature: Feature, fares: Sequence[str] = ()) -> None:
    """Raises InputError, which names key, value and bound, for a feature that the model cannot take.

    fares: the source's columns or expressions that give the fare, which must not be a feature.
    """
    key = f"city.features.{name}"
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = "the name of one of Farebox's columns" if name in RESERVED else "no name"
        raise InputError(
            f"{key}: {name} is {taken}; use another one of letters, digits and _, from a letter on, and name the "
            f"source's column with {key.rpartition('.')[0]}.NAME.column"
        )
    _check_known_before(key, name, feature)
    if used := sorted(
        set(fares) & {word for text in sources_of(name, feature) for word in (text, *WORD.findall(text))}
    ):
        raise InputError(f"{key}: column {used[0]} is the fare (city.columns.fare), which the model must predict")
    for part, text in (
        ("meaning", feature.meaning),
        ("unit", feature.unit),
        *(("values", each) for each in feature.texts),
    ):
        if UNPRINTABLE.search(text):
            raise InputError(f"{key}.{part}={text!r} must have no [, ], line breaks or */: the model's file shows it")
    _check_category(key, feature) if feature.is_category else _check_number(key, feature)


def _check_category(key: str, feature: Feature) -> None:
    texts = feature.texts
    if booleans := [value for value in feature.values if isinstance(value, bool)]:
        raise InputError(f"{key}.values={booleans[0]} must be text: put it in quotes, as YAML reads yes and no as true")
    if len(texts) > MAX_VALUES:
        raise InputError(
            f"{key}.values must be at most {MAX_VALUES}, got {len(texts)}: join rare values with an expression or a "
            f"`default`, which stands for all that are not among `values`"
        )
    if len(set(texts)) < len(texts) or "" in texts:
        raise InputError(f"{key}.values={', '.join(texts)} must be different texts, none of them empty")
    if feature.min is not None or feature.max is not None or feature.unit:
        raise InputError(f"{key} has values, so it must have no min, max or unit: those are a number's")
    if feature.default is not None and feature.code_of(_text(feature.default)) is None:
        raise InputError(f"{key}.default={feature.default} must be one of {', '.join(texts)}")


def _check_number(key: str, feature: Feature) -> None:
    low, high, default = feature.min, feature.max, feature.default
    if isinstance(default, (str, bool)):
        raise InputError(f"{key}.default={default} must be a number, or give the category's `values`")
    for part, number in (("min", low), ("max", high), ("default", default)):
        if number is not None and not abs(number) < np.finfo(np.float32).max:
            raise InputError(f"{key}.{part}={number} must be a finite number")
    if low is not None and high is not None and not low < high:
        raise InputError(f"{key}: min={low} must be below max={high}")
    if default is not None and not (-math.inf if low is None else low) <= default <= (
        math.inf if high is None else high
    ):
        raise InputError(f"{key}.default={default} must be between min={low} and max={high}")


def _check_known_before(key: str, name: str, feature: Feature) -> None:
    if feature.known_before:
        return
    for text in (name, *sources_of(name, feature)):
        if reason := known_after(text):
            raise InputError(
                f"{key}: {text} sounds like {reason}, which is known only after the trip, so that no device could give "
                f"it; leave it out, or set {key}.known_before: true if it is known before"
            )


def sources_of(name: str, feature: Feature) -> tuple[str, ...]:
    """The source's columns or expressions that give the feature, in the order in which they are tried."""
    column = feature.column or name
    return (column,) if isinstance(column, str) else column


def known_after(text: str) -> str | None:
    """Returns what a column's name or an expression's names say that is known only after a trip; None for nothing."""
    for name in WORD.findall(text):
        words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
        for reason, said in KNOWN_AFTER.items():
            if set(words) & set(said):
                return reason
        if set(words) & set(ENDS_OF_TRIPS) and set(words) & set(TIMES):
            return ARRIVAL
    return None


def raw_column(name: str, feature: Feature) -> RawColumn:
    """The feature as a column of the examples and an input of the model."""
    meaning = feature.meaning or name.replace("_", " ")
    if feature.is_category:
        coding = ", ".join(f"{text} {code}" for code, text in enumerate(feature.texts))
        default = None if feature.default is None else feature.code_of(_text(feature.default))
        return RawColumn(
            name, np.int64, bounds=(0, len(feature.values) - 1), is_categorical=True, default=default,
            meaning=f"{meaning}: {coding}", missing_reason="" if default is not None else MISSING,
            bounds_reason=OUT_OF_BOUNDS,
        )  # fmt: skip
    assert not isinstance(feature.default, str), "check_feature refuses it"
    bounds = (-math.inf if feature.min is None else feature.min, math.inf if feature.max is None else feature.max)
    return RawColumn(
        name, np.float32, bounds=None if np.isinf(bounds).all() else bounds, default=feature.default, meaning=meaning,
        unit=feature.unit, missing_reason="" if feature.default is not None else MISSING, bounds_reason=OUT_OF_BOUNDS,
    )  # fmt: skip


def codes(
    column: pa.Array, feature: Feature, dialect: CsvDialect
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The code of each cell of a category, shape (n,), NaN if it has none; and which cells hold an unknown value.

    Spaces around a value do not count. Where values are numbers, `1.0` and `01` are 1. With a default no value is
    unknown.
    """
    trimmed = pc.utf8_trim_whitespace(cells.text(column).cast(pa.string()))
    places = pc.index_in(trimmed, value_set=pa.array(feature.texts))
    found = places.cast(pa.float64()).to_numpy(zero_copy_only=False)
    rest = np.isnan(found)
    if rest.any():
        numbers, is_text = cells.numbers(pa.array(feature.texts), PLAIN)
        if not is_text.any():
            values, _ = cells.numbers(trimmed, dialect)
            for code, number in enumerate(numbers):
                found[rest & (values == number)] = code
    is_unknown = np.isnan(found) & ~cells.is_missing(trimmed, dialect)
    return found, is_unknown if feature.default is None else np.zeros(len(found), bool)
