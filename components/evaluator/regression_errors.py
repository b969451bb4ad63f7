"""One TFMA metric for all that is asked of a model of numbers, from sums: any slice's errors are merged, never kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

from components.evaluation import BIAS, MAE, MEAN_LABEL, P95, RMSE

NAMES = (RMSE, MAE, BIAS, P95, MEAN_LABEL)
QUANTILE = 0.95
# absolute errors are counted in buckets whose edges grow by one per cent: a quantile is right to half of that
GROWTH, SMALLEST = 1.01, 1e-6


@dataclasses.dataclass
class Sums:
    """rows, the sums of error, |error|, error^2 and label; rows by bucket of |error|."""

    rows: int = 0
    error: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0
    label: float = 0.0
    buckets: dict[int, int] = dataclasses.field(default_factory=dict)

    def add(self, label: float, prediction: float) -> None:
        """A row; a prediction that is not finite makes every sum so."""
        error = prediction - label
        self.rows += 1
        self.error += error
        self.absolute += abs(error)
        self.squared += error * error
        self.label += label
        bucket = bucket_of(abs(error))
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: Sums) -> None:
        self.rows += other.rows
        self.error += other.error
        self.absolute += other.absolute
        self.squared += other.squared
        self.label += other.label
        for bucket, rows in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + rows

    def figures(self) -> dict[str, float]:
        """The errors in the label's unit; NaN without rows. bias: mean of prediction minus label."""
        if not self.rows:
            return dict.fromkeys(NAMES, math.nan)
        return {
            RMSE: math.sqrt(self.squared / self.rows),
            MAE: self.absolute / self.rows,
            BIAS: self.error / self.rows,
            P95: self.quantile(QUANTILE),
            MEAN_LABEL: self.label / self.rows,
        }

    def quantile(self, share: float) -> float:
        """The least |error| that a share of the rows does not exceed, to half a per cent."""
        wanted, seen = share * self.rows, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return middle_of(bucket)
        return math.nan


def bucket_of(absolute: float) -> int:
    """0 holds what is below a millionth; what is not finite is beyond all others."""
    if not math.isfinite(absolute):
        return 1 << 30
    return 0 if absolute < SMALLEST else 1 + int(math.log(absolute / SMALLEST) / math.log(GROWTH))


def middle_of(bucket: int) -> float:
    """The geometric mean of a bucket's edges."""
    if bucket == 1 << 30:
        return math.inf
    return 0.0 if bucket == 0 else SMALLEST * GROWTH ** (bucket - 0.5)


class RegressionErrors(metric_types.Metric):
    """RMSE, MAE, bias and the 95th percentile of |error|, with the label's mean; unweighted, in the label's unit.

    TFMA knows it by the first, which thresholds of its MetricConfig are about.
    """

    def __init__(self, name: str = RMSE, **kwargs: Any) -> None:
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name, **kwargs)


def _computations(
    name: str | None = None,
    model_name: str = "",
    output_name: str = "",
    sub_key: Any = None,
    example_weighted: Any = None,
    **_: Any,
) -> list[metric_types.MetricComputation]:
    keys = {
        figure: metric_types.MetricKey(
            name=figure,
            model_name=model_name,
            output_name=output_name,
            sub_key=sub_key,
            example_weighted=example_weighted,
        )
        for figure in NAMES
    }
    return [
        metric_types.MetricComputation(
            keys=list(keys.values()), preprocessors=None, combiner=_Combiner(keys, model_name)
        )
    ]


class _Combiner(beam.CombineFn):
    """From rows of labels and predictions to the errors by metric key."""

    def __init__(self, keys: dict[str, metric_types.MetricKey], model_name: str) -> None:
        self.keys, self.model_name = keys, model_name

    def create_accumulator(self) -> Sums:
        return Sums()

    def add_input(self, accumulator: Sums, element: Any) -> Sums:
        prediction = element.prediction
        if isinstance(prediction, dict):  # of several models, by name
            prediction = prediction[self.model_name]
        if isinstance(prediction, dict):  # of several outputs, or of a named one
            (prediction,) = prediction.values()
        label = element.label
        if isinstance(label, dict):
            label = label.get(self.model_name, next(iter(label.values())))
        pairs = zip(np.ravel(label).tolist(), np.ravel(prediction).tolist(), strict=True)
        for one, predicted in pairs:
            accumulator.add(one, predicted)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        merged = Sums()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: Sums) -> dict[metric_types.MetricKey, float]:
        figures = accumulator.figures()
        return {self.keys[name]: value for name, value in figures.items()}


metric_types.register_metric(RegressionErrors)
