"""A run of the pipeline from the outside: its folder, lock, log, summary, and what it ends as."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import logging as python_logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import logging

from components.errors import GateError, InputError
from components.trip_example_gen.reader import read_trips
from pipeline import lean_imports
from pipeline.console import RunConsole, output_to_log
from pipeline.doctor import lane
from pipeline.settings import Settings

UNKNOWN = (  # figures of a summary where a gate stopped the run before there was a model
    "rows", "yardsticks", "rmse", "mae", "bias", "p95_absolute_error", "intervals", "baseline", "slices", "tuned",
    "model", "unreduced", "latency_us",
)  # fmt: skip
SUMMARY_FILE, LOG_FILE, LATEST = "summary.json", "log.txt", "latest"


def run(settings: Settings, quiet: bool = False) -> dict[str, Any]:
    """Runs the pipeline of a city and returns its summary, which is also in runs/<city>/latest/summary.json.

    Raises:
        InputError: the data, or the folder to write in, cannot be used, or another run of this city is going on.
        GateError: the data were refused; then there is no model to sum up.
    """
    check_signing_key(settings)
    check_first_trip(settings)
    run_id = new_run_id()
    folder = settings.runs_dir / run_id
    with exclusive(settings.runs_dir):
        folder.mkdir()
        with output_to_log(folder / LOG_FILE) as stream:
            screen = RunConsole(stream, quiet)
            screen.say(f"farebox: {settings.city.name}, run {run_id}; log in {folder / LOG_FILE}")
            with screen:
                figures, cpu_s, refusal = run_nodes(settings, run_id, screen)
        summary = {
            "city": settings.city.name,
            "run_id": run_id,
            "currency": settings.city.currency,
            **figures,
            "cpu_s": cpu_s,
            "lane": lane(),
        }
        write_atomically(folder / SUMMARY_FILE, json.dumps(summary, indent=2))
        point_latest(settings.runs_dir, run_id)
    if refusal:
        if summary["gates"]:
            RunConsole(sys.stdout, quiet).gates(summary["gates"])
        raise refusal
    RunConsole(sys.stdout, quiet).summary(summary)
    return summary


def run_nodes(
    settings: Settings, run_id: str, screen: RunConsole
) -> tuple[dict[str, Any], dict[str, float], GateError | None]:
    """Runs the graph: the report's figures, CPU seconds by node, and the refusal where a gate stopped the run."""
    cpu_s: dict[str, float] = {}
    try:
        produced = run_graph(settings, run_id, screen, cpu_s)
    except GateError as error:
        return refused_figures(error), cpu_s, error
    return json.loads((Path(produced["report"][0].uri) / "figures.json").read_text()), cpu_s, None


def run_graph(
    settings: Settings, run_id: str, screen: RunConsole, cpu_s: dict[str, float], last: str | None = None
) -> dict[str, list[Any]]:
    """Output artifacts by key, of the graph or of its nodes up to `last`; `cpu_s` takes the CPU seconds by node."""
    screen.working("importing TFX and TensorFlow")
    configure_libraries()
    from pipeline import local_runner
    from pipeline.node_figures import key_figures

    produced: dict[str, list[Any]] = {}
    started = time.monotonic()

    def on_start(node: str, number: int, of: int) -> None:
        nonlocal started
        started = time.monotonic()
        screen.working(f"{node} ({number} of {of})")

    def on_end(node: str, outputs: dict[str, list[Any]], cached: bool, spent: float) -> None:
        cpu_s[node] = round(spent, 3)
        produced.update(outputs)
        screen.node(node, cached, time.monotonic() - started, key_figures(node, outputs))

    local_runner.run(settings, run_id, on_start, on_end, last)
    return produced


def check_signing_key(settings: Settings) -> None:
    """The key is used at the very end of a run. Raises InputError where it cannot be."""
    if settings.push.signing_key is not None:
        from components.atomic_pusher import signature

        signature.signing_key(settings.push.signing_key)


def check_first_trip(settings: Settings) -> None:
    """Importing TFX takes 8 s: bad data should not have to wait for it. Raises InputError where no row is a trip."""
    any(trips.examples.num_rows for trips in read_trips(settings.data, settings.city))


def new_run_id() -> str:
    """The moment, to the millisecond."""
    return datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]


def refused_figures(error: GateError) -> dict[str, Any]:
    """What a summary says where a gate stopped the run before there was a model."""
    unknown = dict.fromkeys(UNKNOWN)
    return {**unknown, "gates": [dataclasses.asdict(check) for check in error.checks], "blessed": False, "pushed": None}


def configure_libraries() -> None:
    """What TensorFlow, TFX and absl log, the environment they read when they are imported, and what of them waits."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    python_logging.captureWarnings(True)
    lean_imports.defer()
    logging.set_verbosity(logging.INFO)  # the executors' lines with numbers are of this level


@contextlib.contextmanager
def exclusive(runs_dir: Path) -> Iterator[None]:
    """Holds the city's lock; the system frees it when the process dies. Raises InputError where it is held."""
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        lock = open(runs_dir / ".lock", "w")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"out: {runs_dir} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another run is going on in {runs_dir}: wait for it to end") from error
        yield


def make_folder(folder: Path) -> None:
    """Raises InputError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG_FILE).touch()
    except OSError as error:
        raise InputError(f"out: {folder} cannot be written: {error.strerror}") from error


def write_atomically(path: Path, text: str) -> None:
    """Writes a file that is never seen half-written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)


def point_latest(runs_dir: Path, run_id: str) -> None:
    """Swaps the link `latest` to this run."""
    aside = runs_dir / f".{LATEST}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(run_id)
    aside.replace(runs_dir / LATEST)
