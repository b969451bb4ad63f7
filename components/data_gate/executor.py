"""DataGate's work on artifacts; data_checks.py and distributions.py have the checks and their measures."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from farebox.components.data_gate import data_checks, distributions, loss_checks, sample_rows, train_statistics
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check, GateError
from farebox.components.trip_example_gen.files import COUNTS_FILE, REJECTED_FOLDER
from farebox.components.trip_example_gen.judging.losses import Losses

ANOMALIES_FILE = "SchemaDiff.pb"  # tfx.components.example_validator.executor.DEFAULT_FILE_NAME, slow to import
NO_RESOLVER = "no baseline on this orchestrator: drift was not looked for"
NO_STATISTICS = "no baseline yet: no version was pushed with the statistics of its data"
NO_RUN = "no baseline yet: no other data have led to an accepted model"

Artifacts = Mapping[str, types.Artifact]


class DataGateExecutor(base_executor.BaseExecutor):
    """Checks anomalies, statistics and counts; writes verdict.json, then raises if a check refuses."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises GateError if a check refuses the data."""
        inputs = {name: artifacts[0] for name, artifacts in input_dict.items() if artifacts}
        verdict = judge(inputs, exec_properties)
        io_utils.write_string_file(
            os.path.join(artifact_utils.get_single_uri(output_dict["verdict"]), "verdict.json"),
            json.dumps([dataclasses.asdict(check) for check in verdict], indent=2),
        )
        for warning in data_checks.warnings(verdict):
            logging.warning("DataGate: %s", warning)
        if line := data_checks.refusal(verdict):
            raise GateError(line, verdict)
        logging.info("DataGate: %s", "; ".join(f"{check.name}={check.value:.4g} {check.detail}" for check in verdict))


def judge(inputs: Artifacts, exec_properties: Mapping[str, Any]) -> list[Check]:
    """The checks that the settings do not ignore."""
    settings = DataGateSettings(**json.loads(exec_properties["settings"]))
    examples, statistics = inputs["examples"], inputs["statistics"]
    counts = json.loads(_read(os.path.join(examples.uri, COUNTS_FILE)))
    by_split = {split: statistics_of(statistics, split) for split in statistics.splits}
    distribution = {split: distributions.distributions(each) for split, each in by_split.items()}

    def show(split: str, feature: str, bucket: distributions.Bucket) -> list[str]:
        return sample_rows.find_examples(
            _split(examples, split), feature, lambda values: any(map(bucket.holds, values))
        )

    def show_rejected(reason: str) -> list[str]:
        return sample_rows.find_rejected(os.path.join(examples.uri, REJECTED_FOLDER), reason)

    return [
        *data_checks.judge_schema(errors(inputs), settings),
        *data_checks.judge_rejected(counts, settings, show_rejected),
        *loss_checks.judge_losses(Losses.from_json(counts), settings),
        *data_checks.judge_rows({split: int(each.num_examples) for split, each in by_split.items()}, settings),
        *drift(inputs.get("baseline_statistics"), exec_properties["finds_baseline"], distribution, settings, show),
        *data_checks.judge_skew(distribution, settings, show),
    ]


def drift(
    baseline: types.Artifact | None,
    finds_baseline: int,
    distribution: Mapping[str, Mapping[str, distributions.Distribution]],
    settings: DataGateSettings,
    show: data_checks.FindRows,
) -> list[Check]:
    """The checks against the baseline or, without one, a check that says why."""
    if not finds_baseline or baseline is None:
        return data_checks.no_drift_check(NO_RUN if finds_baseline else NO_RESOLVER, settings)
    file = train_statistics.path_of(baseline)
    if file is None:
        return data_checks.no_drift_check(NO_STATISTICS, settings)
    if not fileio.exists(file):
        return data_checks.no_drift_check(f"no baseline that can be read: {file} is gone", settings)
    try:
        before = distributions.distributions(statistics_of(baseline, data_checks.TRAIN))
    except ValueError as error:  # written without enough quantiles
        return data_checks.no_drift_check(f"no baseline that can be read: {error}", settings)
    return data_checks.judge_drift(distribution[data_checks.TRAIN], before, settings, show)


def errors(inputs: Artifacts) -> list[data_checks.Anomaly]:
    """The anomalies of every split, the first ones with rows that show them."""
    anomalies, schema = inputs["anomalies"], read_schema(inputs["schema"])
    anomalies_of_splits = [
        error
        for split in anomalies.splits
        for error in data_checks.read_errors(split, _read(os.path.join(_split(anomalies, split), ANOMALIES_FILE)))
    ]
    shown = [
        _with_rows(error, inputs["examples"], schema) for error in anomalies_of_splits[: data_checks.SHOWN_ANOMALIES]
    ]
    return [*shown, *anomalies_of_splits[data_checks.SHOWN_ANOMALIES :]]


def _with_rows(error: data_checks.Anomaly, examples: types.Artifact, schema: Mapping[str, Any]) -> data_checks.Anomaly:
    feature = schema.get(error.feature)
    if feature is None or error.split not in examples.splits:
        return error
    rows = sample_rows.find_examples(
        _split(examples, error.split), error.feature, lambda values: not is_allowed(values, feature)
    )
    return dataclasses.replace(error, rows=tuple(rows))


def is_allowed(values: Sequence[float | str], feature: schema_pb2.Feature) -> bool:
    """Returns whether there are values and all of them are in the feature's domain, of numbers or of words."""
    domain = getattr(feature, feature.WhichOneof("domain_info") or "", None)
    if isinstance(domain, schema_pb2.StringDomain):
        return bool(values) and all(value in domain.value for value in values)
    low = getattr(domain, "min", None) if domain is not None and domain.HasField("min") else None
    high = getattr(domain, "max", None) if domain is not None and domain.HasField("max") else None
    return bool(values) and all(
        not isinstance(value, str) and value == value
        and (low is None or value >= low)
        and (high is None or value <= high)
        for value in values
    )  # fmt: skip


def read_schema(artifact: types.Artifact) -> dict[str, schema_pb2.Feature]:
    """The features of a Schema artifact by name."""
    text = _read(os.path.join(artifact.uri, "schema.pbtxt")).decode()
    return {feature.name: feature for feature in text_format.Parse(text, schema_pb2.Schema()).feature}


def statistics_of(artifact: types.Artifact, split: str) -> Any:
    """A split's DatasetFeatureStatistics."""
    return distributions.read(_read(os.path.join(_split(artifact, split), train_statistics.FILE)))


def _split(artifact: types.Artifact, split: str) -> str:
    folder: str = artifact_utils.get_split_uri([artifact], split)
    return folder


def _read(path: str) -> bytes:
    with fileio.open(path, "rb") as file:
        content: bytes = file.read()
    return content
