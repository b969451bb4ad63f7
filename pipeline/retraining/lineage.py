"""The origins and successors of a pushed version: from its manifest, HISTORY, the journal, its run and MLMD."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.atomic_pusher import manifest as manifests
from farebox.components.atomic_pusher.history import History
from farebox.components.atomic_pusher.push import candidate_name, latest_name, read_history
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.atomic_pusher.versions import named
from farebox.components.trip_example_gen.span_pattern import name_of_span
from farebox.pipeline.local.folder import SUMMARY_FILE
from farebox.pipeline.metadata.origins import Origins, origins_of
from farebox.pipeline.retraining.journal import Journal, Record
from farebox.pipeline.retraining.planning import content_key
from farebox.pipeline.settings.load import Settings


@dataclasses.dataclass(frozen=True)
class SpanOrigin:
    """A span that a version was trained on. version, sha256: None if neither MLMD nor the journal tells them."""

    span: int
    name: str
    version: int | None
    sha256: str | None


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """The network that training began with. version: what its run pushed, None if that was refused or is unknown."""

    run_id: str
    version: str | None


@dataclasses.dataclass(frozen=True)
class Lineage:
    """The origins of a version.

    state: `latest`, `candidate`, `dropped`, `rolled back` or `earlier`. note: what HISTORY says was decided about it.
    parents: the version that LATEST named at its push. before, after: its neighbours in HISTORY. causes, reasons: of
    the tick that pushed it; empty for `farebox run`. fingerprint: of the trips, if they came in one lot. gates: of its
    run. unknown: lines about what could not be read.
    """

    city: str
    version: str
    state: str
    note: str | None
    created: str
    sha256: str
    run_id: str | None
    parents: tuple[str, ...]
    before: str | None
    after: str | None
    warm_start: WarmStart | None
    spans: tuple[SpanOrigin, ...]
    fingerprint: str | None
    causes: tuple[str, ...]
    reasons: tuple[str, ...]
    gates: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, Any]
    commit: str | None
    lane: str | None
    code_sha256: Mapping[str, str]
    schema_sha256: str | None
    unknown: tuple[str, ...] = ()


def lineage_of(settings: Settings, wanted: str) -> Lineage:
    """The lineage of a version of the city; wanted: its name or an unambiguous beginning.

    Raises InputError if there is no such version, or HISTORY or the journal cannot be read.
    """
    base = settings.models_dir
    store = LocalStore(base)
    name = named(wanted, store.versions() if base.is_dir() else [], base)
    history, latest = read_history(store), latest_name(store)
    facts = manifests.facts(store.version(name))
    run_id = facts.get("run_id")
    records = Journal(settings.runs_dir).records()
    record = next((each for each in records if each.version == name and each.run_id == run_id), None)
    origins = origins_of(settings, run_id) if run_id else None
    gates = _gates(settings, run_id)
    before, after = _neighbours(name, history)
    return Lineage(
        city=settings.city.name,
        version=name,
        state=history.state_of(name, latest, candidate_name(store)),
        note=history.notes.get(name),
        created=str(facts.get("created", "")),
        sha256=str(facts.get("sha256", "")),
        run_id=run_id,
        parents=tuple(facts.get("parents", ())),
        before=before,
        after=after,
        warm_start=_warm_start(settings, origins, records),
        spans=_spans(settings, facts, origins, record, records),
        fingerprint=origins.fingerprint if origins else None,
        causes=record.causes if record else (),
        reasons=record.reasons if record else (),
        gates=gates or (),
        metrics=facts.get("metrics", {}),
        commit=facts.get("commit"),
        lane=facts.get("lane"),
        code_sha256=facts.get("code_sha256", {}),
        schema_sha256=facts.get("schema_sha256"),
        unknown=tuple(_unknown(settings, run_id, origins, gates, facts)),
    )


def _neighbours(name: str, history: History) -> tuple[str | None, str | None]:
    """The versions that LATEST named before and after this one; None without one."""
    if name not in history.named:
        return None, None
    place = history.named.index(name)
    return (history.named[place - 1] if place else None), next(iter(history.named[place + 1 :]), None)


def _spans(
    settings: Settings,
    facts: Mapping[str, Any],
    origins: Origins | None,
    record: Record | None,
    records: Sequence[Record],
) -> tuple[SpanOrigin, ...]:
    """The spans, best from MLMD, else from the journal, else from the manifest, which has only their numbers."""
    pattern = str(settings.spans.pattern)
    found: list[tuple[int, int | None, str | None]]
    if origins and origins.spans:
        found = [(each.span, each.version, each.sha256) for each in origins.spans]
    elif record:
        contents = {key: each.sha256 for other in records for key, each in other.contents.items()}
        found = [(span, version, contents.get(content_key((span, version)))) for span, version in record.spans.window]
    else:
        found = [(span, None, None) for span in facts.get("spans", ()) if isinstance(span, int)]
    return tuple(SpanOrigin(span, name_of_span(pattern, span), version, sha256) for span, version, sha256 in found)


def _warm_start(settings: Settings, origins: Origins | None, records: Sequence[Record]) -> WarmStart | None:
    """The base of a warm start, and the version that its run pushed: by the journal, or by the manifests."""
    if origins is None or origins.base_run is None:
        return None
    store = LocalStore(settings.models_dir)
    pushed = {each.run_id: each.version for each in records if each.version}
    pushed |= {manifests.facts(store.version(name)).get("run_id"): name for name in store.versions()}
    return WarmStart(origins.base_run, pushed.get(origins.base_run))


def _gates(settings: Settings, run_id: str | None) -> tuple[Mapping[str, Any], ...] | None:
    """The gates in the run's summary; None if it is not there."""
    path = settings.runs_dir / str(run_id) / SUMMARY_FILE
    return tuple(json.loads(path.read_text())["gates"]) if run_id and path.is_file() else None


def _unknown(
    settings: Settings, run_id: str | None, origins: Origins | None, gates: object, facts: Mapping[str, Any]
) -> list[str]:
    """A line for each source that does not tell its part."""
    lines = [] if facts else ["manifest.json cannot be read"]
    if not run_id:
        return [*lines, "the manifest names no run: gates, digests and the base of a warm start are unknown"]
    if origins is None:
        lines.append(f"MLMD does not have run {run_id}: digests and the base of a warm start are unknown")
    if gates is None:
        lines.append(f"{settings.runs_dir / run_id / SUMMARY_FILE} is not there: its gates are unknown")
    if not facts.get("commit"):
        lines.append("the manifest names no commit: the code did not run from a git checkout, or is older")
    return lines
