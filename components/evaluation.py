"""What Evaluator found, as plain numbers and checks."""

from __future__ import annotations

from typing import Any

from components.checks import Check

RMSE, MAE, COUNT = "root_mean_squared_error", "mean_absolute_error", "example_count"
OVERALL = ()


def metrics_by_slice(uri: str, model_name: str) -> dict[tuple[tuple[str, Any], ...], dict[str, float]]:
    """{slice: {metric: value}} of one model of an evaluation; the slice of all rows is ().

    TFMA leaves the name empty where there is one model only; `model_name` then goes unused.
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(uri, model_name=model_name)
    return {
        slice_key: {
            name: value["doubleValue"] for name, value in _single_output(metrics).items() if "doubleValue" in value
        }
        for slice_key, metrics in result.slicing_metrics
    }


def overall(uri: str) -> dict[str, float]:
    """{metric: value} of the candidate over all rows."""
    return metrics_by_slice(uri, model_names(uri)[0])[OVERALL]


def _single_output(metrics: dict[str, Any]) -> dict[str, Any]:
    return metrics[""][""]


def model_names(uri: str) -> list[str]:
    """Names of the evaluated models: [''] or the candidate's, then the baseline's."""
    import tensorflow_model_analysis as tfma

    specs = tfma.load_eval_result(uri).config.model_specs
    return [spec.name for spec in sorted(specs, key=lambda spec: spec.is_baseline)]


def thresholds(uri: str) -> tuple[float, float]:
    """The upper bound of RMSE, and the largest increase over the baseline."""
    import tensorflow_model_analysis as tfma

    (specs,) = tfma.load_eval_result(uri).config.metrics_specs[:1]
    (bounded,) = (metric for metric in specs.metrics if metric.per_slice_thresholds)
    threshold = bounded.per_slice_thresholds[0].threshold
    return threshold.value_threshold.upper_bound.value, threshold.change_threshold.absolute.value


def checks(uri: str, candidate: dict[str, float], baseline: dict[str, float] | None) -> list[Check]:
    """The gates on accuracy, with TFMA's own comparisons: neither may be above its bound."""
    max_rmse, max_increase = thresholds(uri)
    rmse = candidate[RMSE]
    found = [Check("max_rmse", rmse, max_rmse, rmse <= max_rmse, "RMSE of the shipped file on the test split")]
    if baseline is None:
        found.append(Check("max_rmse_increase", 0.0, None, True, "no blessed model to compare with yet"))
    else:
        increase = rmse - baseline[RMSE]
        detail = f"RMSE over the last blessed model's {baseline[RMSE]:.4f}, same rows"
        found.append(Check("max_rmse_increase", increase, max_increase, increase <= max_increase, detail))
    return found
