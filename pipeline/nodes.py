"""The nodes that graph.py wires together and that need more than a constructor's call."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from tensorflow_data_validation import StatsOptions
from tensorflow_model_analysis.proto import config_pb2 as tfma  # TFMA's package names only some of these on lane B
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import Examples, ExampleStatistics, InfraBlessing, Model, ModelBlessing

from farebox.components.baselines.latest_blessed import LatestOtherBlessedStrategy
from farebox.components.baselines.latest_network import LatestNetworkStrategy
from farebox.components.baselines.latest_pushed import LatestPushed
from farebox.components.baselines.latest_statistics import LatestBlessedStatisticsStrategy
from farebox.components.data_gate.component import DataGate
from farebox.components.span_window.component import SpanWindow
from farebox.components.span_window.strategy import SpanWindowStrategy
from farebox.components.trip_example_gen.component import TripExampleGen, ingest_digest
from farebox.components.trip_example_gen.spans import Window
from farebox.modules.columns import FARE
from farebox.modules.slicing import ROW_HASH, SLICED_BY
from farebox.pipeline.provenance import code_digest
from farebox.pipeline.settings.load import GateSettings, Settings
from farebox.pipeline.target import SpanInput, Target

CANDIDATE, BASELINE = "candidate", "baseline"
ERRORS_MODULE = "farebox.components.evaluator.regression_errors"
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
    return code_digest("farebox.components.trip_example_gen.executor")


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
        code_digest=code_digest("farebox.components.data_gate.executor"),
    ).with_id(LAST_OF_A_SPAN)
    wanted = Resolver(
        strategy_class=SpanWindowStrategy,
        config={"spans": [list(each) for each in spans.window], "ingest": digest_of_ingest(settings)},
        spans=Channel(type=Examples),
    ).with_id("WindowSpans")
    wanted.add_upstream_node(gate)
    window = SpanWindow(
        spans=wanted.outputs["spans"], code_digest=code_digest("farebox.components.span_window.executor")
    )
    return [statistics, validator, *baseline, gate, wanted, window]


def digest_of_ingest(settings: Settings) -> str:
    """What examples depend on but for the rows: see `ingest_digest`."""
    return ingest_digest(settings.city, settings.split.shares, settings.split.seed, ingest_code())


def as_json(section: Any) -> str:
    """A settings section as an execution property; sorted, so that equal settings are equal text."""
    return json.dumps(dataclasses.asdict(section), sort_keys=True)


def latest_blessed(candidate: BaseChannel, target: Target) -> BaseNode:
    """The model to compare with: of those that both ModelGate, whose blessings are the only ModelBlessings, and
    DeviceValidator blessed.

    Orchestrators that are not ours know no strategy of ours, and Kubeflow knows no resolver: there it is what was
    pushed last.
    """
    if target.metadata is None:
        return LatestPushed(target.models_dir, code_digest("farebox.components.baselines.latest_pushed"))
    channels = {"model": Channel(type=Model), "model_blessing": Channel(type=ModelBlessing)}
    node = Resolver(
        strategy_class=LatestOtherBlessedStrategy,
        config={"models_dir": target.models_dir},
        candidate=candidate,
        infra_blessing=Channel(type=InfraBlessing),
        **channels,
    )
    return node.with_id("LatestBlessed")


def latest_network(examples: BaseChannel, target: Target) -> list[Resolver]:
    """The network of the latest blessed model, but for those of the same examples; no node where the orchestrator
    knows no strategy of ours."""
    if target.metadata is None:
        return []
    node = Resolver(
        strategy_class=LatestNetworkStrategy,
        config={"models_dir": target.models_dir, "network_key": "unreduced_model", "examples_key": "examples"},
        candidate=examples,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        infra_blessing=Channel(type=InfraBlessing),
    )
    return [node.with_id("LatestNetwork")]


def latest_blessed_statistics(
    candidate: BaseChannel, target: Target, node_id: str = "LatestStatistics"
) -> list[Resolver]:
    """The data to compare with, other than the candidate; no node where the orchestrator knows no strategy of ours."""
    if target.metadata is None:
        return []
    node = Resolver(
        strategy_class=LatestBlessedStatisticsStrategy,
        config={"models_dir": target.models_dir},
        candidate=candidate,
        statistics=Channel(type=ExampleStatistics),
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        infra_blessing=Channel(type=InfraBlessing),
    )
    return [node.with_id(node_id)]


def eval_config(gates: GateSettings) -> tfma.EvalConfig:
    """Errors over all rows and by slice, of the candidate and of the last blessed model, with confidence intervals.

    Both models are `.tflite`: TFMA mixes no model types. Without a blessed model yet, TFMA drops the baseline.
    Evaluator blesses what holds `max_rmse`; ModelGate holds the file to the other bounds. Intervals are our metric's:
    TFMA's jackknife deals rows by lot, anew in every run, and builds a graph of twenty evaluations.
    """
    max_rmse = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound={"value": gates.max_rmse}))
    # a plain `threshold` would hold every slice to the bound of the whole
    overall = tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=max_rmse)
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, model_type="tf_lite", label_key=FARE),
            tfma.ModelSpec(name=BASELINE, model_type="tf_lite", label_key=FARE, is_baseline=True),
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[key]) for key in SLICED_BY)],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(
                        class_name="RegressionErrors",
                        module=ERRORS_MODULE,
                        config=json.dumps({"hash_key": ROW_HASH}),
                        per_slice_thresholds=[overall],
                    ),
                ],
            )
        ],
    )
