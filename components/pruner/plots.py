"""Pictures of pruning, as PNG: how sparsity rose, and which weights each mask keeps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from components.pruner.magnitude import Steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#33638d", "#c2500a", "#3b8132", "#7a3b8f", "#8c6d1f", "#2a9d9d")
CELL = 0.16  # inches a weight, while the picture stays within LONGEST
LONGEST, SHORTEST = 11.0, 2.2


def ramp(steps: Steps) -> bytes:
    """Target (line) and reached sparsity (dots) over training steps, by layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    for number, (name, changes) in enumerate(steps.items()):
        color = COLORS[number % len(COLORS)]
        at, target, reached = ([change[key] for change in changes] for key in ("step", "target", "reached"))
        axes.plot(at, target, drawstyle="steps-post", color=color, linewidth=2, label=f"{name}: target")
        axes.plot(at, reached, "o", color=color, markersize=7, alpha=0.7, label=f"{name}: reached")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("training step", fontsize=14)
    axes.set_ylabel("fraction of weights that are zero", fontsize=14)
    axes.tick_params(labelsize=13)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd")
    axes.set_axisbelow(True)
    axes.legend(fontsize=12, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return png(figure)


def mask(name: str, before: np.ndarray, after: np.ndarray) -> bytes:
    """Kept weights, black, before and after; both bool of the layer's shape, the longer side drawn across."""
    from matplotlib.figure import Figure

    sides = ("input or row", "unit or dimension")
    if before.shape[0] > before.shape[1]:
        before, after, sides = before.T, after.T, sides[::-1]
    width = min(max(before.shape[1] * CELL, 6.0), LONGEST)
    height = min(max(before.shape[0] * width / before.shape[1], SHORTEST / 2), LONGEST / 2)
    figure = Figure(figsize=(width + 0.8, 2 * height + 1.9), layout="constrained")
    for axes, weights, when in zip(figure.subplots(2, 1), (before, after), ("before", "after"), strict=True):
        axes.imshow(~weights, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="antialiased")
        zeros = int(np.sum(~weights))
        axes.set_title(f"{when}: {zeros:,} of {weights.size:,} weights are zero", fontsize=13, loc="left")
        axes.set_ylabel(sides[0], fontsize=12)
    axes.set_xlabel(sides[1], fontsize=12)
    figure.suptitle(f"{name}: black is kept", fontsize=15, x=0.01, ha="left")
    return png(figure)


def png(figure: Figure) -> bytes:
    """The picture; without the date and the version, so that equal pictures are equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()
