"""DataGate: which anomalies and counts refuse a run, in which words, and that TFX's own anomalies are read."""

from __future__ import annotations

import json

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.checks import Check
from components.data_gate import checks
from components.errors import GateError

COUNTS = {"read": 200, "examples": 190, "rejected": 10, "by_reason": {"unparseable": 3, "outside_city": 7}}


def _anomalies(severity=anomalies_pb2.AnomalyInfo.ERROR, **features: str) -> bytes:
    found = anomalies_pb2.Anomalies()
    for feature, reason in features.items():
        found.anomaly_info[feature].severity = severity
        found.anomaly_info[feature].reason.add(short_description=reason, description=f"{reason} at length")
    return found.SerializeToString()


def test_only_errors_count():
    assert checks.read_errors("train", _anomalies(anomalies_pb2.AnomalyInfo.WARNING, fare="High drift")) == ()
    assert checks.read_errors("train", _anomalies(fare="Column dropped")) == (
        checks.Anomaly("train", "fare", "Column dropped", "Column dropped at length"),
    )


def test_anomalies_of_the_whole_dataset_and_empty_splits_count():
    found = anomalies_pb2.Anomalies(data_missing=True)
    found.dataset_anomaly_info.severity = anomalies_pb2.AnomalyInfo.ERROR
    found.dataset_anomaly_info.short_description = "Low num examples"
    assert [str(error) for error in checks.read_errors("eval", found.SerializeToString())] == [
        "eval/(dataset): Low num examples: ",
        "eval/(dataset): No examples: the split is empty",
    ]


def test_clean_data_pass():
    verdict = checks.judge([], COUNTS, max_rejected=0.05)
    assert verdict == (
        Check("anomalies", 0, 0, True, ""),
        Check("rejected_share", 0.05, 0.05, True, "10 of 200 rows rejected: outside_city 7, unparseable 3"),
    )
    assert checks.refusal(verdict) is None


def test_too_many_rejected_rows_are_one_line_with_reasons():
    assert checks.refusal(checks.judge([], COUNTS, max_rejected=0.04)) == (
        "DataGate: rejected_share=0.05 must be at most 0.04, got 10 of 200 rows rejected: outside_city 7, unparseable 3"
    )


def test_one_anomaly_is_told_whole():
    errors = checks.read_errors("eval", _anomalies(fare="Out-of-range values"))
    assert checks.refusal(checks.judge(errors, COUNTS, 0.5)) == (
        "DataGate: anomalies=1 must be at most 0, got eval/fare: Out-of-range values: Out-of-range values at length"
    )


def test_of_many_anomalies_three_are_told_and_the_rest_counted():
    errors = checks.read_errors("train", _anomalies(a="A", b="B", c="C", d="D", e="E"))
    assert checks.refusal(checks.judge(errors, COUNTS, 0.5)) == (
        "DataGate: anomalies=5 must be at most 0, got "
        "train/a: A: A at length; train/b: B: B at length; train/c: C: C at length; and 2 more"
    )


def test_nothing_read_is_refused():
    nothing = {"read": 0, "examples": 0, "rejected": 0, "by_reason": {}}
    assert checks.refusal(checks.judge([], nothing, 0.9)) == (
        "DataGate: rejected_share=1 must be at most 0.9, got 0 of 0 rows rejected"
    )


def _run_gate(folder, anomalies: dict[str, bytes], max_rejected: float) -> list[dict]:
    """Runs the executor on artifacts in `folder`; returns verdict.json even if the gate raised."""
    from tfx.types import artifact_utils

    from components.data_gate.component import DataGateSpec
    from components.data_gate.executor import DataGateExecutor

    inputs = {key: [parameter.type()] for key, parameter in DataGateSpec.INPUTS.items()}
    outputs = {key: [parameter.type()] for key, parameter in DataGateSpec.OUTPUTS.items()}
    for key, (artifact,) in (inputs | outputs).items():
        artifact.uri = str(folder / key)
    inputs["anomalies"][0].split_names = artifact_utils.encode_split_names(list(anomalies))
    for split, serialized in anomalies.items():
        (folder / "anomalies" / f"Split-{split}").mkdir(parents=True)
        (folder / "anomalies" / f"Split-{split}" / "SchemaDiff.pb").write_bytes(serialized)
    (folder / "examples").mkdir()
    (folder / "examples" / "counts.json").write_text(json.dumps(COUNTS))
    try:
        DataGateExecutor().Do(inputs, outputs, {"max_rejected": max_rejected, "code_digest": ""})
    finally:
        verdict = json.loads((folder / "verdict" / "verdict.json").read_text())
    return verdict


def test_executor_writes_a_verdict_and_lets_good_data_pass(tmp_path):
    verdict = _run_gate(tmp_path, {"train": _anomalies(), "eval": _anomalies()}, max_rejected=0.1)
    assert [(check["name"], check["value"], check["bound"], check["ok"]) for check in verdict] == [
        ("anomalies", 0, 0, True),
        ("rejected_share", 0.05, 0.1, True),
    ]


def test_executor_refuses_an_anomaly_of_any_split(tmp_path):
    with pytest.raises(GateError, match="^DataGate: anomalies=1 must be at most 0, got eval/fare: Column dropped: "):
        _run_gate(tmp_path, {"train": _anomalies(), "eval": _anomalies(fare="Column dropped")}, max_rejected=0.1)
    assert not json.loads((tmp_path / "verdict" / "verdict.json").read_text())[0]["ok"]


def test_tfdv_anomalies_are_read():
    """An hour of 25, a text column where numbers belong, a column that is gone: as TFDV itself reports them."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    trips = pd.DataFrame(
        {"pickup_hour": [0, 8, 23] * 9, "fare": [5.0, 9.5, 20.0] * 9, "passenger_count": [1, 2, 6] * 9}
    )
    schema = tfdv.infer_schema(tfdv.generate_statistics_from_dataframe(trips))
    hour = tfdv.get_feature(schema, "pickup_hour")
    hour.int_domain.min, hour.int_domain.max = 0, 23
    bad = trips.assign(pickup_hour=[0, 8, 25] * 9, fare=["a", "b", "c"] * 9).drop(columns="passenger_count")
    found = tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(bad), schema)
    errors = checks.read_errors("train", found.SerializeToString())
    assert {error.feature for error in errors} == {"pickup_hour", "fare", "passenger_count"}
    (hour_error,) = (error for error in errors if error.feature == "pickup_hour")
    assert "25" in hour_error.description
    clean = tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(trips), schema)
    assert checks.read_errors("train", clean.SerializeToString()) == ()


def test_the_component_refuses_a_percentage():
    from tfx import types
    from tfx.types import standard_artifacts

    from components.data_gate.component import DataGate

    with pytest.raises(ValueError, match="^max_rejected=5 must be between 0 and 1, in DataGate$"):
        DataGate(
            types.Channel(type=standard_artifacts.ExampleAnomalies),
            types.Channel(type=standard_artifacts.Examples),
            max_rejected=5,
            code_digest="",
        )
