"""Splits a window by time: the newest span judges, the older ones train, their labels moved to its level."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from absl import logging
from tfx import types

from farebox.components.files.buckets import fileio
from farebox.components.span_window.levels import Step
from farebox.components.span_window.settings import WindowSettings
from farebox.components.span_window.span_files import (
    all_files,
    files_of,
    link_files,
    prefix,
    read_counts,
    span_version,
    split_folder,
    sum_of_weekdays,
    union_of,
)
from farebox.components.span_window.steps import Steps, measure_steps, moved
from farebox.components.span_window.steps_file import STEPS_FILE, MovedRows, WindowSteps
from farebox.components.trip_example_gen.files import ALL_ROWS, TRAINED_ROWS, WEEKDAYS
from farebox.components.trip_example_gen.record_files import RecordFile, read_records
from farebox.components.trip_example_gen.splits import row_hashes, splits_of

JUDGING_FILE = "data_tfrecord-00000-of-00001.gz"


def split_by_time(spans: Sequence[types.Artifact], joined: types.Artifact, settings: WindowSettings) -> dict[str, Any]:
    """Writes the splits and steps.json; returns what counts.json tells of the rows of train and of the splits.

    Older spans without a step are links. The spans are in order, and there are several.
    """
    train, *judging = joined.splits
    *older, newest = spans
    steps = measure_steps(spans, settings)
    for place, span in enumerate(older):
        by_era = steps.of_span(place)
        for split in span.splits:
            if by_era:
                _write_moved(span, split, os.path.join(joined.uri, split_folder(train)), by_era, settings)
            else:
                link_files(span, split_folder(split), joined, split_folder(train))
    counts = [read_counts(span) for span in older]
    by_split = Counter({train: sum(sum(each["by_split"].values()) for each in counts)})
    by_split += _write_judging(newest, judging, joined, settings)
    _write_steps(steps, spans, joined, settings)
    return {
        "by_split": by_split,
        TRAINED_ROWS: union_of(counts, ALL_ROWS),
        WEEKDAYS: sum_of_weekdays(counts),
    }


def _write_moved(
    span: types.Artifact, split: str, folder: str, by_era: Mapping[int, Step], settings: WindowSettings
) -> None:
    for name in files_of(span, split_folder(split)):
        source = os.path.join(span.uri, split_folder(split), name)
        file = RecordFile(os.path.join(folder, f"{prefix(span)}{split_folder(split)}-{name}"))
        for rows in read_records([source], settings.columns):
            file.write(moved(rows, by_era, settings))
        file.close()


def _write_judging(
    newest: types.Artifact, judging: Sequence[str], joined: types.Artifact, settings: WindowSettings
) -> Counter[str]:
    """Writes the newest span's rows to the splits that judge, by hash, and returns how many each has."""
    paths = [os.path.join(joined.uri, split_folder(split), prefix(newest) + JUDGING_FILE) for split in judging]
    files = [RecordFile(path) for path in paths]
    by_split: Counter[str] = Counter()
    for rows in read_records(all_files(newest), settings.columns):
        split_of = splits_of(row_hashes(rows, settings.seed), settings.shares)
        for i, (split, file) in enumerate(zip(judging, files, strict=True)):
            chosen = rows.filter(pa.array(split_of == i))
            file.write(chosen)
            by_split[split] += chosen.num_rows
    for file in files:
        file.close()
    return by_split


def _write_steps(
    steps: Steps, spans: Sequence[types.Artifact], joined: types.Artifact, settings: WindowSettings
) -> None:
    """Writes steps.json."""
    told = WindowSteps(
        measured_by=os.path.basename(settings.version or ""),
        steps=tuple(
            MovedRows(*span_version(spans[place]), era, step.base, step.rate)
            for (place, era), step in sorted(steps.by_group.items())
        ),
        why=steps.why,
    )
    with fileio.open(os.path.join(joined.uri, STEPS_FILE), "w") as file:
        file.write(told.to_json())
    logging.info("SpanWindow: %s", told)
