"""Sends new spans through the graph's first nodes, each by itself, and finds what earlier ticks ingested."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from farebox.components.errors import Check, GateError, InputError
from farebox.components.trip_example_gen.span_pattern import name_of_span
from farebox.components.trip_example_gen.spans import Delivery
from farebox.pipeline import provenance
from farebox.pipeline.local import run
from farebox.pipeline.local.console import Output, no_output
from farebox.pipeline.local.folder import LOG_FILE, exclusive
from farebox.pipeline.metadata import connection
from farebox.pipeline.retraining.deploying import pushed_versions
from farebox.pipeline.retraining.journal import SpanVersion
from farebox.pipeline.retraining.live_record import Live, told
from farebox.pipeline.retraining.planning import key
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


@dataclasses.dataclass(frozen=True)
class JudgedSpan:
    """A span that was ingested.

    drift: checks against the data of the last blessed run. refusal: why the span cannot be used, None if it can.
    live: the errors on it of the versions that LATEST and CANDIDATE name, and LATEST named before. faults: a line for
    each of these that cannot be scored.
    """

    delivery: Delivery
    drift: tuple[Check, ...] = ()
    refusal: str | None = None
    live: tuple[Live, ...] = ()
    faults: tuple[str, ...] = ()


def ingest(
    settings: Settings, run_id: str, deliveries: Sequence[Delivery], output: Output = no_output
) -> list[JudgedSpan]:
    """Runs each delivery through the graph's nodes up to SpanGate; finished nodes come from the cache.

    Raises InputError if anything but a span cannot be used.
    """
    if not deliveries:
        return []
    provenance.schema_source(settings)
    with exclusive(settings.runs_dir):
        return [_ingest_span(settings, run_id, delivery, output) for delivery in deliveries]


def find_ingested(settings: Settings, run_id: str, output: Output = no_output) -> set[SpanVersion]:
    """The span versions whose examples exist, made by today's code and settings."""
    with output(log_of(settings, run_id)):
        return _find_ingested(settings)


def log_of(settings: Settings, run_id: str) -> Path:
    """The log file of a tick. Makes the folder of its run."""
    folder = settings.runs_dir / run_id
    folder.mkdir(exist_ok=True)
    return folder / LOG_FILE


def _find_ingested(settings: Settings) -> set[SpanVersion]:
    from ml_metadata.proto import metadata_store_pb2

    from farebox.pipeline.nodes import digest_of_ingest

    digest = digest_of_ingest(settings)
    config = connection.connection_config(settings)
    name = connection.pipeline_name(settings, connection.folder_id(settings, config))
    with connection.explain_lost_server(settings), connection.open_metadata(config) as handle:
        context = handle.store.get_context_by_type_and_name("pipeline", name)
        artifacts = handle.store.get_artifacts_by_context(context.id) if context else []
    return {
        (artifact.custom_properties["span"].int_value, artifact.custom_properties["version"].int_value)
        for artifact in artifacts
        if artifact.state == metadata_store_pb2.Artifact.LIVE
        and artifact.custom_properties["ingest"].string_value == digest
    }


def _ingest_span(settings: Settings, run_id: str, delivery: Delivery, output: Output) -> JudgedSpan:
    """The run's id names the span, since MLMD takes runs of one id for one run."""
    name = f"span-{delivery.span}-{delivery.version}"
    located = dataclasses.replace(delivery, path=str(Path(settings.data, delivery.path)))
    with output(log_of(settings, run_id).with_name(f"{name}.txt")) as screen:
        from farebox.pipeline.nodes import LAST_OF_A_SPAN  # here: its libraries print when they are imported

        span_name = name_of_span(str(settings.spans.pattern), delivery.span)
        screen.say(f"span {span_name}, version {delivery.version}: {located.path}")
        try:
            spans = SpanInput(located, (key(delivery),), (located.path,))
            produced = run.run_graph(settings, f"{run_id}-{name}", screen, {}, last=LAST_OF_A_SPAN, spans=spans)
            judged = _judge(delivery, drift_of(produced["verdict"][0]), settings)
        except (InputError, GateError, OSError) as error:  # OSError: files that cannot be read
            reason = str(error) or f"{located.path}: a file cannot be read: {type(error).__name__}"  # TFX gives no text
            judged = JudgedSpan(delivery, refusal=reason)
        if judged.refusal is not None:
            screen.say(f"  refused: {judged.refusal}")
            return judged
        examples = produced["examples"][0].uri
        faults: list[str] = []
        live = _live_errors(settings, key(delivery), examples, faults)
        for line in (*faults, *(f"live error: {told(each, settings.city.currency)}" for each in live)):
            screen.say(f"  {line}")
        return dataclasses.replace(judged, live=live, faults=tuple(faults))


def _live_errors(settings: Settings, span: SpanVersion, examples: str, faults: list[str]) -> tuple[Live, ...]:
    """Errors of the pushed versions on a span's examples, before anything is trained on them."""
    if not (versions := pushed_versions(settings)):
        return ()
    from farebox.pipeline.retraining.live_error import live_errors  # here: a runtime, for ticks with a new span only

    return live_errors(settings, span, examples, versions, faults.append)


def drift_of(verdict: Any) -> tuple[Check, ...]:
    """The checks of drift in a GateVerdict that compared something."""
    checks = [Check(**check) for check in json.loads((Path(verdict.uri) / "verdict.json").read_text())]
    return tuple(check for check in checks if check.name.startswith("drift.") and check.bound is not None)


def _judge(delivery: Delivery, drift: tuple[Check, ...], settings: Settings) -> JudgedSpan:
    excessive = [check for check in drift if check.value > settings.spans.max_drift]
    return JudgedSpan(delivery, drift, _too_far(excessive, settings) if excessive else None)


def _too_far(excessive: Iterable[Check], settings: Settings) -> str:
    distances = ", ".join(f"{check.name}={check.value:.3g}" for check in excessive)
    return f"{distances} must be at most spans.max_drift={settings.spans.max_drift:g}: no city changes so much"
