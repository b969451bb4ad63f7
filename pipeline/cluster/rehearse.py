"""Runs a spec's containers on this machine, without an image or a cluster."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.components.reporter.figures import FIGURES_FILE, Figures
from farebox.pipeline import process
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.launcher import Launcher, NodeError, OutputArtifact, last_line
from farebox.pipeline.cluster.places import parse_place, with_local_paths
from farebox.pipeline.cluster.versions import NEWEST, KfpVersion, known_version
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import SUMMARY_FILE, new_run_id
from farebox.pipeline.local.node_figures import key_figures
from farebox.pipeline.provenance import checkout, lane

LAST, REPORT = "Reporter", "report"


@dataclasses.dataclass(frozen=True)
class RehearsalRequest:
    """spec: the compiled file. places: `gs://BUCKET/FOLDER=PATH`, the path on this machine that replaces an address.

    out: a folder for the environment and logs. python: of an existing environment; None makes one as the image is made,
    from the lane's lock and the wheel. kfp_version: the release of Kubeflow Pipelines whose driver is imitated.
    """

    spec: str
    places: Sequence[str]
    parameters: Sequence[str]
    out: str
    python: str | None = None
    kfp_version: str = NEWEST


@dataclasses.dataclass(frozen=True)
class RehearsalSummary:
    """The result of a rehearsal. pipeline: its name in the spec."""

    pipeline: str
    run_id: str
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """The content of summary.json: the figures stand among the other keys."""
        return {"pipeline": self.pipeline, "run_id": self.run_id, **self.figures.to_json()}


def rehearse(request: RehearsalRequest, *, quiet: bool = False) -> RehearsalSummary:
    """Executes every node's container command. Returns the run's summary, which is also in OUT/RUN/summary.json.

    Raises InputError if the spec cannot be rehearsed, NodeError if a command failed.
    """
    version = known_version(request.kfp_version)
    spec = specs.load(request.spec)
    parameters = specs.parameter_values(spec, request.parameters)
    if spec.root is None:
        raise InputError(f"spec={request.spec} must have a pipeline root: the address that artifacts go to")
    places = [parse_place(text) for text in request.places]
    with_local_paths(spec.pipeline, places)  # each address has a place, and so has the root
    created_folder(Path(with_local_paths({"root": spec.root}, places)["root"]))
    out = Path(request.out).resolve()
    run_id = new_run_id()
    logs = created_folder(out / run_id)
    screen = RunConsole(sys.stdout, quiet)
    screen.say(f"farebox: rehearsal of {request.spec}, {spec.name}; logs in {logs}")
    screen.say(
        f"farebox: inputs as Kubeflow Pipelines {version.name} sends them{nearest(request.kfp_version, version)}"
    )
    with screen:
        python = checked_python(request.python) if request.python else make_environment(out, logs, screen)
        driver = Driver(spec.pipeline, f"{spec.root}/{spec.name}/{run_id}", version, parameters, run_id)
        launcher = Launcher(driver, places, python.parent, created_folder(logs / "containers"))
        report = launch_all(launcher, logs, screen)
    summary = RehearsalSummary(spec.name, run_id, figures_of(report))
    write_atomically(logs / SUMMARY_FILE, json.dumps(summary.to_json(), indent=2))
    return summary


def launch_all(launcher: Launcher, logs: Path, screen: RunConsole) -> Mapping[str, OutputArtifact]:
    """Executes every node after those that it depends on, one per core. Returns the outputs of the last node."""
    tasks, running = launcher.driver.tasks(), dict[futures.Future[tuple[float, dict[str, OutputArtifact]]], str]()
    tasks.prepare()
    outputs: Mapping[str, OutputArtifact] = {}
    with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while tasks.is_active():
            running |= {
                pool.submit(timed_launch, launcher, name, logs / f"{name}.txt"): name for name in tasks.get_ready()
            }
            screen.working(", ".join(running.values()))
            ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            for each in ended:
                name = running.pop(each)
                try:
                    seconds, node_outputs = each.result()
                except NodeError as error:
                    if error.code != process.REFUSED or not outputs:
                        raise
                    screen.refused(name)  # Outcome, after the report: the summary says why
                else:
                    figures = key_figures(name, {key: [output] for key, output in node_outputs.items()})
                    screen.node(name, False, seconds, figures)  # noqa: FBT003 - not cached
                    outputs = node_outputs if name == LAST else outputs
                tasks.done(name)
    return outputs


def nearest(wanted: str, version: KfpVersion) -> str:
    """Says that another version stands for the one that was wanted; empty if it is the same."""
    return "" if f"{version.name}.".startswith(f"{wanted}.") else f", the nearest known one before {wanted}"


def timed_launch(launcher: Launcher, name: str, log: Path) -> tuple[float, dict[str, OutputArtifact]]:
    """Launches a node. Returns its duration in s and its outputs."""
    started = time.monotonic()
    outputs = launcher.launch(name, log)
    return time.monotonic() - started, outputs


def figures_of(outputs: Mapping[str, OutputArtifact]) -> Figures:
    """The figures that Reporter wrote. Raises InputError if the pipeline has no Reporter."""
    if REPORT not in outputs:
        raise InputError(f"spec: its pipeline must have the node {LAST}, which sums it up")
    return Figures.from_json(json.loads((Path(outputs[REPORT].uri) / FIGURES_FILE).read_text()))


def make_environment(out: Path, logs: Path, screen: RunConsole) -> Path:
    """The Python of a new environment in OUT/venv. Raises InputError outside of a checkout, NodeError if it fails."""
    script = checkout() / "tools" / "env.sh"
    if not script.is_file():
        raise InputError(f"python must be given: {checkout()} is not a checkout with a lock to install")
    screen.working("the image's environment: lock and wheel")
    started = time.monotonic()
    log = logs / "environment.txt"
    with open(log, "wb") as stream:
        ended = subprocess.run(
            [script, "image", out / "venv"], stdout=stream, stderr=stream, cwd=checkout(),
            env={**os.environ, "LANE": lane().lower()}, check=False,
        )  # fmt: skip
    if ended.returncode:
        raise NodeError(f"the environment could not be made: {last_line(log)} (all of it in {log})", 1)
    screen.node("environment", False, time.monotonic() - started, str(out / "venv"))  # noqa: FBT003 - not cached
    return out / "venv" / "bin" / "python"


def checked_python(python: str) -> Path:
    """The path of a Python that runs. Raises InputError."""
    path = Path(python).absolute()  # not resolved: a virtual environment's Python is a link
    try:
        subprocess.run([path, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"python={python} must be a Python that runs") from error
    return path


def created_folder(folder: Path) -> Path:
    """Creates the folder and its parents. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error
    return folder
