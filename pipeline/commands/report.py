"""`farebox report` and `farebox history`: the page of a run, and all runs and versions of a city."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farebox.pipeline.commands.options import CITY_NAME, AsJson

if TYPE_CHECKING:
    from farebox.pipeline.commands.run_history import PastRun

Name = Annotated[str, CITY_NAME]
Out = Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")]


def report(
    run: Annotated[str, typer.Argument(help="A run's id, the beginning of one, or latest.")] = "latest",
    city: Name = "chicago",
    out: Out = ".",
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Writes the page of a run again.

    Prints where it is. A run writes its page itself; this page has the looks of the installed Farebox.
    """
    from farebox.pipeline.commands import run_history
    from farebox.pipeline.local.report import write_again

    page = write_again(run_history.run_folder(Path(out) / "runs" / city, run))
    print(page)
    if open_page:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def history(
    city: Name = "chicago",
    out: Out = ".",
    pages: Annotated[
        Path | None, typer.Option("--pages", metavar="DIR", help="Write static files that any web server can show.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lists all runs of a city, and writes them as pages.

    The oldest first: trips, error, size, what became of the model, and the decision of a retraining.
    """
    from farebox.pipeline.commands import run_history as histories

    found = histories.past_runs(Path(out), city)
    if pages is not None:
        print(histories.write_pages(found, Path(out) / "runs" / city, city, pages))
    elif as_json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        print(table(found))


def table(found: list[PastRun]) -> str:
    """A line per run."""
    from farebox.pipeline.commands.run_history import HEAD
    from farebox.pipeline.commands.tables import aligned

    return aligned([HEAD, *(each.cells for each in found)])
