"""AtomicPusherExecutor: TFX's Pusher with an atomic, content-addressed destination; how it pushes is in push.py."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from absl import logging
from tfx import types
from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, json_utils

from components.atomic_pusher import push
from components.errors import InputError

SERVING_FILE = "tflite"


class AtomicPusherExecutor(tfx_pusher.Executor):
    """Pushes Format-Serving/tflite to the destination's base_directory, if both blessings hold for its bytes.

    `custom_config["manifest"]` is added to the manifest.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        base = _base_directory(exec_properties["push_destination"])
        file = io_utils.ensure_local(self._serving_file(input_dict))
        version = push.push(Path(file), base, self._manifest(exec_properties))
        io_utils.copy_dir(str(base / version), pushed_model.uri)
        self._MarkPushed(pushed_model, pushed_destination=str(base / version), pushed_version=version)
        logging.info("Pusher: %s is the latest version in %s", version, base)

    def CheckBlessing(self, input_dict: dict[str, list[types.Artifact]]) -> bool:
        """As TFX does; moreover the bytes must be those that DeviceValidator judged."""
        if not super().CheckBlessing(input_dict):
            return False
        judged = [blessing.get_string_custom_property("sha256") for blessing in input_dict.get("infra_blessing", [])]
        with fileio.open(self._serving_file(input_dict), "rb") as file:
            sha256 = hashlib.sha256(file.read()).hexdigest()
        if judged and judged != [sha256]:
            logging.error("Pusher: sha256=%s must be what DeviceValidator judged, got %s", sha256, judged[0] or "none")
            return False
        return True

    def _serving_file(self, input_dict: dict[str, list[types.Artifact]]) -> str:
        return f"{self.GetModelPath(input_dict)}/{SERVING_FILE}"

    def _manifest(self, exec_properties: dict[str, Any]) -> dict[str, Any]:
        custom_config = json_utils.loads(exec_properties.get("custom_config") or "null") or {}
        run_id = self._context.pipeline_run_id if self._context else None
        return {**custom_config.get("manifest", {}), **({"run_id": run_id} if run_id else {})}


def _base_directory(push_destination: str) -> Path:
    """Of the JSON form of a PushDestination."""
    base = json.loads(push_destination)["filesystem"]["base_directory"]
    if "://" in base:
        raise InputError(f"push_destination={base!r} must be a local folder: only there is a rename atomic")
    return Path(base)
