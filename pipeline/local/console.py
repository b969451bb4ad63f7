"""The screen of a run: a live line per node, and tables at its end."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from farebox.components.device_validator.runtimes.table import describe_trials
from farebox.components.errors import Check, number
from farebox.components.model_gate.yardsticks import ratio
from farebox.components.reporter import verdict
from farebox.components.reporter.figures import Figures, ModelFigures, RangeFigures
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.pipeline.local.loss_lines import describe_losses
from farebox.pipeline.local.progress import Progress

WIDE = 1000  # columns, in which no table is cut
STAGES = {
    "predict_mean": "predict the mean",
    "linear_on_distance": "linear on distance",
    "raw_dnn": "raw-column DNN",
    "no_embedding_dnn": "engineered DNN without embeddings",
    "lightgbm": "LightGBM",
    "engineered": "engineered float model",
    "reduced": "after reduction",
    "pruned": "after pruning",
    "shipped": "shipped file",
}


class RunConsole:
    """Prints to a stream; nothing if `quiet`."""

    def __init__(self, stream: IO[str], quiet: bool = False) -> None:
        self.console = Console(file=stream, quiet=quiet, highlight=False, soft_wrap=True)
        self.progress: Progress | None = None

    def __enter__(self) -> RunConsole:
        return self

    def __exit__(self, *_: object) -> None:
        self.done()

    def say(self, text: str) -> None:
        """Prints one plain line."""
        self.console.print(text, markup=False)

    def working(self, text: str, expected_s: float | None = None) -> None:
        """Shows a step at work: on a terminal what passed and is left of it, elsewhere a line every half a minute.

        expected_s: what it took the last time, None if that is not known.
        """
        self.done()
        if not self.console.quiet:
            self.progress = Progress(self.console, text, expected_s)
            self.progress.start()

    def step(self, unit: str, done: int, total: int) -> None:
        """Adds to what `working` shows how far the step is: `epoch 12 of 40`."""
        if self.progress:
            self.progress.step(unit, done, total)

    def done(self) -> None:
        """Ends what `working` shows."""
        if self.progress:
            self.progress.stop()
            self.progress = None

    def node(self, name: str, is_cached: bool, seconds: float, figures: str, *, holds: bool = True) -> None:
        """Prints the line of a finished node; holds: whether its verdict, if it gives one, is good."""
        self.done()
        spent = "cached" if is_cached else f"{seconds:.1f} s"
        mark = "[green]✓[/]" if holds else "[red]✗[/]"
        self.console.print(f"  {mark} {name:<17}[dim]{spent:>8}[/]  ", end="")
        self.console.print(figures, markup=False)

    def refused(self, name: str) -> None:
        """Prints the line of a node that refused the data."""
        self.done()
        self.console.print(f"  [red]✗[/] {name:<17}[dim]{'':>8}[/]  refused")

    def interrupted(self, name: str, number: int, count: int) -> None:
        """Prints what an interrupted run keeps."""
        self.done()
        self.say(
            f"interrupted at {name}, node {number} of {count}: finished nodes are kept, nothing was "
            "pushed; run the same command again to go on from there"
        )

    def summary(self, figures: Figures, city: str, currency: str, page: Path | None = None) -> None:
        """Prints a finished run: RMSE by model, the file and what runs it, the rows; last, what a newcomer needs.

        page: the report.
        """
        if figures.measured:
            self.console.print(rmse_table(figures.measured, city, currency, verdict.is_shipped(figures)))
            self.say(describe_model(figures.measured))
            if latency := figures.measured.latency_us:
                self.say(f"one fare takes p50 {latency.p50:.1f} µs, p99 {latency.p99:.1f} µs")
            if ranges := figures.measured.ranges:
                self.say(describe_ranges(ranges, currency))
            if runtimes := describe_trials(figures.measured.runtimes):
                self.say(runtimes)
        self.losses(figures.losses)
        self.conclusion(figures, currency, page)

    def short_summary(self, figures: Figures) -> None:
        """Prints RMSE and size of the shipped file in one line, and the gates that refused it or where it went."""
        if figures.measured:
            rmse, size = figures.measured.rmse.shipped, figures.measured.model.bytes
            self.say(f"RMSE {rmse:.3f} on the test split, {size:,} B")
        self.losses(figures.losses)
        self.outcome(figures)

    def losses(self, losses: Losses | None) -> None:
        """Prints how many rows gave no example, why, and in which file; nothing if all did."""
        for line in describe_losses(losses):
            self.say(line)

    def conclusion(self, figures: Figures, currency: str, page: Path | None) -> None:
        """Prints the gates if one failed, then where the model went, the verdict, the closest gate and the report."""
        self.outcome(figures)
        self.say(verdict.sentence(figures, currency))
        line = verdict.closest_line(figures.gates)
        if line and verdict.is_shipped(figures):  # the sentence names the gates that refused
            self.say(f"closest gate: {line}")
        if page:
            self.say(f"report: {page}")

    def outcome(self, figures: Figures) -> None:
        """Prints where the model was pushed to; the gates if one failed."""
        if all(check.ok for check in figures.gates):
            self.say(f"pushed to {figures.pushed}" if figures.pushed else "nothing was pushed")
        else:
            self.gates(figures.gates, figures.pushed)

    def refusal(self, checks: Sequence[Check], currency: str, page: Path) -> None:
        """Prints the gates of a run that one of them stopped, then the verdict and the report."""
        self.conclusion(Figures.of_refusal(checks), currency, page)

    def gates(self, gates: Sequence[Check], pushed: str | None = None) -> None:
        """Prints the table of all gates, and for each failed one what it measured and what to do."""
        table = gate_table(gates)
        if Measurement.get(self.console, self.console.options.update(width=WIDE), table).maximum > self.console.width:
            for check in gates:
                self.say(f"  {describe_gate(check)}: {verdict.word(check)}")
        else:
            self.console.print(table)
        for check in gates:
            if not check.ok:
                what = "warned" if check.severity == "warn" else "refused"
                self.say(f"{what} by {describe_gate(check)}")
                if check.hint:
                    self.say(f"  what to do: {check.hint}")
        self.say(f"pushed to {pushed}" if pushed else "nothing was pushed")


# Opens the log file and yields the screen that shows the progress of a run.
Output = Callable[[Path], AbstractContextManager[RunConsole]]


@contextlib.contextmanager
def no_output(_log: Path) -> Iterator[RunConsole]:
    """A screen that shows nothing. What libraries print and log goes where the caller's own output goes."""
    yield RunConsole(io.StringIO(), quiet=True)


def describe_model(figures: ModelFigures) -> str:
    """Size, operators, form and sparsity of the shipped file in one line."""
    model, unreduced = figures.model, figures.unreduced
    return (
        f"{model.bytes:,} B ({model.gzip_bytes:,} B gzip), {model.bytes / unreduced.bytes:.0%} of the unreduced "
        f"{unreduced.bytes:,} B; {sum(model.ops.values())} ops; "
        f"{' + '.join((model.mode, *model.steps))} of the {model.network} network"
        + (f", k={model.k}" if model.k and f"k={model.k}" not in model.network else "")
        + f", {model.sparsity:.1%} zeros"
    )


def describe_ranges(ranges: RangeFigures, currency: str) -> str:
    """Promised and measured coverage of the ranges, and their width, in one line."""
    return (
        f"ranges hold {ranges.covered:.1%} of the test fares, {ranges.promised:.0%} promised; "
        f"mean width {ranges.mean_width:.2f} {currency}, {ranges.bands} bands"
    )


def describe_gate(check: Check) -> str:
    """A failed gate as `name: value, bound (detail)`."""
    detail = f" ({check.detail})" if check.detail else ""
    bound = "" if check.bound is None else f", bound {number(check.bound)}"
    return f"{check.name}: {number(check.value)}{bound}{detail}"


def gate_table(gates: Sequence[Check]) -> Table:
    """Every gate: name, measured value, bound, verdict."""
    table = Table(title="gates", title_justify="left")
    table.add_column("gate", no_wrap=True)
    for heading in ("measured", "bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for check in gates:
        bound = number(check.bound)
        style = None if check.ok else "bold"
        table.add_row(check.name, number(check.value), bound, verdict.word(check), style=style)
    return table


def rmse_table(figures: ModelFigures, city: str, currency: str, is_shipped: bool = True) -> Table:
    """RMSE on the test split: the yardsticks, then the network by stage."""
    table = Table(title=f"{city}: RMSE on the test split, {currency}", title_justify="left")
    table.add_column("model")
    table.add_column("RMSE", justify="right", no_wrap=True, min_width=6)
    table.add_column("against linear", justify="right", min_width=6)
    errors = {**figures.yardsticks, **dataclasses.asdict(figures.rmse)}
    for stage, label in STAGES.items():
        rmse = errors[stage]
        style = "bold" if stage == "shipped" else None
        name = label if is_shipped or stage != "shipped" else "file that is not shipped"
        table.add_row(name, f"{rmse:.3f}", f"{ratio(rmse, figures.rmse.linear_on_distance):.2f} x", style=style)
    return table
