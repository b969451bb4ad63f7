"""CPU seconds and peak memory of each node in whole runs on more and more simulated trips, a process per run.

    python benchmarks/growth.py [--city chicago] [--rows 100000 1000000 10000000] [--summaries FILE ...] [--json FILE]
        [--picture FILE]

On one machine CPU grows with the rows, and memory does not. Ten million rows take about an hour of two
cores. --summaries reads the runs/CITY/latest/summary.json of earlier runs instead of making new ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import machine, measured, python
from whole_runs import measured_of, one_line_errors

from farebox.pipeline.local.run import RunSummary

if TYPE_CHECKING:
    from farebox.components.reporter.figures import ModelFigures

NO_GATE = ("gates.max_rmse=1000", "gates.max_ratio_to_yardstick=10")  # only time and memory matter here
HOLDERS = (
    "Trainer",
    "PcaReducer",
    "Pruner",
    "Quantizer",
)  # they hold at most 500,000 rows: beyond that, only what they read grows
EVERY_ROW, ALL = "nodes of every row", "all"
LEAST_CPU_S = 1.0  # in the largest run: nodes below are not shown separately


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument(
        "--summaries", type=Path, nargs="+", help="summary.json files of earlier runs, used instead of new runs"
    )
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--picture", type=Path, help="also draw them: a PNG")
    options = parser.parse_args()
    with one_line_errors("growth"), tempfile.TemporaryDirectory() as folder:
        paths = options.summaries or [run(options.city, rows, Path(folder)) for rows in sorted(options.rows)]
        summaries = sorted((read_summary(path) for path in paths), key=rows_read)
    print(table(summaries))
    if options.json:
        runs = [run_facts(summary) for summary in summaries]
        options.json.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=2) + "\n")
    if options.picture:
        draw(summaries, options.picture)


def run(city: str, rows: int, folder: Path) -> Path:
    """Simulates the trips, runs the pipeline on them, and returns its summary."""
    trips, out, log = folder / f"{rows}.csv", folder / f"{rows}", folder / "log.txt"
    simulate = ("data", "simulate", "--city", city, "--rows", str(rows), "--out", trips)
    measured(python("-I", "-m", "farebox", *simulate), log)
    print(f"running {rows:,} rows", file=sys.stderr)
    overrides = [part for override in NO_GATE for part in ("--set", override)]
    measured(python("-I", "-m", "farebox", "run", "--city", city, "--data", trips, "--out", out, *overrides), log)
    trips.unlink()
    (summary,) = out.glob("runs/*/latest/summary.json")
    return summary


def read_summary(path: Path) -> RunSummary:
    """Reads a summary.json."""
    return RunSummary.from_json(json.loads(path.read_text()))


def rows_read(summary: RunSummary) -> int:
    """Rows that the run read. Raises InputError if the run has no figures."""
    figures: ModelFigures = measured_of(summary)
    return figures.rows.read


def run_facts(summary: RunSummary) -> dict[str, Any]:
    """The figures of a run that --json keeps."""
    figures: ModelFigures = measured_of(summary)
    return {"rows": dataclasses.asdict(figures.rows), "cpu_s": dict(summary.cpu_s), "peak_mb": dict(summary.peak_mb)}


def nodes_of(summaries: Sequence[RunSummary]) -> list[str]:
    """Nodes that take at least a second in the largest run, in the pipeline's order."""
    return [node for node, cpu_s in summaries[-1].cpu_s.items() if cpu_s >= LEAST_CPU_S]


def cpu_series(summaries: Sequence[RunSummary]) -> dict[str, list[float]]:
    """CPU seconds of each run: by node, of the nodes whose work grows with every row, and of all nodes."""
    by_node = {node: [summary.cpu_s[node] for summary in summaries] for node in nodes_of(summaries)}
    every_row = [sum(cpu_s for node, cpu_s in run.cpu_s.items() if node not in HOLDERS) for run in summaries]
    return {**by_node, EVERY_ROW: every_row, ALL: [sum(run.cpu_s.values()) for run in summaries]}


def memory_series(summaries: Sequence[RunSummary]) -> dict[str, list[float]]:
    """Peak memory (MB) of each run: by node, and of the largest node."""
    by_node = {node: [summary.peak_mb[node] for summary in summaries] for node in nodes_of(summaries)}
    return {**by_node, ALL: [max(run.peak_mb.values()) for run in summaries]}


def table(summaries: Sequence[RunSummary]) -> str:
    """Two Markdown tables, CPU seconds and peak MB: a line per node, and one for all; the growth of the last step."""
    rows = [rows_read(summary) for summary in summaries]
    cpu = _table("CPU s", rows, cpu_series(summaries), "{:.1f}")
    return f"{cpu}\n\n{_table('peak MB', rows, memory_series(summaries), '{:.0f}')}"


def _table(title: str, rows: Sequence[int], series: Mapping[str, Sequence[float]], number: str) -> str:
    head = [title, *(f"{n:,} rows" for n in rows), "growth"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    for name, values in series.items():
        growth = f"{values[-1] / values[-2]:.2f}" if len(values) > 1 else ""
        lines.append(f"| {' | '.join([name, *map(number.format, values), growth])} |")
    return "\n".join(lines)


def off_a_line(rows: Sequence[int], values: Sequence[float]) -> float:
    """Largest distance of a value from the straight line through the first and the last, as a share of the line."""
    line = np.interp(rows, [rows[0], rows[-1]], [values[0], values[-1]])
    return float(np.max(np.abs(values - line) / line))


def draw(summaries: Sequence[RunSummary], path: Path) -> None:
    """Draws CPU seconds and peak memory over rows, a line per node; dashed if it holds a bounded part of the rows."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure((12, 5), layout="constrained")
    rows, cpu_s = [rows_read(summary) for summary in summaries], cpu_series(summaries)
    for axes, series in zip(figure.subplots(1, 2), (cpu_s, memory_series(summaries)), strict=True):
        axes.set_prop_cycle(color=matplotlib.colormaps["tab20"].colors)  # type: ignore[attr-defined]
        for name, values in series.items():
            width, color = (2.5, {"color": "black"}) if name in (EVERY_ROW, ALL) else (1.2, {})
            style = "o--" if name in (*HOLDERS, ALL) else "o-"
            axes.plot(rows, values, style, markersize=4, linewidth=width, label=name, **color)
        axes.set_xlabel("rows")
        axes.grid(color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
    cpu, memory = figure.axes
    off = off_a_line(rows, cpu_s[EVERY_ROW])
    cpu.set(ylim=(0, None), xlim=(0, None), title=f"CPU seconds; {EVERY_ROW}: a straight line within {off:.0%}")
    cpu.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g} M")
    memory.set(xscale="log", ylim=(0, None), title="peak MB, logarithmic rows")
    memory.legend(
        *cpu.get_legend_handles_labels(), fontsize=9, frameon=False, bbox_to_anchor=(1, 0.5), loc="center left"
    )
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
