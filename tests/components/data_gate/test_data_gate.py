"""DataGate: what refuses a run, in which words, and that TFX's own anomalies are read.

What faults it catches is in tests/planted_faults.
"""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from farebox.components.data_gate import data_checks
from farebox.components.data_gate.distributions import Distribution
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check

COUNTS = {"read": 200, "examples": 190, "rejected": 10, "by_reason": {"unparseable": 3, "outside_city": 7}}


def _anomalies(severity=anomalies_pb2.AnomalyInfo.ERROR, **features: str) -> bytes:
    anomalies = anomalies_pb2.Anomalies()
    for feature, reason in features.items():
        anomalies.anomaly_info[feature].severity = severity
        anomalies.anomaly_info[feature].reason.add(short_description=reason, description=f"{reason} at length")
    return anomalies.SerializeToString()


def test_only_errors_count():
    assert data_checks.read_errors("train", _anomalies(anomalies_pb2.AnomalyInfo.WARNING, fare="High drift")) == ()
    assert data_checks.read_errors("train", _anomalies(fare="Column dropped")) == (
        data_checks.Anomaly("train", "fare", "Column dropped", "Column dropped at length"),
    )


def test_anomalies_of_the_whole_dataset_and_empty_splits_count():
    anomalies = anomalies_pb2.Anomalies(data_missing=True)
    anomalies.dataset_anomaly_info.severity = anomalies_pb2.AnomalyInfo.ERROR
    anomalies.dataset_anomaly_info.short_description = "Low num examples"
    assert [str(error) for error in data_checks.read_errors("eval", anomalies.SerializeToString())] == [
        "eval/(dataset): Low num examples: ",
        "eval/(dataset): No examples: the split is empty",
    ]


def _judge(errors, counts=COUNTS, max_rejected=0.5, **settings) -> list[Check]:
    """The checks of schema and rejected rows."""
    chosen = DataGateSettings(max_rejected=max_rejected, **settings)
    rejected = data_checks.judge_rejected(counts, chosen, lambda reason: [f"a row {reason}"])
    return [*data_checks.judge_schema(errors, chosen), *rejected]


def test_clean_data_pass():
    verdict = _judge([], max_rejected=0.05)
    assert verdict == [
        Check("anomalies", 0, 0, ok=True, detail="", hint=data_checks.HINTS["schema"]),
        Check(
            "rejected_share", 0.05, 0.05, ok=True, detail="10 of 200 rows rejected: outside_city 7, unparseable 3",
            hint=data_checks.HINTS["rejected"],
        ),
    ]  # fmt: skip
    assert data_checks.refusal(verdict) is None


def test_too_many_rejected_rows_are_one_line_with_reasons_rows_and_a_hint():
    assert data_checks.refusal(_judge([], max_rejected=0.04)) == (
        "DataGate: rejected_share=0.05 must be at most 0.04, got 10 of 200 rows rejected: outside_city 7, unparseable 3"
        ", e.g. a row outside_city. Mend the source or the city file, or allow a larger share with "
        "data_gate.max_rejected=SHARE"
    )


def test_a_single_anomaly_is_shown_in_full():
    errors = data_checks.read_errors("eval", _anomalies(fare="Out-of-range values"))
    assert data_checks.refusal(_judge([dataclasses.replace(errors[0], rows=("fare=999", "fare=998"))])).startswith(
        "DataGate: anomalies=1 must be at most 0, got eval/fare: Out-of-range values: Out-of-range values at length"
        ", e.g. fare=999 | fare=998. Mend the source"
    )


def test_three_of_many_anomalies_are_shown_and_the_rest_counted():
    errors = data_checks.read_errors("train", _anomalies(a="A", b="B", c="C", d="D", e="E"))
    assert data_checks.refusal(_judge(errors)).startswith(
        "DataGate: anomalies=5 must be at most 0, got "
        "train/a: A: A at length; train/b: B: B at length; train/c: C: C at length; and 2 more. "
    )


def test_a_source_without_rows_is_refused():
    nothing = {"read": 0, "examples": 0, "rejected": 0, "by_reason": {}}
    assert data_checks.refusal(_judge([], nothing, 0.9)).startswith(
        "DataGate: rejected_share=1 must be at most 0.9, got 0 of 0 rows rejected. "
    )


def test_warnings_do_not_refuse_and_ignored_checks_are_left_out():
    errors = data_checks.read_errors("train", _anomalies(fare="Column dropped"))
    verdict = _judge(errors, schema="warn", rejected="ignore")
    assert [(check.name, check.ok, check.severity) for check in verdict] == [("anomalies", False, "warn")]
    assert data_checks.refusal(verdict) is None
    assert data_checks.warnings(verdict)[0].startswith("anomalies=1 must be at most 0, got train/fare: Column dropped")


def test_too_few_rows_of_all_splits_and_of_one():
    chosen = DataGateSettings(min_rows=100, min_split_rows=10)
    assert all(check.ok for check in data_checks.judge_rows({"train": 80, "eval": 10, "test": 10}, chosen))
    assert data_checks.refusal(data_checks.judge_rows({"train": 80, "eval": 0, "test": 19}, chosen)).startswith(
        "DataGate: rows=99 must be at least 100, got train 80, eval 0, test 19; "
        "split_rows=0 must be at least 10, got split eval. Give more trips"
    )


def test_a_refusal_writes_large_numbers_in_full():
    (rows, _) = data_checks.judge_rows({"train": 14_495, "eval": 0, "test": 0}, DataGateSettings(min_rows=2_000_000))
    assert data_checks.refusal([rows]).startswith("DataGate: rows=14,495 must be at least 2,000,000, got ")


def _shares(n=10_000, **shares: float) -> Distribution:
    return Distribution(n, shares={name.removeprefix("d"): share for name, share in shares.items()})


def test_drift_says_feature_measure_bound_and_rows():
    """0.5 of Tuesdays instead of 0.2: 0.3 apart; chance 3.89 sqrt(0.35 0.65 2 / 10000) = 0.026 by hand."""
    now, before = {"weekday": _shares(d0=0.5, d1=0.5)}, {"weekday": _shares(d0=0.8, d1=0.2)}
    asked = []

    def find(split, feature, bucket):
        asked.append((split, feature, bucket.value))
        return ["weekday=1 fare=7"]

    (check,) = data_checks.judge_drift(now, before, DataGateSettings(), find)
    assert (check.name, check.value, check.bound) == (
        "drift.weekday",
        pytest.approx(0.3),
        pytest.approx(0.176, abs=1e-3),
    )
    assert not check.ok and check.refuses and asked == [("train", "weekday", "1")]
    assert check.detail == (
        "L-infinity of train against the last blessed run (threshold 0.15, chance 0.026): "
        "weekday = 1 is 50.0% of train, 20.0% of the last blessed run, e.g. weekday=1 fare=7"
    )
    assert "if the change is real, run again with data_gate.drift=warn" in check.hint
    (warned,) = data_checks.judge_drift(now, before, DataGateSettings(drift="warn"), find)
    assert not warned.refuses and warned.hint == "look at the rows", "it goes on already"


def test_thresholds_by_feature_and_features_left_out():
    now, before = {"a": _shares(d0=0.5, d1=0.5)}, {"a": _shares(d0=0.8, d1=0.2)}

    def verdicts(**settings):
        return [check.ok for check in data_checks.judge_drift(now, before, DataGateSettings(**settings), lambda *_: [])]

    assert verdicts() == [False]
    assert verdicts(thresholds={"a": 0.3}) == verdicts(max_categorical=0.3) == [True]
    assert verdicts(thresholds={"a": None}) == verdicts(ignore_features=("a",)) == verdicts(drift="ignore") == []


def test_features_that_changed_kind_are_not_compared():
    now, before = {"a": _shares(d0=1.0)}, {"a": Distribution(10, quantiles=np.arange(101.0))}
    (check,) = data_checks.judge_drift(now, before, DataGateSettings(), lambda *_: [])
    assert (check.ok, check.bound) == (True, None) and "not compared" in check.detail


def test_skew_names_the_split_that_is_farthest_off():
    even, odd, odder = _shares(d0=0.5, d1=0.5), _shares(d0=0.6, d1=0.4), _shares(d0=0.9, d1=0.1)
    by_split = {"train": {"a": even}, "eval": {"a": odder}, "test": {"a": odd}}
    (check,) = data_checks.judge_skew(by_split, DataGateSettings(), lambda *_: [])
    assert check.name == "skew.a" and not check.ok and "of eval against train" in check.detail


def test_tfdv_anomalies_are_read():
    """An hour of 25, text in a column of numbers, a missing column: as TFDV reports them."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    trips = pd.DataFrame(
        {"pickup_hour": [0, 8, 23] * 9, "fare": [5.0, 9.5, 20.0] * 9, "passenger_count": [1, 2, 6] * 9}
    )
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_dataframe(trips))
    hour = tfdv.get_feature(schema, "pickup_hour")
    hour.int_domain.min, hour.int_domain.max = 0, 23
    bad = trips.assign(pickup_hour=[0, 8, 25] * 9, fare=["a", "b", "c"] * 9).drop(columns="passenger_count")
    anomalies = tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(bad), schema)
    errors = data_checks.read_errors("train", anomalies.SerializeToString())
    assert {error.feature for error in errors} == {"pickup_hour", "fare", "passenger_count"}
    (hour_error,) = (error for error in errors if error.feature == "pickup_hour")
    assert "25" in hour_error.description
    clean = tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(trips), schema)
    assert data_checks.read_errors("train", clean.SerializeToString()) == ()


def test_invalid_settings_are_named():
    for settings, words in (
        ({"drift": "halt"}, "data_gate.drift=halt must be one of stop, warn, ignore"),
        ({"max_numeric": 3}, "data_gate.max_numeric=3 must be between 0 and 1"),
        ({"max_categorical": float("nan")}, "data_gate.max_categorical=nan must be between 0 and 1"),
        ({"thresholds": {"fare": -1}}, "data_gate.thresholds.fare=-1 must be between 0 and 1, or null"),
        ({"min_rows": -1}, "data_gate.min_rows=-1 must be at least 0"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            DataGateSettings(**settings)


def _component(**settings):
    from tfx import types
    from tfx.types import standard_artifacts

    from farebox.components.data_gate.component import DataGate

    return DataGate(
        anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        examples=types.Channel(type=standard_artifacts.Examples),
        statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
        schema=types.Channel(type=standard_artifacts.Schema),
        settings=json.dumps(settings),
        code_digest="",
    )


def test_the_component_refuses_invalid_settings():
    with pytest.raises(ValueError, match="^data_gate.max_rejected=5 must be between 0 and 1$"):
        _component(max_rejected=5)
    with pytest.raises(ValueError, match=r"^data_gate\.skew=no must be one of stop, warn, ignore$"):
        _component(skew="no")
    assert _component().exec_properties["finds_baseline"] == 0
