"""Evaluator's metrics: their names, and their values with confidence intervals. No TensorFlow on import."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RMSE, MAE, BIAS, P95, MEAN_LABEL = "rmse", "mae", "bias", "p95_absolute_error", "mean_label"
COVERAGE, RANGE_WIDTH = "coverage", "range_width"  # of the ranges, where the model has bands
COUNT = "example_count"
JUDGED_FILE = "judged.json"  # beside TFMA's own files: SHA-256 of the judged files
OVERALL, ALL_TRIPS = (), "all trips"  # the slice of all rows, and its name for people
GROUPS, CONFIDENCE = 20, 0.95  # of the jackknife

SliceKey = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % confidence interval by a jackknife of 20 groups; without one, lower = upper = value."""

    value: float
    lower: float
    upper: float

    @staticmethod
    def from_tfma(metric: Mapping[str, Any]) -> Estimate:
        """Reads TFMA's JSON form of a metric value."""
        bounded = metric.get("boundedValue")
        if bounded is None:
            value = float(metric["doubleValue"])
            return Estimate(value, value, value)
        value, lower, upper = (float(bounded[key]) for key in ("value", "lowerBound", "upperBound"))
        if math.isnan(lower) or math.isnan(upper):
            lower = upper = value
        return Estimate(value, lower, upper)

    @staticmethod
    def from_jackknife(metric: npt.NDArray[np.floating[Any]]) -> Estimate:
        """The estimate that TFMA makes of a metric over all rows, then without each group, shape (1 + GROUPS,).

        As in TFMA, the interval lies around the mean of the values without each group.
        """
        import numpy as np

        value, middle = float(metric[0]), float(metric[1:].mean())
        with np.errstate(invalid="ignore"):  # the standard error of a metric that is not finite is NaN
            error = t_quantile(CONFIDENCE) * jackknife_error(metric[1:])
        return Estimate(value, value, value) if math.isnan(error) else Estimate(value, middle - error, middle + error)

    def widened(self, confidence: float) -> Estimate:
        """The same value with the interval at another confidence, a fraction."""
        ratio = t_quantile(confidence) / t_quantile(CONFIDENCE)
        return Estimate(
            self.value,
            self.value - ratio * (self.value - self.lower),
            self.value + ratio * (self.upper - self.value),
        )


def t_quantile(confidence: float) -> float:
    """Two-sided quantile of Student's t with GROUPS - 1 degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, GROUPS - 1))


def jackknife_error(replicates: npt.NDArray[np.floating[Any]]) -> float:
    """Standard error of a metric from its values without each of the groups, shape (GROUPS,).

    Efron and Stein 1981, "The Jackknife Estimate of Variance". NaN if a value is not finite.
    """
    return math.sqrt((GROUPS - 1) * replicates.var())


Metrics = dict[str, Estimate]


def by_slice(uri: str, *, is_baseline: bool = False) -> dict[SliceKey, Metrics]:
    """{slice: {metric: Estimate}} of the candidate, or of the baseline; empty without such a model.

    The slice of all rows is (). With a baseline, the candidate also has `..._diff` metrics: its own minus those of the
    baseline, on the same rows.
    """
    import tensorflow_model_analysis as tfma

    specs = [spec for spec in tfma.load_eval_result(uri).config.model_specs if spec.is_baseline == is_baseline]
    if not specs:
        return {}
    result = tfma.load_eval_result(uri, model_name=specs[0].name)  # TFMA leaves the name of a single model empty
    return {
        slice_key: {name: Estimate.from_tfma(value) for name, value in metrics[""][""].items() if is_number(value)}
        for slice_key, metrics in result.slicing_metrics
    }


def is_number(metric: Mapping[str, Any]) -> bool:
    """Whether a metric value in TFMA's JSON form is a single number."""
    return "doubleValue" in metric or "boundedValue" in metric


def judged_digests(uri: str) -> dict[str, str | None]:
    """SHA-256 of the files that Evaluator read as `candidate` and `baseline`; None without a baseline."""
    from tfx.dsl.io import fileio

    with fileio.open(os.path.join(uri, JUDGED_FILE), "r") as file:
        digests: dict[str, str | None] = json.loads(file.read())
    return digests


def describe(slice_key: SliceKey) -> str:
    """`pickup_hour=8`; `all trips` for the slice of all rows."""
    return ", ".join(f"{feature}={value}" for feature, value in slice_key) or ALL_TRIPS
