"""Spans through the graph's first nodes, each on its own, and what is there of earlier ticks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from farebox.components.errors import Check, GateError, InputError
from farebox.components.trip_example_gen.spans import Delivery
from farebox.pipeline import provenance
from farebox.pipeline.local import libraries, run
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, exclusive
from farebox.pipeline.metadata import connection
from farebox.pipeline.process import output_to_log
from farebox.pipeline.retraining.journal import SpanVersion
from farebox.pipeline.retraining.planning import key
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


@dataclasses.dataclass(frozen=True)
class Judged:
    """A span that was ingested, or why it cannot be used. drift: checks against the last blessed run's data."""

    delivery: Delivery
    drift: tuple[Check, ...] = ()
    refusal: str | None = None


def ingest(settings: Settings, run_id: str, deliveries: Iterable[Delivery], quiet: bool) -> list[Judged]:
    """Each delivery through the graph's nodes up to SpanGate; what was done before comes from the cache.

    Raises InputError where something else than a span cannot be used.
    """
    waiting = list(deliveries)
    if not waiting:
        return []
    provenance.schema_source(settings)
    with exclusive(settings.runs_dir):
        return [_ingest_one(settings, run_id, delivery, quiet) for delivery in waiting]


def ingested(settings: Settings, run_id: str) -> set[SpanVersion]:
    """Span versions whose examples are there, made by today's code and settings."""
    with output_to_log(log_of(settings, run_id)):
        return _ingested(settings)


def log_of(settings: Settings, run_id: str) -> Path:
    """The log of a tick, in the folder of its run, which is there from now on."""
    folder = settings.runs_dir / run_id
    folder.mkdir(exist_ok=True)
    return folder / LOG_FILE


def _ingested(settings: Settings) -> set[SpanVersion]:
    libraries.configure_libraries()
    from ml_metadata.proto import metadata_store_pb2

    from farebox.pipeline.nodes import digest_of_ingest

    digest = digest_of_ingest(settings)
    config = connection.connection_config(settings)
    name = connection.pipeline_name(settings, connection.folder_id(settings, config))
    with connection.explain_lost_server(settings), connection.open_metadata(config) as handle:
        context = handle.store.get_context_by_type_and_name("pipeline", name)
        found = handle.store.get_artifacts_by_context(context.id) if context else []
    return {
        (artifact.custom_properties["span"].int_value, artifact.custom_properties["version"].int_value)
        for artifact in found
        if artifact.state == metadata_store_pb2.Artifact.LIVE
        and artifact.custom_properties["ingest"].string_value == digest
    }


def _ingest_one(settings: Settings, run_id: str, delivery: Delivery, quiet: bool) -> Judged:
    """The run's id names the span: runs of one id are one run to MLMD."""
    name = f"span-{delivery.span}-{delivery.version}"
    located = dataclasses.replace(delivery, path=str(Path(settings.data, delivery.path)))
    with (
        output_to_log(log_of(settings, run_id).with_name(f"{name}.txt")) as stream,
        RunConsole(stream, quiet) as screen,
    ):
        libraries.configure_libraries()
        from farebox.pipeline.nodes import LAST_OF_A_SPAN  # here: the libraries talk when they are imported

        screen.say(f"span {delivery.span}, version {delivery.version}: {located.path}")
        try:
            spans = SpanInput(located, (key(delivery),), (located.path,))
            produced = run.run_graph(settings, f"{run_id}-{name}", screen, {}, LAST_OF_A_SPAN, spans)
        except (InputError, GateError, OSError) as error:  # OSError: files that cannot be read
            why = str(error) or f"{located.path}: a file cannot be read: {type(error).__name__}"  # TFX's have no text
            screen.say(f"  refused: {why}")
            return Judged(delivery, refusal=why)
        drift = drift_of(produced["verdict"][0])
        if broken := [check for check in drift if check.value > settings.spans.max_drift]:
            screen.say(f"  refused: {_too_far(broken, settings)}")
            return Judged(delivery, drift, _too_far(broken, settings))
    return Judged(delivery, drift)


def drift_of(verdict: Any) -> tuple[Check, ...]:
    """A GateVerdict's checks of drift that compared something."""
    checks = [Check(**check) for check in json.loads((Path(verdict.uri) / "verdict.json").read_text())]
    return tuple(check for check in checks if check.name.startswith("drift.") and check.bound is not None)


def _too_far(broken: Iterable[Check], settings: Settings) -> str:
    found = ", ".join(f"{check.name}={check.value:.3g}" for check in broken)
    return f"{found} must be at most spans.max_drift={settings.spans.max_drift:g}: no city changes so much"
