"""DataGate: stops a run whose data break the schema, drift, are skewed, too few, or rejected in too large a share."""

from __future__ import annotations

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.artifacts import GateVerdict
from farebox.components.data_gate.executor import DataGateExecutor
from farebox.components.data_gate.settings import DataGateSettings


class DataGateSpec(ComponentSpec):
    """settings: `DataGateSettings` as JSON; finds_baseline: 0 if the orchestrator cannot find a baseline, else 1."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "finds_baseline": ExecutionParameter(type=int),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "baseline_statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {"verdict": ChannelParameter(type=GateVerdict)}


class DataGate(base_component.BaseComponent):
    """Writes a verdict, and raises if one of its checks refuses the data.

    examples: written by TripExampleGen, whose counts.json has the number of rejected rows by reason.
    statistics: of these, with `num_quantiles_histogram_buckets=100` among StatisticsGen's options.
    baseline_statistics: of the last blessed run, if there is one; None on orchestrators that cannot find it.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DataGateExecutor)

    def __init__(
        self,
        *,
        anomalies: types.BaseChannel,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        settings: str,
        code_digest: str,
        baseline_statistics: types.BaseChannel | None = None,
    ) -> None:
        """Raises ValueError if a setting cannot be used."""
        DataGateSettings(**json.loads(settings))
        super().__init__(
            DataGateSpec(
                anomalies=anomalies,
                examples=examples,
                statistics=statistics,
                schema=schema,
                baseline_statistics=baseline_statistics,
                settings=settings,
                finds_baseline=int(baseline_statistics is not None),
                code_digest=code_digest,
                verdict=types.Channel(type=GateVerdict),
            )
        )
