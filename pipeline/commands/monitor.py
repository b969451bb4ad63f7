"""`farebox monitor`: live errors over time, or of a file of actual fares, as table, JSON and picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from farebox.pipeline.commands.options import AsJson, City, Overrides
from farebox.pipeline.commands.tables import aligned
from farebox.pipeline.retraining import monitor as live
from farebox.pipeline.retraining.live_record import changed
from farebox.pipeline.settings.load import Settings, load_settings

PICTURE = "live_error.png"


def monitor(
    *,
    city: City = "chicago",
    out: Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")] = ".",
    actuals: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="CSV or Parquet with the columns version, predicted and actual."),
    ] = None,
    picture: Annotated[str | None, typer.Option(metavar="FILE.png", help=f"By default {PICTURE} in runs/CITY.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Shows live errors of pushed versions beside what they promised.

    With --actuals, how well they do where they run.
    """
    settings = load_settings(city, ".", out, overrides or ())  # the trips are not read
    if actuals is not None:
        show_actuals(settings, actuals, as_json)
    else:
        show_history(settings, picture, as_json)


def show_history(settings: Settings, picture: str | None, as_json: bool) -> None:
    """Prints the live errors of the journal and draws them. Raises InputError."""
    history = live.read_history(settings)
    if as_json:
        print(json.dumps(live.to_json(history, settings), indent=2))
    if not history.lives:
        print(f"{settings.runs_dir}: no span has been scored yet") if not as_json else None
        return
    path = Path(picture) if picture else settings.runs_dir / PICTURE
    latest = [each for each in history.lives if each.role == "latest"]
    from farebox.pipeline.retraining.monitor_picture import draw  # here: matplotlib

    names = [row[0] for row in live.rows(latest, settings)[1:]]
    draw(path, latest, names, city=settings.city.name, currency=settings.city.currency)
    if not as_json:
        print(aligned(live.rows(history.lives, settings)))
        for span, deployment in history.deployments:
            print(f"span {live.name(span, settings)}: {changed(deployment)}")
        print(f"picture: {path}")


def show_actuals(settings: Settings, path: str, as_json: bool) -> None:
    """Prints the errors by version of a file of actual fares. Raises InputError."""
    from farebox.pipeline.retraining.actuals import measure

    actuals = measure(settings, path)
    if as_json:
        place = {"city": settings.city.name, "currency": settings.city.currency}
        print(json.dumps({**place, **dataclasses.asdict(actuals)}, indent=2))
        return
    print(aligned([("version", *live.HEADER[3:]), *(live.cells(each) for each in actuals.lives)]))
    print(f"{actuals.rows:,} rows in {settings.city.currency}; {sum(actuals.refused.values()):,} refused")
    for reason, count in actuals.refused.items():
        print(f"  {count:,} refused: {reason}")
    for version, count in actuals.unknown.items():
        print(f"  {count:,} of version {version}, which is not in {settings.models_dir}")
