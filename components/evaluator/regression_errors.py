"""One TFMA metric for all that is asked of a model of numbers: sums by group of rows, and never a row by itself."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from farebox.components.evaluator.metrics import BIAS, COUNT, GROUPS, MAE, MEAN_LABEL, P95, RMSE, jackknife_error

NAMES = (RMSE, MAE, BIAS, P95, MEAN_LABEL)
QUANTILE = 0.95
# absolute errors are counted in buckets whose edges grow by one per cent: a quantile is right to half of that
GROWTH, SMALLEST = 1.01, 1e-6
NOT_FINITE = 1 << 20  # the bucket beyond all others


@dataclasses.dataclass
class Sums:
    """Of the rows of each group: their number, the sums of error, |error|, error^2 and label, shape (5, GROUPS); and
    rows by bucket of |error|, at the key bucket * GROUPS + group."""

    sums: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((5, GROUPS)))
    buckets: Counter[int] = dataclasses.field(default_factory=Counter)

    def add(self, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> None:
        """Rows, each shape (n,); a prediction that is not finite makes every sum of its group so."""
        error = predictions - labels
        with np.errstate(over="ignore", invalid="ignore"):
            for i, values in enumerate((np.ones(len(error)), error, np.abs(error), error**2, labels)):
                self.sums[i] += np.bincount(groups, values, GROUPS)
        keys, rows = np.unique(buckets_of(np.abs(error)) * GROUPS + groups, return_counts=True)
        self.buckets.update(dict(zip(keys.tolist(), rows.tolist(), strict=True)))

    def merge(self, other: Sums) -> None:
        self.sums += other.sums
        self.buckets.update(other.buckets)

    def figures(self) -> dict[str, np.ndarray]:
        """The errors in the label's unit, shape (1 + GROUPS,): of all rows, and without each group; NaN without rows.

        bias: mean of prediction minus label.
        """
        parts = np.stack([self.sums.sum(axis=1), *(np.delete(self.sums, i, axis=1).sum(axis=1) for i in range(GROUPS))])
        with np.errstate(divide="ignore", invalid="ignore"):
            error, absolute, squared, label = (parts[:, 1:] / parts[:, :1]).T
        quantiles = self._quantiles(parts[:, 0])
        return {RMSE: np.sqrt(squared), MAE: absolute, BIAS: error, P95: quantiles, MEAN_LABEL: label}

    def _quantiles(self, rows: np.ndarray) -> np.ndarray:
        """The least |error| that 95 % of `rows` do not exceed, to half a per cent."""
        keys, counts = np.array(list(self.buckets), int), np.array(list(self.buckets.values()), float)
        buckets, places = np.unique(keys // GROUPS, return_inverse=True)
        of_group = np.zeros((GROUPS, len(buckets)))
        np.add.at(of_group, (keys % GROUPS, places), counts)
        seen = np.cumsum(np.vstack([np.zeros(len(buckets)), of_group]), axis=1)
        seen = seen[1:].sum(axis=0) - seen  # of all rows, as group "none" has no row, and without each group
        enough = seen >= QUANTILE * rows[:, None]
        return np.array(
            [middle_of(buckets[np.argmax(row)]) if n else np.nan for n, row in zip(rows, enough, strict=True)]
        )


def buckets_of(absolute: np.ndarray) -> np.ndarray:
    """0 holds what is below a millionth; what is not finite is beyond all others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        place = 1 + np.floor(np.log(absolute / SMALLEST) / np.log(GROWTH))
    return np.where(absolute < SMALLEST, 0, np.where(np.isfinite(absolute), place, NOT_FINITE)).astype(np.int64)


def middle_of(bucket: int) -> float:
    """The geometric mean of a bucket's edges."""
    if bucket == NOT_FINITE:
        return np.inf
    return 0.0 if bucket == 0 else SMALLEST * GROWTH ** (bucket - 0.5)


def jackknifed(figure: np.ndarray) -> types.ValueWithTDistribution:
    """Of a figure of all rows and without each group, TFMA's form of it with its standard error by the jackknife.

    As TFMA has it; but a row's group is its own, where TFMA draws lots anew in every run.
    """
    whole, without = float(figure[0]), figure[1:]
    return types.ValueWithTDistribution(float(without.mean()), jackknife_error(without), GROUPS - 1, whole)


class RegressionErrors(metric_types.Metric):
    """RMSE, MAE, bias and the 95th percentile of |error|, with the label's mean and the number of rows; unweighted, in
    the label's unit. Where there is a baseline, also what they are less the baseline's on the same rows.

    Each but the number with its standard error by a jackknife. TFMA knows it by the first, which thresholds of its
    MetricConfig are about. An extract may be of many rows; `hash_key` names its column of integers, shape (n,), of
    which a row's group is the remainder.
    """

    def __init__(self, hash_key: str, name: str = RMSE, **kwargs: Any) -> None:
        super().__init__(_computations, name=name, hash_key=hash_key, **kwargs)


def _computations(
    hash_key: str, eval_config: Any = None, model_names: list[str] | None = None, **_: Any
) -> list[metric_types.MetricComputation]:
    baselines = [spec.name for spec in eval_config.model_specs if spec.is_baseline] if eval_config else []
    combiner = _Combiner(model_names or [""], baselines[0] if baselines else "")
    return [metric_types.MetricComputation(list(combiner.keys()), [_Rows(hash_key)], combiner)]


class _Rows(metric_types.Preprocessor):
    """What the combiner needs of an extract: labels, predictions, and the groups of its rows, shape (n,)."""

    def __init__(self, hash_key: str) -> None:
        super().__init__()
        self.hash_key = hash_key

    def process(self, extracts: Mapping[str, Any]) -> Iterator[tuple[Any, Any, np.ndarray]]:
        groups = (np.asarray(extracts[self.hash_key]).reshape(-1) % GROUPS).astype(np.int64)
        yield extracts[constants.LABELS_KEY], extracts[constants.PREDICTIONS_KEY], groups


def _of(model: str, values: Any) -> np.ndarray:
    """A model's numbers, shape (n,): by its name where there are several, by its output's where that has one."""
    while isinstance(values, Mapping):
        values = values[model] if model in values else next(iter(values.values()))
    return np.asarray(values, np.float64).reshape(-1)


class _Combiner(beam.CombineFn):
    """From rows to the errors by metric key; `baseline` is the model that others are held against, or empty."""

    def __init__(self, models: list[str], baseline: str) -> None:
        self.models, self.baseline = models, baseline

    def keys(self) -> Iterator[metric_types.MetricKey]:
        """Of all figures that there will be."""
        for model in self.models:
            yield metric_types.MetricKey(COUNT, model_name=model)
            for figure in NAMES:
                key = metric_types.MetricKey(figure, model_name=model)
                yield key
                if self.baseline and model != self.baseline:
                    yield key.make_diff_key()

    def create_accumulator(self) -> dict[str, Sums]:
        return {model: Sums() for model in self.models}

    def add_input(self, accumulator: dict[str, Sums], element: tuple[Any, Any, np.ndarray]) -> dict[str, Sums]:
        labels, predictions, groups = element
        for model, sums in accumulator.items():
            sums.add(_of(model, labels), _of(model, predictions), groups)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[str, Sums]]) -> dict[str, Sums]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for model, sums in accumulator.items():
                merged[model].merge(sums)
        return merged

    def extract_output(self, accumulator: dict[str, Sums]) -> dict[metric_types.MetricKey, Any]:
        figures = {model: sums.figures() for model, sums in accumulator.items()}
        found: dict[metric_types.MetricKey, Any] = {}
        for key in self.keys():
            if key.name == COUNT:
                found[key] = float(accumulator[key.model_name].sums[0].sum())
            else:
                figure = figures[key.model_name][key.name]
                with np.errstate(invalid="ignore"):  # where a figure is not finite, its error is not a number
                    found[key] = jackknifed(figure - figures[self.baseline][key.name] if key.is_diff else figure)
        return found


metric_types.register_metric(RegressionErrors)
