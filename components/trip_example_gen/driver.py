"""TripExampleGen's driver: TFX's own, but for a delivered span, whose cache key is its content."""

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
    """Where `custom_config` names a delivery, span, version and fingerprint are as it says: equal content written
    again comes from the cache."""

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """See FileBasedDriver."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        if delivery := custom_config(resolved).get("delivery"):
            resolved[utils.SPAN_PROPERTY_NAME] = delivery["span"]
            resolved[utils.VERSION_PROPERTY_NAME] = delivery["version"]
            resolved[utils.FINGERPRINT_PROPERTY_NAME] = f"sha256:{delivery['sha256']}"
        return resolved


def custom_config(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """What TripExampleGen packed into its `custom_config`."""
    packed = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig()
    )
    text = wrappers_pb2.StringValue()
    packed.custom_config.Unpack(text)
    return json.loads(text.value)
