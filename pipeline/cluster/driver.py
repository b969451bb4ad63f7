"""Kubeflow's driver and metadata store: the ExecutorInput of each node of a compiled spec. It touches no file.

README.md in this folder says what it was written from. This module imports no TFX.
"""

from __future__ import annotations

import graphlib
import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from farebox.components.errors import InputError
from farebox.pipeline.cluster import invocation as invocations
from farebox.pipeline.cluster.versions import KfpVersion

Json = dict[str, Any]


@dataclass
class Driver:
    """spec: a PipelineSpec as JSON. root: the address of the run's artifacts.

    parameters: values by name. artifacts: RuntimeArtifacts of the finished tasks, by task and key.
    """

    spec: Mapping[str, Any]
    root: str
    version: KfpVersion
    parameters: Mapping[str, Any]
    run_id: str
    artifacts: dict[str, dict[str, list[Json]]] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def tasks(self) -> graphlib.TopologicalSorter[str]:
        """Names of the tasks, each after those that it depends on; every process gets them in the same order."""
        tasks = sorted(self.spec["root"]["dag"]["tasks"].items())
        dependencies = {name: sorted({*task.get("dependentTasks", ()), *_producers(task)}) for name, task in tasks}
        return graphlib.TopologicalSorter(dependencies)

    def container(self, task: str) -> Mapping[str, Any]:
        """The task's container. Raises InputError."""
        executor = self.spec["deploymentSpec"]["executors"][self._component(task)["executorLabel"]]
        if "container" not in executor:
            raise InputError(
                f"task {task} must have a container, got {', '.join(executor)}: Kubeflow runs nothing else"
            )
        container: Mapping[str, Any] = executor["container"]
        return container

    def executor_input(self, task: str) -> Json:
        """The task's ExecutorInput as JSON, as its container gets it. Raises InputError."""
        inputs = self.spec["root"]["dag"]["tasks"][task].get("inputs", {})
        artifacts = {
            key: {"artifacts": self._upstream(source["taskOutputArtifact"])}
            for key, source in inputs.get("artifacts", {}).items()
        }
        given = {"parameterValues": self._parameters(task, inputs.get("parameters", {})), "artifacts": artifacts}
        return {"inputs": without_empty(given), "outputs": self._outputs(task)}

    def publish(self, task: str, outputs: Mapping[str, Any], written: Mapping[str, Any]) -> None:
        """Keeps the task's artifacts. outputs: those of its ExecutorInput. written: its output metadata."""
        self.artifacts[task] = {
            key: [self._stored(key, merged(artifact, written.get(key))) for artifact in entry["artifacts"]]
            for key, entry in outputs.items()
        }

    def _outputs(self, task: str) -> Json:
        declared = self._component(task).get("outputDefinitions", {}).get("artifacts", {})
        folder = f"{self.root}/{task}" + (f"/{uuid.uuid4()}" if self.version.has_random_folders else "")
        artifacts = {key: self._provisioned(key, f"{folder}/{key}", entry) for key, entry in declared.items()}
        if self.version.logs:
            entry = {"artifactType": {"schemaTitle": "system.Artifact"}}
            artifacts[invocations.LOGS] = self._provisioned(invocations.LOGS, f"{folder}/{self.version.logs}", entry)
        listed = {key: {"artifacts": [artifact]} for key, artifact in artifacts.items()}
        return without_empty({"artifacts": listed, "outputFile": self.version.output_file(folder)})

    def _provisioned(self, key: str, address: str, entry: Mapping[str, Any]) -> Json:
        """A RuntimeArtifact that a task will write."""
        named = {"name": key} if self.version.names_outputs else {}
        metadata = {"metadata": entry["metadata"]} if "metadata" in entry else {}
        return {**named, "uri": address, "type": entry["artifactType"], **metadata}

    def _stored(self, key: str, artifact: Json) -> Json:
        """The artifact as the cluster's MLMD returns it: its id as name, added properties, and without its type."""
        check_type(key, artifact["type"])
        metadata = {name: invocations.stored(name, value) for name, value in artifact["metadata"].items()}
        added = {"display_name": key}
        if self.version.stores_sessions:
            session = {"Provider": self.root.partition("://")[0], "Params": {"fromEnv": "true"}}
            added["store_session_info"] = json.dumps(session, separators=(",", ":"))
        return {
            "name": str(next(self.ids)), "uri": artifact["uri"], "type": {"instanceSchema": ""},
            "metadata": added | metadata,
        }  # fmt: skip

    def _parameters(self, task: str, sources: Mapping[str, Any]) -> Json:
        """The task's parameters by name: given ones, then the component's defaults. Raises InputError."""
        declared = self._component(task).get("inputDefinitions", {}).get("parameters", {})
        values = {key: value for key, source in sources.items() if (value := self._value(source)) is not None}
        for key, entry in declared.items():
            if key in values:
                values[key] = invocations.parameter(key, values[key], entry["parameterType"])
            elif "defaultValue" in entry:
                values[key] = invocations.number(entry["defaultValue"])
            elif not entry.get("isOptional"):
                raise InputError(f"parameter {key} of task {task} must have a value: it has no default")
        return values

    def _value(self, source: Mapping[str, Any]) -> Any:
        """None if the run gives the parameter no value."""
        if "componentInputParameter" in source:
            return self.parameters.get(source["componentInputParameter"])
        constant = source["runtimeValue"]["constant"]
        return self.run_id if constant == invocations.RUN_ID and self.version.resolves_run_id else constant

    def _upstream(self, reference: Mapping[str, str]) -> list[Json]:
        return self.artifacts[reference["producerTask"]][reference["outputArtifactKey"]]

    def _component(self, task: str) -> Mapping[str, Any]:
        component: Mapping[str, Any] = self.spec["components"][
            self.spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]
        ]
        return component


def without_empty(content: Mapping[str, Any]) -> Json:
    """The fields that Go's JSON of a proto writes: no empty map."""
    return {key: value for key, value in content.items() if value != {}}


def merged(artifact: Mapping[str, Any], written: Mapping[str, Any] | None) -> Json:
    """The artifact, updated with the task's output metadata."""
    update = written["artifacts"][0] if written and written.get("artifacts") else {}
    metadata = {**artifact.get("metadata", {}), **update.get("metadata", {})}
    return {**artifact, "uri": update.get("uri") or artifact["uri"], "metadata": metadata}


def check_type(key: str, schema: Mapping[str, str]) -> None:
    """Raises InputError for an output artifact's type without a title: Kubeflow's launcher ends on it."""
    content = yaml.safe_load(schema.get("instanceSchema", "")) or {}
    if not (schema.get("schemaTitle") or content.get("title")):
        raise InputError(f"output {key} must have a type with a title, got {dict(schema)}")


def _producers(task: Mapping[str, Any]) -> Iterator[str]:
    for source in task.get("inputs", {}).get("artifacts", {}).values():
        yield source["taskOutputArtifact"]["producerTask"]
