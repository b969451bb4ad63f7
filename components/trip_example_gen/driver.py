"""TripExampleGen's driver: TFX's, except that the cache key of a delivered span is its content."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import wrappers_pb2
from tfx.components.example_gen import driver, utils
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils


class TripExampleGenDriver(driver.FileBasedDriver):
    """Takes span, version and fingerprint from the delivery in `custom_config`, if there is one.

    Equal content that is written again then comes from the cache.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """See FileBasedDriver."""
        resolved: dict[str, Any] = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        if delivery := custom_config(resolved).get("delivery"):
            resolved[utils.SPAN_PROPERTY_NAME] = delivery["span"]
            resolved[utils.VERSION_PROPERTY_NAME] = delivery["version"]
            resolved[utils.FINGERPRINT_PROPERTY_NAME] = f"sha256:{delivery['sha256']}"
        return resolved


def custom_config(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The properties that TripExampleGen packed into its `custom_config`."""
    packed = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig()
    )
    text = wrappers_pb2.StringValue()
    packed.custom_config.Unpack(text)
    properties: dict[str, Any] = json.loads(text.value)
    return properties
