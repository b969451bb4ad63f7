"""Lists every span that is in the folder of the trips or that a tick has taken: what happens to it, and why."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from farebox.components.trip_example_gen.span_pattern import name_of_span
from farebox.components.trip_example_gen.spans import Delivery, SpanFiles, Survey
from farebox.pipeline.retraining.journal import Journal, Record, SpanVersion
from farebox.pipeline.retraining.planning import History, Plan, history_of, key, plan_of, window_of
from farebox.pipeline.settings.load import Settings

State = Literal["window", "taken", "new", "waits", "left", "refused", "forgotten"]


@dataclasses.dataclass(frozen=True)
class ListedSpan:
    """A span version, or a name that is no span. path: relative to the folder of the trips.

    state: `window`: in the newest window; `taken`: by an earlier tick, and in no window; `new`: the next tick takes it;
    `waits`: not complete; `left` out by a rule; `refused`: cannot be used; `forgotten`: a person took it back.
    """

    path: str
    state: State
    why: str = ""
    span: int | None = None
    version: int | None = None
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """spans: by number and version, then the names that are no span."""

    city: str
    data: str
    pattern: str
    spans: tuple[ListedSpan, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The number of spans in each state that occurs."""
        return dict(Counter(each.state for each in self.spans))


def list_spans(settings: Settings) -> Listing:
    """The spans of the folder and of the journal; changes nothing."""
    records = Journal(settings.runs_dir).records()
    history = history_of(records)
    forgotten = {span for span, _ in history.forgotten}
    survey = settings.span_window.survey(time.time(), history.newest, forgotten)
    plan = plan_of(survey, history, settings.spans.window)
    pattern = str(settings.spans.pattern)
    spans = [*_taken(settings, history, survey, records), *_others(pattern, history, survey, plan)]
    spans.sort(key=lambda each: (each.span or 0, each.version or 0, each.path))
    strangers = (ListedSpan(each.path, "left", each.why) for each in survey.strangers)
    return Listing(settings.city.name, settings.data, pattern, (*spans, *strangers))


def _taken(settings: Settings, history: History, survey: Survey, records: list[Record]) -> Iterator[ListedSpan]:
    """The spans that earlier ticks have seen."""
    window = window_of(history.usable, settings.spans.window)
    present = {os.path.relpath(each.path, survey.base) for each in survey.spans}
    pattern = str(settings.spans.pattern)
    for versions in history.versions.values():
        for each in versions:
            name = name_of_span(pattern, each.span)
            state, why = _state_of(each, history, window, _refusals(records, name))
            if each.path not in present:
                gone = "it is gone from the folder" + ", its examples are kept" * (state in ("window", "taken"))
                why = "; ".join(filter(None, [why, gone]))
            yield ListedSpan(each.path, state, why, each.span, each.version, name)


def _state_of(delivery: Delivery, history: History, window: tuple[SpanVersion, ...], refusal: str) -> tuple[State, str]:
    """State of a span that a tick has taken, and why. refusal: the reason of its span's last refusal."""
    newest = history.versions[delivery.span][-1].version
    if key(delivery) in history.forgotten:
        return "forgotten", ""
    if key(delivery) in history.refused:
        return "refused", refusal
    if key(delivery) in window:
        return "window", ""
    return "taken", f"version {newest} replaces it" if newest > delivery.version else "it is older than the window"


def _refusals(records: list[Record], name: str) -> str:
    """The reason of the last refusal of a span; empty without one."""
    beginning = f"span {name} refused: "
    reasons = (reason for record in reversed(records) for reason in record.reasons if reason.startswith(beginning))
    return next(reasons, "").removeprefix(beginning)


def _others(pattern: str, history: History, survey: Survey, plan: Plan) -> Iterator[ListedSpan]:
    """The spans of the folder that no tick has taken."""
    new = {each.path: each for each in plan.new}
    taken = {each.path for versions in history.versions.values() for each in versions}
    forgotten = {
        each.path for versions in history.versions.values() for each in versions if key(each) in history.forgotten
    }
    for files in survey.spans:
        path, name = os.path.relpath(files.path, survey.base), name_of_span(pattern, files.span)
        if path in new:
            yield ListedSpan(path, "new", "", files.span, new[path].version, name)
        elif not files.is_complete and path not in forgotten:
            yield ListedSpan(path, files.state, files.why, files.span, files.version, name)  # type: ignore[arg-type] # complete ones are below
        elif path not in taken:
            yield ListedSpan(path, "left", _why_ignored(files, history, survey), files.span, files.version, name)


def _why_ignored(files: SpanFiles, history: History, survey: Survey) -> str:
    """Why a complete span is neither new nor taken."""
    newer = [each for each in survey.spans if each.span == files.span and each.version > files.version]
    if newer:
        return f"version {newer[-1].version} replaces it"
    if history.first is None or files.span < history.first:
        return "it is older than the first window"
    return "it has the content of a version that was taken"
