"""Decides from new spans and their verdicts, and makes the record; runs and writes nothing."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

from farebox.components.atomic_pusher.push import latest_name
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.atomic_pusher.versions import versions_of
from farebox.components.errors import Check
from farebox.components.trip_example_gen.span_pattern import name_of_span, span_of_tomorrow
from farebox.components.trip_example_gen.span_rules import jumps
from farebox.components.trip_example_gen.spans import Delivery, told
from farebox.components.trip_example_gen.values.clock import DAY_S
from farebox.pipeline.retraining.deploying import deployment_of, served
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import Content, Journal, Record, Spans, SpanVersion
from farebox.pipeline.retraining.live_record import Live
from farebox.pipeline.retraining.planning import History, Plan, content_key, key, missing_in, window_of
from farebox.pipeline.retraining.policy import Situation, decide
from farebox.pipeline.settings.load import Settings


@dataclasses.dataclass(frozen=True)
class TickContext:
    """The inputs of a tick. now: the time that it records and that ages count from. upto: newer spans are ignored."""

    settings: Settings
    journal: Journal
    run_id: str
    now: datetime.datetime
    upto: int | None = None

    def name(self, span: int) -> str:
        """The name of a span for people."""
        return name_of_span(str(self.settings.spans.pattern), span)


def spans_to_judge(plan: Plan, history: History, window: int) -> list[Delivery]:
    """The new spans that a window may hold; without new ones the newest span, for its drift, if no run has seen it."""
    new = [each for each in plan.new if each not in plan.too_old]
    known = history.usable
    if new or not known:
        return new
    newest = known[window_of(known, window)[-1]]
    return [] if key(newest) in history.tried else [newest]


def conclude(context: TickContext, plan: Plan, history: History, judged: Sequence[JudgedSpan]) -> Record:
    """The decision as a record; its outcome is that nothing was run."""
    size = context.settings.spans.window
    refused = {key(each.delivery): each for each in judged if each.refusal is not None}
    usable = [each for each in (*history.usable, *map(key, plan.new)) if each not in refused]
    window = window_of(usable, size)
    drift = drift_of_the_newest(judged, window)
    lives = live_of_the_newest(judged, window)
    may_roll_back = context.settings.spans.rollback
    deployment = deployment_of(lives, context.name(window[-1][0]), may_roll_back=may_roll_back) if lives else None
    newer, live = newer_than(history.tried, usable), served(lives, deployment)
    situation = Situation(window, history.tried, newer, age_days(context), drift, history.drifted, live)
    causes, reasons = decide(situation, context.settings.spans, context.name)
    seen = {*history.versions, *(each.span for each in plan.new)}
    first = min((each.span for each in plan.new), default=None) if history.first is None else history.first
    return Record(
        time=context.now.isoformat(),
        city=context.settings.city.name,
        decision="retrain" if causes else "keep",
        causes=tuple(causes),
        reasons=(
            *reasons,
            *left_out(context, plan, refused.values()),
            *told(plan.left),
            *doubts(context, window, usable),
            *(fault for each in judged for fault in each.faults),
        ),
        spans=Spans(
            new=tuple(map(key, plan.new)),
            window=window,
            late=tuple(map(key, plan.late)),
            missing=missing_in(window, size, first, seen),
            refused=tuple(refused),
            left=tuple(each.path for each in plan.left),
        ),
        live=tuple(live for each in judged for live in each.live),
        deployment=deployment,
        drift={check.name.partition(".")[2]: check.value for check in drift} if drift else None,
        latest=latest_version(context.settings),
        contents={content_key(key(each)): Content(each.sha256, each.stamp, each.path) for each in plan.new},
    )


def left_out(context: TickContext, plan: Plan, refused: Iterable[JudgedSpan]) -> list[str]:
    """A sentence for each span that is not trained on."""
    useless = [f"span {context.name(each.delivery.span)} refused: {each.refusal}" for each in refused]
    return useless + [
        f"span {context.name(each.span)} is older than the window: recorded, not trained on" for each in plan.too_old
    ]


def doubts(context: TickContext, window: Sequence[SpanVersion], usable: Iterable[SpanVersion]) -> list[str]:
    """A sentence if a span that a tick took before there were rules for it may have taken over by a wrong number."""
    settings = context.settings
    tomorrow = span_of_tomorrow(str(settings.spans.pattern), context.now.timestamp(), settings.city.time_zone)
    newest = window[-1][0] if window else None
    before = jumps((span for span, _ in usable), settings.spans.window).get(newest) if newest is not None else None
    if newest is None or (before is None and (tomorrow is None or newest <= tomorrow)):
        return []
    why = "is dated after tomorrow" if before is None else f"is {newest - before} after span {context.name(before)}"
    return [f"span {context.name(newest)}, which an earlier tick took, {why}: forget it if that is wrong"]


def newer_than(tried: Sequence[SpanVersion], usable: Iterable[SpanVersion]) -> tuple[SpanVersion, ...]:
    """The newest version of each span beyond the window that was trained on last."""
    last = max((span for span, _ in tried), default=-1)
    return tuple(sorted(dict(sorted(each for each in usable if each[0] > last)).items()))


def drift_of_the_newest(judged: Sequence[JudgedSpan], window: Sequence[SpanVersion]) -> tuple[Check, ...] | None:
    """The checks of the window's newest span; None if it was not compared with anything now."""
    drift_by_span = {key(each.delivery): each.drift for each in judged}
    return (drift_by_span.get(window[-1]) or None) if window else None


def live_of_the_newest(judged: Sequence[JudgedSpan], window: Sequence[SpanVersion]) -> tuple[Live, ...]:
    """The live errors on the window's newest span; empty if it was not scored now."""
    lives = {key(each.delivery): each.live for each in judged if each.refusal is None}
    return lives.get(window[-1], ()) if window else ()


def latest_version(settings: Settings) -> str | None:
    """The version that LATEST names; None if there is none."""
    base = settings.models_dir
    return latest_name(LocalStore(base)) if base.is_dir() else None


def age_days(context: TickContext) -> float | None:
    """Days since a tick pushed the latest model, or since its manifest was made; None if there is no model."""
    base, latest = context.settings.models_dir, latest_version(context.settings)
    if latest is None:
        return None
    times = [record.time for record in context.journal.records() if record.version == latest]
    created = times[-1] if times else next(each.created for each in versions_of(base) if each.version == latest)
    return (context.now - datetime.datetime.fromisoformat(created)).total_seconds() / DAY_S
