"""Whether data are fit to train on: schema anomalies and the share of rejected rows. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from components.checks import Check

SHOWN_ANOMALIES = 3


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """One reason why a feature (by its dotted path) of a split breaks the schema."""

    split: str
    feature: str
    reason: str
    description: str

    def __str__(self) -> str:
        return f"{self.split}/{self.feature}: {self.reason}: {self.description}"


def read_errors(split: str, serialized: bytes) -> tuple[Anomaly, ...]:
    """Anomalies of severity ERROR in a serialized tensorflow_metadata `Anomalies`, as ExampleValidator writes it."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = anomalies_pb2.Anomalies.FromString(serialized)
    by_feature = dict(sorted(found.anomaly_info.items()))
    if found.HasField("dataset_anomaly_info"):
        by_feature["(dataset)"] = found.dataset_anomaly_info
    errors = [
        Anomaly(split, feature, reason.short_description, reason.description)
        for feature, info in by_feature.items()
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR
        for reason in (info.reason or [info])  # without reasons, the info itself has both descriptions
    ]
    if found.data_missing:
        errors.append(Anomaly(split, "(dataset)", "No examples", "the split is empty"))
    return tuple(errors)


def judge(errors: Sequence[Anomaly], counts: Mapping[str, Any], max_rejected: float) -> tuple[Check, ...]:
    """The gate's checks; `counts` is the content of TripExampleGen's counts.json, `max_rejected` a fraction in [0, 1].

    Where nothing was read, everything counts as rejected."""
    share = counts["rejected"] / counts["read"] if counts["read"] else 1.0
    return (
        Check("anomalies", len(errors), 0, not errors, _summary(errors)),
        Check("rejected_share", share, max_rejected, share <= max_rejected, _reasons(counts)),
    )


def refusal(checks: Sequence[Check]) -> str | None:
    """One line naming every check that failed, or None."""
    failed = [
        f"{check.name}={check.value:g} must be at most {check.bound:g}, got {check.detail}"
        for check in checks
        if not check.ok
    ]
    return f"DataGate: {'; '.join(failed)}" if failed else None


def _summary(errors: Sequence[Anomaly]) -> str:
    shown = [str(each) for each in errors[:SHOWN_ANOMALIES]]
    if len(errors) > SHOWN_ANOMALIES:
        shown.append(f"and {len(errors) - SHOWN_ANOMALIES} more")
    return "; ".join(shown)


def _reasons(counts: Mapping[str, Any]) -> str:
    """`483 of 15002 rows rejected: outside_city 480, unparseable 3`, the most frequent reason first."""
    by_reason = sorted(counts["by_reason"].items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{reason} {rows}" for reason, rows in by_reason)
    return f"{counts['rejected']} of {counts['read']} rows rejected" + (f": {reasons}" if reasons else "")
