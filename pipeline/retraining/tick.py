"""One tick: find, ingest, decide, run, write down. Done again, it does nothing; killed, the next one finishes it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farebox.components.errors import GateError, InputError
from farebox.components.trip_example_gen.spans import Delivery, Found, find
from farebox.pipeline.local import preflight, run
from farebox.pipeline.local.folder import new_run_id
from farebox.pipeline.metadata import connection
from farebox.pipeline.retraining.deciding import Tick, conclude, to_judge
from farebox.pipeline.retraining.ingesting import Judged, ingest, ingested
from farebox.pipeline.retraining.journal import Journal, Record, SpanVersion
from farebox.pipeline.retraining.planning import History, history_of, key, plan_of
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


def retrain(
    settings: Settings, quiet: bool = False, upto: int | None = None, now: datetime.datetime | None = None
) -> list[Record]:
    """One tick; what it recorded: the job of a tick that died, if one did, and its own. Nothing where another tick of
    this city is at work.

    Raises InputError where settings or folders cannot be used. A span that cannot be used is in the record.
    """
    check(settings)
    journal = Journal(settings.runs_dir)
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    with journal.exclusive() as alone:
        return list(_work(Tick(settings, journal, new_run_id(), moment, quiet, upto))) if alone else []


def backfill(settings: Settings, first: int, last: int, quiet: bool = False) -> Iterator[list[Record]]:
    """A tick per span that lies there, in order, each as if nothing had come after it.

    Raises InputError where the pushed model knows newer spans: no older model goes over it.
    """
    check(settings)
    history = history_of(Journal(settings.runs_dir).records())
    trained = max((span for span, _ in history.tried), default=None)
    if trained is not None and first <= trained:
        raise InputError(f"--from={first} must be above {trained}, the newest span of the last run's window")
    for span in sorted({each.span for each in lying(settings) if each.complete and first <= each.span <= last}):
        yield retrain(settings, quiet, upto=span)


def check(settings: Settings) -> None:
    """Raises InputError where no tick can work with the settings."""
    if settings.spans.pattern is None:
        raise InputError("spans.pattern must be set, such as --set spans.pattern=span-{SPAN}, got none")
    if not os.path.isdir(settings.data):
        raise InputError(f"--data={settings.data} must be a folder of spans")
    preflight.check_signing_key(settings)
    preflight.check_engine(settings)
    connection.check_database(settings)


def lying(settings: Settings) -> list[Found]:
    """What lies in the folder of the trips."""
    asked = settings.spans
    return list(find(settings.data, str(asked.pattern), asked.marker, asked.quiet_s, time.time()))


def _work(tick: Tick) -> Iterator[Record]:
    pending = tick.journal.pending()
    resumed = _resume(tick, pending) if pending else None
    if resumed:
        yield resumed
        tick = dataclasses.replace(tick, run_id=new_run_id())
    started, size = time.monotonic(), tick.settings.spans.window
    records = tick.journal.records()
    history = history_of(records)
    plan = plan_of(lying(tick.settings), history, size, tick.settings.data, tick.upto)
    failed = bool(records) and records[-1].outcome == "failed"
    record = conclude(tick, plan, history, [])
    if not plan.new and not failed and record.decision == "keep":
        if not resumed:
            yield _finish(tick, record, started)
        return
    judged = ingest(tick.settings, tick.run_id, to_judge(plan, history, size), tick.quiet)
    record = conclude(tick, plan, history, judged)
    deliveries = history.usable | {key(each): each for each in plan.new}
    if record.decision == "retrain" and (again := _without_examples(tick, record, deliveries)):
        record = conclude(tick, plan, history, [*judged, *again])
    if record.decision == "keep":
        yield _finish(tick, record, started)
        return
    tick.journal.begin(record)
    yield _run(tick, record, deliveries, started)


def _resume(tick: Tick, pending: Record) -> Record | None:
    """Does what a tick that died had decided: to a model that it may have pushed, its own data would be no drift.

    None where a span of its window is of no use any more.
    """
    started = time.monotonic()
    history: History = history_of([*tick.journal.records(), pending])
    if any(judged.refusal is not None for judged in _without_examples(tick, pending, history.usable)):
        tick.journal.forget()
        return None
    return _run(tick, pending, history.usable, started)


def _without_examples(tick: Tick, record: Record, deliveries: dict[SpanVersion, Delivery]) -> list[Judged]:
    """Spans of the window whose examples are not there are ingested anew: the code or the city file has changed."""
    there = ingested(tick.settings, tick.run_id)
    absent = [deliveries[each] for each in record.spans.window if each not in there]
    return ingest(tick.settings, tick.run_id, absent, tick.quiet)


def _run(tick: Tick, record: Record, deliveries: dict[SpanVersion, Delivery], started: float) -> Record:
    """The whole graph on the record's window. Raises what is no gate's refusal; a failure is recorded, too."""
    record = dataclasses.replace(record, run_id=tick.run_id)
    try:
        summary = _summary(tick, record, deliveries)
    except InputError:
        raise
    except GateError as error:
        print(f"farebox: refused: {error}", file=sys.stderr)
        return _finish(tick, _ended(record, "refused", str(error)), started)
    except Exception as error:
        _finish(tick, _ended(record, "failed", f"{type(error).__name__}: {error}"), started)
        raise
    record = dataclasses.replace(record, rmse=summary["rmse"]["shipped"])
    if pushed := summary["pushed"]:
        return _finish(tick, dataclasses.replace(record, outcome="pushed", version=Path(pushed).name), started)
    refusals = [gate["name"] for gate in summary["gates"] if not gate["ok"] and gate["severity"] == "stop"]
    return _finish(tick, _ended(record, "refused", f"refused by {', '.join(refusals)}"), started)


def _summary(tick: Tick, record: Record, deliveries: dict[SpanVersion, Delivery]) -> dict[str, Any]:
    """Of a run of the whole graph; the span that it ingests, from the cache, is the newest that is still there."""
    data = Path(tick.settings.data)
    window = [deliveries[each] for each in record.spans.window]
    there = [dataclasses.replace(each, path=str(data / each.path)) for each in window if (data / each.path).exists()]
    if not there:
        raise InputError(f"--data={data} must hold a span of the window, got none of {record.spans.window}")
    spans = SpanInput(there[-1], record.spans.window, tuple(each.path for each in there))
    return run.run_once(tick.settings, tick.run_id, tick.quiet, spans)


def _ended(record: Record, outcome: Any, reason: str) -> Record:
    return dataclasses.replace(record, outcome=outcome, reasons=(*record.reasons, reason))


def _finish(tick: Tick, record: Record, started: float) -> Record:
    finished = dataclasses.replace(record, seconds=round(time.monotonic() - started, 3))
    tick.journal.finish(finished)
    return finished
