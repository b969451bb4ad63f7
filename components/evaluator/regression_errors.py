"""One TFMA metric with all errors of a regression model, from sums by group of rows: it keeps no single row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

from farebox.components.evaluator.group_sums import NAMES, OF_RANGES, Floats, Integers, Sums
from farebox.components.evaluator.metrics import COUNT, GROUPS, RMSE, jackknife_error
from farebox.components.tflite.bands import Bands


def jackknifed(metric: Floats) -> types.ValueWithTDistribution:
    """TFMA's form of a metric with its standard error by the jackknife; metric: as from `Sums.metrics`.

    TFMA's own jackknife draws the groups at random in every run; here a row's group depends on the row only.
    """
    value, replicates = float(metric[0]), metric[1:]
    return types.ValueWithTDistribution(float(replicates.mean()), jackknife_error(replicates), GROUPS - 1, value)


class RegressionErrors(metric_types.Metric):
    """RMSE, MAE, bias and 95th percentile of |error|, mean label and number of rows; unweighted, in the label's unit.

    With a baseline, also the differences from the baseline on the same rows. All except the number of rows have their
    standard error by a jackknife. TFMA names the metric after the first, RMSE: thresholds of its MetricConfig apply to
    RMSE. An extract may hold many rows; `hash_key` names its column of integers, shape (n,): a row's group is the
    remainder modulo GROUPS. bands: the candidate's `Bands` as JSON; then also the share of labels in their ranges, and
    the ranges' mean width.
    """

    def __init__(self, hash_key: str, bands: Mapping[str, Any] | None = None, name: str = RMSE, **kwargs: Any) -> None:
        super().__init__(_computations, name=name, hash_key=hash_key, bands=bands, **kwargs)


def _computations(
    hash_key: str,
    bands: Mapping[str, Any] | None = None,
    eval_config: Any = None,
    model_names: list[str] | None = None,
    **_: Any,
) -> list[metric_types.MetricComputation]:
    baselines = [spec.name for spec in eval_config.model_specs if spec.is_baseline] if eval_config else []
    combiner = _Combiner(
        model_names or [""], baselines[0] if baselines else "", None if bands is None else Bands.from_json(bands)
    )
    return [metric_types.MetricComputation(list(combiner.keys()), [_Rows(hash_key)], combiner)]


class _Rows(metric_types.Preprocessor):
    """Yields labels, predictions and groups, shape (n,), of an extract's rows."""

    def __init__(self, hash_key: str) -> None:
        super().__init__()
        self.hash_key = hash_key

    def process(self, extracts: Mapping[str, Any]) -> Iterator[tuple[Any, Any, Integers]]:
        groups = (np.asarray(extracts[self.hash_key]).reshape(-1) % GROUPS).astype(np.int64)
        yield extracts[constants.LABELS_KEY], extracts[constants.PREDICTIONS_KEY], groups


def _values_of(model: str, values: Any) -> Floats:
    """A model's numbers, shape (n,), from TFMA's nested mappings of model names and output names."""
    while isinstance(values, Mapping):
        values = values[model] if model in values else next(iter(values.values()))
    return np.asarray(values, np.float64).reshape(-1)


class _Combiner(beam.CombineFn):
    """Combines rows to metrics by key; baseline: name of the model to compare with, or empty; bands: of the other."""

    def __init__(self, models: list[str], baseline: str, bands: Bands | None = None) -> None:
        self.models, self.baseline, self.bands = models, baseline, bands

    def keys(self) -> Iterator[metric_types.MetricKey]:
        """The keys of all metrics."""
        for model in self.models:
            yield metric_types.MetricKey(COUNT, model_name=model)
            for name in NAMES:
                key = metric_types.MetricKey(name, model_name=model)
                yield key
                if self.baseline and model != self.baseline:
                    yield key.make_diff_key()
            if self._bands_of(model):
                for name in OF_RANGES:
                    yield metric_types.MetricKey(name, model_name=model)

    def _bands_of(self, model: str) -> Bands | None:
        return None if model == self.baseline != "" else self.bands

    def create_accumulator(self) -> dict[str, Sums]:
        return {model: Sums() for model in self.models}

    def add_input(self, accumulator: dict[str, Sums], element: tuple[Any, Any, Integers]) -> dict[str, Sums]:
        labels, predictions, groups = element
        for model, sums in accumulator.items():
            sums.add(_values_of(model, labels), _values_of(model, predictions), groups, self._bands_of(model))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[str, Sums]]) -> dict[str, Sums]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for model, sums in accumulator.items():
                merged[model].merge(sums)
        return merged

    def extract_output(self, accumulator: dict[str, Sums]) -> dict[metric_types.MetricKey, Any]:
        metrics = {model: sums.metrics() for model, sums in accumulator.items()}
        values: dict[metric_types.MetricKey, Any] = {}
        for key in self.keys():
            if key.name == COUNT:
                values[key] = float(accumulator[key.model_name].sums[0].sum())
            else:
                metric = metrics[key.model_name][key.name]
                with np.errstate(invalid="ignore"):  # the standard error of a metric that is not finite is NaN
                    values[key] = jackknifed(metric - metrics[self.baseline][key.name] if key.is_diff else metric)
        return values


metric_types.register_metric(RegressionErrors)
