"""Settings of spans and of the policy for retraining. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Condition, Count, NotNegative, Positive, Share, check_fields, strictly_between
from farebox.components.trip_example_gen.span_pattern import check_pattern


@dataclasses.dataclass(frozen=True)
class SpanSettings:
    """Arrival of trips in spans, and the causes to retrain."""

    pattern: str | None = None
    """Path of a span inside the folder of trips: `span-{SPAN}`, `span-{SPAN}/v-{VERSION}`, `{YYYY}-{MM}-{DD}` or, for
    months, `{YYYY}-{MM}`; null if all trips are one lot."""
    window: Count = 8
    """Spans of a run, up to the newest: a week to train on and, with `split=time`, the newest day to judge."""
    split: Literal["time", "hash"] = "time"
    """`time`: the newest span of several judges, which is eval and test by `split.eval` and `split.test`; older ones
    are train, and so are its earlier trips beyond their share of all. `hash`: every span is split as one lot is."""
    move_fares: bool = True
    """After a step of the fare given the trip, move the fares of older spans to the level of the newest span, with
    `split=time`."""
    marker: str | None = None
    """File in a span's folder that says that the span is complete, such as `_SUCCESS`; null to wait for quiet_s."""
    quiet_s: NotNegative = 60.0
    """Seconds without a change after which a span without a marker is complete."""
    min_rows: Count = 100
    """Fewest rows of a span; a smaller span is refused."""
    min_new_spans: Count | None = 1
    """Cause to retrain: this number of spans that no run has used; null for no such cause."""
    drift: bool = True
    """Cause to retrain: the newest span differs from the data of the last blessed run, or later, the window no longer
    holds data from before such a span."""
    live_error: bool = True
    """Cause to retrain: the latest version errs more on the newest span than its manifest promises, live_margin and
    chance allow. Such errors are measured and recorded whether or not they are a cause."""
    live_margin: NotNegative = 0.2
    """Share by which live MAE, RMSE and the share of fares out of their range may exceed the promised ones, and share
    of the promised MAE by which the bias may move."""
    live_alarm_rate: Annotated[float, strictly_between(0, 1)] = 0.001
    """Probability, per span, that chance alone breaks a promise; a month of daily spans has a false alarm with at most
    30 times this."""
    rollback: bool = True
    """Point LATEST back to the version before it, if the latest version breaks its promise on the newest span and the
    version before errs less on the same trips, by more than chance explains."""
    max_age_days: Positive | None = None
    """Cause to retrain: the model is older than this number of days and there are new data; null for no such cause."""
    max_numeric: Share = 0.01
    """Distance of a numeric feature that is drift, as `data_gate.max_numeric` but lower: it costs a run and stops
    nothing. `data_gate.thresholds` take precedence."""
    max_categorical: Share = 0.05
    """Distance of a categorical feature that is drift, as `data_gate.max_categorical` but lower. `data_gate.thresholds`
    take precedence."""
    ignore_drift: tuple[str, ...] = ("pickup_epoch", "pickup_era", "pickup_weekday", "pickup_hour")
    """Features that differ from span to span by nature, and are not compared."""
    max_drift: Annotated[float, Condition("above 0 and at most 1", lambda value: 0 < value <= 1)] = 0.5
    """Distance above which a span counts as broken and is refused."""
    warm_start: bool = False
    """Start Trainer from the weights of the last blessed network, for at most `training.warm_epochs`."""

    def __post_init__(self) -> None:
        check_fields(self, "spans")
        if self.pattern is not None:
            check_pattern(self.pattern)
        if self.marker is not None and (not self.marker or "/" in self.marker):
            raise ValueError(f"spans.marker={self.marker} must be a file's name, such as _SUCCESS")

    def gate_of_a_span(self, settings: DataGateSettings) -> DataGateSettings:
        """Returns DataGate's settings for one span.

        Drift is a cause to retrain, not to stop. Skew is left to the window's gate: in the few rows of a span it may be
        chance.
        """
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
        """Returns DataGate's settings for the window: the drift that led to this run must not stop it.

        Neither must skew if the splits are of different spans: then it is drift.
        """
        return dataclasses.replace(
            settings,
            drift="warn" if settings.drift == "stop" else settings.drift,
            skew="warn" if settings.skew == "stop" and self.split == "time" else settings.skew,
            ignore_features=self._ignored(settings),
        )

    def _ignored(self, settings: DataGateSettings) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*settings.ignore_features, *self.ignore_drift)))
