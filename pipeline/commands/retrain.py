"""`farebox retrain` between command line and tick: what it takes, prints and ends with."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterable

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.spans import FIRST_DAY, name_of_span
from farebox.pipeline.process import BAD_INPUT, DONE, REFUSED
from farebox.pipeline.retraining import tick
from farebox.pipeline.retraining.journal import Record
from farebox.pipeline.settings.load import Settings

BUSY = "another tick of {city} is at work"


def retrain(settings: Settings, first: str | None, last: str | None, as_json: bool) -> int:
    """One tick, or one per span from `first` to `last`: prints what was recorded, as JSON a line each; the exit code.

    Raises InputError where the options or the data cannot be used.
    """
    code = DONE
    for records in _ticks(settings, first, last, quiet=as_json):
        if not records and not as_json:
            print(f"farebox: {BUSY.format(city=settings.city.name)}")
        for record in records:
            print(json.dumps(dataclasses.asdict(record)) if as_json else "\n".join(lines(record, settings)))
            code = max(code, exit_code(record))
    return code


def _ticks(settings: Settings, first: str | None, last: str | None, quiet: bool) -> Iterable[list[Record]]:
    if first is None and last is None:
        return [tick.retrain(settings, quiet)]
    if first is None or last is None:
        raise InputError(f"--from={first} --to={last} must be given together")
    return tick.backfill(settings, span_number(first, settings), span_number(last, settings), quiet)


def span_number(text: str, settings: Settings) -> int:
    """The span of a number, or of a day where the pattern is dated. Raises InputError."""
    try:
        if "{YYYY}" in str(settings.spans.pattern):
            return (datetime.date.fromisoformat(text) - FIRST_DAY).days
        return int(text)
    except ValueError as error:
        raise InputError(
            f"span={text} must be a number, or a day as YYYY-MM-DD where spans.pattern is dated"
        ) from error


def exit_code(record: Record) -> int:
    """3 where a gate refused the model; 2 where all that was new is of no use, so that somebody looks; else 0."""
    if record.outcome == "refused":
        return REFUSED
    is_useless = bool(record.spans.new) and set(record.spans.new) <= set(record.spans.refused)
    return BAD_INPUT if is_useless and record.outcome == "kept" else DONE


def lines(record: Record, settings: Settings) -> list[str]:
    """What a tick has to say for itself."""

    def named(spans: Iterable[tuple[int, int]]) -> str:
        names = (name_of_span(str(settings.spans.pattern), span) for span, _ in spans)
        return ", ".join(names) or "none"

    window = record.spans.window
    causes = f" ({', '.join(record.causes)})" if record.causes else ""
    ended = {"pushed": f"pushed {record.version}", "kept": "the model stays"}.get(record.outcome, record.outcome)
    return [
        f"farebox: {record.city}: {record.decision}{causes}: {ended}",
        f"  new spans {named(record.spans.new)}; window {named(window[:1])} to {named(window[-1:])}",
        *(f"  {reason}" for reason in record.reasons),
    ]
