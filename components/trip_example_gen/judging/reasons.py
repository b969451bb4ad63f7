"""Reasons to reject a row, what they are called in messages, and the judgement on rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

UNPARSEABLE, BAD_TIMESTAMP, BAD_WEEKDAY = "unparseable", "bad_timestamp", "bad_weekday"
UNKNOWN_LOCATION, OTHER_DIALECT = "unknown_location", "other_dialect"
# Reasons that come from the city file, not from dirt: it says something else than the source does.
MISFITS = (BAD_TIMESTAMP, BAD_WEEKDAY, UNKNOWN_LOCATION, OTHER_DIALECT)

WORDS = {
    UNPARSEABLE: "not readable",
    BAD_TIMESTAMP: "no time of city.time_format and city.days",
    BAD_WEEKDAY: "no weekday of city.weekdays",
    UNKNOWN_LOCATION: "not in city.locations",
    OTHER_DIALECT: "number in another dialect",
    "missing_label": "no label",
    "missing_coordinate": "no coordinate",
    "outside_city": "outside city.box",
}


@dataclasses.dataclass(frozen=True)
class RowCheck:
    """A reason to reject rows, the source's column at fault, and which rows it rejects, shape (n,)."""

    reason: str
    column: str
    rejects: npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """Fates of n rows.

    values: our columns, valid where no check rejects. failed: the place of the check that rejected a row, len(checks)
    for the others, shape (n,). is_wanted: which rows `city.where` does not leave out, shape (n,).
    """

    values: Mapping[str, npt.NDArray[Any]]
    checks: Sequence[RowCheck]
    failed: npt.NDArray[np.int64]
    is_wanted: npt.NDArray[np.bool_]

    @property
    def is_trip(self) -> npt.NDArray[np.bool_]:
        return np.asarray((self.failed == len(self.checks)) & self.is_wanted)


def in_words(reason: str, column: str) -> str:
    """A reason as people write it: `outside city.box (column lon_a)`."""
    if not column:
        return "malformed line" if reason == UNPARSEABLE else reason.replace("_", " ")
    return f"{WORDS.get(reason, reason.replace('_', ' '))} (column {column})"
