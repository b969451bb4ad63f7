"""DeviceValidator: blesses a `.tflite` that can run on a device; a child process validates it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.device_validator.executor import DeviceValidatorExecutor, limits_of
from farebox.components.device_validator.request import EdgeRows


class DeviceValidatorSpec(ComponentSpec):
    """Contract of DeviceValidator; input_names, edge_rows and settings are JSON, see `Limits` and `DeviceSettings`."""

    PARAMETERS = {
        "input_names": ExecutionParameter(type=str),
        "min_output": ExecutionParameter(type=float),
        "max_output": ExecutionParameter(type=float),
        "edge_rows": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "reference_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class DeviceValidator(base_component.BaseComponent):
    """Writes `device.json` and an InfraBlessing as InfraValidator does, so that TFX's Pusher reads it.

    Beside it, if the file is blessed, `golden.json`: rows and the file's answers, which Pusher ships with the file.

    model: holds the file to ship, Format-Serving/tflite.
    examples: raw rows; the first rows of the eval split are used.
    input_names: the raw columns that a device can provide.
    max_output, min_output: the largest and the least believable output, in the label's unit.
    reference_model: holds the file that outputs, time and memory are compared with; without it, there is no comparison.
    edge_rows: changes of real rows by name, besides the edge values of every column: see `Limits`.
    settings: `DeviceSettings` as JSON.

    Raises ValueError if these contradict each other.
    """

    SPEC_CLASS = DeviceValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DeviceValidatorExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        input_names: Sequence[str],
        max_output: float,
        min_output: float = 0.0,
        reference_model: types.BaseChannel | None = None,
        edge_rows: EdgeRows | None = None,
        settings: str = "{}",
        code_digest: str = "",
    ) -> None:
        properties = {
            "input_names": json.dumps(list(input_names)),
            "min_output": float(min_output),
            "max_output": float(max_output),
            "edge_rows": json.dumps(edge_rows or {}),
            "settings": settings,
        }
        limits_of(properties)
        super().__init__(
            DeviceValidatorSpec(
                model=model,
                reference_model=reference_model,
                examples=examples,
                code_digest=code_digest,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
                **properties,
            )
        )
