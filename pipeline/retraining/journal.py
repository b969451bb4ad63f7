"""The journal of ticks: a line of JSON for each, and a pending record of the running one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from farebox.components.errors import InputError
from farebox.components.files import locked, write_atomically
from farebox.pipeline.retraining.live_record import Deployment, Live

JOURNAL_FILE, PENDING_FILE, LOCK_FILE = "retraining.jsonl", ".retraining.pending.json", ".retraining.lock"

Decision = Literal["retrain", "keep", "forget"]
Cause = Literal["new_data", "drift", "live_error", "after_drift", "max_age"]
Outcome = Literal["pushed", "refused", "failed", "kept", "forgotten"]
SpanVersion = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Spans:
    """Span versions of a tick: first seen by it, in its window, new ones that came after a newer one, holes in the
    window (numbers), and new ones that cannot be used.

    left: names in the folder of the trips that a rule left out. forgotten: versions that a person took back; such a
    record is of no tick.
    """

    new: tuple[SpanVersion, ...] = ()
    window: tuple[SpanVersion, ...] = ()
    late: tuple[SpanVersion, ...] = ()
    missing: tuple[int, ...] = ()
    refused: tuple[SpanVersion, ...] = ()
    left: tuple[str, ...] = ()
    forgotten: tuple[SpanVersion, ...] = ()


@dataclasses.dataclass(frozen=True)
class Content:
    """Content of a span version: SHA-256 and stamp as in `spans.Delivery`, and its place in the folder of the trips."""

    sha256: str
    stamp: str
    path: str


@dataclasses.dataclass(frozen=True)
class Record:
    """The decision and outcome of a tick, and the reasons.

    time: when it began, ISO 8601, UTC. drift: the newest span's distance from the last blessed run's data by feature.
    latest: the version that LATEST named then. live: errors of pushed versions on the spans that the tick judged.
    deployment: the change of LATEST or CANDIDATE that follows. contents: of each span version in `spans.new`, by
    `SPAN/VERSION`. seconds: of the tick's work; of the last one, if it took several ticks.
    """

    time: str
    city: str
    decision: Decision
    causes: tuple[Cause, ...] = ()
    reasons: tuple[str, ...] = ()
    spans: Spans = Spans()
    drift: dict[str, float] | None = None
    latest: str | None = None
    live: tuple[Live, ...] = ()
    deployment: Deployment | None = None
    run_id: str | None = None
    outcome: Outcome = "kept"
    version: str | None = None
    rmse: float | None = None
    seconds: float = 0.0
    contents: dict[str, Content] = dataclasses.field(default_factory=dict)

    @property
    def tried(self) -> bool:
        """Whether a run on its window came to an end, good or bad."""
        return self.outcome in ("pushed", "refused")

    @property
    def is_of_a_tick(self) -> bool:
        """Whether a tick made it, not a person who took a span back."""
        return self.outcome != "forgotten"


class Journal:
    """runs/<city>/retraining.jsonl and its pending record; every write is atomic or a single line."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.path, self._pending = runs_dir / JOURNAL_FILE, runs_dir / PENDING_FILE

    def records(self) -> list[Record]:
        """All records, oldest first; a half-written last line of a dead tick is ignored.

        Raises InputError if another line is not a record.
        """
        lines = self.path.read_text().split("\n") if self.path.is_file() else [""]
        return [self._parse(line, f"{self.path}: line {number}") for number, line in enumerate(lines[:-1], start=1)]

    def pending(self) -> Record | None:
        """The decision of a tick that died before it could record an outcome."""
        if not self._pending.is_file():
            return None
        record = self._parse(self._pending.read_text(), str(self._pending))
        return None if any(record.time == other.time for other in self.records()) else record

    def begin(self, record: Record) -> None:
        """Writes the decision before it is carried out."""
        write_atomically(self._pending, text_of(record), durable=True)

    def finish(self, record: Record) -> None:
        """Appends the record, and removes the pending decision."""
        self.append(record)
        self.forget()

    def append(self, record: Record) -> None:
        """Appends the record, unless there is one of the same time."""
        if not any(record.time == other.time for other in self.records()):
            self._cut_torn_line()
            with open(self.path, "a") as file:
                file.write(text_of(record) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def forget(self) -> None:
        """Removes the pending decision."""
        self._pending.unlink(missing_ok=True)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Whether no other tick of this city is at work; the system frees the lock when its holder dies.

        Raises InputError if the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.runs_dir / LOCK_FILE, wait=False))
            except BlockingIOError:
                yield False
                return
            yield True

    def _cut_torn_line(self) -> None:
        """Removes a half-written last line, which would spoil the next one."""
        if self.path.is_file() and not (text := self.path.read_bytes()).endswith(b"\n") and text:
            os.truncate(self.path, text.rfind(b"\n") + 1)

    def _parse(self, text: str, where: str) -> Record:
        try:
            return record_of(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{where}: must be a record of a tick: {error}") from error


def text_of(record: Record) -> str:
    """A line of JSON."""
    return json.dumps(dataclasses.asdict(record))


def record_of(content: dict[str, Any]) -> Record:
    """The inverse of `dataclasses.asdict` and JSON: lists become tuples again."""
    spans = content["spans"]
    keys = ("new", "window", "late", "refused", "forgotten")
    deployment = content.get("deployment")
    pairs = {key: tuple((span, version) for span, version in spans.get(key, ())) for key in keys}
    return Record(
        **{
            **content,
            "causes": tuple(content["causes"]),
            "reasons": tuple(content["reasons"]),
            "live": tuple(map(Live.from_json, content.get("live", ()))),
            "deployment": deployment and Deployment(**deployment),
            "spans": Spans(**pairs, missing=tuple(spans["missing"]), left=tuple(spans.get("left", ()))),
            "contents": {key: Content(**fields) for key, fields in content["contents"].items()},
        }
    )
