"""Evidence on rows that a city file rejects because it says something else than the source does: codings, formats,
dialects and ids that would fit instead."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.trip_example_gen.judging.reasons import BAD_TIMESTAMP, BAD_WEEKDAY, UNKNOWN_LOCATION

KEPT_CELLS = 1000  # distinct ones in memory; ids of places are fewer
SHOWN_CELLS = 5
SHOWN_FITS = 3
HOURS = "city.columns.pickup_hour"
FIT = 0.95  # share of tried cells that a coding or a format must read to be proposed; some are dirt


@dataclasses.dataclass(frozen=True)
class Suspect:
    """Rows that one reason rejects in one column, although their cell is not empty.

    written: what the city file says, such as `city.weekdays=monday_0`. seen: cells of the column that were tried,
    rejected or not; fits: how many of them each proposal reads. tried, mends: the same of rejected cells alone.
    cells: rejected cells as text, and how often. first: file, number and reading of the first such row.
    """

    rows: int
    written: str = ""
    seen: int = 0
    fits: Counter[str] = dataclasses.field(default_factory=Counter)
    tried: int = 0
    mends: Counter[str] = dataclasses.field(default_factory=Counter)
    cells: Counter[str] = dataclasses.field(default_factory=Counter)
    first: tuple[str, int, str] = ("", 0, "")
    reason: str = ""
    column: str = ""

    def __add__(self, other: Suspect) -> Suspect:
        cells = self.cells + other.cells
        return Suspect(
            self.rows + other.rows,
            self.written,
            self.seen + other.seen,
            self.fits + other.fits,
            self.tried + other.tried,
            self.mends + other.mends,
            Counter(dict(sorted(cells.items(), key=lambda item: (-item[1], item[0]))[:KEPT_CELLS])),
            min(self.first, other.first),
            self.reason,
            self.column,
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Suspect:
        """Reads what `to_json` returns; ignores other keys."""
        return cls(
            content["rows"],
            content["written"],
            content["seen"],
            Counter(content["fits"]),
            content["tried"],
            Counter(content["mends"]),
            Counter(content["cells"]),
            tuple(content["first"]),
            content["reason"],
            content["column"],
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name; the commonest cells only."""
        return {
            "reason": self.reason,
            "column": self.column,
            "rows": self.rows,
            "written": self.written,
            "seen": self.seen,
            "fits": dict(sorted(self.fits.items())),
            "tried": self.tried,
            "mends": dict(sorted(self.mends.items())),
            "cells": dict(self.commonest),
            "first": list(self.first),
        }

    @property
    def commonest(self) -> list[tuple[str, int]]:
        """The rejected cells that occur most, with their number."""
        return sorted(self.cells.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_CELLS]

    @property
    def proposals(self) -> list[str]:
        """Codings, formats or dialects that fit the whole column, the best first; empty if nothing does."""
        return _best(self.fits, self.seen)

    def hint(self, judged: int) -> str:
        """Says what does not fit and what to write in the city file; judged: rows that were not left out."""
        share = f"{self.rows / judged:.0%}" if judged and self.rows / judged >= 0.01 else f"{self.rows:,}"
        if self.reason == BAD_WEEKDAY:
            return self._weekday_hint(share)
        if self.reason == UNKNOWN_LOCATION:
            return self._location_hint(share)
        if self.written.startswith(HOURS):
            return f"{self.written} does not fit {share} of the rows: {self.first[2]} is no whole number from 0 to 23"
        advice = self._advice()
        if self.reason == BAD_TIMESTAMP:
            mend = advice or "mend city.time_format, or city.days if these days are right"
            return f"{self.written} does not fit {share} of the rows: {self.first[2]}; {mend}"
        mend = advice or "mend the source, or city.csv"
        return f"{share} of the rows have numbers that {self.written} does not read: {self.first[2]}; {mend}"

    def _weekday_hint(self, share: str) -> str:
        kind = "names" if self.written.endswith("names") else "numbers"
        which = f"{share} of the rows have other {kind} (such as {', '.join(cell for cell, _ in self.commonest[:3])})"
        if not self.proposals:
            return f"{self.written} does not fit: {which}; no coding fits, so mend the column"
        verb = "fits" if len(self.proposals) == 1 else "fit"
        return f"{self.written} does not fit: {which}; {' or '.join(self.proposals)} {verb}"

    def _location_hint(self, share: str) -> str:
        ids = [cell for cell, _ in self.commonest]
        return (
            f"{share} of the rows have places that city.locations lacks, such as {', '.join(map(literal, ids))}: add "
            f"them to its file, or leave such rows out with city.where: {without(self.column, ids)}"
        )

    def _advice(self) -> str:
        key = self.written.partition("=")[0]
        if self.proposals:
            return f"write {' or '.join(f'{key}: {each}' for each in self.proposals)}"
        mends = _best(self.mends, self.tried)
        return f"{' or '.join(mends)} reads the rejected ones: write both in a list, {key}: [...]" if mends else ""


def _best(fits: Mapping[str, int], of: int) -> list[str]:
    fitting = [name for name, n in fits.items() if n >= FIT * of]
    return sorted(fitting, key=lambda name: (-fits[name], name))[:SHOWN_FITS] if of else []


def without(column: str, cells: Sequence[str]) -> str:
    """A condition of city.where that leaves out rows with these cells in a column.

    >>> without("zone", ["264"]), without("to zone", ["Unknown", "265"])
    ('zone not in (264,)', "`to zone` not in ('Unknown', 265)")
    """
    return f"{name_of(column)} not in ({', '.join(map(literal, cells))}{',' * (len(cells) == 1)})"


def name_of(column: str) -> str:
    """A column's name as city.where reads it."""
    return column if column.isidentifier() else f"`{column}`"


def literal(cell: str) -> str:
    """A cell's text as city.where reads it: a number, or text in quotes."""
    return cell if cell.lstrip("+-").isdigit() else repr(cell)
