"""One tick: find new spans, ingest, decide, run, record. Repeated, it changes nothing; killed, the next one ends it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path

from farebox.components.errors import Check, GateError, InputError
from farebox.components.trip_example_gen.spans import Delivery, Survey
from farebox.pipeline.local import preflight
from farebox.pipeline.local.folder import new_run_id
from farebox.pipeline.local.run import Run
from farebox.pipeline.metadata import connection
from farebox.pipeline.retraining.deciding import TickContext, conclude, spans_to_judge
from farebox.pipeline.retraining.deploying import carry_out
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import Journal, Outcome, Record, SpanVersion
from farebox.pipeline.retraining.planning import History, history_of, key, plan_of
from farebox.pipeline.retraining.steps import DEFAULT_STEPS, Steps
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


@dataclasses.dataclass(frozen=True)
class TickResult:
    """The result of a tick. record: decision, causes, outcome, version, rmse, seconds.

    run: the run of the whole graph; None if nothing was run, or the data were refused. checks: what DataGate measured
    of refused data.
    """

    record: Record
    run: Run | None = None
    checks: tuple[Check, ...] = ()


def retrain(
    settings: Settings, *, upto: int | None = None, now: datetime.datetime | None = None, steps: Steps = DEFAULT_STEPS
) -> list[TickResult]:
    """Does one tick and returns its result, after that of a tick that died, if there is one to finish.

    The list is empty if another tick of this city is running. A refusal by a gate is an outcome, and so is a span that
    cannot be used: the record has them. upto: ignores newer spans. now: the time to record and to count ages from.

    Raises InputError if the settings or folders cannot be used. A run that fails is recorded as failed and raises.
    """
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    tick = _Tick(TickContext(settings, Journal(settings.runs_dir), new_run_id(), moment, upto), steps)
    tick.run()
    return tick.results


def backfill(settings: Settings, first: int, last: int, *, steps: Steps = DEFAULT_STEPS) -> Iterator[list[TickResult]]:
    """Does a tick for each span from `first` to `last`, in order, each as if there were no newer span.

    Raises InputError if the last run knew newer spans: an older model must not replace its model.
    """
    check_settings(settings)
    history = history_of(Journal(settings.runs_dir).records())
    trained = max((span for span, _ in history.tried), default=None)
    if trained is not None and first <= trained:
        raise InputError(f"from={first} must be above {trained}, the newest span of the last run's window")
    for span in sorted(
        {each.span for each in survey(settings, history).spans if each.is_complete and first <= each.span <= last}
    ):
        yield retrain(settings, upto=span, steps=steps)


def check_settings(settings: Settings) -> None:
    """Raises InputError if no tick can work with the settings."""
    check_folder(settings)
    preflight.check_signing_key(settings)
    preflight.check_engine(settings)
    connection.check_database(settings)


def check_folder(settings: Settings) -> None:
    """Raises InputError if the trips do not come in spans, or their folder is not there."""
    if settings.spans.pattern is None:
        raise InputError("spans.pattern must be set, such as span-{SPAN}, got none")
    if not os.path.isdir(settings.data):
        raise InputError(f"data={settings.data} must be a folder of spans")


def survey(settings: Settings, history: History) -> Survey:
    """Everything in the folder of the trips."""
    forgotten = {span for span, _ in history.forgotten}
    return settings.span_window.survey(time.time(), history.newest, forgotten)


class _Tick:
    """A tick at work, and its results so far."""

    def __init__(self, context: TickContext, steps: Steps) -> None:
        self.context, self.steps = context, steps
        self.settings, self.journal = context.settings, context.journal
        self.results: list[TickResult] = []
        self.started = time.monotonic()

    def run(self) -> None:
        """Does the work unless another tick holds the lock, and notifies of an error that has no record."""
        try:
            check_settings(self.settings)
            with self.journal.exclusive() as is_free:
                if is_free:
                    self._work()
        except Exception as error:
            if not self.results or self.results[-1].record.outcome != "failed":
                self._notify(self._unrecorded(error))
            raise

    def _work(self) -> None:
        if (pending := self.journal.pending()) and self._resume(pending):
            self.context = dataclasses.replace(self.context, run_id=new_run_id())
        self.started = time.monotonic()
        window_size = self.settings.spans.window
        records = self.journal.records()
        history = history_of(records)
        plan = plan_of(survey(self.settings, history), history, window_size, self.context.upto)
        has_failed = [each.outcome for each in records if each.is_of_a_tick][-1:] == ["failed"]
        record = conclude(self.context, plan, history, [])
        if not plan.new and not has_failed and record.decision == "keep":
            if not self.results:
                self._finish(record)
            return
        judged = self.steps.ingest(self.settings, self.context.run_id, spans_to_judge(plan, history, window_size))
        record = conclude(self.context, plan, history, judged)
        deliveries = history.usable | {key(each): each for each in plan.new}
        if record.decision == "retrain" and (again := self._ingest_missing(record, deliveries)):
            record = conclude(self.context, plan, history, [*judged, *again])
        if record.decision == "retrain" or record.deployment:
            self.journal.begin(record)
        self._carry_out(record, deliveries)

    def _carry_out(self, record: Record, deliveries: dict[SpanVersion, Delivery]) -> None:
        """Does what a record has decided: first what LATEST shall name, then the run."""
        if record.deployment:
            carry_out(self.settings, record.deployment, self.steps.warn)
        if record.decision == "keep":
            self._finish(record)
        else:
            self._run(record, deliveries)

    def _resume(self, pending: Record) -> bool:
        """Runs what a tick that died had decided; returns whether it did.

        Deciding again would compare the tick's data with the model that it may have pushed. A decision whose window has
        a span that cannot be used any more is dropped.
        """
        history: History = history_of([*self.journal.records(), pending])
        if pending.decision == "retrain" and any(
            judged.refusal is not None for judged in self._ingest_missing(pending, history.usable)
        ):
            self.journal.forget()
            return False
        self._carry_out(pending, history.usable)
        return True

    def _ingest_missing(self, record: Record, deliveries: dict[SpanVersion, Delivery]) -> list[JudgedSpan]:
        """Ingests the spans of the window without examples: the code or the city file has changed."""
        ingested = self.steps.find_ingested(self.settings, self.context.run_id)
        missing = [deliveries[each] for each in record.spans.window if each not in ingested]
        return self.steps.ingest(self.settings, self.context.run_id, missing)

    def _run(self, record: Record, deliveries: dict[SpanVersion, Delivery]) -> None:
        """Runs the whole graph on the record's window, and records how it ended."""
        record = dataclasses.replace(record, run_id=self.context.run_id)
        spans = self._input_of(record, deliveries)
        try:
            run = self.steps.run(self.settings, self.context.run_id, spans)
        except InputError:
            raise
        except GateError as error:
            self._finish(_ended(record, "refused", str(error)), checks=error.checks)
            return
        except Exception as error:
            self._finish(_ended(record, "failed", _reason(error)))
            raise
        told = run.steps.describe(self.context.name(record.spans.window[-1][0]), self.context.name)
        record = dataclasses.replace(record, rmse=run.rmse, reasons=(*record.reasons, *filter(None, [told])))
        if run.pushed:
            self._finish(dataclasses.replace(record, outcome="pushed", version=run.pushed.name), run)
            return
        refusals = [check.name for check in run.gates if check.refuses]
        self._finish(_ended(record, "refused", f"refused by {', '.join(refusals)}"), run)

    def _input_of(self, record: Record, deliveries: dict[SpanVersion, Delivery]) -> SpanInput:
        """The window for the graph, which ingests, from the cache, the newest span that is still in the folder."""
        data = Path(self.settings.data)
        paths = [(each, data / each.path) for each in (deliveries[span] for span in record.spans.window)]
        present = [dataclasses.replace(each, path=str(path)) for each, path in paths if path.exists()]
        if not present:
            raise InputError(f"data={data} must hold a span of the window, got none of {record.spans.window}")
        latest = str(self.settings.models_dir / record.latest) if record.latest else None
        return SpanInput(present[-1], record.spans.window, tuple(each.path for each in present), latest)

    def _finish(self, record: Record, run: Run | None = None, *, checks: tuple[Check, ...] = ()) -> None:
        """Writes the record to the journal, then notifies."""
        record = dataclasses.replace(record, seconds=self._seconds())
        self.journal.finish(record)
        self.results.append(TickResult(record, run, checks))
        self._notify(record)

    def _unrecorded(self, error: Exception) -> Record:
        """A record for notifications only: the next tick must find the journal as it was."""
        time_, city = self.context.now.isoformat(), self.settings.city.name
        record = Record(time_, city, "keep", reasons=(_reason(error),), outcome="failed")
        return dataclasses.replace(record, seconds=self._seconds())

    def _notify(self, record: Record) -> None:
        """Posts the record and writes the metrics; whatever goes wrong is a warning."""
        notify = self.settings.notify
        if not (notify.webhook or notify.webhook_env or notify.metrics_file):
            return
        from farebox.pipeline.retraining.notify import after_tick  # here: costs of its libraries

        try:
            after_tick(self.settings, dataclasses.asdict(record), self.steps.warn)
        except Exception as error:  # a notification must not change how a tick ends
            self.steps.warn(f"notify: {type(error).__name__}")  # without its text, which may hold a secret

    def _seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)


def _ended(record: Record, outcome: Outcome, reason: str) -> Record:
    return dataclasses.replace(record, outcome=outcome, reasons=(*record.reasons, reason))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
