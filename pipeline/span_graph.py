"""The graph's first nodes where trips arrive in spans: one span is ingested and judged, then the window is joined."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from tensorflow_data_validation import StatsOptions
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import Examples

from components.data_gate.component import DataGate
from components.span_window.component import SpanWindow
from components.span_window.strategy import SpanWindowStrategy
from components.trip_example_gen.component import TripExampleGen, ingest_digest
from components.trip_example_gen.spans import Window
from pipeline.code_digest import code_digest
from pipeline.settings import Settings
from pipeline.target import SpanInput

QUANTILES = 100  # of each number's distribution, which DataGate compares
LAST_OF_A_SPAN = "SpanGate"


def trip_example_gen(settings: Settings, spans: SpanInput | None) -> TripExampleGen:
    """Ingests all trips, or one delivered span of them; or, on orchestrators that are not ours, the newest spans in one
    go, which no SpanWindow then has to join."""
    source: dict[str, Any] = {"input_base": settings.data}
    asked = settings.spans
    if spans:
        source = {"input_base": spans.delivery.path, "delivery": spans.delivery}
    elif asked.pattern:
        source["window"] = Window(settings.data, asked.pattern, asked.window, asked.marker, asked.quiet_s)
    return TripExampleGen(
        **source,
        profile=settings.city,
        splits=settings.split.shares,
        seed=settings.split.seed,
        code_digest=ingest_code(),
    )


def ingest_code() -> str:
    """The digest of the code that makes examples of trips."""
    return code_digest("components.trip_example_gen.executor")


def span_nodes(
    settings: Settings,
    spans: SpanInput,
    examples: BaseChannel,
    schema: BaseChannel,
    latest_statistics: Callable[..., list[Resolver]],
) -> list[BaseNode]:
    """Judges the ingested span on its own, so that a bad one spoils no window; the last node joins the window.

    latest_statistics: (candidate, node id) to the node that finds the last blessed run's.
    """
    statistics = StatisticsGen(
        examples=examples, schema=schema, stats_options=StatsOptions(num_quantiles_histogram_buckets=QUANTILES)
    ).with_id("SpanStatistics")
    found = statistics.outputs["statistics"]
    validator = ExampleValidator(statistics=found, schema=schema).with_id("SpanValidator")
    baseline = latest_statistics(found, "SpanBaseline")
    gate = DataGate(
        anomalies=validator.outputs["anomalies"],
        examples=examples,
        statistics=found,
        baseline_statistics=baseline[0].outputs["statistics"] if baseline else None,
        schema=schema,
        settings=as_json(settings.spans.gate_of_a_span(settings.data_gate)),
        max_rejected=settings.gates.max_rejected,
        code_digest=code_digest("components.data_gate.executor"),
    ).with_id(LAST_OF_A_SPAN)
    wanted = Resolver(
        strategy_class=SpanWindowStrategy,
        config={"spans": [list(each) for each in spans.window], "ingest": digest_of_ingest(settings)},
        spans=Channel(type=Examples),
    ).with_id("WindowSpans")
    wanted.add_upstream_node(gate)
    window = SpanWindow(spans=wanted.outputs["spans"], code_digest=code_digest("components.span_window.executor"))
    return [statistics, validator, *baseline, gate, wanted, window]


def digest_of_ingest(settings: Settings) -> str:
    """What examples depend on but for the rows: see `ingest_digest`."""
    return ingest_digest(settings.city, settings.split.shares, settings.split.seed, ingest_code())


def as_json(section: Any) -> str:
    """A settings section as an execution property; sorted, so that equal settings are equal text."""
    return json.dumps(dataclasses.asdict(section), sort_keys=True)
