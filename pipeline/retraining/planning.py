"""Finds the new spans in a folder and those of the window, from the folder and the journal."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence

from farebox.components.trip_example_gen.spans import Delivery, LeftOut, SpanFiles, Survey
from farebox.pipeline.retraining.journal import Record, SpanVersion


@dataclasses.dataclass(frozen=True)
class History:
    """The spans of earlier ticks: every version of each span, in order, and the versions that cannot be used.

    first: the lowest span that a tick ever looked at; older spans are ignored.
    tried: the window that was trained on last, whether or not a gate refused the model. drifted: spans whose distance
    was a cause to retrain. forgotten: versions that a person took back; the other fields are as if they had never come.
    """

    versions: dict[int, tuple[Delivery, ...]]
    refused: frozenset[SpanVersion]
    first: int | None
    tried: tuple[SpanVersion, ...]
    drifted: frozenset[int] = frozenset()
    forgotten: frozenset[SpanVersion] = frozenset()

    @property
    def usable(self) -> dict[SpanVersion, Delivery]:
        """Every version that is neither refused nor forgotten."""
        every_version = (each for versions in self.versions.values() for each in versions)
        return {key(each): each for each in every_version if key(each) not in self.refused | self.forgotten}

    @property
    def newest(self) -> int | None:
        """The highest span that can be used."""
        return max((span for span, _ in self.usable), default=None)


@dataclasses.dataclass(frozen=True)
class Plan:
    """new: deliveries that no tick has seen. late: spans among them whose first version comes after a newer span.

    too_old: new spans before every future window: they are only recorded. left: what a rule leaves out.
    """

    new: tuple[Delivery, ...]
    late: tuple[Delivery, ...]
    too_old: tuple[Delivery, ...]
    left: tuple[LeftOut, ...] = ()


def history_of(records: Iterable[Record]) -> History:
    """The history in the journal; paths are relative to the folder of the trips, as everywhere here."""
    records = tuple(records)
    forgotten = frozenset(each for record in records for each in record.spans.forgotten)
    versions: dict[int, tuple[Delivery, ...]] = {}
    refused: set[SpanVersion] = set()
    drifted: set[int] = set()
    first: int | None = None
    tried: tuple[SpanVersion, ...] = ()
    for record in records:
        for span, version in record.spans.new:
            content = record.contents[content_key((span, version))]
            delivery = Delivery(span, version, content.path, content.sha256, content.stamp)
            versions[span] = (*versions.get(span, ()), delivery)
        if first is None:
            first = min((span for span, version in record.spans.new if (span, version) not in forgotten), default=None)
        refused.update(record.spans.refused)
        if record.tried:
            tried = tuple(each for each in record.spans.window if each not in forgotten)
        if "drift" in record.causes and record.spans.window[-1] not in forgotten:
            drifted.add(record.spans.window[-1][0])
    return History(versions, frozenset(refused), first, tried, frozenset(drifted), forgotten)


def plan_of(survey: Survey, history: History, window: int, upto: int | None = None) -> Plan:
    """The new spans among complete deliveries in the folder, up to span `upto` if it is given.

    Equal content is not a new version, under any name or time; other content is one, even in the same folder. Before
    the first tick, the newest window is new, and older spans are ignored.
    """
    newest_complete = {
        each.span: each for each in survey.spans if each.is_complete and (upto is None or each.span <= upto)
    }
    first = history.first
    if first is None and newest_complete:
        first = max(newest_complete) - window + 1
    candidates = [each for span, each in sorted(newest_complete.items()) if first is not None and span >= first]
    new = [
        delivery
        for each in candidates
        if (delivery := _new_version(each, history.versions.get(each.span, ()), survey.base))
    ]
    before = history.newest if history.newest is not None else -1
    horizon = max([before, *(each.span for each in new)]) - window
    late = [each for each in new if each.span < before and each.span not in history.versions]
    too_old = [each for each in new if each.span <= min(horizon, before)]
    return Plan(tuple(new), tuple(late), tuple(too_old), survey.left)


def _new_version(files: SpanFiles, known: Sequence[Delivery], base: str) -> Delivery | None:
    """The delivery as a new version; None if the newest known version has this content."""
    stamp = files.stamp
    last = known[-1] if known else None
    if last and last.stamp == stamp:
        return None
    sha256 = files.sha256()
    if last and last.sha256 == sha256:
        return None
    version = max(files.version, last.version + 1) if last else files.version
    return Delivery(files.span, version, os.path.relpath(files.path, base), sha256, stamp)


def window_of(usable: Iterable[SpanVersion], size: int) -> tuple[SpanVersion, ...]:
    """The newest usable version of each span in (newest - size, newest], in order."""
    newest: dict[int, int] = {}
    for span, version in sorted(usable):
        newest[span] = version
    last = max(newest, default=0)
    return tuple((span, version) for span, version in sorted(newest.items()) if span > last - size)


def missing_in(window: Sequence[SpanVersion], size: int, first: int | None, seen: Iterable[int]) -> tuple[int, ...]:
    """Numbers in the window's range that were never delivered."""
    if not window:
        return ()
    last, known = window[-1][0], set(seen)
    start = last - size + 1 if first is None else max(first, last - size + 1)
    return tuple(span for span in range(start, last + 1) if span not in known)


def key(delivery: Delivery) -> SpanVersion:
    """Span and version."""
    return delivery.span, delivery.version


def content_key(span_version: SpanVersion) -> str:
    """The key of a span version in a record's contents."""
    return "{}/{}".format(*span_version)
