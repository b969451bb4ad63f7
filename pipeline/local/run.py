"""A run of the pipeline from the outside: its folder, lock, log, summary, and what it ends as."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.errors import GateError, InputError
from farebox.components.files import write_atomically
from farebox.components.reporter.figures import FIGURES_FILE, Figures
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


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What a run did. cpu_s, peak_mb: CPU seconds and peak memory (MB) by node. lane: of the installed libraries."""

    city: str
    run_id: str
    currency: str
    figures: Figures
    cpu_s: Mapping[str, float]
    peak_mb: Mapping[str, float]
    lane: str

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunSummary:
        """Reads summary.json."""
        others = {field.name: content[field.name] for field in dataclasses.fields(cls) if field.name != "figures"}
        return cls(**others, figures=Figures.from_json(content))

    def to_json(self) -> dict[str, Any]:
        """The content of summary.json: the figures stand among the other keys."""
        return {
            "city": self.city,
            "run_id": self.run_id,
            "currency": self.currency,
            **self.figures.to_json(),
            "cpu_s": dict(self.cpu_s),
            "peak_mb": dict(self.peak_mb),
            "lane": self.lane,
        }


def run(settings: Settings, quiet: bool = False) -> RunSummary:
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
    connection.check(settings)
    return run_once(settings, new_run_id(), quiet)


def run_once(settings: Settings, run_id: str, quiet: bool, spans: SpanInput | None = None) -> RunSummary:
    """`run` with a run id that is given, and where trips come in spans, with those to read; after the first checks."""
    folder = settings.runs_dir / run_id
    with exclusive(settings.runs_dir):
        folder.mkdir(exist_ok=True)
        with output_to_log(folder / LOG_FILE) as stream:
            screen = RunConsole(stream, quiet)
            screen.say(f"farebox: {settings.city.name}, run {run_id}; log in {folder / LOG_FILE}")
            with screen:
                figures, costs, refusal = run_nodes(settings, run_id, screen, spans)
        summary = RunSummary(
            city=settings.city.name,
            run_id=run_id,
            currency=settings.city.currency,
            figures=figures,
            cpu_s={node: round(cost.cpu_s, 3) for node, cost in costs.items()},
            peak_mb={node: round(cost.peak_mb, 1) for node, cost in costs.items()},
            lane=lane(),
        )
        write_atomically(folder / SUMMARY_FILE, json.dumps(summary.to_json(), indent=2))
        point_latest(settings.runs_dir, run_id)
    if refusal:
        if figures.gates:
            RunConsole(sys.stdout, quiet).gates(figures.gates)
        raise refusal
    RunConsole(sys.stdout, quiet).summary(figures, summary.city, summary.currency)
    return summary


def run_nodes(
    settings: Settings, run_id: str, screen: RunConsole, spans: SpanInput | None = None
) -> tuple[Figures, dict[str, Cost], GateError | None]:
    """Runs the graph. Returns its figures, the cost by node, and the refusal if a gate stopped the run."""
    costs: dict[str, Cost] = {}
    try:
        produced = run_graph(settings, run_id, screen, costs, spans=spans)
    except GateError as error:
        return Figures.of_refusal(error.checks), costs, error
    content = json.loads((Path(produced["report"][0].uri) / FIGURES_FILE).read_text())
    return Figures.from_json(content), costs, None


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

    with connection.losses(settings):
        launch.run(settings, run_id, on_start=on_start, on_end=on_end, prepare=prepare, last=last, spans=spans)
    return produced
