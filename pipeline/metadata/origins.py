"""The origins of a model in MLMD: the spans and trips of its run, and the run whose network it began with."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from farebox.pipeline.metadata import connection
from farebox.pipeline.settings.load import Settings

RUN, INPUT, OUTPUT = "pipeline_run", "INPUT", "OUTPUT"


@dataclasses.dataclass(frozen=True)
class IngestedSpan:
    """A span version that was trained on. sha256: of its files' contents."""

    span: int
    version: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Origins:
    """spans: of the window, in order. fingerprint: of the files of one lot of trips; None for a window.

    base_run: the run whose network Trainer began with, None for a cold start.
    """

    spans: tuple[IngestedSpan, ...] = ()
    fingerprint: str | None = None
    base_run: str | None = None


def origins_of(settings: Settings, run_id: str) -> Origins | None:
    """The origins of a run's model; None if the database is not there or does not have the run."""
    with _store(settings) as store:
        run = store and store.get_context_by_type_and_name(RUN, run_id)
        return _Run(store, run.id).origins() if run else None


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Any]:
    """MLMD's store, read only; None if the sqlite file is not there. A file needs no TFX, whose import takes long."""
    if settings.metadata.server is not None:
        with (
            connection.explain_lost_server(settings),
            connection.open_metadata(connection.connection_config(settings)) as handle,
        ):
            yield handle.store
        return
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    file = connection.sqlite_file(settings)
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    yield metadata_store.MetadataStore(config) if file.is_file() else None


class _Run:
    """The executions of a run in MLMD."""

    def __init__(self, store: Any, context: int) -> None:
        self.store = store
        types = {each.id: each.name.rpartition(".")[2] for each in store.get_execution_types()}
        self.executions = {types[each.type_id]: each.id for each in store.get_executions_by_context(context)}

    def origins(self) -> Origins:
        """See `Origins`."""
        spans = tuple(sorted(map(_span_of, self._artifacts("SpanWindow", INPUT, "spans")), key=lambda each: each.span))
        trips = self._artifacts("TripExampleGen", OUTPUT, "examples")
        base = self._artifacts("Trainer", INPUT, "base_model")
        fingerprint = _fingerprint(trips[0]) if trips and not spans else None
        return Origins(spans, fingerprint, self._maker(base[0].id) if base else None)

    def _artifacts(self, node: str, kind: str, key: str) -> list[Any]:
        """The node's inputs or outputs under a key."""
        events = self.store.get_events_by_execution_ids([self.executions[node]]) if node in self.executions else []
        return self.store.get_artifacts_by_id([each.artifact_id for each in _of_kind(events, kind, key)])  # type: ignore[no-any-return] # MLMD has no types

    def _maker(self, artifact: int) -> str | None:
        """The id of the run that made an artifact, the first one if others took it from the cache."""
        events = self.store.get_events_by_artifact_ids([artifact])
        makers = sorted(each.execution_id for each in _of_kind(events, OUTPUT))
        contexts = self.store.get_contexts_by_execution(makers[0]) if makers else []
        runs = {each.id for each in self.store.get_contexts_by_type(RUN)}
        return next((str(each.name) for each in contexts if each.id in runs), None)


def _of_kind(events: Iterable[Any], kind: str, key: str | None = None) -> list[Any]:
    """The events of inputs or of outputs, under a key if one is given."""
    return [
        each
        for each in events
        if each.Type.Name(each.type) == kind and (key is None or [step.key for step in each.path.steps][:1] == [key])
    ]


def _span_of(artifact: Any) -> IngestedSpan:
    properties = artifact.custom_properties
    return IngestedSpan(properties["span"].int_value, properties["version"].int_value, _fingerprint(artifact))


def _fingerprint(artifact: Any) -> str:
    """TripExampleGen's digest of what it read: `sha256:...` of a span's contents, `files:...` of one lot."""
    return str(artifact.custom_properties["input_fingerprint"].string_value).removeprefix("sha256:")
