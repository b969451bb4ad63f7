"""The page of all runs of a city: error and size over time, and a table that leads to each run's page."""

from __future__ import annotations

import dataclasses

from markupsafe import Markup

from farebox.components.reporter.page.blocks import Block, Section, Table, missing, table
from farebox.components.reporter.page.over_time import over_time
from farebox.components.reporter.page.render import About, render_sections


@dataclasses.dataclass(frozen=True)
class HistoryRow:
    """A run's cells and numbers; link: the file of its page, None without one."""

    cells: tuple[str, ...]
    rmse: float | None
    interval: tuple[float, float] | None
    bytes: int | None
    link: str | None


@dataclasses.dataclass(frozen=True)
class HistoryPage:
    """All runs of a city, the oldest first; head: of the cells."""

    city: str
    currency: str
    head: tuple[str, ...]
    rows: tuple[HistoryRow, ...]


def render_history(page: HistoryPage) -> str:
    """The page as HTML."""
    count = len(page.rows)
    lead = f"{count} run{'' if count == 1 else 's'} of {page.city}."
    blocks: tuple[Block, ...] = (*pictures(page), listing(page))
    return render_sections(About(page.city, page.currency), "History", lead, (Section("runs", "Runs", blocks),))


def pictures(page: HistoryPage) -> list[Block]:
    """RMSE with its interval and bytes by run, those with a model only."""
    with_model = [row for row in page.rows if row.rmse is not None]
    if len(with_model) < 2:
        return [missing("Pictures over time need two runs with a model.")]
    names = [row.cells[0] for row in with_model]
    errors, sizes = [row.rmse or 0.0 for row in with_model], [float(row.bytes or 0) for row in with_model]
    intervals = [row.interval for row in with_model]
    return [
        over_time("RMSE by run", f"RMSE on test, {page.currency}", names, errors, intervals),
        over_time("Size by run", "bytes", names, sizes, [None] * len(names)),
    ]


def listing(page: HistoryPage) -> Table:
    """All runs, the newest first, with links to their pages."""
    rows = [
        (Markup('<a href="{}">{}</a>').format(row.link, row.cells[0]) if row.link else row.cells[0], *row.cells[1:])
        for row in reversed(page.rows)
    ]
    return table("All runs, the newest first", page.head, rows, 2)
