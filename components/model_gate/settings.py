"""What a user may ask of a model's accuracy. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from farebox.components.errors import increase

BOUNDS = ("max_rmse", "max_mae", "max_p95", "max_bias")


def check_bounds(bounds: Any, section: str) -> None:
    """Raises ValueError for a bound that nothing, or anything, could hold."""
    for name in BOUNDS:
        value = getattr(bounds, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{section}.{name}={value} must be above 0 and finite, or null")
    if bounds.max_rmse_increase is not None:
        increase(bounds.max_rmse_increase, 1.0, f"{section}.max_rmse_increase")


@dataclasses.dataclass(frozen=True)
class SliceBounds:
    """What must hold in every slice of at least `min_rows` rows; None for no such bound.

    max_rmse, max_mae and max_p95 (95th percentile of the absolute error): in the label's unit. max_bias: the mean
    error over the mean label, a fraction. max_rmse_increase: over the last blessed model, in the label's unit or as a
    text such as "25%". A slice fails where its whole confidence interval is beyond the bound.
    """

    min_rows: int = 100
    max_rmse: float | None = None
    max_mae: float | None = None
    max_p95: float | None = None
    max_bias: float | None = 0.15
    max_rmse_increase: float | str | None = "25%"

    def __post_init__(self) -> None:
        if self.min_rows < 1:
            raise ValueError(f"gates.slices.min_rows={self.min_rows} must be at least 1")
        check_bounds(self, "gates.slices")


@dataclasses.dataclass(frozen=True)
class ModelBounds:
    """What must hold on all rows of the test split, None for no such bound (max_rmse is always
    there), and in its slices.

    max_rmse, max_mae and max_p95: in the label's unit, held by what was measured. max_bias: a fraction of the mean
    label. max_rmse_increase: over the last blessed model on the same rows, in the label's unit or as a text such as
    "2%"; both fail where the whole confidence interval is beyond the bound. max_ratio_to_yardstick: RMSE over that of a
    DNN on the engineered columns without embeddings, same rows. confidence: of the intervals, all slices together.
    """

    max_rmse: float = 5.0
    max_mae: float | None = None
    max_p95: float | None = None
    max_bias: float | None = 0.03
    max_rmse_increase: float | str | None = "2%"
    max_ratio_to_yardstick: float | None = 1.02
    confidence: float = 0.95
    slices: SliceBounds = SliceBounds()

    def __post_init__(self) -> None:
        if isinstance(self.slices, dict):  # JSON has no dataclasses
            object.__setattr__(self, "slices", SliceBounds(**self.slices))
        if self.max_rmse is None:
            raise ValueError("gates.max_rmse must be given: Evaluator blesses by it")
        check_bounds(self, "gates")
        ratio = self.max_ratio_to_yardstick
        if ratio is not None and not 0 < ratio < math.inf:
            raise ValueError(f"gates.max_ratio_to_yardstick={ratio} must be above 0 and finite, or null")
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"gates.confidence={self.confidence} must be above 0.5 and below 1")
