"""The picture of live errors over time: each error beside its promise, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.errors import InputError
from farebox.components.evaluator.metrics import ALL_TRIPS, BIAS, COVERAGE, MAE, RMSE
from farebox.components.evaluator.promises import MISSED
from farebox.pipeline.retraining.live_record import Live

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIVE, BROKEN, PROMISED, ALLOWED = "#33638d", "#c2500a", "#444444", "#e3e8ee"
PANELS = {MAE: "mean absolute error", RMSE: "RMSE", BIAS: "bias", COVERAGE: "share in range"}
MOST_TICKS = 15


def draw(path: Path, lives: Sequence[Live], names: Sequence[str], *, city: str, currency: str) -> None:
    """Writes a .png with a panel per error: of the latest version on each span, and what its promise allows.

    names: of the spans, one for each of `lives`. Raises InputError if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise InputError(f"picture={path} must end in .png")
    panels = {name: title for name, title in PANELS.items() if any(name in live.errors[ALL_TRIPS] for live in lives)}
    figure = Figure(figsize=(11, 1 + 2.1 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(len(panels), 1, sharex=True), panels.items(), strict=True):
        _panel(axes, name, lives)
        axes.set_ylabel(title if name == COVERAGE else f"{title}, {currency}")
    axes.set_xticks(range(len(lives)), names, rotation=45, ha="right")
    axes.locator_params(axis="x", nbins=MOST_TICKS) if len(lives) > MOST_TICKS else None
    figure.suptitle(f"{city}: live errors of the latest version, span by span")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise InputError(f"picture={path} cannot be written: {error.strerror or error}") from error


def _panel(axes: Axes, name: str, lives: Sequence[Live]) -> None:
    """Live values with intervals, the promise as a step, what it allows as an area, a line at each new version."""
    places = range(len(lives))
    promise = [_triple(live.promise, name)[0] for live in lives]
    ends = [_allowed(live, name) for live in lives]
    lower, upper = ([end[side] for end in ends] for side in (0, 1))
    axes.fill_between(places, lower, upper, step="mid", color=ALLOWED, label="allowed")
    axes.step(places, promise, where="mid", color=PROMISED, linewidth=1.2, label="promised")
    broken = [any(check.name == _check_of(name) for check in live.broken) for live in lives]
    for is_broken, color, label in ((False, LIVE, "live, with 95 % interval"), (True, BROKEN, "live, promise broken")):
        chosen = [place for place in places if broken[place] == is_broken]
        values = [_triple(lives[place].errors, name) for place in chosen]
        bars = [[value - low for value, low, _ in values], [high - value for value, _, high in values]]
        axes.errorbar(chosen, [value for value, _, _ in values], bars, fmt="o", ms=4, color=color, label=label)
    changes = [place for place in places[1:] if lives[place].version != lives[place - 1].version]
    for place in changes:
        axes.axvline(
            place - 0.5, color=PROMISED, linewidth=0.8, linestyle=":", label="another version" * (place == changes[0])
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)


def _check_of(name: str) -> str:
    return MISSED if name == COVERAGE else name


def _triple(errors: Any, name: str) -> list[float]:
    """Value, lower and upper end; NaN for what is not known."""
    triple = errors.get(ALL_TRIPS, {}).get(name, [None] * 3)
    return [float("nan") if each is None else each for each in triple]


def _allowed(live: Live, name: str) -> tuple[float, float]:
    """Lower and upper end of the errors that break no promise."""
    check = next((check for check in live.checks if check.name == _check_of(name)), None)
    if check is None or check.bound is None:
        return float("nan"), float("nan")
    if name == COVERAGE:
        return 1 - check.bound, 1.0
    promised = _triple(live.promise, name)[0]
    return (promised - check.bound, promised + check.bound) if name == BIAS else (0.0, check.bound)
