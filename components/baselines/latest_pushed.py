"""LatestPushed: the baseline on Kubeflow and Vertex AI, which run no resolver of ours: the version that LATEST names.

It is the last good model too: Pusher pushes only what both gates bless, and a rollback changes LATEST.
"""

from __future__ import annotations

import os
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.atomic_pusher import manifest, push
from farebox.components.atomic_pusher.object_store import store_at
from farebox.components.atomic_pusher.store import MANIFEST_FILE, STATISTICS_FILE
from farebox.components.data_gate import train_statistics
from farebox.components.errors import InputError
from farebox.components.files.buckets import fileio
from farebox.components.tflite.files import FARE_FILE, tflite_path


class LatestPushedSpec(ComponentSpec):
    """models_dir: folder of the versions, Pusher's destination."""

    PARAMETERS = {"models_dir": ExecutionParameter(type=str), "code_digest": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }


class LatestPushedExecutor(base_executor.BaseExecutor):
    """Copies the file of the version that LATEST names, its manifest, and the statistics of its data.

    Leaves artifacts without files, and the statistics without a split, if there is nothing yet.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],  # noqa: ARG002 - TFX's signature
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises InputError if the version does not match its manifest."""
        (model,), (statistics,) = output_dict["model"], output_dict["statistics"]
        train_statistics.leave_empty(statistics)
        store = store_at(exec_properties["models_dir"])
        name = push.latest_name(store)
        if name is None:
            logging.info("LatestPushed: nothing in %s yet", store.base)
            return
        files = store.version(name)
        if faults := manifest.faults(name, files):
            raise InputError(f"models={store.base}: version {name}: {faults[0]}")
        _write(tflite_path(model), files[FARE_FILE])
        _write(os.path.join(model.uri, MANIFEST_FILE), files[MANIFEST_FILE])
        if STATISTICS_FILE in files:
            _write(train_statistics.new_path(statistics), files[STATISTICS_FILE])
        logging.info("LatestPushed: version %s of %s", name, store.base)


def _write(path: str, content: bytes) -> None:
    fileio.makedirs(os.path.dirname(path))
    with fileio.open(path, "wb") as file:
        file.write(content)


class LatestPushed(base_component.BaseComponent):
    """Must not come from the cache: LATEST changes although the inputs stay the same."""

    SPEC_CLASS = LatestPushedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(LatestPushedExecutor)

    def __init__(self, models_dir: str, code_digest: str) -> None:
        super().__init__(
            LatestPushedSpec(
                models_dir=models_dir,
                code_digest=code_digest,
                model=types.Channel(type=standard_artifacts.Model),
                statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
