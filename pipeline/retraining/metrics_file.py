"""Metrics of a city's ticks in Prometheus' text format."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from farebox.components.evaluator.metrics import ALL_TRIPS

OUTCOMES = ("pushed", "refused", "failed", "kept")
SUCCESSES = ("pushed", "kept")
SPANS = {
    "window": "Spans that the last tick's window holds.",
    "missing": "Spans that the last tick's window lacks.",
    "late": "Spans that came after a newer one, at the last tick.",
    "refused": "Spans left out as unusable, at the last tick.",
    "left": "Names in the folder of trips that a rule left out, at the last tick.",
}

Record = Mapping[str, Any]


class Ticks(Collector):
    """Metrics of the last tick, and of the journal's records, oldest first.

    The last tick is in the journal, unless bad input or a crash ended it before it had a record.
    """

    def __init__(self, last: Record, recorded: Sequence[Record]) -> None:
        self.last, self.recorded = last, recorded

    def collect(self) -> Iterator[Metric]:
        """Each metric from the newest record that has a value for it."""
        last, city = self.last, str(self.last.get("city"))
        succeeded = self._newest(lambda record: record.get("outcome") in SUCCESSES)
        pushed = self._newest(lambda record: record.get("outcome") == "pushed")
        yield from _gauge("last_tick_timestamp_seconds", "Time of the last tick.", city, timestamp(last))
        yield from _gauge(
            "last_success_timestamp_seconds",
            "Time of the last tick that pushed or kept.",
            city,
            _time_of(succeeded),
        )
        yield from _gauge("tick_duration_seconds", "How long the last tick took.", city, last.get("seconds"))
        yield from _gauge(
            "model_pushed_timestamp_seconds", "Time of the tick that pushed last.", city, _time_of(pushed)
        )
        yield from _gauge(
            "model_rmse", "On the test split, of the model pushed last.", city, (pushed or {}).get("rmse")
        )
        for name, help_text in SPANS.items():
            yield from _gauge(f"spans_{name}", help_text, city, len((last.get("spans") or {}).get(name) or ()))
        yield self._ticks(city)
        yield from (metric for metric in (self._drift(city), *self._live(city)) if metric.samples)

    def _newest(self, matches: Callable[[Record], bool]) -> Record | None:
        return next((record for record in reversed(self.recorded) if matches(record)), None)

    def _ticks(self, city: str) -> Metric:
        counts = collections.Counter(record.get("outcome") for record in self.recorded)
        metric = CounterMetricFamily("farebox_ticks", "Ticks since the first record.", labels=["city", "outcome"])
        for outcome in OUTCOMES:  # also those at zero: a rate needs a start
            metric.add_metric([city, outcome], counts[outcome])
        return metric

    def _drift(self, city: str) -> Metric:
        measured = self._newest(lambda record: bool(record.get("drift"))) or {}
        metric = GaugeMetricFamily(
            "farebox_drift_distance", "From the blessed run's data, when last measured.", labels=["city", "feature"]
        )
        for feature, distance in sorted((measured.get("drift") or {}).items()):
            metric.add_metric([city, feature], distance)
        return metric

    def _live(self, city: str) -> Iterator[Metric]:
        """Errors on the newest span that was scored, of each version with its role, beside their promises."""
        lives = (self._newest(lambda record: bool(record.get("live"))) or {}).get("live") or ()
        newest = max((live["span"][0] for live in lives), default=None)
        labels, scored = ["city", "version", "role"], [live for live in lives if live["span"][0] == newest]
        for name, part, help_text in (
            ("live_error", "errors", "Error on the newest span's trips, when last measured."),
            ("promised_error", "promise", "Error on the test split at the version's push."),
        ):
            metric = GaugeMetricFamily(f"farebox_{name}", help_text, labels=[*labels, "error"])
            for live in scored:
                for error, estimate in (live[part].get(ALL_TRIPS) or {}).items():
                    if error != "rows" and estimate[0] is not None:
                        metric.add_metric([city, live["version"], live["role"], error], estimate[0])
            yield metric
        holds = GaugeMetricFamily("farebox_promise_holds", "Whether no error is beyond its promise.", labels=labels)
        for live in scored:
            if live["checks"]:
                holds.add_metric([city, live["version"], live["role"]], all(each["ok"] for each in live["checks"]))
        yield holds


def write_metrics(path: str, last: Record, recorded: Sequence[Record]) -> None:
    """Replaces the file at once, so that no reader sees half of it. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(Ticks(last, recorded))
    write_to_textfile(path, registry)


def _gauge(name: str, help_text: str, city: str, value: float | None) -> Iterator[Metric]:
    """A metric with one sample, or none if there is no value."""
    if value is not None:
        metric = GaugeMetricFamily(f"farebox_{name}", help_text, labels=["city"])
        metric.add_metric([city], value)
        yield metric


def timestamp(record: Record) -> float:
    """A record's time (ISO 8601, UTC) in seconds since 1970. Raises ValueError, TypeError or KeyError."""
    moment = datetime.datetime.fromisoformat(str(record["time"]).replace("Z", "+00:00"))  # Python 3.10 reads no Z
    return moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp()


def _time_of(record: Record | None) -> float | None:
    return None if record is None else timestamp(record)
