"""Executes a compiled spec node by node as Kubeflow's launcher does: placeholders, folders, output metadata.

README.md in this folder says what it was written from and when to delete it. This module imports no TFX: only the
container's command needs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.cluster import invocation as invocations
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.markers import POD
from farebox.pipeline.cluster.places import with_local_paths
from farebox.pipeline.cluster.versions import local_path

EXECUTOR_INPUT = "{{$}}"
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
    """places: paths here that replace addresses. bin: the environment's folder of programs; it replaces the image's.

    containers: an existing folder; for each launch, a new folder in it stands for the root of the container's files.
    """

    driver: Driver
    places: Sequence[tuple[str, str]]
    bin: Path
    containers: Path

    def launch(self, task: str, log: Path) -> dict[str, OutputArtifact]:
        """Executes one task and reads the output metadata that it wrote. Raises NodeError, InputError."""
        container = with_local_paths(self.driver.container(task), self.places)
        given = self.driver.executor_input(task)
        files = prepared_files(Path(tempfile.mkdtemp(prefix=f"{task}-", dir=self.containers)), given)
        here = with_local_paths(given, self.places)
        output_file = Path(f"{files}{given['outputs']['outputFile']}")
        here["outputs"]["outputFile"] = str(output_file)
        variables = {each["name"]: each["value"] for each in container.get("env", ())}
        if hook := container.get("lifecycle", {}).get("preCacheCheck"):  # Vertex AI's, which adds no output
            self._execute(task, resolved(hook, invocations.without_logs(here)), files, log, variables=variables)
        self._execute(task, resolved(container, here), files, log, variables=variables)
        if not output_file.is_file():
            raise NodeError(f"{task} wrote no {output_file}: see {log}", 1)
        written = json.loads(output_file.read_text()).get("artifacts", {})
        self.driver.publish(task, invocations.without_logs(given)["outputs"].get("artifacts", {}), written)
        kept = with_local_paths(self.driver.artifacts[task], self.places)
        root = with_local_paths({"root": self.driver.root}, self.places)["root"]
        for key, (artifact, *_) in kept.items():
            if not artifact["uri"].startswith(f"{root}/"):
                raise NodeError(f"{task}: output {key} must be below {root}, got {artifact['uri']}: see {log}", 1)
        return {key: OutputArtifact(artifact["uri"], artifact["metadata"]) for key, (artifact, *_) in kept.items()}

    def _execute(
        self, task: str, command: Sequence[str], files: Path, log: Path, *, variables: Mapping[str, str]
    ) -> None:
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        image = {"PATH": f"{self.bin}:{SYSTEM_PATH}", "PYTHONUNBUFFERED": "1"}  # as in the Dockerfile
        pod = {"HOME": f"{files}/home", POD: files.name.lower(), "KFP_POD_UID": str(uuid.uuid4())}
        with open(log, "ab") as stream:
            ended = subprocess.run(
                [str(self.bin / command[0]) if (self.bin / command[0]).exists() else command[0], *command[1:]],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=files / "empty",
                env={**kept, **image, **pod, **variables}, check=False,
            )  # fmt: skip
        if ended.returncode:
            raise NodeError(
                f"{task} ended with {ended.returncode}: {last_line(log)} (all of it in {log})", ended.returncode
            )


def prepared_files(files: Path, given: Mapping[str, Any]) -> Path:
    """The folder, with what the launcher makes before it starts a command. `given` is the node's ExecutorInput.

    `empty` is the command's working folder: it can read nothing by accident.
    """
    made = [local_path(artifact["uri"]).rpartition("/")[0] for artifact in invocations.outputs_of(given)]
    for place in ("/empty", "/tmp", *made):
        Path(f"{files}{place}").mkdir(parents=True, exist_ok=True)
    return files


def resolved(command: Mapping[str, Any], invocation: Mapping[str, Any]) -> list[str]:
    """The words of a command; `{{$}}` is the executor input."""
    text = json.dumps(invocation)
    for word in (*command.get("command", ()), *command.get("args", ())):
        if "{{$" in word.replace(EXECUTOR_INPUT, ""):
            raise InputError(f"{word} must have no placeholder but {EXECUTOR_INPUT}: a rehearsal resolves no other")
    return [word.replace(EXECUTOR_INPUT, text) for word in (*command.get("command", ()), *command.get("args", ()))]


def last_line(log: Path) -> str:
    """The last line of a log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it printed nothing"
