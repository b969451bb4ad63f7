"""DeviceValidator's work on artifacts; validation.py has the checks."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from farebox.components.device_validator import validation
from farebox.components.device_validator.golden import golden
from farebox.components.device_validator.request import DEVICE_FILE, Limits, Numbers, Report, Request
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.files.artifact_json import write_json
from farebox.components.networks import examples_io
from farebox.components.tflite.files import GOLDEN_FILE, tflite_path
from farebox.components.trip_example_gen.files import COUNTS_FILE, TRAINED_ROWS, TRIP_MAP, WEEKDAYS

ROWS = 4096


class DeviceValidatorExecutor(base_executor.BaseExecutor):
    """Copies the model and some raw rows to a local folder, validates them in a child process, blesses or refuses."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `DeviceValidatorSpec`."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        references = input_dict.get("reference_model") or []
        rows = read_rows(examples_io.split_files(artifact_utils.get_single_instance(input_dict["examples"]), "eval"))
        limits = limits_of(exec_properties)
        with tempfile.TemporaryDirectory() as folder:
            path, *others = (_local(each, Path(folder) / f"{i}.tflite") for i, each in enumerate([model, *references]))
            request = Request(path, others[0] if others else None, rows, limits)
            report = validation.validate_in_child(request, Path(folder))
            blessing = artifact_utils.get_single_instance(output_dict["blessing"])
            if report.ok:  # a file that crashes its runtime has done so in the child
                _write(blessing, GOLDEN_FILE, golden(path.read_bytes(), rows, limits.edge_rows))
        _bless(blessing, report, _facts_of_train(artifact_utils.get_single_instance(input_dict["examples"])))


def limits_of(exec_properties: Mapping[str, Any]) -> Limits:
    """Limits from execution properties, which hold structures as JSON."""
    names, edge_rows, settings = (json.loads(exec_properties[key]) for key in ("input_names", "edge_rows", "settings"))
    bounds = {key: exec_properties[key] for key in ("min_output", "max_output")}
    return Limits(tuple(names), edge_rows=edge_rows, settings=DeviceSettings(**settings), **bounds)


def _local(model: types.Artifact, path: Path) -> Path:
    """A copy of a Model artifact's file."""
    fileio.copy(tflite_path(model), str(path))
    return path


def read_rows(files: list[str], limit: int = ROWS) -> dict[str, Numbers]:
    """The first rows of gzipped tf.Examples with one number per feature: columns of shape (n,), float32 or int64."""
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").take(limit).as_numpy_iterator()
    examples = [dict(tf.train.Example.FromString(record).features.feature) for record in records]
    names = sorted(set(itertools.chain(*examples)))
    return {name: np.concatenate([_number(example[name]) for example in examples]) for name in names}


def _number(feature: tf.train.Feature) -> Numbers:
    if feature.WhichOneof("kind") == "int64_list":
        return np.array(feature.int64_list.value, np.int64)
    return np.array(feature.float_list.value, np.float32)


def _write(artifact: types.Artifact, name: str, text: str) -> None:
    fileio.makedirs(artifact.uri)
    with fileio.open(os.path.join(artifact.uri, name), "w") as file:
        file.write(text)


def _facts_of_train(examples: types.Artifact) -> dict[str, Any]:
    """Sketch, map and weekdays of the rows of train, from TripExampleGen's counts; None of examples without them."""
    path, counts = os.path.join(examples.uri, COUNTS_FILE), dict[str, Any]()
    if fileio.exists(path):
        with fileio.open(path) as file:
            counts = json.loads(file.read())
    return {name: counts.get(name) for name in (TRAINED_ROWS, TRIP_MAP, WEEKDAYS)}


def _bless(blessing: types.Artifact, report: Report, facts_of_train: dict[str, Any]) -> None:
    """Marks the artifact as tfx.components.infra_validator.executor does, with the SHA-256 of the validated file."""
    verdict = {"blessed": report.ok, **dataclasses.asdict(report), **facts_of_train}
    write_json(blessing, DEVICE_FILE, verdict)
    _write(blessing, "INFRA_BLESSED" if report.ok else "INFRA_NOT_BLESSED", "")
    blessing.set_int_custom_property("blessed", int(report.ok))
    blessing.set_string_custom_property("sha256", report.measurements.get("sha256", ""))
    failed = "; ".join(f"{each.name}={each.value} ({each.detail})" for each in report.checks if not each.ok)
    logging.info("DeviceValidator: %d checks, failed: %s", len(report.checks), failed or "none")
