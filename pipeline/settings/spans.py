"""What a user may set of spans and of the policy by which they retrain. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import math

from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.trip_example_gen.spans import check_pattern


@dataclasses.dataclass(frozen=True)
class SpanSettings:
    """How trips arrive, and when they retrain.

    pattern: `span-{SPAN}`, `span-{SPAN}/v-{VERSION}`, `{YYYY}-{MM}-{DD}`: where a span lies in the folder of the trips;
    None where trips are one lot. window: a model is trained on so many spans up to the newest.
    marker: a file in a span's folder that says it is complete; without one, it is after quiet_s without a change.
    min_rows: of a span, or it is refused.
    min_new_spans, drift, max_age_days: the causes to retrain: so many spans that no run has seen, the newest span's
    distance from the last blessed run's data (and later a window that has outlasted that drift), the age of the model
    where anything is new; None or false for no cause.
    max_numeric, max_categorical: distances as DataGate's, but lower, since here they cost a run and stop nothing;
    `data_gate.thresholds` go before them. ignore_drift: features that differ from span to span by nature. max_drift: a
    distance beyond which a span is taken for broken, and refused.
    warm_start: Trainer begins with the last blessed network's weights.
    """

    pattern: str | None = None
    window: int = 7
    marker: str | None = None
    quiet_s: float = 60.0
    min_rows: int = 100
    min_new_spans: int | None = 1
    drift: bool = True
    max_age_days: float | None = None
    max_numeric: float = 0.01
    max_categorical: float = 0.05
    ignore_drift: tuple[str, ...] = ("pickup_epoch", "pickup_weekday", "pickup_hour")
    max_drift: float = 0.5
    warm_start: bool = False

    def __post_init__(self) -> None:
        if self.pattern is not None:
            check_pattern(self.pattern)
        if self.window < 1:
            raise ValueError(f"spans.window={self.window} must be at least 1")
        if self.marker is not None and (not self.marker or "/" in self.marker):
            raise ValueError(f"spans.marker={self.marker} must be a file's name, such as _SUCCESS")
        if self.min_rows < 1:
            raise ValueError(f"spans.min_rows={self.min_rows} must be at least 1")
        if not (math.isfinite(self.quiet_s) and self.quiet_s >= 0):
            raise ValueError(f"spans.quiet_s={self.quiet_s} must be at least 0")
        if self.min_new_spans is not None and self.min_new_spans < 1:
            raise ValueError(f"spans.min_new_spans={self.min_new_spans} must be at least 1, or null for no such cause")
        if self.max_age_days is not None and not self.max_age_days > 0:
            raise ValueError(f"spans.max_age_days={self.max_age_days} must be above 0, or null for no such cause")
        for name in ("max_numeric", "max_categorical"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"spans.{name}={getattr(self, name)} must be between 0 and 1")
        if not 0 < self.max_drift <= 1:
            raise ValueError(f"spans.max_drift={self.max_drift} must be above 0 and at most 1")

    def gate_of_a_span(self, settings: DataGateSettings) -> DataGateSettings:
        """DataGate's settings for one span: drift is a cause to retrain, not to stop; what few rows may do by chance,
        the window's gate judges."""
        return dataclasses.replace(
            settings,
            drift="warn",
            skew="ignore",
            max_numeric=self.max_numeric,
            max_categorical=self.max_categorical,
            min_rows=self.min_rows,
            min_split_rows=1,
            ignore_features=self._ignored(settings),
        )

    def gate_of_the_window(self, settings: DataGateSettings) -> DataGateSettings:
        """DataGate's settings for the window: a drift that led to this run must not stop it."""
        action = "warn" if settings.drift == "stop" else settings.drift
        return dataclasses.replace(settings, drift=action, ignore_features=self._ignored(settings))

    def _ignored(self, settings: DataGateSettings) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*settings.ignore_features, *self.ignore_drift)))
