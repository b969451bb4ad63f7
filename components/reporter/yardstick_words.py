"""How much better the shipped file is than a yardstick on the same trips, in words."""

from __future__ import annotations

from farebox.components.model_gate.yardsticks import (
    LIGHTGBM,
    LINEAR_ON_DISTANCE,
    NO_EMBEDDING_DNN,
    PREDICT_MEAN,
    RAW_DNN,
    ratio,
)
from farebox.components.reporter.figures import ModelFigures

YARDSTICKS = {
    PREDICT_MEAN: "the mean fare",
    RAW_DNN: "a DNN on raw columns",
    LINEAR_ON_DISTANCE: "a straight line on distance",
    NO_EMBEDDING_DNN: "a DNN without embeddings",
    LIGHTGBM: "LightGBM",
}
Ratio = tuple[float, float | None, float | None]  # of RMSE, with the ends of its interval


def best_yardstick(measured: ModelFigures) -> str:
    """The name of the yardstick with the smallest RMSE."""
    return min(measured.yardsticks, key=lambda name: measured.yardsticks[name])


def versus(measured: ModelFigures, name: str) -> str:
    """`7 % better than LightGBM (4 to 10 % better)`, or `no sure difference from LightGBM (4 % worse to 2 % better)`.

    The interval is paired.
    """
    value, low, high = ratio_to(measured, name)
    title, change = YARDSTICKS.get(name, name), percent(value)
    if low is None or high is None:
        return f"{change} than {title}" if change else f"as good as {title}"
    if low <= 1 <= high:
        return f"no sure difference from {title} ({_ends(low, high)})"
    return f"{change} than {title} ({between_percents(low, high)})"


def ratio_to(measured: ModelFigures, name: str) -> Ratio:
    """RMSE of the shipped file over a yardstick's on the same trips, with the interval of the ratio if it is known."""
    found = measured.yardstick_ratios.get(name)
    return found or (ratio(measured.rmse.shipped, measured.yardsticks[name]), None, None)


def between_percents(low: float, high: float) -> str:
    """The interval of a ratio: `4 to 10 % better`, or `4 % worse to 2 % better: no sure difference`."""
    if low <= 1 <= high:
        return f"{_ends(low, high)}: no sure difference"
    near, far = sorted((low, high), key=lambda end: abs(end - 1))
    return f"{(percent(near) or '0').partition(' ')[0]} to {percent(far)}"


def _ends(low: float, high: float) -> str:
    return f"{percent(high) or '0 %'} to {percent(low) or '0 %'}"


def percent(value: float) -> str:
    """A ratio as `7 % better`, `0.3 % worse`; empty if that is under 0.05 %."""
    change = (1 - value) * 100
    size = f"{abs(change):.1f}" if abs(change) < 0.95 else f"{abs(change):.0f}"
    return "" if float(size) == 0 else f"{size} % {'better' if change > 0 else 'worse'}"
