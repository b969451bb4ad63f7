"""A run of the pipeline from the outside: its folder, lock, log, summary, and what it ends as."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import importlib
import json
import logging as python_logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging

from components.errors import GateError, InputError
from components.trip_example_gen.reader import read_trips
from pipeline import database, lean_imports
from pipeline.console import RunConsole, output_to_log
from pipeline.doctor import lane
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.local_runner import Cost
    from pipeline.target import SpanInput

UNKNOWN = (  # figures of a summary where a gate stopped the run before there was a model
    "rows", "yardsticks", "rmse", "mae", "bias", "p95_absolute_error", "intervals", "baseline", "slices", "tuned",
    "model", "unreduced", "latency_us",
)  # fmt: skip
JOB_SERVER_S = 5.0  # within which a job server accepts a connection
SUMMARY_FILE, LOG_FILE, LATEST = "summary.json", "log.txt", "latest"


def run(settings: Settings, quiet: bool = False) -> dict[str, Any]:
    """Runs the pipeline of a city and returns its summary, which is also in runs/<city>/latest/summary.json.

    Raises:
        InputError: the data, or the folder to write in, cannot be used, or another run of this city is going on.
        GateError: the data were refused; then there is no model to sum up.
    """
    if settings.spans.pattern:
        raise InputError(f"spans.pattern={settings.spans.pattern}: `farebox retrain` gathers trips that come in spans")
    check_signing_key(settings)
    check_engine(settings)
    check_first_trip(settings)
    database.check(settings)
    return run_once(settings, new_run_id(), quiet)


def run_once(settings: Settings, run_id: str, quiet: bool, spans: SpanInput | None = None) -> dict[str, Any]:
    """`run` with a run id that is given, and where trips come in spans, with those to read; after the first checks."""
    folder = settings.runs_dir / run_id
    with exclusive(settings.runs_dir):
        folder.mkdir(exist_ok=True)
        with output_to_log(folder / LOG_FILE) as stream:
            screen = RunConsole(stream, quiet)
            screen.say(f"farebox: {settings.city.name}, run {run_id}; log in {folder / LOG_FILE}")
            with screen:
                figures, costs, refusal = run_nodes(settings, run_id, screen, spans)
        summary = {
            "city": settings.city.name,
            "run_id": run_id,
            "currency": settings.city.currency,
            **figures,
            "cpu_s": {node: round(cost.cpu_s, 3) for node, cost in costs.items()},
            "peak_mb": {node: round(cost.peak_mb, 1) for node, cost in costs.items()},
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
    settings: Settings, run_id: str, screen: RunConsole, spans: SpanInput | None = None
) -> tuple[dict[str, Any], dict[str, Cost], GateError | None]:
    """Runs the graph: the report's figures, what each node cost, and the refusal where a gate stopped the run."""
    costs: dict[str, Cost] = {}
    try:
        produced = run_graph(settings, run_id, screen, costs, spans=spans)
    except GateError as error:
        return refused_figures(error), costs, error
    return json.loads((Path(produced["report"][0].uri) / "figures.json").read_text()), costs, None


def run_graph(
    settings: Settings,
    run_id: str,
    screen: RunConsole,
    costs: dict[str, Cost],
    last: str | None = None,
    spans: SpanInput | None = None,
) -> dict[str, list[Any]]:
    """Output artifacts by key, of the graph or of its nodes up to `last`; `costs` takes what each node cost."""
    screen.working("importing TFX")
    configure_libraries()
    from pipeline import local_runner
    from pipeline.node_figures import key_figures

    produced: dict[str, list[Any]] = {}
    doing, started = "compiling the graph", time.monotonic()

    def prepare() -> None:
        nonlocal started
        screen.working("importing TensorFlow")
        importlib.import_module("pipeline.graph")  # with all that executors import
        fix_batches()
        screen.working(doing)
        started = time.monotonic()

    def on_start(node: str, number: int, of: int) -> None:
        nonlocal doing, started
        doing, started = f"{node} ({number} of {of})", time.monotonic()
        screen.working(doing)

    def on_end(node: str, outputs: dict[str, list[Any]], cached: bool, cost: Cost) -> None:
        costs[node] = cost
        produced.update(outputs)
        screen.node(node, cached, time.monotonic() - started, key_figures(node, outputs))

    with database.losses(settings):
        local_runner.run(settings, run_id, on_start, on_end, prepare, last, spans)
    return produced


def check_signing_key(settings: Settings) -> None:
    """The key is used at the very end of a run. Raises InputError where it cannot be."""
    if settings.push.signing_key is not None:
        from components.atomic_pusher import signature

        signature.signing_key(settings.push.signing_key)


def check_engine(settings: Settings) -> None:
    """Beam would wait five minutes for a job server, and Dataflow's workers would fail one by one.

    Raises InputError where the one does not answer, or the others cannot reach the artifacts.
    """
    if settings.beam.runner == "dataflow":
        raise InputError(
            f"beam.runner=dataflow must go with artifacts in a bucket, got out={settings.out}, which its workers "
            "cannot reach: compile the pipeline for Kubeflow or Vertex AI"
        )
    if address := settings.beam.job_service:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), JOB_SERVER_S).close()
        except OSError as error:
            raise InputError(
                f"beam.job_endpoint={address} must be a Beam job server that runs, got {error.strerror or error}: "
                "`make flink` starts one on this machine"
            ) from error


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


def fix_batches() -> None:
    """Batches of the same rows at every pace of the machine: Beam's own adapt to it, and then the last bit of a mean
    differs, and so does the network. Imports tfx_bsl; for pipelines that are built in this process from now on."""
    from absl import flags
    from tfx_bsl.coders import batch_util  # noqa: F401 - defines the flag

    flags.FLAGS.set_default("tfxio_use_byte_size_batching", True)


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


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file that is never seen half-written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    aside.replace(path)


def point_latest(runs_dir: Path, run_id: str) -> None:
    """Swaps the link `latest` to this run."""
    aside = runs_dir / f".{LATEST}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(run_id)
    aside.replace(runs_dir / LATEST)
