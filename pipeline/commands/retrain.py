"""`farebox retrain`: the tick's console, log files, lines and exit code."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from farebox.components.atomic_pusher.push import latest_name
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.components.trip_example_gen.span_pattern import name_of_span, span_of_name
from farebox.pipeline.commands.options import AsJson, City, Overrides
from farebox.pipeline.commands.screen import logged
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.process import BAD_INPUT, DONE, REFUSED
from farebox.pipeline.retraining import ingesting, tick
from farebox.pipeline.retraining.deploying import pushed_versions
from farebox.pipeline.retraining.journal import Record
from farebox.pipeline.retraining.live_record import Live, changed, told
from farebox.pipeline.retraining.steps import Steps, run_graph
from farebox.pipeline.retraining.tick import TickResult
from farebox.pipeline.settings.load import Settings, load_settings

BUSY = "another tick of {city} is at work"


def retrain(
    *,
    city: City = "chicago",
    data: Annotated[str | None, typer.Option(help="The folder of spans; spans.pattern tells where they are.")] = None,
    out: Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")] = ".",
    first: Annotated[
        str | None, typer.Option("--from", metavar="SPAN", help="Backfill: a tick per span, from this one on.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="SPAN", help="Backfill: the last span.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Ingests new spans and retrains the model if the policy says so.

    Exit code 3 if a gate refused the model.
    """
    settings = load_settings(city, data, out, overrides or ())
    sys.exit(run_ticks(settings, first, last, as_json))


def run_ticks(settings: Settings, first: str | None, last: str | None, as_json: bool) -> int:
    """Does one tick, or one per span from `first` to `last`, prints their records and returns the exit code.

    as_json: prints a line of JSON per record, and nothing else.

    Raises InputError if the options or the data cannot be used.
    """
    code = DONE
    for results in _ticks(settings, first, last, console_steps(quiet=as_json)):
        if not results and not as_json:
            print(f"farebox: {BUSY.format(city=settings.city.name)}")
        for result in results:
            _print(result, settings, as_json)
            code = max(code, exit_code(result.record, has_model(settings)))
    return code


def _ticks(settings: Settings, first: str | None, last: str | None, steps: Steps) -> Iterable[list[TickResult]]:
    if first is None and last is None:
        return [tick.retrain(settings, steps=steps)]
    if first is None or last is None:
        given, missing = ("--to", "--from") if first is None else ("--from", "--to")
        raise InputError(f"{given}={first or last} must have {missing} beside it")
    numbers = span_number(first, settings), span_number(last, settings)
    if numbers[0] > numbers[1]:
        raise InputError(f"--from={first} must not be after --to={last}")
    return tick.backfill(settings, *numbers, steps=steps)


def console_steps(quiet: bool) -> Steps:
    """Steps that show progress on the standard output, keep what libraries print in log files, and warn on stderr."""
    output = logged(quiet=quiet)
    return Steps(
        ingest=functools.partial(ingesting.ingest, output=output),
        find_ingested=functools.partial(ingesting.find_ingested, output=output),
        run=functools.partial(run_graph, output=output),
        warn=lambda line: print(f"farebox: warning: {line}", file=sys.stderr),
    )


def _print(result: TickResult, settings: Settings, as_json: bool) -> None:
    record = result.record
    screen = RunConsole(sys.stdout, quiet=as_json)
    if result.checks:
        screen.gates(result.checks)
    if record.outcome == "refused" and result.run is None:
        print(f"farebox: refused: {record.reasons[-1]}", file=sys.stderr)
    if exit_code(record, has_model(settings)) == BAD_INPUT:
        print(f"farebox: data={settings.data} must hold {complaint(record)}", file=sys.stderr)
    if result.run:
        summary = result.run.summary
        screen.summary(summary.figures, summary.city, summary.currency, result.run.report)
        for fault in result.run.faults:
            print(f"farebox: warning: {fault}", file=sys.stderr)
    print(json.dumps(dataclasses.asdict(record)) if as_json else "\n".join(lines(record, settings)))


def complaint(record: Record) -> str:
    """The end of the line about a tick that ends as bad input."""
    if record.spans.new:
        refusals = [reason for reason in record.reasons if " refused: " in reason]
        return f"a new span that can be used; {'; '.join(refusals)}"
    return f"a span that can be used, got {len(record.spans.left)} names, {record.spans.left[0]} first"


def span_number(text: str, settings: Settings) -> int:
    """The number of a span, given as a number or, if the pattern is dated, as a day or month. Raises InputError."""
    try:
        return span_of_name(str(settings.spans.pattern), text)
    except ValueError as error:
        raise InputError(
            f"span={text} must be a number or, if spans.pattern is dated, a day as YYYY-MM-DD or a month as YYYY-MM"
        ) from error


def exit_code(record: Record, has_model: bool) -> int:
    """3 if a gate refused the model; 2 so that somebody looks; else 0.

    2: no new span can be used; or rules leave out all that there is, and there is no model.
    """
    if record.outcome == "refused":
        return REFUSED
    has_only_useless_spans = bool(record.spans.new) and set(record.spans.new) <= set(record.spans.refused)
    has_nothing = bool(record.spans.left) and not record.spans.window and not has_model
    return BAD_INPUT if (has_only_useless_spans or has_nothing) and record.outcome == "kept" else DONE


def has_model(settings: Settings) -> bool:
    """Whether LATEST names a version."""
    return settings.models_dir.is_dir() and latest_name(LocalStore(settings.models_dir)) is not None


def lines(record: Record, settings: Settings) -> list[str]:
    """A record as people read it: decision and outcome, spans, reasons."""

    def names(spans: Iterable[tuple[int, int]]) -> str:
        return ", ".join(name_of_span(str(settings.spans.pattern), span) for span, _ in spans) or "none"

    def live_error(live: Live) -> str:
        of_span = f" on span {names([live.span])}" if len({each.span for each in record.live}) > 1 else ""
        return f"  live error{of_span} of {told(live, settings.city.currency)}"

    window = record.spans.window
    gap = f" without {names((span, 1) for span in record.spans.missing)}" if record.spans.missing else ""
    causes = f" ({', '.join(record.causes)})" if record.causes else ""
    as_candidate = " as CANDIDATE" if pushed_versions(settings).get("candidate") == record.version else ""
    outcome = {"pushed": f"pushed {record.version}{as_candidate}", "kept": "the model stays"}.get(
        record.outcome, record.outcome
    )
    return [
        f"farebox: {record.city}: {record.decision}{causes}: {outcome}",
        f"  new spans {names(record.spans.new)}; window {names(window[:1])} to {names(window[-1:])}{gap}",
        *map(live_error, record.live),
        *([f"  {changed(record.deployment)}"] if record.deployment else []),
        *(f"  {reason}" for reason in record.reasons),
    ]
