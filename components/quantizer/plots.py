"""The ladder as a picture: error against bytes, latency as colour."""

from __future__ import annotations

import io
from collections.abc import Sequence

from farebox.components.quantizer.trials import Trial

MARKS = "os^Dv<>P*X"


def pareto(trials: Sequence[Trial], bound: float, metric: str) -> bytes:
    """A PNG of all candidates that have an error; the budget is a line, the chosen file has a ring."""
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
            continue  # a name each would lie on the others
        is_step = bool(trial.steps)  # what was made of a candidate lies beside it
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
    axes.set(xlabel="file, kB", ylabel=f"{metric} on eval", title="What was tried, and what ships (ring)")
    axes.legend(loc="best", fontsize=8)
    if colours is not None:
        figure.colorbar(colours, label="one row, p50 in µs (grey: not timed)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    return picture.getvalue()


def last_of_its_kind(trial: Trial, trials: Sequence[Trial]) -> Trial:
    """The last of a network's int8 files with nodes float, for any of them; another trial is of a kind of its own."""
    if not trial.kept_float or trial.steps:
        return trial
    return [other for other in trials if other.network == trial.network and other.kept_float and not other.steps][-1]
