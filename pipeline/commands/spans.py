"""`farebox spans` and `farebox spans forget`: what a folder of spans holds, and the way back from a wrong one."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from farebox.pipeline.commands.options import AsJson, City, Overrides
from farebox.pipeline.commands.retrain import span_number
from farebox.pipeline.commands.tables import aligned
from farebox.pipeline.retraining import forgetting, listing, tick
from farebox.pipeline.retraining.listing import Listing
from farebox.pipeline.settings.load import Settings, load_settings

Folder = Annotated[str | None, typer.Option(help="The folder of spans; spans.pattern tells where they are.")]
Out = Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")]
HEADER = ("span", "version", "path", "state", "why")


def list_spans(
    *, city: City = "chicago", data: Folder = None, out: Out = ".", overrides: Overrides = None, as_json: AsJson = False
) -> None:
    """Lists what is in a folder of spans, taken or left, and why.

    Changes nothing.
    """
    listed = listing.list_spans(_settings(city, data, out, overrides))
    print(json.dumps(dataclasses.asdict(listed) | {"counts": listed.counts}, indent=2) if as_json else table(listed))


def forget(
    span: Annotated[str, typer.Argument(metavar="SPAN", help="Its number, or its day or month, as `spans` lists it.")],
    *,
    city: City = "chicago",
    data: Folder = None,
    out: Out = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Takes back a span that a tick took by mistake.

    The next tick makes its window as if the span had never come. Other content that comes later is a new version.
    """
    settings = _settings(city, data, out, overrides)
    record = forgetting.forget(settings, span_number(span, settings))
    print(json.dumps(dataclasses.asdict(record)) if as_json else f"farebox: {record.city}: {record.reasons[0]}")


def table(listed: Listing) -> str:
    """A line per span, and one with the counts."""
    rows = [
        (each.name or "-", "" if each.version is None else str(each.version), each.path, each.state, each.why)
        for each in listed.spans
    ]
    counts = ", ".join(f"{count} {state}" for state, count in listed.counts.items()) or "nothing is there"
    return "\n".join([aligned([HEADER, *rows]), f"{listed.city}: {counts}"])


def _settings(city: str, data: str | None, out: str, overrides: list[str] | None) -> Settings:
    """The settings of a city whose trips come in spans. Raises InputError."""
    settings = load_settings(city, data, out, overrides or ())
    tick.check_folder(settings)
    return settings
