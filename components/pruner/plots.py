"""Pictures of pruning, as PNG: how sparsity rose, and which weights each mask keeps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from farebox.components.pruner.magnitude import Steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET, REACHED = "#33638d", "#c2500a"
PANEL = 1.9  # inches a layer
CELL = 0.16  # inches a weight, while the picture stays within LONGEST
LONGEST, SHORTEST, TALLEST = 11.0, 1.1, 4.0


def ramp(steps: Steps) -> bytes:
    """Target (line) and reached sparsity (dots) over training steps, a panel by layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + PANEL * len(steps)), layout="constrained")
    panels = figure.subplots(len(steps), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, changes) in zip(panels, steps.items(), strict=True):
        at, target, reached = ([change[key] for change in changes] for key in ("step", "target", "reached"))
        axes.plot(at, target, drawstyle="steps-post", color=TARGET, linewidth=2, label="target")
        axes.plot(at, reached, "o", color=REACHED, markersize=7, label="reached")
        axes.set_title(f"{name}: {reached[-1]:.1%} of its weights are zero", fontsize=13, loc="left")
        axes.set_ylim(-0.05, 1.05)
        axes.tick_params(labelsize=12)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd")
        axes.set_axisbelow(True)
    panels[0].legend(fontsize=12, frameon=False, loc="upper left", ncols=2)
    panels[-1].set_xlabel("training step", fontsize=13)
    figure.supylabel("fraction of zeros", fontsize=13)
    return png(figure)


def mask(name: str, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> bytes:
    """Kept weights, black, before and after; both bool of the layer's shape, the longer side drawn across."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    sides = ("input or row", "unit or dimension")
    if before.shape[0] > before.shape[1]:
        before, after, sides = before.T, after.T, sides[::-1]
    width = min(max(before.shape[1] * CELL, 6.0), LONGEST)
    height = min(max(before.shape[0] * width / before.shape[1], SHORTEST), TALLEST)
    figure = Figure(figsize=(width + 0.8, 2 * height + 1.9), layout="constrained")
    for axes, weights, when in zip(figure.subplots(2, 1), (before, after), ("before", "after"), strict=True):
        axes.imshow(~weights, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="antialiased")
        zeros = int(np.sum(~weights))
        axes.set_title(f"{when}: {zeros:,} of {weights.size:,} weights are zero", fontsize=13, loc="left")
        axes.set_ylabel(sides[0], fontsize=12)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.set_xlabel(sides[1], fontsize=12)
    figure.suptitle(f"{name}: black is kept", fontsize=15, x=0.01, ha="left")
    return png(figure)


def png(figure: Figure) -> bytes:
    """The picture as PNG, without date and version, so that equal pictures have equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()
