"""Parts of a section of the page: pictures, tables and notes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from markupsafe import Markup

Cell = str | Markup
NUMBER = re.compile(r"–?|\d{4}-\d\d-\d\d|[-+−]?[\d.,]+( ?%| x| days)?( to [-+−]?[\d.,]+)?")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text; the first `n_names` columns are text, whatever they hold. note: a line below. legend: of pictures
    in cells, style and text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_names: int = 1
    note: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    kind: str = "table"

    @property
    def is_number(self) -> tuple[bool, ...]:
        """Whether each column is one of numbers, which stand at the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        return tuple(
            place >= self.n_names and all(NUMBER.fullmatch(str(cell)) for cell in column)
            for place, column in enumerate(columns)
        )


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture with title, unit, legend (style and text) and, folded, the numbers that it shows."""

    title: str
    unit: str
    svg: Markup
    table: Table | None = None
    note: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    is_wide: bool = False
    kind: str = "figure"


@dataclasses.dataclass(frozen=True)
class Note:
    """A paragraph: what a section lacks and why, or a finding."""

    text: str
    is_missing: bool = False
    kind: str = "note"


@dataclasses.dataclass(frozen=True)
class Terms:
    """Terms, each with the id that texts link to, and what they mean."""

    rows: tuple[tuple[str, str, str], ...]
    kind: str = "terms"


Block = Table | Figure | Note | Terms


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page; id: of its heading."""

    id: str
    title: str
    blocks: tuple[Block, ...]


def missing(text: str) -> Note:
    """Says what is not there, and why."""
    return Note(text, is_missing=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], n_names: int = 1, note: str = "") -> Table:
    """A table of any sequences."""
    return Table(title, tuple(head), tuple(tuple(row) for row in rows), n_names, note)
