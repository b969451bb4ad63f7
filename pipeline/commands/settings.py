"""The command `farebox settings`: all settings with their defaults and bounds."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from farebox.pipeline.settings.reference import SettingEntry, SettingsSection

INTRODUCTION = """\
# Settings

Every setting except some of `city` has a default. The [city file](city.md) overrides it, and `--set section.key=value`
overrides both:

```
farebox run --city chicago --set gates.max_rmse=4 --set training.seed=1
```

`farebox settings` prints this list. `farebox settings --markdown` writes this page.
"""
PAGES = {  # section: pages with the details
    "city": ("city.md",),
    "model": ("model.md",),
    "reducer": ("components/pca_reducer.md",),
    "pruner": ("components/pruner.md",),
    "quantizer": ("components/quantizer.md",),
    "bands": ("bands.md",),
    "data_gate": ("components/data_gate.md",),
    "gates": ("components/model_gate.md",),
    "push": ("components/pusher.md",),
    "device": ("components/device_validator.md",),
    "beam": ("engines.md", "performance.md"),
    "cluster": ("cluster.md",),
    "notify": ("schedule.md",),
    "spans": ("retraining.md",),
    "tracking": ("report.md",),
    "metadata": ("metadata.md",),
}


def show(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """Lists all settings with their defaults and bounds."""
    from farebox.pipeline.settings.reference import sections

    print(page(sections()) if markdown else text(sections()))


def text(sections: list[SettingsSection]) -> str:
    """Returns the list for a terminal: a table of all settings; those without bounds have their type."""
    from farebox.pipeline.commands.tables import aligned

    rows = [("setting", "default", "value")]
    for section in sections:
        rows += [(entry.key, entry.default, _values(entry)) for entry in section.entries]
    return aligned(rows)


def _values(entry: SettingEntry) -> str:
    null = " or null" if entry.bounds and entry.type.endswith(" or null") else ""
    return (entry.bounds or entry.type) + null


def page(sections: list[SettingsSection]) -> str:
    """Returns the list as a page of the documentation, in Markdown."""
    return "\n".join([INTRODUCTION, *map(_chapter, sections)]).rstrip("\n")


def _chapter(section: SettingsSection) -> str:
    links = ", ".join(f"[{path}]({path})" for path in PAGES.get(section.name, ()))
    paragraphs = [*section.summary.split("\n"), *([f"Details: {links}."] if links else [])]
    summary = "\n\n".join("\n".join(textwrap.wrap(each, 120)) for each in paragraphs)
    lines = ["| setting | type | default | bounds | description |", "|---|---|---|---|---|"]
    return "\n".join([f"## {section.name or 'Top level'}", summary, "", *lines, *map(_row, section.entries), ""])


def _row(entry: SettingEntry) -> str:
    cells = (f"`{entry.key}`", entry.type, f"`{entry.default}`", entry.bounds, entry.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
