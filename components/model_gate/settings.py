"""Settings of ModelGate: bounds on a model's accuracy. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from farebox.components.errors import Count, Increase, Positive, Share, check_fields, strictly_between


@dataclasses.dataclass(frozen=True)
class SliceBounds:
    """Bounds on every slice of enough rows, null for no bound.

    A slice fails if its whole confidence interval is beyond the bound.
    """

    min_rows: Count = 100
    """Rows from which a slice is judged."""
    max_rmse: Positive | None = None
    """RMSE, in the label's unit."""
    max_mae: Positive | None = None
    """Mean absolute error, in the label's unit."""
    max_p95: Positive | None = None
    """95th percentile of the absolute error, in the label's unit."""
    max_bias: Positive | None = 0.15
    """Mean error, as a fraction of the mean label."""
    max_rmse_increase: Increase | None = "25%"
    """Increase of RMSE over the last blessed model in the same slice: a number in the label's unit, or a percentage."""
    max_coverage_shortfall: Share | None = 0.15
    """Share of labels outside their ranges beyond what bands.coverage allows; no range promises anything of a slice."""

    def __post_init__(self) -> None:
        check_fields(self, "gates.slices")


@dataclasses.dataclass(frozen=True)
class ModelBounds:
    """Bounds on all rows of the test split, null for no bound, and on its slices.

    max_rmse, max_mae and max_p95 bound the measured value; the others fail if the whole confidence interval is beyond
    the bound.
    """

    max_rmse: Positive = 5.0
    """RMSE, in the label's unit; Evaluator blesses by it, so that it cannot be null."""
    max_mae: Positive | None = None
    """Mean absolute error, in the label's unit."""
    max_p95: Positive | None = None
    """95th percentile of the absolute error, in the label's unit."""
    max_bias: Positive | None = 0.03
    """Mean error, as a fraction of the mean label."""
    max_rmse_increase: Increase | None = "2%"
    """Increase of RMSE over the last blessed model on the same rows: a number in the label's unit, or a percentage."""
    max_ratio_to_yardstick: Positive | None = 1.02
    """RMSE, as a multiple of that of a DNN on the engineered columns without embeddings, on the same rows."""
    max_coverage_shortfall: Share | None = 0.02
    """Share of labels outside their ranges beyond what bands.coverage allows: 0.02 tolerates 88 % for promised 90 %."""
    confidence: Annotated[float, strictly_between(0.5, 1)] = 0.95
    """Confidence of the intervals, for all slices together."""
    slices: SliceBounds = SliceBounds()
    """Bounds on slices."""

    def __post_init__(self) -> None:
        if isinstance(self.slices, dict):  # JSON has no dataclasses
            object.__setattr__(self, "slices", SliceBounds(**self.slices))
        if self.max_rmse is None:
            raise ValueError("gates.max_rmse must be given: Evaluator blesses by it")
        check_fields(self, "gates")
