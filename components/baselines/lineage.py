"""Lineage in MLMD: which artifacts an artifact was made of, and what was made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ml_metadata.proto import metadata_store_pb2


def ancestors(store: Any, artifact: int) -> Iterator[set[int]]:
    """Ids of the artifacts that an artifact was made of, then of those that these were made of, and so on.

    A cached artifact has several producers with the same inputs. A resolver is not a producer: its events are internal.
    """
    seen, generation = {artifact}, {artifact}
    while generation:
        inputs = inputs_by_key(store, generation)
        generation = set().union(*inputs.values()) - seen
        seen |= generation
        if generation:
            yield generation


def inputs_by_key(store: Any, artifacts: Iterable[int]) -> dict[str, set[int]]:
    """Ids of the inputs of the executions that made the artifacts, by input key; `` for an event without a key."""
    makers = sorted({event.execution_id for event in events_of(store, artifacts) if is_output(event)})
    inputs: dict[str, set[int]] = {}
    for event in store.get_events_by_execution_ids(makers) if makers else ():
        if event.type == metadata_store_pb2.Event.INPUT:
            key = event.path.steps[0].key if event.path.steps else ""
            inputs.setdefault(key, set()).add(event.artifact_id)
    return inputs


def outputs_of_readers(store: Any, artifact: int, type_suffix: str) -> set[int]:
    """Ids of the outputs of executions that read an artifact and whose type name ends with `type_suffix`."""
    readers = {event.execution_id for event in events_of(store, {artifact}) if not is_output(event)}
    executions = store.get_executions_by_id(sorted(readers)) if readers else []
    names = {kind.id: kind.name for kind in store.get_execution_types()}
    ids = [execution.id for execution in executions if names[execution.type_id].endswith(type_suffix)]
    events = store.get_events_by_execution_ids(ids) if ids else []
    return {event.artifact_id for event in events if is_output(event)}


def of_type(store: Any, artifacts: Iterable[int], name: str) -> set[int]:
    """Ids of those artifacts whose type has this name."""
    ids = sorted(artifacts)
    type_ids = {kind.id for kind in store.get_artifact_types() if kind.name == name}
    return {artifact.id for artifact in (store.get_artifacts_by_id(ids) if ids else []) if artifact.type_id in type_ids}


def events_of(store: Any, artifacts: Iterable[int]) -> list[Any]:
    """All events that name one of the artifacts."""
    return list(store.get_events_by_artifact_ids(sorted(artifacts)))


def is_output(event: Any) -> bool:
    """Whether the event's execution made the artifact, or took it from the cache."""
    return bool(event.type == metadata_store_pb2.Event.OUTPUT)
