"""DeviceValidator: blesses a `.tflite` that runs on a device, judged in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.device_validator.executor import DeviceValidatorExecutor


class DeviceValidatorSpec(ComponentSpec):
    """Contract of DeviceValidator; `input_names` is a JSON list."""

    PARAMETERS = {
        "input_names": ExecutionParameter(type=str),
        "max_bytes": ExecutionParameter(type=int),
        "max_output": ExecutionParameter(type=float),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class DeviceValidator(base_component.BaseComponent):
    """Writes `device.json` and an InfraBlessing as InfraValidator does, so that TFX's Pusher reads it.

    model: holds the file to ship, Format-Serving/tflite.
    examples: raw rows; the eval split's first ones are tried.
    input_names: the raw columns that a device can provide.
    max_bytes: of the file, uncompressed.
    max_output: the largest believable fare, in the label's currency.
    """

    SPEC_CLASS = DeviceValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DeviceValidatorExecutor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        input_names: Sequence[str],
        max_bytes: int,
        max_output: float,
        code_digest: str,
    ) -> None:
        if max_bytes < 1 or not max_output > 0:
            raise ValueError(f"max_bytes={max_bytes} and max_output={max_output} must be positive, in DeviceValidator")
        super().__init__(
            DeviceValidatorSpec(
                model=model,
                examples=examples,
                input_names=json.dumps(list(input_names)),
                max_bytes=max_bytes,
                max_output=float(max_output),
                code_digest=code_digest,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
