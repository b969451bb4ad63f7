"""What Evaluator measured, as plain numbers with their confidence intervals."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RMSE, MAE, BIAS, P95, MEAN_LABEL = "rmse", "mae", "bias", "p95_absolute_error", "mean_label"
COUNT = "example_count"
JUDGED_FILE = "judged.json"  # beside TFMA's own files: digests of the files that were judged
OVERALL = ()
GROUPS, CONFIDENCE = 20, 0.95  # of the jackknife

SliceKey = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % confidence interval by a jackknife of 20 groups; without one, the figure alone."""

    value: float
    lower: float
    upper: float

    @staticmethod
    def of(metric: Mapping[str, Any]) -> Estimate:
        """From TFMA's JSON form of a metric value."""
        bounded = metric.get("boundedValue")
        if bounded is None:
            value = float(metric["doubleValue"])
            return Estimate(value, value, value)
        value, lower, upper = (float(bounded[key]) for key in ("value", "lowerBound", "upperBound"))
        if math.isnan(lower) or math.isnan(upper):
            lower = upper = value
        return Estimate(value, lower, upper)

    def widened(self, confidence: float) -> Estimate:
        """With the interval of another confidence."""
        ratio = students(confidence) / students(CONFIDENCE)
        return Estimate(
            self.value,
            self.value - ratio * (self.value - self.lower),
            self.value + ratio * (self.upper - self.value),
        )


def students(confidence: float) -> float:
    """The quantile of Student's t with a degree of freedom less than there are groups, two-sided."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, GROUPS - 1))


def jackknife_error(without: np.ndarray) -> float:
    """The standard error of a figure, from what it is without each of the groups, shape (GROUPS,).

    Efron and Stein 1981, "The Jackknife Estimate of Variance". NaN where one of them is not finite.
    """
    return math.sqrt((GROUPS - 1) * without.var())


Metrics = dict[str, Estimate]


def by_slice(uri: str, baseline: bool = False) -> dict[SliceKey, Metrics]:
    """{slice: {figure: Estimate}} of the candidate, or of the baseline; empty where there is none.

    The slice of all rows is (). A candidate that was judged beside a baseline has `..._diff` figures too: its own less
    the baseline's, on the same rows.
    """
    import tensorflow_model_analysis as tfma

    specs = [spec for spec in tfma.load_eval_result(uri).config.model_specs if spec.is_baseline == baseline]
    if not specs:
        return {}
    result = tfma.load_eval_result(uri, model_name=specs[0].name)  # TFMA leaves the name empty where there is one model
    return {
        slice_key: {name: Estimate.of(value) for name, value in metrics[""][""].items() if is_number(value)}
        for slice_key, metrics in result.slicing_metrics
    }


def is_number(metric: Mapping[str, Any]) -> bool:
    """Whether a metric value in TFMA's JSON form is one number."""
    return "doubleValue" in metric or "boundedValue" in metric


def judged_files(uri: str) -> dict[str, str | None]:
    """SHA-256 of the `candidate` and of the `baseline` (None without one), as Evaluator read them."""
    from tfx.dsl.io import fileio

    with fileio.open(os.path.join(uri, JUDGED_FILE), "r") as file:
        found: dict[str, str | None] = json.loads(file.read())
    return found


def describe(slice_key: SliceKey) -> str:
    """`pickup_hour=8`; `all trips` for the slice of all rows."""
    return ", ".join(f"{feature}={value}" for feature, value in slice_key) or "all trips"
