"""Whether data are fit to train on: what is found becomes a Check per finding. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from farebox.components.data_gate.distributions import Bucket, Distance, Distribution, distance
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check

SHOWN_ANOMALIES = 3
LAST, TRAIN = "the last blessed run", "train"
HINTS = {
    "schema": "mend the source, or allow the values in the city's schema and profile",
    "drift": "look at the rows; if the change is real, run again with --set data_gate.drift=warn",
    "skew": "deal the rows anew with --set split.seed=N, or give more trips",
    "rejected": "mend the source or the city file, or allow a larger share with --set data_gate.max_rejected=SHARE",
    "few_rows": "give more trips, or allow fewer with --set data_gate.min_rows=N and data_gate.min_split_rows=N",
}

FindRows = Callable[[str, str, Bucket], Sequence[str]]  # split, feature, bucket: rows to show


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """One reason why a feature (by its dotted path) of a split breaks the schema; `rows` show it."""

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


def judge_schema(errors: Sequence[Anomaly], settings: DataGateSettings) -> list[Check]:
    """`anomalies`: how many there are, none is allowed."""
    return _checks("schema", settings, [Check("anomalies", len(errors), 0, not errors, _summary(errors))])


def judge_rejected(
    counts: Mapping[str, Any], settings: DataGateSettings, find: Callable[[str], Sequence[str]]
) -> list[Check]:
    """`rejected_share`, a fraction; `counts` is TripExampleGen's counts.json, `find` the rows of a reason.

    Where nothing was read, everything counts as rejected."""
    share = counts["rejected"] / counts["read"] if counts["read"] else 1.0
    bound = settings.max_rejected
    ok = share <= bound
    rows = find(_by_reason(counts)[0][0]) if not ok and counts["by_reason"] else ()
    return _checks("rejected", settings, [Check("rejected_share", share, bound, ok, _reasons(counts) + _shown(rows))])


def judge_rows(n_rows: Mapping[str, int], settings: DataGateSettings) -> list[Check]:
    """`rows` of all splits and `split_rows` of the smallest one, both at least their bounds; `n_rows` is by split."""
    total, smallest = sum(n_rows.values()), min(n_rows, key=lambda split: n_rows[split])
    detail = ", ".join(f"{split} {n}" for split, n in n_rows.items())
    least = n_rows[smallest]
    return _checks(
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
    """`drift`, where there is nothing to compare with; silence would look like a check that holds."""
    return _checks("drift", settings, [Check("drift", 0, None, True, why)])


def judge_drift(
    now: Mapping[str, Distribution],
    before: Mapping[str, Distribution],
    settings: DataGateSettings,
    find: FindRows,
) -> list[Check]:
    """`drift.FEATURE`: train against that of the last blessed run."""
    return _checks(
        "drift", settings, [_compare("drift", TRAIN, LAST, *each, find) for each in _pairs(now, before, settings)]
    )


def judge_skew(
    by_split: Mapping[str, Mapping[str, Distribution]], settings: DataGateSettings, find: FindRows
) -> list[Check]:
    """`skew.FEATURE`: of the other splits against train, the one that is farthest beyond what is allowed."""
    checks: dict[str, Check] = {}
    for split in (split for split in by_split if split != TRAIN):
        for each in _pairs(by_split[split], by_split[TRAIN], settings):
            check = _compare("skew", split, TRAIN, *each, find)
            if check.name not in checks or _excess(check) > _excess(checks[check.name]):
                checks[check.name] = check
    return _checks("skew", settings, list(checks.values()))


def refusal(checks: Sequence[Check]) -> str | None:
    """One line naming every check that refuses and what to do about it, or None."""
    failed = [check for check in checks if check.refuses]
    hints = "; ".join(dict.fromkeys(check.hint for check in failed))
    return f"DataGate: {'; '.join(map(_broken, failed))}. {hints[:1].upper()}{hints[1:]}" if failed else None


def warnings(checks: Sequence[Check]) -> list[str]:
    """A line for every check that failed and refuses nothing."""
    return [_broken(check) for check in checks if not check.ok and not check.refuses]


def _broken(check: Check) -> str:
    least = "at least" if check.at_least else "at most"
    return f"{check.name}={check.value:.4g} must be {least} {check.bound:.4g}, got {check.detail}"


def _checks(kind: str, settings: DataGateSettings, checks: Iterable[Check]) -> list[Check]:
    """The checks of a kind with its severity and hint; none where it is ignored."""
    action = settings.action(kind)
    if action == "ignore":
        return []
    return [dataclasses.replace(check, severity=action, hint=HINTS[kind]) for check in checks]


def _pairs(
    now: Mapping[str, Distribution], before: Mapping[str, Distribution], settings: DataGateSettings
) -> list[tuple[str, Distance | None, float]]:
    """Feature, distance and threshold of each feature that both have and that is to be compared."""
    pairs = []
    for feature in sorted(now.keys() & before.keys()):
        threshold = settings.threshold(feature, now[feature].is_categorical)
        if threshold is not None:
            pairs.append((feature, distance(now[feature], before[feature]), threshold))
    return pairs


def _compare(
    kind: str, split: str, other: str, feature: str, found: Distance | None, threshold: float, find: FindRows
) -> Check:
    """The bound is the threshold and what chance explains; a check that fails shows where, and rows."""
    name = f"{kind}.{feature}"
    if found is None:
        return Check(name, 0, None, True, f"categorical in one of {split} and {other} only, not compared")
    bound, bucket = threshold + found.chance, found.grown
    detail = f"{found.measure} of {split} against {other} (threshold {threshold:g}, chance {found.chance:.2g})"
    if ok := found.value <= bound:
        return Check(name, found.value, bound, ok, detail)
    shares = f"{feature} {bucket} is {bucket.now:.1%} of {split}, {bucket.before:.1%} of {other}"
    return Check(name, found.value, bound, ok, f"{detail}: {shares}{_shown(find(split, feature, bucket))}")


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
    return f"{counts['rejected']} of {counts['read']} rows rejected" + (f": {reasons}" if reasons else "")
