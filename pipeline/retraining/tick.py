"""One tick: find, ingest, decide, run, write down. Done again, it does nothing; killed, the next one finishes it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from components.atomic_pusher.push import latest_name
from components.atomic_pusher.store import LocalStore
from components.atomic_pusher.versions import versions_of
from components.checks import Check
from components.errors import GateError, InputError
from components.trip_example_gen.spans import Delivery, Found, find, name_of_span
from pipeline import runs
from pipeline.retraining.ingesting import Judged, ingest, ingested
from pipeline.retraining.journal import Content, Journal, Record, Spans, SpanVersion
from pipeline.retraining.planning import History, Plan, content_key, history_of, key, missing_in, plan_of, window_of
from pipeline.retraining.policy import Situation, decide
from pipeline.settings import Settings

DAY_S = 86400.0


@dataclasses.dataclass(frozen=True)
class Tick:
    """What a tick works with. now: the moment that it records and that ages count from. upto: no span beyond it."""

    settings: Settings
    journal: Journal
    run_id: str
    now: datetime.datetime
    quiet: bool
    upto: int | None = None

    def name(self, span: int) -> str:
        return name_of_span(str(self.settings.spans.pattern), span)


def retrain(
    settings: Settings, quiet: bool = False, upto: int | None = None, now: datetime.datetime | None = None
) -> Record | None:
    """One tick; what it recorded, or None where another tick of this city is at work.

    Raises InputError where settings or folders cannot be used. A span that cannot be used is in the record.
    """
    if settings.spans.pattern is None:
        raise InputError("spans.pattern must be set, such as --set spans.pattern=span-{SPAN}, got none")
    if not os.path.isdir(settings.data):
        raise InputError(f"--data={settings.data} must be a folder of spans")
    runs.check_signing_key(settings)
    runs.check_engine(settings)
    journal = Journal(settings.runs_dir)
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    with journal.exclusive() as alone:
        if not alone:
            return None
        return _work(Tick(settings, journal, runs.new_run_id(), moment, quiet, upto))


def backfill(settings: Settings, first: int, last: int, quiet: bool = False) -> Iterator[Record | None]:
    """A tick per span that lies there, in order, each as if nothing had come after it.

    Raises InputError where the pushed model knows newer spans: no older model goes over it.
    """
    history = history_of(Journal(settings.runs_dir).records())
    trained = max((span for span, _ in history.tried), default=None)
    if trained is not None and first <= trained:
        raise InputError(f"--from={first} must be above {trained}, the newest span of the last run's window")
    for span in sorted({each.span for each in lying(settings) if each.complete and first <= each.span <= last}):
        yield retrain(settings, quiet, upto=span)


def lying(settings: Settings) -> list[Found]:
    """What lies in the folder of the trips."""
    asked = settings.spans
    return list(find(settings.data, str(asked.pattern), asked.marker, asked.quiet_s, time.time()))


def _work(tick: Tick) -> Record:
    started = time.monotonic()
    spans = tick.settings.spans
    records = tick.journal.records()
    history, pending = history_of(records), tick.journal.pending()
    plan = plan_of(lying(tick.settings), history, spans.window, tick.settings.data, tick.upto)
    retry = pending is not None or (bool(records) and records[-1].outcome == "failed")
    if not plan.new and not retry:
        record = _record(tick, plan, history, [])
        if record.decision == "keep":
            return _finish(tick, record, started)
    judged = ingest(tick.settings, tick.run_id, _to_judge(plan, history, spans.window), tick.quiet)
    record = _record(tick, plan, history, judged)
    record, judged = _with_examples(tick, plan, history, record, judged)
    if pending and pending.spans.window == record.spans.window:
        record = _as_decided(record, pending)
    if record.decision == "keep":
        return _finish(tick, record, started)
    tick.journal.begin(record)
    deliveries = history.usable | {key(each): each for each in plan.new}
    return _run(tick, record, deliveries, started)


def _to_judge(plan: Plan, history: History, window: int) -> list[Delivery]:
    """The new ones that a window may hold, and the newest of the window where no run has seen it: for its drift."""
    new = [each for each in plan.new if each not in plan.too_old]
    known = history.usable
    if new or not known:
        return new
    newest = known[window_of(known, window)[-1]]
    return [] if key(newest) in history.tried else [newest]


def _record(tick: Tick, plan: Plan, history: History, judged: Sequence[Judged]) -> Record:
    """What is decided of the spans as they were judged."""
    spans = tick.settings.spans
    refused = {key(each.delivery): each for each in judged if each.refusal}
    usable = [each for each in (*history.usable, *map(key, plan.new)) if each not in refused]
    window = window_of(usable, spans.window)
    drift = _drift_of_the_newest(judged, window)
    situation = Situation(window, history.tried, _newer(usable, history.tried), _age_days(tick), drift)
    causes, reasons = decide(situation, spans, tick.name)
    aside = [f"span {tick.name(span)} refused: {each.refusal}" for (span, _), each in refused.items()]
    aside += [
        f"span {tick.name(each.span)} is older than the window: recorded, not trained on" for each in plan.too_old
    ]
    seen = {*history.versions, *(each.span for each in plan.new)}
    first = min([each.span for each in plan.new], default=None) if history.first is None else history.first
    return Record(
        time=tick.now.isoformat(),
        city=tick.settings.city.name,
        decision="retrain" if causes else "keep",
        causes=tuple(causes),
        reasons=(*reasons, *aside),
        spans=Spans(
            new=tuple(map(key, plan.new)),
            window=window,
            late=tuple(map(key, plan.late)),
            missing=missing_in(window, spans.window, first, seen),
            refused=tuple(refused),
        ),
        drift={check.name.partition(".")[2]: check.value for check in drift} if drift else None,
        contents={content_key(key(each)): Content(each.sha256, each.stamp, each.path) for each in plan.new},
    )


def _newer(usable: Iterable[SpanVersion], tried: Sequence[SpanVersion]) -> tuple[SpanVersion, ...]:
    """The newest version of each span beyond the last window that was trained on."""
    last = max((span for span, _ in tried), default=-1)
    return tuple(sorted(dict(sorted(each for each in usable if each[0] > last)).items()))


def _with_examples(
    tick: Tick, plan: Plan, history: History, record: Record, judged: list[Judged]
) -> tuple[Record, list[Judged]]:
    """Spans of the window whose examples are not there are ingested anew: the code or the city file has changed."""
    if record.decision == "keep":
        return record, judged
    there = ingested(tick.settings, tick.run_id)
    absent = [history.usable[each] for each in record.spans.window if each not in there and each in history.usable]
    if not absent:
        return record, judged
    judged = [*judged, *ingest(tick.settings, tick.run_id, absent, tick.quiet)]
    return _record(tick, plan, history, judged), judged


def _drift_of_the_newest(judged: Sequence[Judged], window: Sequence[SpanVersion]) -> tuple[Check, ...] | None:
    """None where the newest span of the window was not compared with anything now."""
    found = {key(each.delivery): each.drift for each in judged}
    return (found.get(window[-1]) or None) if window else None


def _age_days(tick: Tick) -> float | None:
    """Since a tick pushed the latest model, or since it was made where no tick has."""
    base = tick.settings.models_dir
    latest = latest_name(LocalStore(base)) if base.is_dir() else None
    if latest is None:
        return None
    times = [record.time for record in tick.journal.records() if record.version == latest]
    created = times[-1] if times else next(each.created for each in versions_of(base) if each.version == latest)
    return (tick.now - datetime.datetime.fromisoformat(created)).total_seconds() / DAY_S


def _as_decided(record: Record, pending: Record) -> Record:
    """The decision of the tick that died: to a model that it may have pushed, its own data are no drift."""
    decided = {name: getattr(pending, name) for name in ("time", "decision", "causes", "reasons", "drift")}
    return dataclasses.replace(record, **decided)


def _run(tick: Tick, record: Record, deliveries: dict[SpanVersion, Delivery], started: float) -> Record:
    """The whole graph on the record's window. Raises what is no gate's refusal; a failure is recorded, too."""
    try:
        summary = _summary(tick, record, deliveries)
    except InputError:
        raise
    except GateError as error:
        print(f"farebox: refused: {error}", file=sys.stderr)
        return _finish(tick, _with_reason(record, "refused", str(error)), started, run_id=tick.run_id)
    except Exception as error:
        _finish(tick, _with_reason(record, "failed", f"{type(error).__name__}: {error}"), started, run_id=tick.run_id)
        raise
    pushed = summary["pushed"]
    refusals = [gate["name"] for gate in summary["gates"] if not gate["ok"] and gate["severity"] == "stop"]
    if not pushed:
        record = dataclasses.replace(record, reasons=(*record.reasons, f"refused by {', '.join(refusals)}"))
    return _finish(
        tick,
        record,
        started,
        outcome="pushed" if pushed else "refused",
        version=Path(pushed).name if pushed else None,
        rmse=summary["rmse"]["shipped"],
        run_id=tick.run_id,
    )


def _summary(tick: Tick, record: Record, deliveries: dict[SpanVersion, Delivery]) -> dict[str, Any]:
    from pipeline.span_graph import SpanInput

    in_window = [deliveries[each] for each in record.spans.window]
    there = [each for each in in_window if Path(tick.settings.data, each.path).exists()]
    if not there:
        raise InputError(
            f"--data={tick.settings.data} must hold a span of the window, got none of {record.spans.window}"
        )
    newest = dataclasses.replace(there[-1], path=str(Path(tick.settings.data, there[-1].path)))
    return runs.run_once(tick.settings, tick.run_id, tick.quiet, SpanInput(newest, record.spans.window))


def _with_reason(record: Record, outcome: Any, reason: str) -> Record:
    return dataclasses.replace(record, outcome=outcome, reasons=(*record.reasons, reason))


def _finish(tick: Tick, record: Record, started: float, **known: Any) -> Record:
    seconds = round(time.monotonic() - started, 3)
    finished = dataclasses.replace(record, seconds=seconds, **known)
    tick.journal.finish(finished)
    return finished
