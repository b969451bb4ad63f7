"""Settings of DataGate. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from farebox.components.errors import Share, at_least, check_fields

Action = Literal["stop", "warn", "ignore"]
KINDS = ("schema", "drift", "skew", "rejected", "empty_files", "repeated_files", "misfits", "biased_loss", "few_rows")


@dataclasses.dataclass(frozen=True)
class DataGateSettings:
    """Reactions to anomalies in the data, and the size from which a difference is one.

    `stop` ends the run before Transform, `warn` logs the anomaly and goes on, `ignore` leaves the check out.
    """

    schema: Action = "stop"
    """Reaction to values that the schema does not allow."""
    drift: Action = "stop"
    """Reaction to train data that differ from train of the last blessed run."""
    skew: Action = "stop"
    """Reaction to eval or test data that differ from train."""
    rejected: Action = "stop"
    """Reaction to too large a share of rejected rows."""
    empty_files: Action = "stop"
    """Reaction to one of several files that has rows and gives no trip."""
    repeated_files: Action = "stop"
    """Reaction to a file with at least half of another file's trips, which then count twice."""
    misfits: Action = "stop"
    """Reaction to rows that are rejected because the city file does not fit the source: weekdays, times, dialect,
    locations, or fares that are no numbers."""
    biased_loss: Action = "warn"
    """Reaction to rejected rows without which fares, weekdays or hours are others."""
    few_rows: Action = "stop"
    """Reaction to too few trips, in all splits together or in one of them."""
    max_rejected: Share = 0.2
    """Largest share of the source's rows that are rejected because they are no trips of the city."""
    max_misfits: Share = 0.01
    """Largest share of rows that are rejected in one column because the city file does not fit."""
    max_mean_shift: Share = 0.05
    """Largest shift of the mean fare by rejecting rows, as a share of it; what chance explains is allowed on top."""
    max_share_shift: Share = 0.03
    """Largest shift of the weekdays' shares, or the hours', by rejecting rows: half the sum of the differences."""
    max_categorical: Share = 0.15
    """Largest L-infinity distance of a categorical feature; what chance explains is allowed on top."""
    max_numeric: Share = 0.03
    """Largest Jensen-Shannon divergence of a numeric feature, in bits; what chance explains is allowed on top."""
    thresholds: dict[str, Share | None] = dataclasses.field(default_factory=dict)
    """Distances of single features that replace max_categorical and max_numeric, such as `{fare: 0.1}`; null leaves the
    feature out."""
    ignore_features: tuple[str, ...] = ("pickup_epoch", "pickup_era")
    """Features that are compared for neither drift nor skew; dates drift by nature."""
    min_rows: Annotated[int, at_least(0)] = 1000
    """Fewest trips in all splits together."""
    min_split_rows: Annotated[int, at_least(0)] = 50
    """Fewest trips in each of train, eval and test."""

    def __post_init__(self) -> None:
        check_fields(self, "data_gate")

    def action(self, kind: str) -> Action:
        """Returns the reaction to one of `KINDS`."""
        actions: dict[str, Action] = {
            "schema": self.schema,
            "drift": self.drift,
            "skew": self.skew,
            "rejected": self.rejected,
            "empty_files": self.empty_files,
            "repeated_files": self.repeated_files,
            "misfits": self.misfits,
            "biased_loss": self.biased_loss,
            "few_rows": self.few_rows,
        }
        return actions[kind]

    def threshold(self, feature: str, is_categorical: bool) -> float | None:
        """Returns the feature's own threshold, or that of its kind; None if it is not compared."""
        if feature in self.ignore_features:
            return None
        return self.thresholds.get(feature, self.max_categorical if is_categorical else self.max_numeric)
