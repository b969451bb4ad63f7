"""Splits a window by time: the newest span judges, the older ones train, their labels moved to its level."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tfx import types

from farebox.components.atomic_pusher.versions import facts_beside, read_model
from farebox.components.errors import InputError
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
    union_of_maps,
)
from farebox.components.span_window.steps import (
    MeasuringVersion,
    SpanRows,
    Steps,
    measure_steps,
    write_moved,
    write_steps,
)
from farebox.components.trip_example_gen.columns import PICKUP_EPOCH, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.files import ALL_ROWS, TRAINED_ROWS, TRIP_MAP, WEEKDAYS
from farebox.components.trip_example_gen.record_files import RecordFile, read_records
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.components.trip_example_gen.splits import row_hashes, splits_of

NEWEST_FILE = "data_tfrecord-00000-of-00001.gz"


def split_by_time(spans: Sequence[types.Artifact], joined: types.Artifact, settings: WindowSettings) -> dict[str, Any]:
    """Writes the splits and steps.json; returns what counts.json tells of the rows of train and of the splits.

    Older spans without a step are links. The spans are in order, and there are several.
    """
    train = joined.splits[0]
    *older, newest = spans
    since = judging_since(spans, settings)
    steps = _measured(spans, settings, since)
    for place, span in enumerate(older):
        by_era = steps.of_span(place)
        for split in span.splits:
            if by_era:
                _write_moved(span, split, os.path.join(joined.uri, split_folder(train)), by_era, settings)
            else:
                link_files(span, split_folder(split), joined, split_folder(train))
    counts = [read_counts(span) for span in older]
    by_split, trained = _write_newest(newest, joined, settings, since)
    by_split[train] += sum(sum(each["by_split"].values()) for each in counts)
    write_steps(steps, [span_version(span) for span in spans], joined)
    return {
        "by_split": by_split,
        TRAINED_ROWS: union_of([*counts, trained], ALL_ROWS),
        TRIP_MAP: union_of_maps(counts),
        WEEKDAYS: sum_of_weekdays([*counts, trained]),
    }


def _measured(spans: Sequence[types.Artifact], settings: WindowSettings, since: int) -> Steps:
    """The steps by the version in the settings; none if it cannot be read."""
    try:
        version = settings.version and read_version(Path(settings.version))
    except InputError as error:
        return Steps({}, os.path.basename(settings.version or ""), str(error))
    rows = [SpanRows(tuple(all_files(span)), sum(read_counts(span)["by_split"].values())) for span in spans]
    return measure_steps(rows, settings, version or None, since)


def read_version(folder: Path) -> MeasuringVersion:
    """A version in a folder. Raises InputError if its bytes are not those of its manifest."""
    file, content = read_model(folder)
    return MeasuringVersion(file.parent.name, content, facts_beside(file))


def judging_since(spans: Sequence[types.Artifact], settings: WindowSettings) -> int:
    """The first pickup, as PICKUP_EPOCH has it, from which the newest span's rows judge; 0 if all of them do."""
    n_rows = [sum(read_counts(span)["by_split"].values()) for span in spans]
    n_judging = math.ceil(settings.most * sum(n_rows))
    if n_rows[-1] <= n_judging:
        return 0
    epochs = [rows.column(PICKUP_EPOCH).to_numpy() for rows in read_records(all_files(spans[-1]), settings.columns)]
    return int(np.partition(np.concatenate(epochs), -n_judging)[-n_judging])


def _write_moved(
    span: types.Artifact, split: str, folder: str, by_era: Mapping[int, Step], settings: WindowSettings
) -> None:
    for name in files_of(span, split_folder(split)):
        source = os.path.join(span.uri, split_folder(split), name)
        target = os.path.join(folder, f"{prefix(span)}{split_folder(split)}-{name}")
        write_moved(source, target, by_era, settings)


def _write_newest(
    newest: types.Artifact, joined: types.Artifact, settings: WindowSettings, since: int
) -> tuple[Counter[str], dict[str, Any]]:
    """Writes the newest span's rows: later ones to the splits that judge, by hash, and those before `since` to train.

    Returns how many each split has, and what counts.json tells of those that train.
    """
    written = [split for i, split in enumerate(joined.splits) if i or since]
    paths = {split: os.path.join(joined.uri, split_folder(split), prefix(newest) + NEWEST_FILE) for split in written}
    files = {split: RecordFile(path) for split, path in paths.items()}
    by_split: Counter[str] = Counter()
    sketch, weekdays = RowSketch(settings.seed), np.zeros(7, np.int64)
    for rows in read_records(all_files(newest), settings.columns):
        hashes = row_hashes(rows, settings.seed)
        split_of = 1 + splits_of(hashes, settings.shares)
        if since:
            split_of[rows.column(PICKUP_EPOCH).to_numpy() < since] = 0
        for split, file in files.items():
            chosen = rows.filter(pa.array(split_of == joined.splits.index(split)))
            file.write(chosen)
            by_split[split] += chosen.num_rows
        trains = split_of == 0
        weekdays += np.bincount(rows.column(PICKUP_WEEKDAY).to_numpy()[trains], minlength=7)
        sketch = RowSketch.union([sketch, RowSketch.of(hashes[trains], settings.seed)]) or sketch
    for file in files.values():
        file.close()
    return by_split, {ALL_ROWS: sketch.to_json(), WEEKDAYS: weekdays.tolist()}
