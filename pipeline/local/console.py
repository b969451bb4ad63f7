"""What people see of a run: a live line per node, and the table at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from farebox.components.model_gate.yardsticks import ratio

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
    """Prints to a stream; with `quiet`, nothing."""

    def __init__(self, stream: IO[str], quiet: bool = False) -> None:
        self.console = Console(file=stream, quiet=quiet, highlight=False, soft_wrap=True)
        self.spinner: Live | None = None

    def __enter__(self) -> RunConsole:
        return self

    def __exit__(self, *_: object) -> None:
        self.done()

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, markup=False)

    def working(self, text: str) -> None:
        """A spinner with a text, on a terminal; nothing elsewhere."""
        self.done()
        self.spinner = Live(
            Spinner("dots", text),
            console=self.console,
            transient=True,
            redirect_stdout=False,  # else rich would fetch the libraries' logs back from the log file to the screen
            redirect_stderr=False,
        )
        self.spinner.start()

    def done(self) -> None:
        """Ends the spinner."""
        if self.spinner:
            self.spinner.stop()
            self.spinner = None

    def node(self, name: str, cached: bool, seconds: float, figures: str) -> None:
        """The line of a finished node."""
        self.done()
        spent = "cached" if cached else f"{seconds:.1f} s"
        self.console.print(f"  [green]✓[/] {name:<17}[dim]{spent:>8}[/]  ", end="")
        self.console.print(figures, markup=False)

    def summary(self, summary: dict[str, Any]) -> None:
        """The table of a finished run, and where the model went or what refused it."""
        self.console.print(rmse_table(summary))
        model, unreduced = summary["model"], summary["unreduced"]
        share = model["bytes"] / unreduced["bytes"]
        self.say(
            f"{model['bytes']:,} B ({model['gzip_bytes']:,} B gzip), {share:.0%} of the unreduced "
            f"{unreduced['bytes']:,} B; {sum(model['ops'].values())} ops; "
            f"{' + '.join((model['mode'], *model['steps']))} of the {model['network']} network"
            + (f", k={model['k']}" if model["k"] else "")
            + f", {model['sparsity']:.1%} zeros"
        )
        if summary["latency_us"]:
            self.say("one fare takes p50 {p50:.1f} µs, p99 {p99:.1f} µs".format(**summary["latency_us"]))
        self.ended(summary)

    def outcome(self, summary: dict[str, Any]) -> None:
        """The shipped file's error in a line instead of the table, and the same end."""
        self.say(f"RMSE {summary['rmse']['shipped']:.3f} on the test split, {summary['model']['bytes']:,} B")
        self.ended(summary)

    def ended(self, summary: dict[str, Any]) -> None:
        """Where the model went, or what refused it."""
        if all(gate["ok"] for gate in summary["gates"]):
            self.say(f"pushed to {summary['pushed']}" if summary["pushed"] else "nothing was pushed")
        else:
            self.gates(summary["gates"], summary["pushed"])

    def gates(self, gates: Sequence[Mapping[str, Any]], pushed: str | None = None) -> None:
        """The table of all gates, what each that failed found, and what to do about it."""
        self.console.print(gate_table(gates))
        for gate in gates:
            if not gate["ok"]:
                what = "warned" if gate["severity"] == "warn" else "refused"
                self.say(f"{what} by {describe_gate(gate)}")
                if gate["hint"]:
                    self.say(f"  what to do: {gate['hint']}")
        self.say(f"pushed to {pushed}" if pushed else "nothing was pushed")


def describe_gate(gate: Mapping[str, Any]) -> str:
    """A failed gate as `name: value, bound (detail)`."""
    detail = f" ({gate['detail']})" if gate["detail"] else ""
    bound = "" if gate["bound"] is None else f", bound {gate['bound']:.6g}"
    return f"{gate['name']}: {gate['value']:.6g}{bound}{detail}"


def verdict_of(gate: Mapping[str, Any]) -> str:
    """What a gate says; a figure beyond its bound by no more than noise may be is no refusal."""
    if not gate["ok"]:
        return "warns" if gate["severity"] == "warn" else "refuses"
    value, bound = gate["value"], gate["bound"]
    is_beyond = bound is not None and (value < bound if gate["at_least"] else value > bound)
    return "within noise" if is_beyond else "holds"


def gate_table(gates: Sequence[Mapping[str, Any]]) -> Table:
    """Every gate: name, measured, bound, verdict."""
    table = Table(title="gates", title_justify="left")
    table.add_column("gate", no_wrap=True)
    for heading in ("measured", "bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for gate in gates:
        bound = "–" if gate["bound"] is None else f"{gate['bound']:.6g}"
        verdict = verdict_of(gate)
        table.add_row(gate["name"], f"{gate['value']:.6g}", bound, verdict, style=None if gate["ok"] else "bold")
    return table


def rmse_table(summary: dict[str, Any]) -> Table:
    """RMSE on the test split: the yardsticks, then the network by stage."""
    table = Table(title=f"{summary['city']}: RMSE on the test split, {summary['currency']}", title_justify="left")
    table.add_column("model")
    table.add_column("RMSE", justify="right")
    table.add_column("against linear", justify="right")
    found = {**summary["yardsticks"], **summary["rmse"]}
    for stage, label in STAGES.items():
        rmse = found[stage]
        style = "bold" if stage == "shipped" else None
        table.add_row(label, f"{rmse:.3f}", f"{ratio(rmse, found['linear_on_distance']):.2f} x", style=style)
    return table
