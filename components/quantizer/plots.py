"""The picture of the ladder: error against bytes, latency as colour."""

from __future__ import annotations

import io
from collections.abc import Sequence

from farebox.components.quantizer.trials import QuantizationTrial

MARKS = "os^Dv<>P*X"


def pareto(trials: Sequence[QuantizationTrial], bound: float, metric: str) -> bytes:
    """Draws all candidates with an error as PNG; the budget is a line, the chosen file has a ring."""
    from matplotlib.figure import Figure

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
        if trial is not last_of_its_kind(trial, shown):
            continue  # a label for each would cover the others
        is_step = bool(trial.steps)  # it lies beside the candidate that it changes
        label = trial.rung + (f", {len(trial.kept_float)} nodes float" if trial.kept_float else "")
        label = f"+ {', '.join(trial.steps)}" if is_step else label
        offset, colour = (6, -12 if is_step else 5), "black" if trial.error <= bound else "grey"
        axes.annotate(label, (x, y), xytext=offset, textcoords="offset points", fontsize=8, color=colour)
    for name in networks:
        axes.scatter([], [], color="black", marker=MARKS[networks.index(name) % len(MARKS)], label=f"{name} network")
    axes.axhline(bound, color="crimson", linewidth=1, linestyle="--", label="budget")
    axes.set_xscale("log")
    for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        set_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.15)
    axes.set(xlabel="file, kB", ylabel=f"{metric} on eval", title="Candidates, and the one that ships (ring)")
    axes.legend(loc="best", fontsize=8)
    if colours is not None:
        figure.colorbar(colours, label="one row, p50 in µs (grey: not timed)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    return picture.getvalue()


def last_of_its_kind(trial: QuantizationTrial, trials: Sequence[QuantizationTrial]) -> QuantizationTrial:
    """Returns the network's last trial with nodes float, if `trial` is one of these; any other trial itself."""
    if not trial.kept_float or trial.steps:
        return trial
    return [each for each in trials if each.network == trial.network and each.kept_float and not each.steps][-1]
