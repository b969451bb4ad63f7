"""Reads a compiled spec from its file: contents, runtime parameters, and the digest that identifies a submission."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from farebox.components.errors import InputError
from farebox.pipeline.cluster.parameters import EXACT, insert_parameters

CONTAINER_COMMAND = ("python", "-I", "-m", "farebox.pipeline.cluster.container")  # of every node of ours
ParameterValues = dict[str, Any]

# PipelineSpec 2.0 names types one way, 2.1 another (ComponentInputsSpec.ParameterSpec in pipeline_spec.proto).
TYPES: dict[str, type] = {
    "INT": int,
    "DOUBLE": float,
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
NOUNS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list as JSON",
    dict: "a mapping as JSON",
}


@dataclass(frozen=True)
class Spec:
    """`job` is a PipelineJob as JSON; `platforms`, a PlatformSpec's, may be beside its pipelineSpec."""

    file: str
    job: Mapping[str, Any]

    @property
    def pipeline(self) -> Mapping[str, Any]:
        pipeline: Mapping[str, Any] = self.job["pipelineSpec"]
        return pipeline

    @property
    def documents(self) -> list[Mapping[str, Any]]:
        """The documents of the YAML file that Kubeflow takes: the PipelineSpec, and a PlatformSpec if there is one."""
        return [self.pipeline, *({key: self.job[key]} for key in ("platforms",) if key in self.job)]

    @property
    def name(self) -> str:
        return str(self.pipeline["pipelineInfo"]["name"])

    @property
    def schema_version(self) -> str:
        return str(self.pipeline.get("schemaVersion", ""))

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(self.pipeline["root"]["dag"]["tasks"])

    @property
    def root(self) -> str | None:
        """The address that a run's artifacts go to."""
        return self.job.get("runtimeConfig", {}).get("gcsOutputDirectory") or self.pipeline.get("defaultPipelineRoot")

    @property
    def commit(self) -> str | None:
        """The tag of its image, which is the commit that was compiled; None if images differ or have no tag."""
        executors = self.pipeline.get("deploymentSpec", {}).get("executors", {}).values()
        images = {executor["container"]["image"] for executor in executors if "container" in executor}
        tags = {image.partition("@")[0].rpartition("/")[2].partition(":")[2] for image in images}
        return tags.pop() or None if len(tags) == 1 else None

    @property
    def digest(self) -> str:
        return digest(self.identity)

    @property
    def identity(self) -> Any:
        """The content that tells specs apart: the PipelineSpec, with the PlatformSpec if there is one."""
        return self.documents if len(self.documents) > 1 else self.pipeline

    @property
    def declared(self) -> dict[str, Mapping[str, Any]]:
        return dict(self.pipeline["root"].get("inputDefinitions", {}).get("parameters", {}))

    @property
    def defaults(self) -> ParameterValues:
        """Values in the file; runtimeConfig overrides the declarations."""
        config = self.job.get("runtimeConfig", {})
        declared = {name: entry["defaultValue"] for name, entry in self.declared.items() if "defaultValue" in entry}
        wrapped = {name: _unwrapped(value) for name, value in config.get("parameters", {}).items()}
        return {**declared, **wrapped, **config.get("parameterValues", {})}


def _unwrapped(value: Mapping[str, Any]) -> Any:
    """The Python value of a proto Value as JSON, {"intValue": "3"}: its 64-bit integers are strings."""
    ((kind, inner),) = value.items()
    return int(inner) if kind == "intValue" else inner


def load(file: str) -> Spec:
    """Reads a PipelineJob or a bare PipelineSpec, JSON or YAML; in YAML a PlatformSpec may follow.

    Raises InputError if it is neither.
    """
    try:
        content, *further = [*yaml.load_all(Path(file).read_text(encoding="utf-8"), yaml.CSafeLoader)] or [None]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"spec={file} must be a compiled pipeline: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"spec={file} must be a compiled pipeline, got {'nothing' if content is None else 'no mapping'}"
        )
    if len(further) > 1 or any(not isinstance(each, dict) or [*each] != ["platforms"] for each in further):
        raise InputError(f"spec={file} must be one compiled pipeline; only `platforms` may follow it")
    job = content if "pipelineSpec" in content else {"pipelineSpec": content}
    job = {**job, **(further[0] if further else {})}
    spec = Spec(file, job)
    try:
        spec.name, spec.nodes  # noqa: B018 - both must exist
    except (KeyError, TypeError) as error:
        raise InputError(f"spec={file} must be a compiled pipeline; it lacks {error}") from error
    return spec


def parameter_values(spec: Spec, assignments: Sequence[str]) -> ParameterValues:
    """The spec's own values, overridden by `KEY=VALUE`.

    Raises InputError: unknown name, wrong type, no value, or one that a node's settings do not allow.
    """
    values = {**spec.defaults, **dict(_assignment(spec, assignment) for assignment in assignments)}
    optional = {name for name, entry in spec.declared.items() if entry.get("isOptional")}
    missing = sorted(set(spec.declared) - set(values) - optional)
    if missing:
        raise InputError(f"parameter {missing[0]}=VALUE must be given: {spec.file} has no default for it")
    check_bounds(spec, values)
    return values


def check_bounds(spec: Spec, values: ParameterValues) -> None:
    """Raises InputError if a container would refuse a value. The spec holds the settings that the value goes into."""
    for task in spec.pipeline["root"]["dag"]["tasks"].values():
        label = spec.pipeline["components"][task["componentRef"]["name"]].get("executorLabel")
        container = spec.pipeline["deploymentSpec"]["executors"].get(label, {}).get("container", {})
        if tuple(container.get("command", ())) != CONTAINER_COMMAND:
            continue  # not compiled by Farebox
        sources = task.get("inputs", {}).get("parameters", {})
        constants = {key: each["runtimeValue"]["constant"] for key, each in sources.items() if "runtimeValue" in each}
        named = {key: each.get("componentInputParameter") for key, each in sources.items()}
        insert_parameters({**constants, **{key: values[name] for key, name in named.items() if name in values}})


def _assignment(spec: Spec, assignment: str) -> tuple[str, Any]:
    name, separator, text = assignment.partition("=")
    if not separator or not name:
        raise InputError(f"parameter {assignment} must read KEY=VALUE")
    if name not in spec.declared:
        names = ", ".join(sorted(spec.declared)) or "none"
        raise InputError(f"parameter {name}: {spec.file} has no such runtime parameter; it has: {names}")
    entry = spec.declared[name]
    return name, _typed(name, text, TYPES[entry.get("parameterType") or entry.get("type") or "STRING"])


def _typed(name: str, text: str, kind: type) -> Any:
    """`text` as str, or parsed as JSON of another type. An integer is also a number; true is not an integer."""
    if kind is str:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"parameter {name}={text} must be {NOUNS[kind]}")
    if isinstance(value, int) and abs(value) > EXACT:
        raise InputError(f"parameter {name}={text} must be between -2^53 and 2^53: services pass numbers as doubles")
    return value


def digest(content: Any) -> str:
    """SHA-256 of the JSON with sorted keys, so that the order of keys in a file does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def submission_digest(spec: Spec, values: ParameterValues, key: str | None) -> str:
    """Equal for equal submissions: pipeline, address of the artifacts, parameters, and the caller's key."""
    return digest([spec.identity, spec.root, values, key])[:40]  # a label's value has room for 63


def label(text: str) -> str:
    """The text as a label of Google Cloud: at most 63 of a-z, 0-9, - and _."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63]
