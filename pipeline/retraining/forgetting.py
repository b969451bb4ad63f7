"""Takes a span back: a record in the journal, after which no tick counts the span as taken."""

from __future__ import annotations

import datetime

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.span_pattern import name_of_span
from farebox.pipeline.retraining.journal import Journal, Record, Spans
from farebox.pipeline.retraining.planning import content_key, history_of
from farebox.pipeline.settings.load import Settings


def forget(settings: Settings, span: int, now: datetime.datetime | None = None) -> Record:
    """Records that every known version of a span is taken back, and returns the record.

    Windows are then made without it, as if it had never come; its examples in MLMD are no longer used. Other content
    that is delivered later is a new version. A decision of a tick that died is dropped if the span is in it.

    Raises InputError if no tick has taken the span, or another tick is running.
    """
    journal, name = Journal(settings.runs_dir), name_of_span(str(settings.spans.pattern), span)
    if not settings.runs_dir.is_dir():
        raise InputError(f"span={name} must be one that a tick has taken: {settings.runs_dir} is not there")
    with journal.exclusive() as is_free:
        if not is_free:
            raise InputError(f"span={name} cannot be forgotten while another tick of {settings.city.name} is at work")
        records, pending = journal.records(), journal.pending()
        history = history_of([*records, pending] if pending else records)
        versions = [(each.span, each.version) for each in history.versions.get(span, ())]
        versions = [each for each in versions if each not in history.forgotten]
        if not versions:
            raise InputError(f"span={name} must be one that a tick has taken, and that is not forgotten already")
        unrecorded = [each for each in pending.spans.new if each in versions] if pending else []
        record = Record(
            time=(now or datetime.datetime.now(datetime.timezone.utc)).isoformat(),
            city=settings.city.name,
            decision="forget",
            reasons=(f"span {name} is forgotten",),
            spans=Spans(new=tuple(unrecorded), forgotten=tuple(versions)),
            outcome="forgotten",
            contents={content_key(each): pending.contents[content_key(each)] for each in unrecorded} if pending else {},
        )
        journal.append(record)
        if pending and span in {number for number, _ in (*pending.spans.new, *pending.spans.window)}:
            journal.forget()
    return record
