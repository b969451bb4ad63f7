"""Executes a compiled spec node by node as Kubeflow's launcher does: placeholders, executor input, output metadata.

README.md in this folder says what it was written from and when to delete it. This module imports no TFX: only the
container's command needs it.
"""

from __future__ import annotations

import graphlib
import itertools
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from farebox.components.errors import InputError
from farebox.pipeline.cluster import invocation as invocations

EXECUTOR_INPUT = "{{$}}"
OUTPUT_FILE = "output_metadata.json"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class NodeError(Exception):
    """A container's command ended with exit code `code`; the message is one line for people."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class OutputArtifact:
    """An artifact that a node wrote, with the two methods of TFX's artifacts that `key_figures` calls."""

    uri: str
    metadata: Mapping[str, Any]

    def get_string_custom_property(self, key: str) -> str:
        return str(self.metadata.get(key, ""))

    def get_int_custom_property(self, key: str) -> int:
        return int(self.metadata.get(key, 0))


@dataclass
class Launcher:
    """spec: a PipelineSpec as JSON. root: a folder for artifacts. bin: the environment's folder of programs; it
    replaces the image's.

    parameters: values by name. artifacts: RuntimeArtifacts of the finished tasks, by task and key.
    """

    spec: Mapping[str, Any]
    root: Path
    bin: Path
    parameters: Mapping[str, Any]
    artifacts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def tasks(self) -> graphlib.TopologicalSorter[str]:
        """Names of the tasks, each after those that it depends on."""
        tasks = self.spec["root"]["dag"]["tasks"]
        dependencies = {name: {*task.get("dependentTasks", ()), *_producers(task)} for name, task in tasks.items()}
        return graphlib.TopologicalSorter(dependencies)

    def launch(self, task: str, log: Path) -> dict[str, OutputArtifact]:
        """Executes one task and reads the output metadata that it wrote. Raises NodeError, InputError."""
        container = self._container(task)
        invocation = self.executor_input(task)
        output_file = Path(invocation["outputs"]["outputFile"])
        output_file.parent.mkdir(parents=True, exist_ok=True)
        plain = invocations.without_logs(invocation)
        if hook := container.get("lifecycle", {}).get("preCacheCheck"):  # Vertex AI's, which adds no output
            self._execute(task, resolved(hook, plain), log)
        self._execute(task, resolved(container, invocation), log)
        if not output_file.is_file():
            raise NodeError(f"{task} wrote no {output_file}: see {log}", 1)
        written = json.loads(output_file.read_text()).get("artifacts", {})
        produced = {key: entry["artifacts"][0] for key, entry in plain["outputs"]["artifacts"].items()}
        self.artifacts[task] = {
            key: recorded(key, merged(artifact, written.get(key)), next(self.ids)) for key, artifact in produced.items()
        }
        return {key: OutputArtifact(each["uri"], each["metadata"]) for key, each in self.artifacts[task].items()}

    def executor_input(self, task: str) -> dict[str, Any]:
        """The task's ExecutorInput as JSON, with a new folder for its outputs. Raises InputError."""
        inputs = self.spec["root"]["dag"]["tasks"][task].get("inputs", {})
        outputs = self._component(task).get("outputDefinitions", {}).get("artifacts", {})
        folder = self.root / task / str(uuid.uuid4())
        return {
            "inputs": {
                "parameterValues": self._parameters(task, inputs.get("parameters", {})),
                "artifacts": {
                    key: {"artifacts": [self._upstream(source["taskOutputArtifact"])]}
                    for key, source in inputs.get("artifacts", {}).items()
                },
            },
            "outputs": {
                "artifacts": {
                    key: {"artifacts": [provisioned(key, folder, entry)]}
                    for key, entry in {**outputs, invocations.LOGS: invocations.LOGS_ENTRY}.items()
                },
                "outputFile": str(folder / OUTPUT_FILE),
            },
        }

    def _parameters(self, task: str, sources: Mapping[str, Any]) -> dict[str, Any]:
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
        return source["runtimeValue"]["constant"]

    def _upstream(self, reference: Mapping[str, str]) -> dict[str, Any]:
        return self.artifacts[reference["producerTask"]][reference["outputArtifactKey"]]

    def _component(self, task: str) -> Mapping[str, Any]:
        component: Mapping[str, Any] = self.spec["components"][
            self.spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]
        ]
        return component

    def _container(self, task: str) -> Mapping[str, Any]:
        executor = self.spec["deploymentSpec"]["executors"][self._component(task)["executorLabel"]]
        if "container" not in executor:
            raise InputError(
                f"task {task} must have a container, got {', '.join(executor)}: Kubeflow runs nothing else"
            )
        container: Mapping[str, Any] = executor["container"]
        return container

    def _execute(self, task: str, command: Sequence[str], log: Path) -> None:
        empty = self.root / "empty"  # the command's working folder: it can read nothing by accident
        empty.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        environment = {**kept, "PATH": f"{self.bin}:{SYSTEM_PATH}", "PYTHONUNBUFFERED": "1"}  # as in the Dockerfile
        with open(log, "ab") as stream:
            ended = subprocess.run(
                [str(self.bin / command[0]) if (self.bin / command[0]).exists() else command[0], *command[1:]],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=empty, env=environment, check=False,
            )  # fmt: skip
        if ended.returncode:
            raise NodeError(
                f"{task} ended with {ended.returncode}: {last_line(log)} (all of it in {log})", ended.returncode
            )


def resolved(command: Mapping[str, Any], invocation: Mapping[str, Any]) -> list[str]:
    """The words of a command; `{{$}}` is the executor input."""
    text = json.dumps(invocation)
    for word in (*command.get("command", ()), *command.get("args", ())):
        if "{{$" in word.replace(EXECUTOR_INPUT, ""):
            raise InputError(f"{word} must have no placeholder but {EXECUTOR_INPUT}: a rehearsal resolves no other")
    return [word.replace(EXECUTOR_INPUT, text) for word in (*command.get("command", ()), *command.get("args", ()))]


def provisioned(key: str, folder: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A RuntimeArtifact that a task will write."""
    return {
        "name": key,
        "uri": str(folder / key),
        "type": entry["artifactType"],
        "metadata": entry.get("metadata", {}),
    }


def merged(artifact: dict[str, Any], written: Mapping[str, Any] | None) -> dict[str, Any]:
    """The artifact, updated with the task's output metadata."""
    update = written["artifacts"][0] if written and written.get("artifacts") else {}
    metadata = {**artifact["metadata"], **update.get("metadata", {})}
    return {**artifact, "uri": update.get("uri") or artifact["uri"], "metadata": metadata}


def recorded(key: str, artifact: dict[str, Any], number: int) -> dict[str, Any]:
    """The artifact as the cluster's MLMD returns it: with its id as name, two more properties, and without its type."""
    check_type(key, artifact["type"])
    metadata = {name: invocations.stored(name, value) for name, value in artifact["metadata"].items()}
    added = {"display_name": key, "store_session_info": "{}"}
    return {**artifact, "name": str(number), "type": {"instanceSchema": ""}, "metadata": added | metadata}


def check_type(key: str, schema: Mapping[str, str]) -> None:
    """Raises InputError for an output artifact's type without a title: Kubeflow's launcher ends on it."""
    content = yaml.safe_load(schema.get("instanceSchema", "")) or {}
    if not (schema.get("schemaTitle") or content.get("title")):
        raise InputError(f"output {key} must have a type with a title, got {dict(schema)}")


def last_line(log: Path) -> str:
    """The last line of a log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it printed nothing"


def _producers(task: Mapping[str, Any]) -> Iterator[str]:
    for source in task.get("inputs", {}).get("artifacts", {}).values():
        yield source["taskOutputArtifact"]["producerTask"]
