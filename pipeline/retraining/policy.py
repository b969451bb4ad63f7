"""Decides whether to retrain: the causes that hold, and the reasons in words. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from farebox.components.errors import Check
from farebox.pipeline.retraining.journal import Cause, SpanVersion
from farebox.pipeline.retraining.live_record import Live
from farebox.pipeline.settings.spans import SpanSettings

MAX_TOLD = 3  # broken promises in a reason


@dataclasses.dataclass(frozen=True)
class Situation:
    """The facts that a decision rests on.

    window: the spans to train on; tried: those of the last training; newer: spans beyond that, in the window or older.
    age_days: of the latest model, None without one. drift: checks of the newest span against the last blessed run's
    data, None if it was not compared. live: errors on the newest span of the version that serves, None if it was not
    scored. drifted: spans that had drifted in earlier ticks.
    """

    window: tuple[SpanVersion, ...]
    tried: tuple[SpanVersion, ...]
    newer: tuple[SpanVersion, ...]
    age_days: float | None
    drift: Sequence[Check] | None = None
    drifted: Collection[int] = ()
    live: Live | None = None

    @property
    def untried(self) -> tuple[SpanVersion, ...]:
        """Span versions of the window that no run has been trained on yet."""
        return tuple(each for each in self.window if each not in self.tried)

    @property
    def corrections(self) -> tuple[SpanVersion, ...]:
        """The new spans that are late or delivered again: the last window should have had them."""
        newest = max((span for span, _ in self.tried), default=-1)
        return tuple(each for each in self.untried if each[0] <= newest)

    @property
    def outlasted(self) -> tuple[int, ...]:
        """Drifted spans before which the last run's window had trips, but this window has none."""
        if not self.tried:
            return ()
        return tuple(sorted(span for span in self.drifted if self.tried[0][0] < span <= self.window[0][0]))


def decide(situation: Situation, settings: SpanSettings, name: Callable[[int], str]) -> tuple[list[Cause], list[str]]:
    """The causes to retrain, none to keep, and the reasons; `name` gives the name of a span."""
    if not situation.window:
        return [], ["there is no span that can be used"]
    if not situation.untried:
        return [], [_nothing_new(situation, settings)]
    causes: list[Cause] = []
    reasons: list[str] = []
    for cause, holds in (
        ("new_data", _new_data(situation, settings, name)),
        ("drift", _drift(situation, settings, name)),
        ("live_error", _live_error(situation, settings, name)),
        ("after_drift", _after_drift(situation, settings, name)),
        ("max_age", _max_age(situation, settings)),
    ):
        if holds:
            causes.append(cause)  # type: ignore[arg-type]
            reasons.append(holds)
    return causes, reasons or [_too_little(situation, settings)]


def drifted(drift: Sequence[Check] | None) -> list[Check]:
    """The features that are farther from the last blessed run's than threshold and chance allow."""
    return [check for check in drift or () if not check.ok]


def _new_data(situation: Situation, settings: SpanSettings, name: Callable[[int], str]) -> str | None:
    if not situation.tried:
        return f"no run has been trained on spans yet: {_spans(situation.untried, name)}"
    if settings.min_new_spans is None:
        return None
    if situation.corrections:
        return f"late or delivered again since the last run: {_spans(situation.corrections, name)}"
    if len(situation.newer) >= settings.min_new_spans:
        return f"{_spans(situation.newer, name)}: {_count(len(situation.newer), 'new span')}"
    return None


def _drift(situation: Situation, settings: SpanSettings, name: Callable[[int], str]) -> str | None:
    features = drifted(situation.drift) if settings.drift else []
    if not features:
        return None
    newest = name(situation.window[-1][0])
    measured = ", ".join(
        f"{check.name.partition('.')[2]} by {check.value:.3f}, more than {check.bound:.3f}" for check in features
    )
    return f"span {newest} is off the data of the last blessed run: {measured}"


def _live_error(situation: Situation, settings: SpanSettings, name: Callable[[int], str]) -> str | None:
    """The first of the broken checks are told: those of all trips, if there are any."""
    live = situation.live
    if not (settings.live_error and live and live.broken):
        return None
    told = [f"{check.name} {_number(check.value)}, more than {_number(check.bound)}" for check in live.broken]
    more = f" and {_count(len(told) - MAX_TOLD, 'other error')}" if len(told) > MAX_TOLD else ""
    return f"version {live.version} breaks its promise on span {name(live.span[0])}: {'; '.join(told[:MAX_TOLD])}{more}"


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.3g}"


def _after_drift(situation: Situation, settings: SpanSettings, name: Callable[[int], str]) -> str | None:
    """A run that drift caused trains on a mixture of before and after; the next spans are compared with that."""
    if not (settings.drift and situation.outlasted):
        return None
    return f"nothing from before the drift of span {name(situation.outlasted[-1])} is in the window any more"


def _max_age(situation: Situation, settings: SpanSettings) -> str | None:
    limit, age = settings.max_age_days, situation.age_days
    if limit is None or age is None or age <= limit:
        return None
    return f"the model is {age:.1f} days old, more than {limit:g}"


def _nothing_new(situation: Situation, settings: SpanSettings) -> str:
    limit, age = settings.max_age_days, situation.age_days
    if limit is not None and age is not None and age > limit:
        return f"the model is {age:.1f} days old, but nothing has come since that it does not know"
    return "nothing has come that the last run does not know"


def _too_little(situation: Situation, settings: SpanSettings) -> str:
    newer = _count(len(situation.newer), "new span")
    if settings.min_new_spans is None:
        return f"{newer} but no drift"
    return f"{newer} of the {settings.min_new_spans} that are a cause"


def _spans(spans: Sequence[SpanVersion], name: Callable[[int], str]) -> str:
    """`span 5, span 7 version 2`."""
    return ", ".join(f"span {name(span)}" + (f" version {version}" if version > 1 else "") for span, version in spans)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
