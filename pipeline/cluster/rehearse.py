"""`farebox rehearse`: what an image and a cluster would do with a spec, here, without either."""

from __future__ import annotations

import dataclasses
import json
import os
import re
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
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.launcher import Launcher, NodeError, Output, last_line
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import SUMMARY_FILE, new_run_id
from farebox.pipeline.local.node_figures import key_figures
from farebox.pipeline.provenance import checkout, lane

BUCKET = re.compile(r'[a-z0-9]+://[^"\\\s]+')
LAST, REPORT = "Reporter", "report"


@dataclasses.dataclass(frozen=True)
class Request:
    """spec: the compiled file. places: `gs://BUCKET/FOLDER=PATH`, where on this machine an address is taken to be.

    out: for the environment, logs and artifacts. python: of an environment that is there; without it, one is made as
    the image is, from the lane's lock and the wheel.
    """

    spec: str
    places: Sequence[str]
    parameters: Sequence[str]
    out: str
    python: str | None = None


@dataclasses.dataclass(frozen=True)
class RehearsalSummary:
    """What a rehearsal measured; pipeline: its name in the spec."""

    pipeline: str
    run_id: str
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """The content of summary.json: the figures stand among the other keys."""
        return {"pipeline": self.pipeline, "run_id": self.run_id, **self.figures.to_json()}


def rehearse(request: Request, quiet: bool = False) -> RehearsalSummary:
    """Executes every node's container command; the summary of the run, which is also in OUT/RUN/summary.json.

    Raises InputError for what cannot be rehearsed, NodeError where a command failed.
    """
    spec = specs.load(request.spec)
    parameters = specs.parameters(spec, request.parameters)
    if spec.root is None:
        raise InputError(f"spec={request.spec} must say where its artifacts go: it has no pipeline root")
    places = [place_of(text) for text in request.places]
    pipeline, root = placed(spec.pipeline, places), Path(placed({"root": spec.root}, places)["root"])
    out = Path(request.out).resolve()
    run_id = new_run_id()
    logs = make(out / run_id)
    screen = RunConsole(sys.stdout, quiet)
    screen.say(f"farebox: rehearsal of {request.spec}, {spec.name}; logs in {logs}")
    with screen:
        python = ready(request.python) if request.python else environment(out, logs, screen)
        launcher = Launcher(pipeline, make(root / spec.name / run_id), python.parent, parameters)
        report = launch_all(launcher, logs, screen)
    summary = RehearsalSummary(spec.name, run_id, figures_of(report))
    write_atomically(logs / SUMMARY_FILE, json.dumps(summary.to_json(), indent=2))
    return summary


def launch_all(launcher: Launcher, logs: Path, screen: RunConsole) -> Mapping[str, Output]:
    """Every node once those before it have ended, as many at once as there are cores; the last one's outputs."""
    tasks, running = launcher.tasks(), dict[futures.Future[tuple[float, dict[str, Output]]], str]()
    tasks.prepare()
    outputs: Mapping[str, Output] = {}
    with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while tasks.is_active():
            running |= {pool.submit(timed, launcher, name, logs / f"{name}.txt"): name for name in tasks.get_ready()}
            screen.working(", ".join(running.values()))
            ended, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            for each in ended:
                name, (seconds, found) = running.pop(each), each.result()
                screen.node(name, False, seconds, key_figures(name, {key: [output] for key, output in found.items()}))
                tasks.done(name)
                outputs = found if name == LAST else outputs
    return outputs


def timed(launcher: Launcher, name: str, log: Path) -> tuple[float, dict[str, Output]]:
    """Launches a node: its seconds and outputs."""
    started = time.monotonic()
    found = launcher.launch(name, log)
    return time.monotonic() - started, found


def figures_of(outputs: Mapping[str, Output]) -> Figures:
    """The figures that Reporter wrote. Raises InputError if the pipeline has no Reporter."""
    if REPORT not in outputs:
        raise InputError(f"spec: its pipeline must have the node {LAST}, which sums it up")
    return Figures.from_json(json.loads((Path(outputs[REPORT].uri) / FIGURES_FILE).read_text()))


def place_of(text: str) -> tuple[str, str]:
    """(address, absolute path) from `gs://BUCKET/FOLDER=PATH`. Raises InputError."""
    address, separator, path = text.partition("=")
    found = str(Path(path).resolve())
    if not separator or not path or not BUCKET.fullmatch(address) or '"' in found or "\\" in found:
        raise InputError(f"--at {text} must read gs://BUCKET/FOLDER=PATH")
    return address.rstrip("/"), found


def placed(content: Mapping[str, Any], places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The content with paths of this machine for addresses, the longest address first. Raises InputError where one is
    left."""
    text = json.dumps(content)
    for address, path in sorted(places, key=lambda place: -len(place[0])):
        text = re.sub(rf'{re.escape(address)}(?=["\\/])', path.replace("\\", r"\\"), text)
    if left := re.search(r'gs://[^"\\\s]+', text):
        raise InputError(f"{left[0]} must have a place on this machine: --at {left[0]}=PATH")
    return json.loads(text)


def environment(out: Path, logs: Path, screen: RunConsole) -> Path:
    """The Python of a fresh environment in OUT/venv. Raises InputError where this is no checkout, or it fails."""
    script = checkout() / "tools" / "env.sh"
    if not script.is_file():
        raise InputError(f"--python must be given: {checkout()} is not a checkout with a lock to install")
    screen.working("the image's environment: lock and wheel")
    started = time.monotonic()
    log = logs / "environment.txt"
    with open(log, "wb") as stream:
        ended = subprocess.run(
            [script, "image", out / "venv"], stdout=stream, stderr=stream, cwd=checkout(),
            env={**os.environ, "LANE": lane().lower()},
        )  # fmt: skip
    if ended.returncode:
        raise NodeError(f"the environment could not be made: {last_line(log)} (all of it in {log})", 1)
    screen.node("environment", False, time.monotonic() - started, str(out / "venv"))
    return out / "venv" / "bin" / "python"


def ready(python: str) -> Path:
    """Raises InputError where nothing runs there."""
    path = Path(python).absolute()  # not resolved: a virtual environment's Python is a link
    try:
        subprocess.run([path, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"--python={python} must be a Python that runs") from error
    return path


def make(folder: Path) -> Path:
    """Raises InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error
    return folder
