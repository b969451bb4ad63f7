"""DataGate's artifacts; what is judged, and how, is in checks.py."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.data_gate import checks
from components.errors import GateError

ANOMALIES_FILE = "SchemaDiff.pb"  # tfx.components.example_validator.executor.DEFAULT_FILE_NAME, slow to import
COUNTS_FILE = "counts.json"


class DataGateExecutor(base_executor.BaseExecutor):
    """Reads every split's anomalies and the row counts; writes verdict.json, then raises if a check failed."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        errors = [error for split in anomalies.splits for error in _errors(anomalies, split)]
        counts = json.loads(_read(os.path.join(artifact_utils.get_single_uri(input_dict["examples"]), COUNTS_FILE)))
        verdict = checks.judge(errors, counts, exec_properties["max_rejected"])
        io_utils.write_string_file(
            os.path.join(artifact_utils.get_single_uri(output_dict["verdict"]), "verdict.json"),
            json.dumps([dataclasses.asdict(check) for check in verdict], indent=2),
        )
        if line := checks.refusal(verdict):
            raise GateError(line, verdict)
        logging.info("DataGate: no schema errors, %s", verdict[-1].detail)


def _errors(anomalies: types.Artifact, split: str) -> tuple[checks.Anomaly, ...]:
    return checks.read_errors(
        split, _read(os.path.join(artifact_utils.get_split_uri([anomalies], split), ANOMALIES_FILE))
    )


def _read(path: str) -> bytes:
    with fileio.open(path, "rb") as file:
        return file.read()
