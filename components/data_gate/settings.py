"""What a user may set of DataGate. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

Action = Literal["stop", "warn", "ignore"]
KINDS = ("schema", "drift", "skew", "rejected", "few_rows")


@dataclasses.dataclass(frozen=True)
class DataGateSettings:
    """What is done about each kind of anomaly, and how much of it is one.

    schema: values that the schema does not allow; drift: train against train of the last blessed run; skew: eval and
    test against train; rejected: the share of rows that are no trips; few_rows: of all splits and of each. `stop` ends
    the run before Transform, `warn` says so and goes on, `ignore` leaves the check out.

    max_categorical: the largest L-infinity distance of a categorical feature, in [0, 1]; max_numeric: the largest
    Jensen-Shannon divergence of a numeric one, in bits, [0, 1]. What chance explains is allowed on top.
    thresholds: {feature: threshold} instead of these two; null leaves the feature out.
    ignore_features: neither drift nor skew of these; dates drift by nature.
    min_rows, min_split_rows: trips in all splits together, and in each.
    """

    schema: Action = "stop"
    drift: Action = "stop"
    skew: Action = "stop"
    rejected: Action = "stop"
    few_rows: Action = "stop"
    max_categorical: float = 0.15
    max_numeric: float = 0.03
    thresholds: dict[str, float | None] = dataclasses.field(default_factory=dict)
    ignore_features: tuple[str, ...] = ("pickup_epoch",)
    min_rows: int = 1000
    min_split_rows: int = 50

    def __post_init__(self) -> None:
        for kind in KINDS:
            if self.action(kind) not in get_args(Action):
                raise ValueError(f"data_gate.{kind}={self.action(kind)} must be one of {', '.join(get_args(Action))}")
        named = {f"thresholds.{name}": value for name, value in self.thresholds.items() if value is not None}
        for name, value in {"max_categorical": self.max_categorical, "max_numeric": self.max_numeric, **named}.items():
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise ValueError(f"data_gate.{name}={value} must be between 0 and 1")
        for name in ("min_rows", "min_split_rows"):
            if getattr(self, name) < 0:
                raise ValueError(f"data_gate.{name}={getattr(self, name)} must be at least 0")

    def action(self, kind: str) -> str:
        """What is done about one of `KINDS`."""
        return getattr(self, kind)

    def threshold(self, feature: str, is_categorical: bool) -> float | None:
        """The feature's own threshold, or that of its kind; None where it is not compared."""
        if feature in self.ignore_features:
            return None
        return self.thresholds.get(feature, self.max_categorical if is_categorical else self.max_numeric)
