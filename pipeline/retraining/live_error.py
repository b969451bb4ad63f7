"""Live error: how well pushed versions do on a new span's trips, beside what each promised when it was pushed."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.atomic_pusher.versions import facts_beside, read_model
from farebox.components.errors import InputError
from farebox.components.evaluator import error_sums, promises
from farebox.components.evaluator.error_sums import DifferenceSums, ErrorSums, Measured, short
from farebox.components.evaluator.metrics import ALL_TRIPS, Estimate
from farebox.components.evaluator.promises import Tolerance, promise_of
from farebox.components.tflite.bands import Bands
from farebox.components.tflite.files import FARE_FILE
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import bands_of
from farebox.modules.columns import FARE
from farebox.modules.slices import fare_slices
from farebox.pipeline.retraining.live_record import Live, LiveCheck, Role
from farebox.pipeline.settings.load import Settings

BATCH_ROWS = 1 << 15

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class PushedFile:
    """The file of a version, ready to predict on the kernels that Evaluator uses, and what its manifest promises."""

    version: str
    model: TfliteModel
    bands: Bands | None
    promise: Mapping[str, Measured]

    @classmethod
    def load(cls, settings: Settings, version: str) -> PushedFile:
        """Raises InputError if the version is damaged."""
        file, content = read_model(settings.models_dir / version)
        promise = promise_of(facts_beside(file))
        return cls(version, TfliteModel(content, delegates=False, origin=file), bands_of(content), promise)

    def predict(self, columns: Columns, faults: dict[str, str]) -> Floats:
        """Fares, float64 of shape (n,); NaN if the file cannot predict these trips, with the reason in `faults`."""
        n_rows = len(columns[FARE])
        try:
            predictions = self.model.predict(columns).astype(np.float64)
            if predictions.shape == (n_rows,):
                return predictions
            fault = f"its answer has the shape {predictions.shape}"
        except InputError as error:
            fault = str(error)
        faults[self.version] = fault
        return np.full(n_rows, np.nan)


def live_errors(
    settings: Settings, span: tuple[int, int], examples: str, versions: Mapping[Role, str], say: Callable[[str], None]
) -> tuple[Live, ...]:
    """Errors on a span's examples of the versions, by role, without those that were trained on a span of its number.

    examples: an Examples artifact's folder. Empty if the latest version knows the span or cannot be read; `say` takes a
    line about each version that cannot be read, or cannot predict these trips. A latest version that promises nothing
    is held to the promise of the version before it.
    """
    files: dict[Role, PushedFile] = {}
    for role, version in versions.items():
        try:
            if span[0] not in facts_beside(settings.models_dir / version / FARE_FILE).get("spans", ()):
                files[role] = PushedFile.load(settings, version)
        except InputError as error:
            say(f"version {version} cannot be scored: {error}")
    if "latest" not in files:
        return ()
    errors, differences = score_together(settings, list(files.values()), examples, say)
    if "before" in files and not files["latest"].promise:
        files["latest"] = dataclasses.replace(files["latest"], promise=files["before"].promise)
    return tuple(
        live_of(file, by_slice, settings, span=span, role=role, difference=differences.get(file.version))
        for (role, file), by_slice in zip(files.items(), errors, strict=True)
    )


def live_of(
    file: PushedFile,
    errors: Mapping[str, Measured],
    settings: Settings,
    *,
    span: tuple[int, int],
    role: Role,
    difference: Estimate | None = None,
) -> Live:
    """The record of a version's errors, checked against its promise; difference: from the latest version's MAE."""
    made = promises.checks(errors, file.promise, Tolerance(settings.spans.live_margin, settings.spans.live_alarm_rate))
    checks = [
        LiveCheck(each.name, short(each.value), None if each.bound is None else short(each.bound), each.ok)
        for each in made
        if not each.ok or "[" not in each.name  # of slices, those that fail
    ]
    is_number = difference is not None and math.isfinite(difference.upper)
    return Live(
        span,
        role,
        file.version,
        error_sums.to_json(errors),
        error_sums.to_json(file.promise),
        tuple(checks),
        difference if is_number else None,
    )


def score_together(
    settings: Settings, files: Sequence[PushedFile], examples: str, say: Callable[[str], None]
) -> tuple[list[dict[str, Measured]], dict[str, Estimate]]:
    """Errors of each file on the same trips by slice, all splits together, and how the others compare with the first.

    The differences, by version, are of the mean absolute error, minus the first one's, in pairs by trip: below 0, the
    version is better. Predictions of a file that cannot predict these trips are NaN, and `say` takes a line.
    """
    from farebox.pipeline.node_configs import slicing_config

    sums = [SlicedSums(file.bands) for file in files]
    differences = {file.version: DifferenceSums() for file in files[1:]}
    faults: dict[str, str] = {}
    for columns in read_examples(settings, examples):
        labels = columns[FARE].reshape(-1).astype(np.float64)
        slices = dict(fare_slices(columns, slicing_config(settings)))
        predicted = [file.predict(columns, faults) for file in files]
        for each, predictions in zip(sums, predicted, strict=True):
            each.add(predictions, labels, slices)
        for file, predictions in zip(files[1:], predicted[1:], strict=True):
            differences[file.version].add(predictions - labels, predicted[0] - labels)
    for version, fault in faults.items():
        say(f"version {version} cannot predict these trips: {fault}")
    return [each.measured() for each in sums], {version: each.estimate() for version, each in differences.items()}


class SlicedSums:
    """Running sums of errors of all trips and of each slice."""

    def __init__(self, bands: Bands | None) -> None:
        self.bands = bands
        self.sums = {ALL_TRIPS: ErrorSums(bands)}

    def add(self, predictions: Floats, labels: Floats, slices: Mapping[str, npt.NDArray[Any]]) -> None:
        """Adds rows of shape (n,); slices: indices of rows by the slice's name."""
        self.sums[ALL_TRIPS].add(predictions, labels)
        for name, rows in slices.items():
            self.sums.setdefault(name, ErrorSums(self.bands)).add(predictions[rows], labels[rows])

    def measured(self) -> dict[str, Measured]:
        """The errors by slice, that of all trips first."""
        names = sorted(self.sums, key=lambda name: (name != ALL_TRIPS, name))
        return {name: self.sums[name].measured() for name in names}


def read_examples(settings: Settings, examples: str) -> Iterator[Columns]:
    """Batches of a span's trips, every split of them: columns of shape (n, 1) by name, the fare among them."""
    import tensorflow as tf

    from farebox.components.networks import examples_io

    dtypes = {name: tf.as_dtype(column.dtype) for name, column in settings.city.example_columns.items()}
    spec = examples_io.raw_feature_spec(dtypes)
    files = sorted(tf.io.gfile.glob(os.path.join(examples, "Split-*", "*")))
    for columns, labels in examples_io.numpy_batches(examples_io.labelled(files, spec, FARE, BATCH_ROWS)):
        yield {**columns, FARE: labels.reshape(-1, 1)}
