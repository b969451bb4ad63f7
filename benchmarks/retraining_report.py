"""Report on simulated days of `farebox retrain`: their table, conditions, and a picture.

The conditions are computed from the deliveries, not by the code that decided. Nothing is run here.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from whole_runs import Condition

from farebox.pipeline.retraining.journal import Record, SpanVersion

WINDOW, NEW_SPANS = 8, 7  # spans.window, spans.min_new_spans
DRIFT_DAY, RISE = 12, 1.3
MOST_OF_DIRECT, MOST_OF_STALE = 1.05, 0.5
MEASURED = {"drift", "live_error"}  # causes that depend on what a tick measures, not on deliveries alone
MARKS = {
    "new_data": ("o", "tab:blue"),
    "drift": ("D", "tab:red"),
    "live_error": ("^", "tab:purple"),
    "after_drift": ("s", "tab:orange"),
}


@dataclasses.dataclass
class Day:
    """Deliveries of a day, and the records of its ticks.

    labels: name special events. pending: the decision of a killed tick. RMSE on the next day's trips: rmse of the
    shipped model, stale of the model shipped before the drift, direct of a model that `farebox run` trained on the
    window.
    """

    number: int
    labels: list[str]
    delivered: tuple[SpanVersion, ...]
    records: list[Record]
    rmse: float
    pending: Record | None = None
    stale: float | None = None
    direct: float | None = None

    @property
    def record(self) -> Record:
        """Record of the first tick that was not killed."""
        return self.records[0]


def conditions(days: Sequence[Day], ingests: Mapping[SpanVersion, int], trainings: int) -> list[Condition]:
    """Checks all conditions.

    ingests: number of ExampleGen executions per span version. trainings: number of Trainer executions. Neither counts
    executions from the cache.
    """
    return [
        ingested_once(days, ingests),
        windows_are_right(days),
        one_retrain_per_cause(days, trainings),
        drift_is_seen(days),
        crash_is_finished(days),
        as_good_as_direct(days),
        recovered(days),
    ]


@dataclasses.dataclass(frozen=True)
class Due:
    """The spans that a day's ticks must see: the newest version of each span so far, their window and its gaps."""

    arrived: tuple[SpanVersion, ...]
    window: tuple[SpanVersion, ...]
    missing: tuple[int, ...]


def due(days: Sequence[Day]) -> Iterator[tuple[Day, Due]]:
    """Yields each day with the spans that are due, computed from the deliveries alone."""
    newest: dict[int, int] = {}
    for day in days:
        newest.update(day.delivered)
        last = max(newest)
        numbers = range(max(1, last - WINDOW + 1), last + 1)
        window = tuple((span, newest[span]) for span in numbers if span in newest)
        yield day, Due(tuple(sorted(newest.items())), window, tuple(span for span in numbers if span not in newest))


def ingested_once(days: Sequence[Day], ingests: Mapping[SpanVersion, int]) -> Condition:
    """Every delivered span version is ingested exactly once, and no other."""
    delivered = {each: 1 for day in days for each in day.delivered}
    wrong = sorted(each for each in {*ingests, *delivered} if ingests.get(each, 0) != delivered.get(each, 0))
    found = f"{sum(ingests.values())} executions, {len(delivered)} span versions"
    return Condition("one ExampleGen execution per span version", found + said("not one", wrong), not wrong)


def windows_are_right(days: Sequence[Day]) -> Condition:
    """The window of every tick is right, whether the tick ran the pipeline or not."""
    wrong = [
        day.number
        for day, expected in due(days)
        if any((each.spans.window, each.spans.missing) != (expected.window, expected.missing) for each in day.records)
    ]
    found = f"{len(days) - len(wrong)} of {len(days)} days"
    name = "the window is the newest versions of the last seven numbers"
    return Condition(name, found + said("not", wrong), not wrong)


def one_retrain_per_cause(days: Sequence[Day], trainings: int) -> Condition:
    """The first tick of a day retrains exactly for the causes that are due; the second has nothing to do."""
    expected, wrong, retrains = causes_due(days), [], 0
    for day in days:
        first, *again = day.records
        causes = set(first.causes) - MEASURED
        pushed = (first.decision, first.outcome) == (("retrain", "pushed") if first.causes else ("keep", "kept"))
        idle = all((each.decision, each.spans.new) == ("keep", ()) for each in again)
        retrains += first.decision == "retrain"
        if not (causes == expected[day.number] and pushed and idle and again):
            wrong.append(day.number)
    by_cause = collections.Counter(cause for day in days for cause in day.record.causes)
    causes_said = ", ".join(f"{cause} {n}" for cause, n in by_cause.items())
    found = f"{retrains} retrains ({causes_said}), {trainings} executions of Trainer, second ticks all idle"
    return Condition("one retrain per cause", found + said("not", wrong), not wrong and trainings == retrains)


def causes_due(days: Sequence[Day]) -> dict[int, set[str]]:
    """Causes that are due, by day; except `MEASURED` ones."""
    found: dict[int, set[str]] = {}
    tried: tuple[SpanVersion, ...] = ()
    drifted: list[int] = []
    for day, expected in due(days):
        newest = max((span for span, _ in tried), default=0)
        corrected = any(each not in tried and each[0] <= newest for each in expected.window)
        many = sum(span > newest for span, _ in expected.arrived) >= NEW_SPANS
        passed = tried and any(tried[0][0] < span <= expected.window[0][0] for span in drifted)
        new_data, after_drift = not tried or corrected or many, bool(passed)
        found[day.number] = {cause for cause, holds in (("new_data", new_data), ("after_drift", after_drift)) if holds}
        if "drift" in day.record.causes:
            drifted.append(expected.window[-1][0])
        if day.record.decision == "retrain":
            tried = expected.window
    return found


def drift_is_seen(days: Sequence[Day]) -> Condition:
    """Drift is detected on its day, and only while the shipped model knows older fares and newer ones have come."""
    seen = [day.number for day in days if "drift" in day.record.causes]
    since = trained_since(days)
    before = [since[0], *since[:-1]]
    due_on = [day.number for day, first in zip(days, before, strict=True) if first < DRIFT_DAY <= day.number]
    ok = DRIFT_DAY in seen and set(seen) <= set(due_on)
    found = f"on days {', '.join(map(str, seen))}" if seen else "never"
    return Condition("drift is seen on its day, and only while the model knows older fares", found, ok)


def trained_since(days: Sequence[Day]) -> list[int]:
    """First span of the shipped model's window, by day."""
    found: list[int] = []
    for day in days:
        first = day.record.spans.window[0][0]
        found.append(first if day.record.outcome == "pushed" or not found else found[-1])
    return found


def crash_is_finished(days: Sequence[Day]) -> Condition:
    """The next tick does what the killed one decided, and records it once."""
    killed = [day for day in days if day.pending]
    done = [day for day in killed if day.record.outcome == "pushed" and decided_alike(day.record, day.pending)]
    found = "; ".join(f"day {day.number}, {day.record.seconds:.0f} s" for day in done) or "none"
    return Condition("the next tick finishes a killed one's job", found, bool(killed) and len(done) == len(killed))


def decided_alike(record: Record, pending: Record | None) -> bool:
    """Whether both belong to one tick: equal time, causes and spans."""
    return pending is not None and all(
        getattr(record, name) == getattr(pending, name) for name in ("time", "causes", "spans")
    )


def as_good_as_direct(days: Sequence[Day]) -> Condition:
    """The shipped model is about as good as one trained on the window directly, on every day that has one."""
    ratios = {day.number: day.rmse / day.direct for day in days if day.direct}
    found = ", ".join(f"{ratio:.3f} (day {number})" for number, ratio in ratios.items())
    name = f"after the drift, RMSE at most {MOST_OF_DIRECT:g} x that of a model trained on the window directly"
    return Condition(name, found, bool(ratios) and max(ratios.values()) <= MOST_OF_DIRECT)


def recovered(days: Sequence[Day]) -> Condition:
    """The shipped model is much better than the stale one, once its window has no day from before the drift."""
    after = [day for day, first in zip(days, trained_since(days), strict=True) if first >= DRIFT_DAY and day.stale]
    name = f"from then on, RMSE at most {MOST_OF_STALE:g} x that of the model from before the drift"
    if not after:
        return Condition(name, "never", ok=False)
    shipped, stale = (statistics.fmean(getattr(day, error) for day in after) for error in ("rmse", "stale"))
    found = f"{shipped:.3f} against {stale:.3f} USD, means of days {after[0].number} to {after[-1].number}"
    return Condition(name, found, shipped <= MOST_OF_STALE * stale)


def said(what: str, wrong: Sequence[object]) -> str:
    """Returns `, not: 3, 4`; empty if nothing is wrong."""
    return f", {what}: {', '.join(map(str, wrong))}" if wrong else ""


def table(days: Sequence[Day]) -> str:
    """A line per day, in Markdown."""
    head = "| day | what comes | decision | window | drift of fare | RMSE | stale | direct |"
    return "\n".join([head, "|--:|---|---|---|--:|--:|--:|--:|", *map(line, days)])


def line(day: Day) -> str:
    """A day in the table."""
    record = day.record
    decided = f"{record.decision}: {', '.join(record.causes)}" if record.causes else record.decision
    ended = "" if record.outcome in ("pushed", "kept") else f", {record.outcome}"
    drift = f"{record.drift['fare']:.3f}" if record.drift else "–"
    errors = " | ".join("–" if error is None else f"{error:.3f}" for error in (day.rmse, day.stale, day.direct))
    return f"| {day.number} | {', '.join(day.labels)} | {decided}{ended} | {window_text(record)} | {drift} | {errors} |"


def window_text(record: Record) -> str:
    """`14–20 without 19`, `20–26, 20 in version 2`."""
    window = record.spans.window
    text = f"{window[0][0]}–{window[-1][0]}" if window else "none"
    if holes := record.spans.missing:
        text += f" without {', '.join(map(str, holes))}"
    return text + "".join(f", {span} in version {version}" for span, version in window if version > 1)


def draw(days: Sequence[Day], path: Path) -> None:
    """Draws RMSE by day, of the shipped model and of the one from before the drift, with causes and deliveries."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    numbers = [day.number for day in days]
    axes.plot(numbers, [day.stale or math.nan for day in days], "--", color="0.6", label="model from before the drift")
    axes.plot(numbers, [day.rmse for day in days], color="tab:blue", label="shipped model")
    for cause, (marker, colour) in MARKS.items():
        chosen = [day for day in days if day.record.causes[:1] == (cause,)]
        points = [day.number for day in chosen], [day.rmse for day in chosen]
        axes.plot(*points, marker, color=colour, label=f"retrained: {cause}")
    direct = [day for day in days if day.direct]
    points = [day.number for day in direct], [day.direct or math.nan for day in direct]
    axes.plot(*points, "x", color="black", markersize=9, label="trained on the window directly")
    for day in days:
        if day.labels:
            axes.axvline(day.number, color="0.9", zorder=0)
            axes.annotate(
                ", ".join(day.labels), (day.number, 1), (0, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", rotation=45, rotation_mode="anchor", fontsize=8,
            )  # fmt: skip
    axes.set(xlabel="day of the tick", ylabel="RMSE on the next day's trips, USD", xlim=(0, len(days) + 1))
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
