"""The names of objectives and metrics, as settings have them. No TensorFlow here."""

from __future__ import annotations

from typing import Annotated

from farebox.components.errors import Condition

AUTO = "auto"
CUSTOM = "custom:"
METRICS: dict[str, tuple[str, ...]] = {  # by kind, its own first
    "regression": ("rmse", "mae"),
    "binary": ("log_loss", "accuracy", "auc"),
    "classes": ("log_loss", "accuracy"),
    "multilabel": ("log_loss", "accuracy", "auc"),
}
ALL_METRICS = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))

ObjectiveName = Annotated[
    str,
    Condition(
        f"{AUTO}, {', '.join(METRICS)} or {CUSTOM}MODULE:FUNCTION",
        lambda value: value in (AUTO, *METRICS) or value.startswith(CUSTOM),
    ),
]
MetricName = Annotated[str, Condition(f"{AUTO}, {', '.join(ALL_METRICS)}", lambda value: value in (AUTO, *ALL_METRICS))]


def check_metric(section: str, objective: str, metric: str) -> None:
    """Raises ValueError, which starts with `section`, for a metric that the objective does not have."""
    if metric == AUTO or objective == AUTO:
        return
    if objective.startswith(CUSTOM):
        raise ValueError(f"{section}.metric={metric} must be {AUTO}: {objective} is the metric itself")
    if metric not in METRICS[objective]:
        raise ValueError(
            f"{section}.metric={metric} must be {' or '.join(METRICS[objective])} with objective={objective}"
        )
