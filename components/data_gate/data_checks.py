"""Checks of data before training: schema, rejected rows, row counts, drift and skew. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from farebox.components.data_gate.distributions import Bucket, Distance, Distribution, distance
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check, number

SHOWN_ANOMALIES = 3
LAST, TRAIN = "the last blessed run", "train"
HINTS = {
    "schema": "mend the source, or allow the values in the city's schema and profile",
    "drift": "look at the rows",
    "skew": "split the rows anew with split.seed=N, or give more trips",
    "rejected": "mend the source or the city file, or allow a larger share with data_gate.max_rejected=SHARE",
    "repeated_files": "remove one of the two or leave it out by city.ignore_files",
    "empty_files": "mend these files or leave them out",
    "misfits": "correct the city file, or allow a larger share with data_gate.max_misfits=SHARE",
    "biased_loss": "look at the rejected rows; if they are no trips of the city, set data_gate.biased_loss=ignore",
    "few_rows": "give more trips, or allow fewer with data_gate.min_rows=N and data_gate.min_split_rows=N",
}
HINTS_TO_GO_ON = {  # where the check stops the run
    "drift": "; if the change is real, run again with data_gate.drift=warn",
    "repeated_files": ", or allow them with data_gate.repeated_files=warn",
    "empty_files": ", or allow them with data_gate.empty_files=warn",
}

FindRows = Callable[[str, str, Bucket], Sequence[str]]  # split, feature and bucket to rows that show them
Comparison = tuple[str, Distance | None, float]  # feature, distance (None: not comparable), threshold


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """A reason why a feature (its dotted path) of a split breaks the schema, with rows that show it."""

    split: str
    feature: str
    reason: str
    description: str
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.split}/{self.feature}: {self.reason}: {self.description}" + _shown(self.rows)


def read_errors(split: str, serialized: bytes) -> tuple[Anomaly, ...]:
    """Anomalies of severity ERROR in a serialized tensorflow_metadata `Anomalies`, as ExampleValidator writes it."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    anomalies = anomalies_pb2.Anomalies.FromString(serialized)
    by_feature = dict(sorted(anomalies.anomaly_info.items()))
    if anomalies.HasField("dataset_anomaly_info"):
        by_feature["(dataset)"] = anomalies.dataset_anomaly_info
    errors = [
        Anomaly(split, feature, reason.short_description, reason.description)
        for feature, info in by_feature.items()
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR
        for reason in (info.reason or [info])  # without reasons, the info itself has both descriptions
    ]
    if anomalies.data_missing:
        errors.append(Anomaly(split, "(dataset)", "No examples", "the split is empty"))
    return tuple(errors)


def judge_schema(errors: Sequence[Anomaly], settings: DataGateSettings) -> list[Check]:
    """`anomalies`: their number, at most 0."""
    return checks_of_kind("schema", settings, [Check("anomalies", len(errors), 0, not errors, _summary(errors))])


def judge_rejected(
    counts: Mapping[str, Any], settings: DataGateSettings, find: Callable[[str], Sequence[str]]
) -> list[Check]:
    """`rejected_share`, a fraction of the rows that were not left out; 1 if there are none.

    counts: TripExampleGen's counts.json. find: gives rows rejected for a reason.
    """
    judged = counts["read"] - counts.get("left_out", 0)
    share = counts["rejected"] / judged if judged else 1.0
    bound = settings.max_rejected
    ok = share <= bound
    rows = find(_by_reason(counts)[0][0]) if not ok and counts["by_reason"] else ()
    return checks_of_kind(
        "rejected", settings, [Check("rejected_share", share, bound, ok, _reasons(counts) + _shown(rows))]
    )


def judge_rows(n_rows: Mapping[str, int], settings: DataGateSettings) -> list[Check]:
    """`rows` of all splits and `split_rows` of the smallest split; `n_rows` is by split."""
    total, smallest = sum(n_rows.values()), min(n_rows, key=lambda split: n_rows[split])
    detail = ", ".join(f"{split} {n}" for split, n in n_rows.items())
    least = n_rows[smallest]
    return checks_of_kind(
        "few_rows",
        settings,
        [
            Check("rows", total, settings.min_rows, total >= settings.min_rows, detail, at_least=True),
            Check(
                "split_rows",
                least,
                settings.min_split_rows,
                least >= settings.min_split_rows,
                f"split {smallest}",
                at_least=True,
            ),
        ],
    )


def no_drift_check(why: str, settings: DataGateSettings) -> list[Check]:
    """`drift` without a baseline; a missing check would look like one that holds."""
    return checks_of_kind("drift", settings, [Check("drift", 0, None, ok=True, detail=why)])


def judge_drift(
    now: Mapping[str, Distribution],
    before: Mapping[str, Distribution],
    settings: DataGateSettings,
    find: FindRows,
) -> list[Check]:
    """`drift.FEATURE`: train against train of the last blessed run."""
    return checks_of_kind(
        "drift", settings, [_compare("drift", TRAIN, LAST, each, find) for each in _comparisons(now, before, settings)]
    )


def judge_skew(
    by_split: Mapping[str, Mapping[str, Distribution]], settings: DataGateSettings, find: FindRows
) -> list[Check]:
    """`skew.FEATURE`: the other split that is farthest beyond its bound, against train."""
    checks: dict[str, Check] = {}
    for split in (split for split in by_split if split != TRAIN):
        for each in _comparisons(by_split[split], by_split[TRAIN], settings):
            check = _compare("skew", split, TRAIN, each, find)
            if check.name not in checks or _excess(check) > _excess(checks[check.name]):
                checks[check.name] = check
    return checks_of_kind("skew", settings, list(checks.values()))


def refusal(checks: Sequence[Check], by: str = "DataGate") -> str | None:
    """A line that names every check that refuses and says what to do, or None; it begins with `by`."""
    failed = [check for check in checks if check.refuses]
    hints = "; ".join(dict.fromkeys(check.hint for check in failed))
    return f"{by}: {'; '.join(map(_broken, failed))}. {hints[:1].upper()}{hints[1:]}" if failed else None


def warnings(checks: Sequence[Check]) -> list[str]:
    """A line for every check that failed without refusing."""
    return [_broken(check) for check in checks if not check.ok and not check.refuses]


def _broken(check: Check) -> str:
    least = "at least" if check.at_least else "at most"
    return f"{check.name}={number(check.value)} must be {least} {number(check.bound)}, got {check.detail}"


def checks_of_kind(kind: str, settings: DataGateSettings, checks: Iterable[Check]) -> list[Check]:
    """The checks of a kind with its severity and hint; none if the kind is ignored."""
    action = settings.action(kind)
    if action == "ignore":
        return []
    hint = HINTS[kind] + (HINTS_TO_GO_ON.get(kind, "") if action == "stop" else "")
    return [dataclasses.replace(check, severity=action, hint=hint) for check in checks]


def _comparisons(
    now: Mapping[str, Distribution], before: Mapping[str, Distribution], settings: DataGateSettings
) -> list[Comparison]:
    """Feature, distance and threshold of each compared feature that both have."""
    comparisons: list[Comparison] = []
    for feature in sorted(now.keys() & before.keys()):
        threshold = settings.threshold(feature, now[feature].is_categorical)
        if threshold is not None:
            comparisons.append((feature, distance(now[feature], before[feature]), threshold))
    return comparisons


def _compare(kind: str, split: str, reference: str, comparison: Comparison, find: FindRows) -> Check:
    """The bound is the threshold plus the distance that chance explains; a failed check shows bucket and rows."""
    feature, distance, threshold = comparison
    name = f"{kind}.{feature}"
    if distance is None:
        detail = f"categorical in one of {split} and {reference} only, not compared"
        return Check(name, 0, None, ok=True, detail=detail)
    bound, bucket = threshold + distance.chance, distance.grown
    detail = (
        f"{distance.measure} of {split} against {reference} (threshold {threshold:g}, chance {distance.chance:.2g})"
    )
    if distance.value <= bound:
        return Check(name, distance.value, bound, ok=True, detail=detail)
    shares = f"{feature} {bucket} is {bucket.now:.1%} of {split}, {bucket.before:.1%} of {reference}"
    detail += f": {shares}{_shown(find(split, feature, bucket))}"
    return Check(name, distance.value, bound, ok=False, detail=detail)


def _excess(check: Check) -> float:
    return check.value - (check.bound or 0)


def _shown(rows: Sequence[str]) -> str:
    return f", e.g. {' | '.join(rows)}" if rows else ""


def _summary(errors: Sequence[Anomaly]) -> str:
    shown = [str(each) for each in errors[:SHOWN_ANOMALIES]]
    if len(errors) > SHOWN_ANOMALIES:
        shown.append(f"and {len(errors) - SHOWN_ANOMALIES} more")
    return "; ".join(shown)


def _by_reason(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The most frequent reason first."""
    return sorted(counts["by_reason"].items(), key=lambda item: (-item[1], item[0]))


def _reasons(counts: Mapping[str, Any]) -> str:
    """`483 of 15002 rows rejected: outside_city 480, unparseable 3`."""
    reasons = ", ".join(f"{reason} {rows}" for reason, rows in _by_reason(counts))
    judged = counts["read"] - counts.get("left_out", 0)
    return f"{counts['rejected']} of {judged} rows rejected" + (f": {reasons}" if reasons else "")
