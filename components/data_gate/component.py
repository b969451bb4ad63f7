"""DataGate: stops a run whose data break the schema, or of whose rows too many were rejected."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import GateVerdict
from components.data_gate.executor import DataGateExecutor


class DataGateSpec(ComponentSpec):
    """Contract of DataGate."""

    PARAMETERS = {
        "max_rejected": ExecutionParameter(type=float),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"verdict": ChannelParameter(type=GateVerdict)}


class DataGate(base_component.BaseComponent):
    """Writes a verdict if no split has an anomaly of severity ERROR and few enough rows were rejected; else raises.

    examples: written by TripExampleGen, whose counts.json says how many rows were rejected, and why.
    max_rejected: the largest share of rejected rows, a fraction in [0, 1].
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DataGateExecutor)

    def __init__(
        self, anomalies: types.BaseChannel, examples: types.BaseChannel, max_rejected: float, code_digest: str
    ) -> None:
        if not 0 <= max_rejected <= 1:
            raise ValueError(f"max_rejected={max_rejected} must be between 0 and 1, in DataGate")
        super().__init__(
            DataGateSpec(
                anomalies=anomalies,
                examples=examples,
                max_rejected=float(max_rejected),
                code_digest=code_digest,
                verdict=types.Channel(type=GateVerdict),
            )
        )
