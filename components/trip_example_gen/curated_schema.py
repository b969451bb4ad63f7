"""CuratedSchema: a schema that is part of the pipeline, so that no runner needs a file."""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils

SCHEMA_FILE = "schema.pbtxt"


class CuratedSchemaSpec(ComponentSpec):
    """text: a tensorflow.metadata.v0.Schema in text format; as a property it is part of the cache key."""

    PARAMETERS = {"text": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class CuratedSchemaExecutor(base_executor.BaseExecutor):
    """Writes the text to the file that TFX's nodes read."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],  # noqa: ARG002 - TFX's signature
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `CuratedSchemaSpec`."""
        (schema,) = output_dict["schema"]
        io_utils.write_string_file(os.path.join(schema.uri, SCHEMA_FILE), exec_properties["text"])


class CuratedSchema(base_component.BaseComponent):
    """Replaces TFX's ImportSchemaGen, which reads a path that does not exist on a cluster."""

    SPEC_CLASS = CuratedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CuratedSchemaExecutor)

    def __init__(self, text: str) -> None:
        super().__init__(CuratedSchemaSpec(text=text, schema=types.Channel(type=standard_artifacts.Schema)))
