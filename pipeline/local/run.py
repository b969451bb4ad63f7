"""A run of the pipeline from the outside: its folder, lock, log, summary and result."""

from __future__ import annotations

import dataclasses
import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.errors import Check, GateError, InputError
from farebox.components.files import progress, write_atomically
from farebox.components.reporter.figures import FIGURES_FILE, PAGE_FILE, Figures
from farebox.components.span_window.steps_file import STEPS_FILE, WindowSteps
from farebox.components.trip_example_gen import locations
from farebox.components.trip_example_gen.files import COUNTS_FILE
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.pipeline.fare_model import FareModel
from farebox.pipeline.local import report, rows_read
from farebox.pipeline.local.console import Output, RunConsole, no_output
from farebox.pipeline.local.folder import LATEST, LOG_FILE, SUMMARY_FILE, exclusive, new_run_id, point_latest
from farebox.pipeline.local.libraries import fix_batches
from farebox.pipeline.local.preflight import check_engine, check_first_trip, check_signing_key
from farebox.pipeline.local.views import write_views
from farebox.pipeline.metadata import connection
from farebox.pipeline.provenance import lane
from farebox.pipeline.settings.load import Settings

if TYPE_CHECKING:
    from farebox.pipeline.local.meter import Cost
    from farebox.pipeline.target import SpanInput


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """The content of summary.json. cpu_s, peak_mb: CPU seconds and peak memory (MB) by node. lane: of the libraries."""

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


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that came to its end; `summary` holds everything that was measured, the properties what is asked first.

    report: the page that shows it, None if it could not be drawn. steps: of the fares between the spans of a window.
    faults: what could not be drawn or logged, and why.
    """

    summary: RunSummary
    report: Path | None
    steps: WindowSteps = dataclasses.field(default_factory=WindowSteps)
    faults: tuple[str, ...] = ()

    @property
    def pushed(self) -> Path | None:
        """The folder of the pushed version; None if a gate refused the model."""
        return Path(self.summary.figures.pushed) if self.summary.figures.pushed else None

    @property
    def rmse(self) -> float | None:
        """RMSE of the shipped file on the test split, in the city's currency; None if the data were refused."""
        return self.summary.figures.measured.rmse.shipped if self.summary.figures.measured else None

    @property
    def gates(self) -> tuple[Check, ...]:
        """Every gate: value, bound, and whether it holds."""
        return self.summary.figures.gates

    @property
    def model(self) -> FareModel | None:
        """The pushed model, ready to predict; None if nothing was pushed."""
        return FareModel.load(self.pushed) if self.pushed else None


def run(settings: Settings, *, out: str | Path | None = None, output: Output = no_output) -> Run:
    """Runs the pipeline of a city: trains, judges and, if every gate holds, pushes its model.

    out: the folder that keeps runs/ and models/, in place of `settings.out`. The summary is also in
    OUT/runs/CITY/latest/summary.json. output: opens the log and the screen; a library call prints nothing.

    Raises:
        InputError: the trips, the settings or the folder cannot be used, or another run of this city is going on.
        GateError: DataGate refused the trips, so that there is no model.
    """
    if out is not None:
        settings = dataclasses.replace(settings, out=str(out))
    if settings.spans.pattern:
        raise InputError(
            f"spans.pattern={settings.spans.pattern} must be null for a run of all trips: retrain takes spans"
        )
    check_signing_key(settings)
    check_engine(settings)
    first_trip = check_first_trip(settings)
    connection.check_database(settings)
    return run_once(settings, new_run_id(), output=output, first_trip=first_trip)


def run_once(
    settings: Settings,
    run_id: str,
    *,
    spans: SpanInput | None = None,
    output: Output = no_output,
    first_trip: str | None = None,
) -> Run:
    """`run` after its checks, with a run id, and with the spans to read if trips come in spans.

    first_trip: a line about it, for the screen.
    """
    folder = settings.runs_dir / run_id
    with exclusive(settings.runs_dir):
        folder.mkdir(exist_ok=True)
        with output(folder / LOG_FILE) as screen:
            screen.say(f"farebox: {settings.city.name}, run {run_id}; log in {folder / LOG_FILE}")
            if settings.city.locations and (line := locations.told_outside(settings.city.locations, settings.city.box)):
                screen.say(line)
            if first_trip:
                screen.say(f"first trip: {first_trip}")
            figures, costs, produced, refusal = run_nodes(settings, run_id, screen, spans)
            if refusal:
                screen.losses(figures.losses)
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
            faults = write_views(settings, run_id, figures, produced, costs)
            for fault in faults if refusal else ():  # a run that ends well says them last
                screen.say(f"farebox: warning: {fault}")
        point_latest(settings.runs_dir, run_id)
    if refusal:
        raise refusal
    page = settings.runs_dir / LATEST / PAGE_FILE
    return Run(summary, page if page.is_file() else None, steps_of(produced), faults)


def run_nodes(
    settings: Settings, run_id: str, screen: RunConsole, spans: SpanInput | None = None
) -> tuple[Figures, dict[str, Cost], dict[str, list[Any]], GateError | None]:
    """Runs the graph. Returns figures, cost by node, artifacts by key, and the refusal if a gate stopped the run."""
    costs: dict[str, Cost] = {}
    produced: dict[str, list[Any]] = {}
    try:
        run_graph(settings, run_id, screen, costs, spans=spans, produced=produced)
    except GateError as error:
        return Figures.of_refusal(error.checks, losses_of(produced)), costs, produced, error
    content = json.loads((Path(produced["report"][0].uri) / FIGURES_FILE).read_text())
    return Figures.from_json(content), costs, produced, None


def steps_of(produced: Mapping[str, list[Any]]) -> WindowSteps:
    """The steps of the fares in the window among a run's artifacts; none of examples that are not split by time."""
    examples = produced.get("examples")
    path = Path(examples[0].uri) / STEPS_FILE if examples else None
    return WindowSteps.from_json(path.read_text()) if path and path.is_file() else WindowSteps()


def losses_of(produced: Mapping[str, list[Any]]) -> Losses | None:
    """The losses of the examples among a run's artifacts by key; None if it made none."""
    examples = produced.get("examples")
    return Losses.from_json(json.loads((Path(examples[0].uri) / COUNTS_FILE).read_text())) if examples else None


def run_graph(
    settings: Settings,
    run_id: str,
    screen: RunConsole,
    costs: dict[str, Cost],
    *,
    last: str | None = None,
    spans: SpanInput | None = None,
    produced: dict[str, list[Any]] | None = None,
) -> dict[str, list[Any]]:
    """Runs the graph, or its nodes up to `last`. Returns artifacts by key and by `Node.key`; writes each node's cost
    to `costs`.

    produced: takes the artifacts as nodes end, for a caller whose run may be refused.
    """
    screen.working("importing TFX")
    from farebox.pipeline.local import launch
    from farebox.pipeline.local.node_figures import holds, key_figures

    produced = {} if produced is None else produced
    step, started, place = "compiling the graph", time.monotonic(), ("the graph", 1, 1)

    def prepare() -> None:
        nonlocal started
        screen.working("importing TensorFlow")
        importlib.import_module("farebox.pipeline.graph")  # with all that executors import
        fix_batches()
        rows_read.watch_batches()
        screen.working(step)
        started = time.monotonic()

    expected = report.seconds_by_node(settings.runs_dir)

    def on_start(node: str, number: int, count: int) -> None:
        nonlocal step, started, place
        step, started, place = f"{node} ({number} of {count})", time.monotonic(), (node, number, count)
        screen.working(step, expected.get(node))

    def on_end(node: str, outputs: dict[str, list[Any]], is_cached: bool, cost: Cost) -> None:
        costs[node] = cost
        produced.update(outputs)
        produced.update({f"{node}.{key}": artifacts for key, artifacts in outputs.items()})
        seconds = time.monotonic() - started
        screen.node(node, is_cached, seconds, key_figures(node, outputs), holds=holds(node, outputs))

    try:
        with connection.explain_lost_server(settings), progress.heard_by(screen.step):
            launch.run(settings, run_id, on_start=on_start, on_end=on_end, prepare=prepare, last=last, spans=spans)
    except GateError:
        screen.refused(place[0])
        raise
    except KeyboardInterrupt:
        screen.interrupted(*place)
        raise
    return produced
