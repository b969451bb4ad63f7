"""The ExecutorInput of a node: as Kubeflow's driver writes it, and as TFX's entry point can read it.

This module imports no TFX.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from farebox.components.errors import InputError

Json = dict[str, Any]

LOGS = "executor-logs"  # Kubeflow adds this output since 2.5
RUN_ID = "{{$.pipeline_job_uuid}}"  # a parameter of this value has the run's id in the container
PAGE, REPORT = "page", "report"  # Reporter's outputs: the page as a file of its own, and the artifact that has it too
PAGE_ENTRY: Mapping[str, Any] = {"artifactType": {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}}
KINDS: dict[str, type | tuple[type, ...]] = {
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


def for_tfx(invocation: str, inputs_spec: str) -> str:
    """The ExecutorInput, as JSON, that TFX's entry point can read. inputs_spec: the node's ComponentInputsSpec.

    Kubeflow adds an output for logs, whose type TFX cannot import, as it cannot import that of the page, and hands
    inputs over without their types.
    """
    content = _without(PAGE, without_logs(json.loads(invocation)))
    declared = json.loads(inputs_spec).get("artifacts", {})
    for key, entry in content.get("inputs", {}).get("artifacts", {}).items():
        for artifact in entry.get("artifacts", ()):
            if not any(artifact.get("type", {}).values()):
                artifact["type"] = declared[key]["artifactType"]
    return json.dumps(content)


def without_logs(invocation: Mapping[str, Any]) -> Json:
    """The ExecutorInput without Kubeflow's output for logs."""
    return _without(LOGS, invocation)


def _without(name: str, invocation: Mapping[str, Any]) -> Json:
    """The ExecutorInput without one of its output artifacts."""
    content = dict(invocation)
    outputs = content.get("outputs", {})
    if name in outputs.get("artifacts", {}):
        artifacts = {key: entry for key, entry in outputs["artifacts"].items() if key != name}
        content["outputs"] = {**outputs, "artifacts": artifacts}
    return content


def outputs_of(invocation: Mapping[str, Any]) -> Iterator[Json]:
    """The artifacts that the node writes."""
    for entry in invocation.get("outputs", {}).get("artifacts", {}).values():
        yield from entry["artifacts"]


def parameter(name: str, value: Any, kind: str) -> Any:
    """A parameter's value as the driver passes it on; a declared STRING is always text. Raises InputError."""
    if kind == "STRING":
        return value if isinstance(value, str) else json.dumps(number(value), separators=(",", ":"))
    if kind not in KINDS or not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
        raise InputError(f"parameter {name}={value!r} must be of type {kind}: Kubeflow's driver refuses it")
    return number(value)


def number(value: Any) -> Any:
    """The value as Go's JSON of a proto writes it: every number is a double, and 3.0 is written 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def stored(key: str, value: Any) -> Any:
    """A metadata value as Kubeflow reads it back from MLMD. Raises InputError for null, which its launcher refuses."""
    if value is None:
        raise InputError(f"metadata {key} must not be null: Kubeflow's launcher refuses it")
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    return int(value) if isinstance(value, bool) else number(value)
