"""LatestPushed: the baseline on Kubeflow and Vertex AI, which run no resolver of ours: the version that LATEST names.

It is the last good model too: Pusher pushes only what both gates bless, and a rollback changes LATEST.
"""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.atomic_pusher import manifest, push
from farebox.components.atomic_pusher.object_store import store_at
from farebox.components.errors import InputError
from farebox.components.files.buckets import fileio
from farebox.components.tflite.files import FARE_FILE, serving_dir, tflite_path


class LatestPushedSpec(ComponentSpec):
    """models_dir: folder of the versions, Pusher's destination."""

    PARAMETERS = {"models_dir": ExecutionParameter(type=str), "code_digest": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}


class LatestPushedExecutor(base_executor.BaseExecutor):
    """Copies the file of the version that LATEST names; leaves an artifact without files if nothing was pushed yet."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],  # noqa: ARG002 - TFX's signature
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises InputError if the version does not match its manifest."""
        (model,) = output_dict["model"]
        store = store_at(exec_properties["models_dir"])
        name = push.latest_name(store)
        if name is None:
            logging.info("LatestPushed: nothing in %s yet", store.base)
            return
        files = store.version(name)
        if faults := manifest.faults(name, files):
            raise InputError(f"models={store.base}: version {name}: {faults[0]}")
        fileio.makedirs(serving_dir(model))
        with fileio.open(tflite_path(model), "wb") as file:
            file.write(files[FARE_FILE])
        logging.info("LatestPushed: version %s of %s", name, store.base)


class LatestPushed(base_component.BaseComponent):
    """Must not come from the cache: LATEST changes although the inputs stay the same."""

    SPEC_CLASS = LatestPushedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(LatestPushedExecutor)

    def __init__(self, models_dir: str, code_digest: str) -> None:
        super().__init__(
            LatestPushedSpec(
                models_dir=models_dir, code_digest=code_digest, model=types.Channel(type=standard_artifacts.Model)
            )
        )
