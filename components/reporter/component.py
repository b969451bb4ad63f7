"""Reporter's contract."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components import artifacts
from farebox.components.reporter.executor import ReporterExecutor


class ReporterSpec(component_spec.ComponentSpec):
    """label: its name among the transformed features. about: `About` as JSON. `raw_examples` are TripExampleGen's,
    `model_run` is Trainer's; `statistics` are of the raw examples, `baseline_statistics` of the last blessed run's.
    `anomalies` and `evaluation` tell what their nodes cost."""

    PARAMETERS = {
        "label": component_spec.ExecutionParameter(type=str),
        "about": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "raw_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "baseline_statistics": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True
        ),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
        "verdict": component_spec.ChannelParameter(type=artifacts.GateVerdict),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "reduced_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "projection": component_spec.ChannelParameter(type=artifacts.Projection),
        "pruned_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "pruning": component_spec.ChannelParameter(type=artifacts.Pruning),
        "quantized_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "reference_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "trials": component_spec.ChannelParameter(type=artifacts.QuantizationTrials),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "gate_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=artifacts.Report)}


class Reporter(base_component.BaseComponent):
    """Gathers what the other nodes measured, and each network's error on the test split, as Evaluator and ModelGate
    do, and writes them as a page; the last node: nothing is chosen after it."""

    SPEC_CLASS = ReporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ReporterExecutor)

    def __init__(self, label: str, about: str, code_digest: str, **inputs: Any) -> None:
        """`inputs` are the channels of `ReporterSpec.INPUTS`, by name; baseline_statistics may be None."""
        super().__init__(
            ReporterSpec(
                label=label,
                about=about,
                code_digest=code_digest,
                report=types.Channel(type=artifacts.Report),
                **inputs,
            )
        )
