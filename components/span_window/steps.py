"""Steps of the labels between the spans of a window, measured by a pushed model, and the older spans' moved labels."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from absl import logging
from tfx import types

from farebox.components.errors import InputError
from farebox.components.files.buckets import fileio
from farebox.components.span_window.levels import Level, Step, level_of, step_between
from farebox.components.span_window.settings import WindowSettings
from farebox.components.span_window.steps_file import STEPS_FILE, MovedRows, WindowSteps
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.trip_example_gen.columns import PICKUP_EPOCH, PICKUP_ERA, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.files import WEEKDAYS
from farebox.components.trip_example_gen.record_files import RecordFile, read_records
from farebox.components.trip_example_gen.splits import row_hashes, splits_of

LEVEL_ROWS = 50_000  # of a span, about: a sample of more
LARGEST_HASH = 2.0**64 - 2**11  # the largest float64 below 2^64
EVAL = 0  # of the newest span's splits: its rows tell the level; test stays unseen

Group = tuple[int, int]  # place of a span in the window, era of the tariff
Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class SpanRows:
    """The files of a span's rows, and about how many rows they have."""

    files: tuple[str, ...]
    n_rows: int


@dataclasses.dataclass(frozen=True)
class MeasuringVersion:
    """The pushed version by whose predictions steps are measured: its name, its bytes and its manifest."""

    name: str
    content: bytes
    facts: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Steps:
    """The step of each group of rows whose labels move to the newest span's level.

    measured_by: name of the version, empty without one. why: in a line, if none is told.
    """

    by_group: Mapping[Group, Step]
    measured_by: str = ""
    why: str = ""

    def of_span(self, place: int) -> dict[int, Step]:
        """The steps of a span's rows by era; empty if its labels stay."""
        return {era: step for (span, era), step in self.by_group.items() if span == place}


def measure_steps(
    spans: Sequence[SpanRows], settings: WindowSettings, version: MeasuringVersion | None, since: int = 0
) -> Steps:
    """The steps from the spans, which are in order, to the newest one, by the version's predictions.

    Rows of days of the week that the version was not trained on are left out: what it does not know of them is no step.
    A version that cannot predict these rows tells nothing. since: the pickup from which the newest span's rows judge.
    """
    if version is None:
        return Steps({}, why="there is no version to measure them by")
    if not (known := version.facts.get(WEEKDAYS)):
        why = f"version={version.name} does not tell {WEEKDAYS}, the days that it was trained on"
        return Steps({}, version.name, why)
    try:
        model = TfliteModel(version.content, delegates=False, origin=version.name)
        levels = _levels(spans, settings, model, np.flatnonzero(known), since)
    except InputError as error:
        return Steps({}, version.name, str(error))
    newest = max((group for group in levels if group[0] == len(spans) - 1), default=None)
    if newest is None:
        why = "the newest span has too few trips of days that the version was trained on"
        return Steps({}, version.name, why)
    others = {group: level for group, level in levels.items() if group[0] != newest[0]}
    steps = {group: step_between(level, levels[newest], len(others)) for group, level in others.items()}
    return Steps({group: step for group, step in steps.items() if step}, version.name)


def _levels(
    spans: Sequence[SpanRows],
    settings: WindowSettings,
    model: TfliteModel,
    weekdays: npt.NDArray[np.int64],
    since: int,
) -> dict[Group, Level]:
    """The level of each group that has enough rows; of the newest span by its rows of eval."""
    levels: dict[Group, Level | None] = {}
    for place, span in enumerate(spans):
        is_newest = place == len(spans) - 1
        labels, predictions = defaultdict(list), defaultdict(list)
        for rows in _sampled(span, settings, weekdays, since if is_newest else None):
            predicted = model.predict(rows)
            for era in np.unique(rows[PICKUP_ERA]).tolist():
                of_era = rows[PICKUP_ERA] == era
                labels[era].append(rows[settings.label][of_era])
                predictions[era].append(predicted[of_era])
        for era in labels:
            pair = (np.concatenate(parts[era]).astype(np.float64) for parts in (labels, predictions))
            levels[place, era] = level_of(*pair)
    return {group: level for group, level in levels.items() if level}


def _sampled(
    span: SpanRows, settings: WindowSettings, weekdays: npt.NDArray[np.int64], since: int | None
) -> Iterable[Arrays]:
    """Batches of a sample of the rows that tell a span's level. since: of the newest span, whose eval tells it."""
    share = min(1.0, LEVEL_ROWS / max(span.n_rows, 1))
    bound = np.uint64(share * LARGEST_HASH)
    for batch in read_records(span.files, settings.columns):
        hashes = row_hashes(batch, settings.seed)
        chosen = (hashes <= bound) & np.isin(batch.column(PICKUP_WEEKDAY).to_numpy(), weekdays)
        if since is not None:
            chosen &= splits_of(hashes, settings.shares) == EVAL
        if since:
            chosen &= batch.column(PICKUP_EPOCH).to_numpy() >= since
        if chosen.any():
            rows = batch.filter(pa.array(chosen))
            yield {name: rows.column(i).to_numpy() for i, name in enumerate(rows.schema.names)}


def write_moved(source: str, target: str, steps: Mapping[int, Step], settings: WindowSettings) -> None:
    """Writes a file's rows with the labels that their era's step gives."""
    file = RecordFile(target)
    for rows in read_records([source], settings.columns):
        file.write(moved(rows, steps, settings))
    file.close()


def write_steps(steps: Steps, spans: Sequence[tuple[int, int]], joined: types.Artifact) -> None:
    """Writes steps.json of the window. spans: span and version, in order."""
    told = WindowSteps(
        measured_by=steps.measured_by,
        steps=tuple(
            MovedRows(*spans[place], era, step.base, step.rate) for (place, era), step in sorted(steps.by_group.items())
        ),
        why=steps.why,
    )
    with fileio.open(os.path.join(joined.uri, STEPS_FILE), "w") as file:
        file.write(told.to_json())
    logging.info("SpanWindow: %s", told)


def moved(rows: pa.RecordBatch, steps: Mapping[int, Step], settings: WindowSettings) -> pa.RecordBatch:
    """The rows with the labels that their era's step gives, within the bounds of labels."""
    place = rows.schema.get_field_index(settings.label)
    eras, labels = rows.column(PICKUP_ERA).to_numpy(), rows.column(place).to_numpy().astype(np.float64)
    for era, step in steps.items():
        bounded = np.clip(step.apply(labels), settings.smallest, settings.largest)
        labels = np.where(eras == era, bounded, labels)
    arrays = [*rows.columns[:place], pa.array(labels.astype(np.float32)), *rows.columns[place + 1 :]]
    return pa.RecordBatch.from_arrays(arrays, names=rows.schema.names)
