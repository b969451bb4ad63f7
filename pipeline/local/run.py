"""A run of the pipeline from the outside: its folder, lock, log, summary, and what it ends as."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.errors import GateError, InputError
from farebox.components.files import write_atomically
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, SUMMARY_FILE, exclusive, new_run_id, point_latest
from farebox.pipeline.local.libraries import configure_libraries, fix_batches
from farebox.pipeline.local.preflight import check_engine, check_first_trip, check_signing_key
from farebox.pipeline.metadata import connection
from farebox.pipeline.process import output_to_log
from farebox.pipeline.provenance import lane
from farebox.pipeline.settings.load import Settings

if TYPE_CHECKING:
    from farebox.pipeline.local.launch import Cost
    from farebox.pipeline.target import SpanInput

UNKNOWN = (  # figures of a summary where a gate stopped the run before there was a model
    "rows", "yardsticks", "rmse", "mae", "bias", "p95_absolute_error", "intervals", "baseline", "slices", "tuned",
    "model", "unreduced", "latency_us",
)  # fmt: skip


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
    connection.check_database(settings)
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
    from farebox.pipeline.local import launch
    from farebox.pipeline.local.node_figures import key_figures

    produced: dict[str, list[Any]] = {}
    doing, started = "compiling the graph", time.monotonic()

    def prepare() -> None:
        nonlocal started
        screen.working("importing TensorFlow")
        importlib.import_module("farebox.pipeline.graph")  # with all that executors import
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

    with connection.explain_lost_server(settings):
        launch.run(settings, run_id, on_start, on_end, prepare, last, spans)
    return produced


def refused_figures(error: GateError) -> dict[str, Any]:
    """What a summary says where a gate stopped the run before there was a model."""
    unknown = dict.fromkeys(UNKNOWN)
    return {**unknown, "gates": [dataclasses.asdict(check) for check in error.checks], "blessed": False, "pushed": None}
