"""The ladder as a picture: error against bytes, latency as colour."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from components.quantizer.trials import Trial

MARKS = "os^Dv<>P*X"


def pareto(trials: Sequence[Trial], bound: float, metric: str) -> bytes:
    """A PNG of all candidates that have an error; the budget is a line, the chosen file has a ring."""
    shown = [trial for trial in trials if trial.content and trial.error < 4 * bound]
    figure = Figure((9, 5.2), layout="constrained")
    axes = figure.add_subplot()
    latencies = [trial.latency_us["p50"] for trial in shown if trial.latency_us]
    limits = (min(latencies, default=0.0), max(latencies, default=1.0))
    networks, colours = sorted({trial.network for trial in shown}), None
    for trial in shown:
        x, y, mark = trial.bytes / 1000, trial.error, MARKS[networks.index(trial.network) % len(MARKS)]
        if trial.latency_us:
            colours = axes.scatter(
                x, y, c=trial.latency_us["p50"], cmap="viridis", vmin=limits[0], vmax=limits[1], marker=mark, s=60
            )
        else:
            axes.scatter(x, y, facecolors="none", edgecolors="grey", marker=mark, s=60)
        if trial.verdict == "chosen":
            axes.scatter(x, y, facecolors="none", edgecolors="crimson", s=260, linewidths=2)
        label = " + ".join((trial.rung, *trial.steps)) + (
            f" ({len(trial.kept_float)} float)" if trial.kept_float else ""
        )
        axes.annotate(label, (x, y), xytext=(6, 5), textcoords="offset points", fontsize=8)
    for name in networks:
        axes.scatter([], [], color="black", marker=MARKS[networks.index(name) % len(MARKS)], label=f"{name} network")
    axes.axhline(bound, color="crimson", linewidth=1, linestyle="--", label="budget")
    axes.set(xscale="log", xlabel="file, kB", ylabel=f"{metric} on eval", title="What was tried, and what ships (ring)")
    axes.legend(loc="best", fontsize=8)
    if colours is not None:
        figure.colorbar(colours, label="one row, p50 in µs (grey: not timed)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
