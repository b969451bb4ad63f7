"""Renders the page of a run: one HTML file that needs no network, and no scripts to be read."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farebox.components.reporter import verdict
from farebox.components.reporter.figures import Figures
from farebox.components.reporter.page import (
    data_charts,
    device,
    fare_charts,
    gates,
    glossary,
    line_charts,
    lineage,
    model_charts,
    over_time,
    top,
)
from farebox.components.reporter.page.blocks import Section
from farebox.components.reporter.page.top import Tile

SHOWN_SETTINGS = 4
TEMPLATES = Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class About:
    """Facts that each picture has in its caption, and the rule of the split.

    run_id, date: empty where the runner does not tell. split: `shares`, `seed` and `by_time`; empty in the records of
    runs before it was kept.
    """

    city: str
    currency: str
    run_id: str = ""
    date: str = ""
    split: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def caption(self) -> str:
        """City, run and date in a line."""
        return " · ".join(part for part in (self.city, self.run_id and f"run {self.run_id}", self.date) if part)


@dataclasses.dataclass(frozen=True)
class Page:
    """Everything that the page shows. sections: as `reporter.content` gathers them."""

    figures: Figures
    sections: Mapping[str, Any]
    about: About
    facts: lineage.RunFacts = dataclasses.field(default_factory=lineage.RunFacts)


def render(page: Page) -> str:
    """The page as HTML."""
    figures, currency = page.figures, page.about.currency
    return _rendered(
        "report.html",
        about=page.about,
        title="Verdict",
        is_shipped=verdict.is_shipped(figures),
        has_model=figures.measured is not None,
        sentence=verdict.sentence(figures, currency),
        tiles=top.tiles(figures.measured, currency),
        why=verdict.why(figures),
        where_bad=top.where_bad(figures.measured, currency),
        trained_on=top.trained_on(figures, page.sections, page.about.split),
        changes=" ".join(filter(None, (verdict.changes(figures, currency), settings_changed(page.facts)))),
        advice=verdict.advice(figures),
        sections=sections_of(page),
    )


def settings_changed(facts: lineage.RunFacts) -> str:
    """The settings that differ from the run before; empty if none is known to differ."""
    if not facts.changed:
        return ""
    named = [f"{key} {now} (was {before})" for key, (before, now) in list(facts.changed.items())[:SHOWN_SETTINGS]]
    more = f" and {len(facts.changed) - len(named)} more, see Lineage" if len(facts.changed) > len(named) else ""
    return f"Settings since the run before: {', '.join(named)}{more}."


def render_sections(about: About, title: str, lead: str, sections: tuple[Section, ...]) -> str:
    """A page of any sections under a title and a paragraph; Terms are the last."""
    return _rendered("page.html", about=about, title=title, lead=lead, sections=(*sections, glossary.section()))


def render_tiles(about: About, title: str, lead: str, tiles: tuple[Tile, ...], sections: tuple[Section, ...]) -> str:
    """The same with tiles of numbers under the paragraph."""
    sections = (*sections, glossary.section())
    return _rendered("compare.html", about=about, title=title, lead=lead, tiles=tiles, sections=sections)


def _rendered(template: str, **values: Any) -> str:
    style, script = ((TEMPLATES / name).read_text() for name in ("style.css", "script.js"))
    return str(_template(template).render(**values, style=style, script=script, link=glossary.Linker()))


@functools.cache
def _template(name: str) -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(name)


def sections_of(page: Page) -> tuple[Section, ...]:
    """The sections in the order in which a reader asks."""
    figures, sections, currency = page.figures, page.sections, page.about.currency
    measured = figures.measured
    return (
        gates.section(figures.gates),
        fare_charts.section(measured, sections.get("fares"), currency),
        model_charts.section(measured, sections.get("training"), sections.get("importance"), currency),
        line_charts.section(sections, currency),
        device.section(figures),
        data_charts.section(figures.losses, sections.get("statistics"), figures.gates, currency),
        over_time.section(page.facts.earlier, point_of(page.about.run_id, figures), currency),
        lineage.section(figures, sections, page.facts),
        glossary.section(),
    )


def point_of(run_id: str, figures: Figures) -> over_time.RunPoint:
    """A run among the others of its city."""
    measured, refusing = figures.measured, [check.name for check in figures.gates if check.refuses]
    outcome = f"refused: {', '.join(refusing)}" if refusing else "not shipped"
    outcome = "shipped" if verdict.is_shipped(figures) else outcome
    if measured is None:
        return over_time.RunPoint(run_id, None, None, None, None, outcome)
    low, high = measured.intervals.get("rmse", (None, None))
    interval = None if low is None or high is None else (low, high)
    return over_time.RunPoint(
        run_id, measured.rmse.shipped, interval, measured.model.bytes, measured.rows.examples, outcome
    )
