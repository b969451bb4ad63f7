"""AtomicPusherExecutor: TFX's Pusher with an atomic, content-addressed destination; push.py pushes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.components.pusher import executor as tfx_pusher
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, json_utils

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.card_words import CardWords
from farebox.components.atomic_pusher.commit import code_commit
from farebox.components.atomic_pusher.hook import call_hook
from farebox.components.atomic_pusher.manifest import describe, sha256
from farebox.components.atomic_pusher.model_card import as_json, as_markdown, model_card
from farebox.components.atomic_pusher.object_store import store_at
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.data_gate import train_statistics
from farebox.components.device_validator.request import DEVICE_FILE
from farebox.components.errors import Check, GateError, fault_of
from farebox.components.evaluator.promises import PROMISE, promised
from farebox.components.model_gate.judgement import JUDGEMENT_FILE
from farebox.components.tflite.files import CARD_FILE, CARD_TEXT, DENSITY_FILE, GOLDEN_FILE
from farebox.components.trip_example_gen.files import TRAINED_ROWS, TRIP_MAP, WEEKDAYS
from farebox.components.trip_example_gen.trip_map import TripMap

SERVING_FILE, REFUSAL_FILE, HOOK_FILE = "tflite", "refusal.json", "hook.json"
FEW_ROWS = 10  # of a slice, which a model card then leaves out; if the settings name no other number
BLESSINGS = ("model_blessing", "infra_blessing")


class AtomicPusherExecutor(tfx_pusher.Executor):
    """Pushes Format-Serving/tflite to the destination's base_directory, if both blessings hold for its bytes.

    `custom_config["manifest"]` is added to the manifest, `custom_config["push"]` are `PushSettings`,
    `custom_config["card"]` are `CardWords`, `custom_config["locations"]` is the text of locations.json, if any, and
    `custom_config["promise"]` the features by whose slices the manifest tells the errors on the test split. The
    optional input `statistics` is of the data behind the model. If a person rolled these bytes back, it pushes nothing
    and writes the failed check to `{pushed_model.uri}/refusal.json`.
    After a push it calls `push.hook`, if that is set, and writes how it ended to `{pushed_model.uri}/hook.json`, where
    a warning also stands if the version has no model card.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        content = self._judged_bytes(input_dict)
        if content is None:
            self._MarkNotPushed(pushed_model)
            return
        config = json_utils.loads(exec_properties.get("custom_config") or "null") or {}
        store = store_at(json.loads(exec_properties["push_destination"])["filesystem"]["base_directory"])
        manifest = {
            **config.get("manifest", {}),
            **self._facts_of_the_run(input_dict, content, config.get(PROMISE, ())),
        }
        try:
            settings = PushSettings(**config.get("push", {}))
            golden, locations = _golden(input_dict.get("infra_blessing", ())), config.get("locations")
            table = locations.encode() if locations else None
            statistics = _statistics(input_dict.get("statistics", ()))
            optional = {"golden": golden, "locations": table, "statistics": statistics}
            words = CardWords(**config.get("card", {}))
            beside, card_checks = self._beside(input_dict, content, manifest, settings, words)
            version = push.push(content, store, manifest, settings, **optional, beside=beside)
        except GateError as error:
            logging.error("Pusher: %s", error)
            self._MarkNotPushed(pushed_model)
            _write_checks(pushed_model, REFUSAL_FILE, error.checks)
            return
        destination = f"{store.base}/{version}"
        io_utils.copy_dir(destination, pushed_model.uri)
        self._MarkPushed(pushed_model, pushed_destination=destination, pushed_version=version)
        is_candidate = push.candidate_name(store) == version
        what = "the candidate" if is_candidate else "the latest version"
        logging.info("Pusher: %s is %s in %s, %d B", version, what, store.base, len(content))
        checks = list(card_checks)
        if settings.hook:
            checks.append(call_hook(settings.hook, destination, settings.hook_timeout_s, is_candidate=is_candidate))
        if checks:
            _write_checks(pushed_model, HOOK_FILE, checks)

    def CheckBlessing(self, input_dict: dict[str, list[types.Artifact]]) -> bool:
        """TFX's check; in addition, the bytes must have the SHA-256 that a gate's blessing names."""
        return self._judged_bytes(input_dict) is not None

    def _judged_bytes(self, input_dict: dict[str, list[types.Artifact]]) -> bytes | None:
        """The judged bytes, None if a gate refused them; read once, so that the checked bytes are pushed."""
        if not super().CheckBlessing(input_dict):
            return None
        with fileio.open(f"{self.GetModelPath(input_dict)}/{SERVING_FILE}", "rb") as file:
            content: bytes = file.read()
        for name in BLESSINGS:
            for blessing in input_dict.get(name, ()):
                judged = blessing.get_string_custom_property("sha256")
                if judged != sha256(content) and (judged or name == "infra_blessing"):
                    logging.error(
                        "Pusher: sha256=%s must be what %s is about, got %s", sha256(content), name, judged or "none"
                    )
                    return None
        return content

    def _beside(
        self,
        input_dict: dict[str, list[types.Artifact]],
        content: bytes,
        manifest: Mapping[str, Any],
        settings: PushSettings,
        words: CardWords,
    ) -> tuple[dict[str, bytes], list[Check]]:
        """The map of trips and the model card, by file name; a warning if the card cannot be written."""
        density = _density(_device_report(input_dict.get("infra_blessing", ())), settings)
        described = describe(content, str(manifest.get("city", "")), manifest)
        judgement = _judgement(input_dict.get("model_blessing", ()), sha256(content))
        maps = {} if density is None else {DENSITY_FILE: (json.dumps(density, separators=(",", ":")) + "\n").encode()}
        min_rows = settings.min_trips_per_cell or FEW_ROWS
        try:
            card = model_card(described, judgement, density, contact=settings.contact, min_rows=min_rows, words=words)
            return {**maps, CARD_FILE: as_json(card), CARD_TEXT: as_markdown(card)}, []
        except Exception as error:  # whatever it is: the gates accepted the model, which is pushed without its card
            logging.exception("Pusher: the model card could not be written")
            hint = "the version is pushed without its card; the log has the traceback"
            return maps, [Check("model_card", 1.0, 0.0, ok=False, detail=fault_of(error), hint=hint, severity="warn")]

    def _facts_of_the_run(
        self, input_dict: dict[str, list[types.Artifact]], content: bytes, promised_by: Sequence[str]
    ) -> dict[str, Any]:
        run_id = self._context.pipeline_run_id if self._context else None
        judgement = _judgement(input_dict.get("model_blessing", ()), sha256(content))
        device = _device_report(input_dict.get("infra_blessing", ()))
        runtimes = device.get("measurements", {}).get("runtimes")
        spans = judgement.get("spans") or sorted(
            {span for artifacts in input_dict.values() for artifact in artifacts if (span := _span(artifact))}
        )
        return {
            **({"run_id": run_id} if run_id else {}),
            **({"commit": commit} if (commit := code_commit()) else {}),
            "metrics": judgement.get("metrics", {}),
            **({PROMISE: promise} if (promise := promised(judgement, promised_by)) else {}),
            **({"runtimes": runtimes} if runtimes else {}),
            **{name: device[name] for name in (TRAINED_ROWS, WEEKDAYS) if device.get(name)},
            **({"spans": spans} if spans else {}),
        }


def _golden(blessings: Iterable[types.Artifact]) -> bytes | None:
    """The golden.json beside the blessing of the bytes; None without one."""
    for path in (f"{blessing.uri}/{GOLDEN_FILE}" for blessing in blessings):
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                content: bytes = file.read()
            return content
    return None


def _density(device: Mapping[str, Any], settings: PushSettings) -> dict[str, Any] | None:
    """The content of density.json; None without a map of trips, or if the settings want none."""
    if not device.get(TRIP_MAP) or settings.min_trips_per_cell is None:
        return None
    published = TripMap.from_json(device[TRIP_MAP]).published(settings.min_trips_per_cell)
    return {"min_trips": settings.min_trips_per_cell, **published.to_json()}


def _statistics(artifacts: Iterable[types.Artifact]) -> bytes | None:
    """The statistics of train; None without the input."""
    for path in map(train_statistics.path_of, artifacts):
        if path:
            with fileio.open(path, "rb") as file:
                content: bytes = file.read()
            return content
    return None


def _judgement(blessings: Iterable[types.Artifact], digest: str) -> dict[str, Any]:
    """The content of judgement.json for these bytes; empty without such a file, or if it is about other bytes."""
    for blessing in blessings:
        path = f"{blessing.uri}/{JUDGEMENT_FILE}"
        if not fileio.exists(path):
            continue
        with fileio.open(path, "rb") as file, contextlib.suppress(ValueError, AttributeError):
            judgement: dict[str, Any] = json.loads(file.read())
            if judgement.get("sha256") in (None, digest) and isinstance(judgement.get("metrics"), dict):
                return judgement
        logging.warning("Pusher: %s must hold metrics of sha256=%s: left out of the manifest", path, digest)
    return {}


def _device_report(blessings: Iterable[types.Artifact]) -> dict[str, Any]:
    """DeviceValidator's report of the file, from device.json beside its blessing; empty without it.

    `_judged_bytes` has compared the blessing's SHA-256 with the bytes.
    """
    for blessing in blessings:
        path = f"{blessing.uri}/{DEVICE_FILE}"
        if fileio.exists(path):
            with fileio.open(path, "rb") as file:
                report: dict[str, Any] = json.loads(file.read())
            return report
    return {}


def _span(artifact: types.Artifact) -> int:
    """The artifact's span from its properties, custom ones first; 0 without one."""
    stored = artifact.mlmd_artifact
    for properties in (stored.custom_properties, stored.properties):
        if "span" in properties:
            text = properties["span"].string_value or str(properties["span"].int_value)
            return int(text) if text.isdigit() else 0
    return 0


def _write_checks(pushed_model: types.Artifact, name: str, checks: Sequence[Check]) -> None:
    fileio.makedirs(pushed_model.uri)
    with fileio.open(f"{pushed_model.uri}/{name}", "w") as file:
        file.write(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
