"""`farebox run`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from farebox.pipeline import process
from farebox.pipeline.commands.options import AsJson, City, Data, Overrides


def run(
    city: City = "chicago",
    data: Data = None,
    out: Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")] = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Trains, judges and pushes the fare model of a city.

    Exit code 3 if a gate refused the model: nothing is pushed then.
    """
    from farebox.components.errors import GateError
    from farebox.components.reporter.figures import PAGE_FILE
    from farebox.pipeline.commands.screen import logged
    from farebox.pipeline.local import run as runs
    from farebox.pipeline.local.console import RunConsole
    from farebox.pipeline.local.folder import LATEST, SUMMARY_FILE
    from farebox.pipeline.retraining.deploying import pushed_versions
    from farebox.pipeline.settings.load import load_settings

    screen = RunConsole(sys.stdout, quiet=as_json)
    settings = load_settings(city, data, out, overrides or ())
    try:
        result = runs.run(settings, output=logged(quiet=as_json))
    except GateError as error:
        if error.checks:
            screen.refusal(error.checks, settings.city.currency, settings.runs_dir / LATEST / PAGE_FILE)
            if as_json:
                print((settings.runs_dir / LATEST / SUMMARY_FILE).read_text())
            else:
                sys.exit(process.REFUSED)  # the screen has said why
        raise
    summary = result.summary
    screen.summary(summary.figures, summary.city, summary.currency, result.report)
    for fault in result.faults:
        print(f"farebox: warning: {fault}", file=sys.stderr)
    named = pushed_versions(settings)
    if result.pushed and result.pushed.name == named.get("candidate"):
        screen.say(f"CANDIDATE names it; LATEST names {named['latest']} until a tick or `farebox rollback` promotes it")
    if as_json:
        print(json.dumps(summary.to_json(), indent=2))
    if not result.pushed:
        sys.exit(process.REFUSED)
