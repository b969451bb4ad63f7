"""The nodes that graph.py wires together and that need more than a constructor's call."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
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
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.model_gate.settings import ModelBounds
from farebox.components.networks.node_settings import as_json
from farebox.components.reporter.outcome import Outcome
from farebox.components.span_window.component import SpanWindow
from farebox.components.span_window.settings import WindowSettings
from farebox.components.span_window.strategy import SpanWindowStrategy
from farebox.components.trip_example_gen.component import TripExampleGen, ingest_digest
from farebox.modules.columns import FARE
from farebox.modules.slicing import ROW_HASH, SLICED_BY
from farebox.pipeline.provenance import code_digest
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput, Target

CANDIDATE, BASELINE = "candidate", "baseline"
ERRORS_MODULE = "farebox.components.evaluator.regression_errors"
QUANTILES = 100  # of the distribution of each number, for DataGate
LAST_OF_A_SPAN = "SpanGate"


def trip_example_gen(settings: Settings, spans: SpanInput | None) -> TripExampleGen:
    """The node that ingests all trips, or one delivered span.

    On Kubeflow and Vertex AI it ingests the newest spans at once, so that no SpanWindow has to join them.
    """
    source: dict[str, Any] = {"input_base": settings.data}
    if spans:
        source = {"input_base": spans.delivery.path, "delivery": spans.delivery}
    elif settings.spans.pattern:
        source["window"] = settings.span_window
    return TripExampleGen(
        **source,
        profile=settings.city,
        splits=settings.split.shares,
        seed=settings.split.seed,
        code_digest=ingest_code(),
        by_time=settings.spans.split == "time",
    )


def ingest_code() -> str:
    """Digest of the code that turns trips into examples."""
    return code_digest("farebox.components.trip_example_gen.executor")


@dataclasses.dataclass(frozen=True)
class DataChecks:
    """The nodes that compute the statistics of examples and judge them; `baseline` is empty on other orchestrators."""

    statistics: StatisticsGen
    validator: ExampleValidator
    baseline: tuple[Resolver, ...]
    gate: DataGate

    @property
    def nodes(self) -> list[BaseNode]:
        return [self.statistics, self.validator, *self.baseline, self.gate]


def data_checks(
    examples: BaseChannel,
    schema: BaseChannel,
    settings: DataGateSettings,
    target: Target,
    *,
    of_a_span: bool = False,
    pushed: LatestPushed | None = None,
) -> DataChecks:
    """StatisticsGen, ExampleValidator, the last blessed run's statistics and DataGate; a span's have their own ids.

    pushed: the node that has the statistics behind the last version instead, on Kubeflow and Vertex AI.
    """
    statistics = StatisticsGen(
        examples=examples,
        schema=schema,  # it tells which numbers are categories
        stats_options=StatsOptions(num_quantiles_histogram_buckets=QUANTILES),
    )
    if of_a_span:
        statistics.with_id("SpanStatistics")
    output = statistics.outputs["statistics"]
    validator = ExampleValidator(statistics=output, schema=schema)
    baseline = latest_blessed_statistics(output, target, "SpanBaseline" if of_a_span else "LatestStatistics")
    finders = [*baseline, *([pushed] if pushed else [])]
    gate = DataGate(
        anomalies=validator.outputs["anomalies"],
        examples=examples,
        statistics=output,
        baseline_statistics=finders[0].outputs["statistics"] if finders else None,
        schema=schema,
        settings=as_json(settings),
        code_digest=code_digest("farebox.components.data_gate.executor"),
    )
    if of_a_span:
        validator.with_id("SpanValidator")
        gate.with_id(LAST_OF_A_SPAN)
    return DataChecks(statistics, validator, tuple(baseline), gate)


def span_nodes(
    settings: Settings, target: Target, examples: BaseChannel, schema: BaseChannel, pushed: LatestPushed | None
) -> list[BaseNode]:
    """The nodes that judge the ingested span by itself and then join the window; none if trips come without spans.

    A bad span spoils no window. On Kubeflow and Vertex AI TripExampleGen joins the window, and one node moves fares.
    """
    if pushed and settings.spans.pattern and settings.spans.split == "time" and settings.spans.move_fares:
        return [
            SpanWindow(
                spans=examples,
                version=pushed.outputs["model"],
                settings=window_settings(settings, None),
                code_digest=code_digest("farebox.components.span_window.executor"),
            )
        ]
    if target.spans is None:
        return []
    checks = data_checks(examples, schema, settings.spans.gate_of_a_span(settings.data_gate), target, of_a_span=True)
    members = Resolver(
        strategy_class=SpanWindowStrategy,
        config={"spans": [list(each) for each in target.spans.window], "ingest": digest_of_ingest(settings)},
        spans=Channel(type=Examples),
    ).with_id("WindowSpans")
    members.add_upstream_node(checks.gate)
    window = SpanWindow(
        spans=members.outputs["spans"],
        settings=window_settings(settings, target.spans.latest),
        code_digest=code_digest("farebox.components.span_window.executor"),
    )
    return [*checks.nodes, members, window]


def window_settings(settings: Settings, latest: str | None) -> WindowSettings:
    """How SpanWindow splits the window. latest: folder of the version by which it measures steps of the fares."""
    city = settings.city
    return WindowSettings(
        by_time=settings.spans.split == "time",
        most=sum(settings.split.shares[1:]) / sum(settings.split.shares),
        shares=settings.split.shares[1:],
        seed=settings.split.seed,
        columns={name: np.dtype(column.dtype).name for name, column in city.example_columns.items()},
        label=FARE,
        smallest=city.fare.min,
        largest=city.fare.max,
        version=latest if settings.spans.move_fares else None,
    )


def digest_of_ingest(settings: Settings) -> str:
    """Digest of all that examples depend on, except the rows: see `ingest_digest`."""
    return ingest_digest(settings.city, settings.split.shares, settings.split.seed, ingest_code())


def latest_pushed(target: Target) -> LatestPushed | None:
    """The node that finds the model that was pushed last, and the statistics of its data; None for a local run.

    Kubeflow knows no resolver, and Vertex AI none of ours.
    """
    if target.metadata is not None:
        return None
    return LatestPushed(target.models_dir, code_digest("farebox.components.baselines.latest_pushed"))


def latest_blessed(candidate: BaseChannel, target: Target) -> BaseNode:
    """The node that finds the baseline: the latest other model that ModelGate and DeviceValidator both blessed."""
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
    """The node that finds the network of the latest blessed model of other examples; none on Kubeflow and Vertex AI."""
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
    """The node that finds the last blessed run's statistics; none on Kubeflow and Vertex AI."""
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


def outcome(report: BaseChannel, settings: Settings, target: Target) -> list[Outcome]:
    """The node that fails a run on a cluster if a gate refused the model; `farebox run` ends with exit code 3."""
    if target.metadata is not None or not settings.cluster.fail_on_refusal:
        return []
    return [Outcome(report, code_digest("farebox.components.reporter.outcome"))]


def eval_config(gates: ModelBounds, categories: Sequence[str] = ()) -> tfma.EvalConfig:
    """TFMA's config: errors of the candidate and of the last blessed model, over all rows and by slice, with intervals.

    categories: the city's own inputs by which trips are sliced, too.

    Both models are `.tflite`, because TFMA does not mix model types; it drops the baseline if there is none yet.
    Evaluator checks `max_rmse`, ModelGate the other bounds. Our metric computes the intervals: TFMA's jackknife
    assigns rows at random, differently in every run, and builds a graph of twenty evaluations.
    """
    max_rmse = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound={"value": gates.max_rmse}))
    # a plain `threshold` would apply the bound to every slice
    overall = tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=max_rmse)
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, model_type="tf_lite", label_key=FARE),
            tfma.ModelSpec(name=BASELINE, model_type="tf_lite", label_key=FARE, is_baseline=True),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=[key]) for key in (*SLICED_BY, *categories)),
        ],
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
