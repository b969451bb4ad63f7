"""TripExampleGen's driver: TFX's, except for the files' part of the cache key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from google.protobuf import wrappers_pb2
from tfx.components.example_gen import driver, utils
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from farebox.components.trip_example_gen.files import SOURCE_PROPERTY
from farebox.components.trip_example_gen.sources.file_lists import files_at
from farebox.components.trip_example_gen.sources.remote_files import file_system_of


class TripExampleGenDriver(driver.FileBasedDriver):
    """Takes span, version and fingerprint from the delivery in `custom_config`, if there is one: equal content that is
    written again then comes from the cache. Otherwise the fingerprint is of all files at the source, however deep.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """See FileBasedDriver."""
        resolved: dict[str, Any] = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        custom = custom_config(resolved)
        if delivery := custom.get("delivery"):
            resolved[utils.SPAN_PROPERTY_NAME] = delivery["span"]
            resolved[utils.VERSION_PROPERTY_NAME] = delivery["version"]
            resolved[utils.FINGERPRINT_PROPERTY_NAME] = f"sha256:{delivery['sha256']}"
        elif source := custom.get(SOURCE_PROPERTY):
            ignored = json.loads(custom["profile"])["ignore_files"]
            resolved[utils.FINGERPRINT_PROPERTY_NAME] = _fingerprint(source, ignored)
        return resolved


def _fingerprint(source: str, ignored: list[str]) -> str:
    """Digest of the names, sizes and times of a source's files; of none if there is none, which ingest refuses."""
    file_system = file_system_of(source)
    files = files_at(source, ignored, file_system) or []
    status = [(file, *file_system.size_and_time(file)) for file in files]
    return f"files:{len(files)},sha256:{hashlib.sha256(repr(status).encode()).hexdigest()}"


def custom_config(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """The properties that TripExampleGen packed into its `custom_config`."""
    packed = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], example_gen_pb2.CustomConfig()
    )
    text = wrappers_pb2.StringValue()
    packed.custom_config.Unpack(text)
    properties: dict[str, Any] = json.loads(text.value)
    return properties
