"""Coordinates of a trip's ends from cells that hold a point, a line, or the id of a zone; whole columns at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.trip_example_gen.place_table import key_of
from farebox.components.trip_example_gen.profile import Place
from farebox.components.trip_example_gen.values import cells

Pair = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # longitude and latitude, shape (n,), NaN if unknown
Mask = npt.NDArray[np.bool_]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PAIR = rf"(?P<x>{_NUMBER})\s*[,\s]\s*(?P<y>{_NUMBER})"
_POINT = rf"(?i)^\s*(?:SRID=\d+;\s*)?POINT\s*Z?\s*\(\s*{_PAIR}[^)]*\)\s*$"
_FIRST = rf"^\s*\[\s*\[\s*{_PAIR}"
_LAST = rf"\[\s*{_PAIR}[^\[\]]*\]\s*\]\s*$"


def of_points(column: pa.Array) -> tuple[Pair, Mask]:
    """WKT such as `POINT (-87.6 41.9)`; and which cells hold something else. `POINT EMPTY` is a missing place."""
    return _matched(column, _POINT, empty=r"(?i)^\s*POINT\s+EMPTY\s*$")


def of_polyline(column: pa.Array, end: str) -> tuple[Pair, Mask]:
    """The first or the last (`end` is pickup or dropoff) of a list such as `[[-8.6, 41.1], [-8.7, 41.2]]`; and which
    cells hold something else. An empty list is a missing place."""
    return _matched(column, _FIRST if end == "pickup" else _LAST, empty=r"^\s*\[\s*\]\s*$")


def of_locations(column: pa.Array, places: dict[str, Place]) -> tuple[Pair, Mask]:
    """Places by id or name; and which cells have one that the table lacks."""
    ids = pc.utf8_trim_whitespace(cells.text(column)).dictionary_encode()
    by_key = {key_of(each): place for each, place in places.items()}
    known = [by_key.get(key_of(each)) for each in ids.dictionary.to_pylist()] + [None]
    codes = pc.fill_null(ids.indices, len(known) - 1).to_numpy(zero_copy_only=False)
    table = np.array([(place.longitude, place.latitude) if place else (np.nan, np.nan) for place in known])
    longitude, latitude = table[codes].T
    return (longitude, latitude), np.isnan(longitude) & ~cells.is_missing(column)


def _matched(column: pa.Array, pattern: str, *, empty: str) -> tuple[Pair, Mask]:
    text = cells.text(column)
    groups = pc.extract_regex(text, pattern)
    longitude, latitude = (
        pc.struct_field(groups, [i]).cast(pa.float64()).to_numpy(zero_copy_only=False) for i in (0, 1)
    )
    is_empty = pc.fill_null(pc.match_substring_regex(text, empty), fill_value=True).to_numpy(zero_copy_only=False)
    is_missing = cells.is_missing(column) | is_empty
    return (longitude, latitude), np.isnan(longitude) & ~is_missing
