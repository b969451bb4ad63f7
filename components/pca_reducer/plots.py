"""Pictures of a projection: scree, loadings, and the first two codes by label."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tfx.dsl.io import fileio

from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.moments import Sample

SCREE, LOADINGS, CODES = "scree.png", "loadings.png", "codes.png"
BAR, LINE, CHOSEN = "#33638d", "#444444", "#c2500a"
FAR = 1.15  # times the source's RMSE: the right end of the comparison
FRACTIONS = (0.90, 0.95, 0.99)
MOST_DOTS, MOST_COMPONENTS, MOST_FEATURES = 3000, 16, 64


@dataclasses.dataclass(frozen=True)
class Coloured:
    """Codes of sampled rows (n, k), and the label that colours them, (n,)."""

    codes: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    label: str

    @staticmethod
    def of(axes: Axes, sample: Sample, label: str) -> Coloured:
        """Codes of at most 3,000 sampled rows: more dots hide each other."""
        return Coloured(axes.codes(sample.rows[:MOST_DOTS]), sample.labels[:MOST_DOTS], label)


def draw(
    uri: str, facts: Mapping[str, Any], names: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]], coloured: Coloured
) -> None:
    """Writes the three pictures into the folder; facts as in projection.json, arrays as in projection.npz."""
    title = f"{facts['method']} of {facts['layer']}'s {facts['space']}s, {facts['n_features']} features"
    figures = {
        SCREE: scree(title, arrays["explained_variance_ratio"], facts["k"], choice(facts)),
        LOADINGS: loadings(title, names, arrays["loadings_correlation"]),
        CODES: codes(title, coloured),
    }
    for name, figure in figures.items():
        content = io.BytesIO()
        figure.savefig(content, dpi=110, format="png")
        with fileio.open(os.path.join(uri, name), "wb") as file:
            file.write(content.getvalue())


def new_figure(width: float, height: float, n: int = 1) -> tuple[Any, Any]:
    """A figure of that size in inches, and its n axes side by side. Without pyplot it leaves no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, n)


def choice(facts: Mapping[str, Any]) -> str:
    """k and the share that it keeps, or a note that all were kept."""
    if facts["why"].startswith("skipped"):
        return f"skipped: all {facts['k']} kept"
    return f"chosen: k={facts['k']}, {facts['explained_variance_ratio']:.1%}"


def scree(title: str, ratios: npt.NDArray[Any], k: int, chosen: str) -> Any:
    """Share of the variance by component, its cumulative sum, and the chosen k."""
    figure, axes = new_figure(10, 5)
    numbers, sums = np.arange(1, len(ratios) + 1), np.cumsum(ratios)
    axes.bar(numbers, ratios, color=BAR, label="this component")
    axes.plot(numbers, sums, "o-", color=LINE, markersize=4, label="up to this one")
    axes.axvline(k, color=CHOSEN, linewidth=2, linestyle="--", label=chosen)
    axes.set_xlim(0.3, max(len(ratios), k) + 0.7)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("component", fontsize=13)
    axes.set_ylabel("share of the variance", fontsize=13)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=12)
    axes.grid(axis="y", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=12, loc="center right", framealpha=1)
    figure.suptitle(title, fontsize=15, x=0.01, ha="left")
    return figure


def loadings(title: str, names: Sequence[str], correlations: npt.NDArray[Any]) -> Any:
    """Correlation of each feature (a row) with each of the first 16 codes; of many features, those that load most."""
    shown = correlations[:MOST_COMPONENTS]
    rows = np.sort(np.argsort(-np.abs(shown).max(axis=0), kind="stable")[:MOST_FEATURES])
    figure, axes = new_figure(3.5 + 0.55 * max(len(shown), 4), 1.6 + 0.24 * max(len(rows), 6))
    image = axes.imshow(shown[:, rows].T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(len(shown)), [str(i + 1) for i in range(len(shown))], fontsize=11)
    axes.set_yticks(range(len(rows)), [names[row] for row in rows], fontsize=10)
    axes.set_xlabel("component", fontsize=12)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 4 / figure.get_figheight()))
    bar.set_label("correlation", fontsize=12)
    figure.suptitle(title.replace(", ", ",\n"), fontsize=13, x=0.01, ha="left")
    return figure


def codes(title: str, coloured: Coloured) -> Any:
    """The first two codes, a dot per row coloured by its label; a single code is drawn against the label."""
    figure, axes = new_figure(8, 6)
    lone = coloured.codes.shape[1] == 1
    up = coloured.labels if lone else coloured.codes[:, 1]
    low, high = np.quantile(coloured.labels, (0.02, 0.98))  # a few outliers would leave all others one colour
    dots = axes.scatter(
        coloured.codes[:, 0], up, c=coloured.labels, cmap="viridis", s=9, alpha=0.7, vmin=low, vmax=high, linewidths=0
    )
    bar = figure.colorbar(dots, ax=axes, extend="both" if high > low else "neither")
    bar.set_label(coloured.label, fontsize=13)
    bar.solids.set_alpha(1)
    axes.set_xlabel("component 1", fontsize=13)
    axes.set_ylabel(coloured.label if lone else "component 2", fontsize=13)
    axes.tick_params(labelsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=15, x=0.01, ha="left")
    return figure


def comparison(summary: Mapping[str, Any]) -> Any:
    """Methods side by side, as `farebox reduce` writes them into reduction.json."""
    figure, (left, middle, right) = new_figure(17, 5.5, 3)
    rows = [row for row in summary["reductions"] if row["k"] is not None]
    for axes, space in ((left, "preactivation"), (middle, "input")):
        for row in (row for row in rows if row["space"] == space and row["method"] != "ica"):
            method, shares = row["method"], row["cumulative"]
            label = "pca, ica" if method == "pca" else method  # ica turns pca's axes within their space
            style = "--" if method == "svd" else "-"
            axes.plot(range(1, len(shares) + 1), shares, style, linewidth=2, label=label)
        for fraction in FRACTIONS:
            axes.axhline(fraction, color="#999999", linewidth=0.8, linestyle=":")
        axes.set_title(f"{space}s", fontsize=14)
        axes.set_xlabel("components", fontsize=13)
        axes.set_ylim(0, 1.03)
        axes.legend(fontsize=12, loc="lower right")
    left.set_ylabel("share of the variance, running sum", fontsize=13)
    errors(right, [row for row in rows if row["folded"]], summary["source"]["eval_rmse"])
    right.set_xlabel(f"eval RMSE, {summary['currency']}", fontsize=13)
    for axes in (left, middle, right):
        axes.tick_params(labelsize=12)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{summary['city']}: reductions of the trained network", fontsize=16, x=0.01, ha="left")
    return figure


def errors(axes: Any, rows: Sequence[Mapping[str, Any]], source: float) -> None:
    """RMSE of each reduction as folded (ring) and after fine-tuning (dot); a far value is a number at the right."""
    limit = source * FAR
    axes.axvline(source, color=LINE, linewidth=1.5)
    for height, row in enumerate(rows):
        folded, reduced = row["eval_rmse"]["folded"], row["eval_rmse"]["reduced"]
        axes.plot(reduced, height, "o", color=CHOSEN, markersize=9, clip_on=True)
        if folded <= limit:
            axes.plot(folded, height, "o", markerfacecolor="none", color=BAR, markersize=9)
        else:
            at_right = axes.get_yaxis_transform()
            axes.text(1, height, f"{folded:.2f} →", transform=at_right, ha="right", va="center", color=BAR, fontsize=12)
    axes.set_xlim(min(source, *(row["eval_rmse"]["reduced"] for row in rows)) * 0.985, limit)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    labels = [f"{row['space']} {row['method']}, k={row['k']}" for row in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_title("ring: folded, dot: fine-tuned, line: source", fontsize=14)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
