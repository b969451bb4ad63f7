"""A window that TripExampleGen has joined and split by time, as on a cluster: older labels move after a step."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from tfx import types

from farebox.components.atomic_pusher.store import MANIFEST_FILE
from farebox.components.files.buckets import fileio
from farebox.components.span_window.settings import WindowSettings
from farebox.components.span_window.span_files import files_of, link, read_counts, split_folder
from farebox.components.span_window.steps import MeasuringVersion, SpanRows, measure_steps, write_moved, write_steps
from farebox.components.tflite.files import tflite_path
from farebox.components.trip_example_gen.files import (
    COUNTS_FILE,
    REJECTED_FOLDER,
    SPAN_PROPERTY,
    WINDOW_PROPERTY,
    file_prefix,
)


def move_window(
    window: types.Artifact, joined: types.Artifact, model: types.Artifact, settings: WindowSettings
) -> None:
    """Writes the window's files to `joined`: links, and train with the labels of older spans moved.

    model: the pushed version, as LatestPushed finds it; without a file if there is none yet. A window of one span
    stays as it is.
    """
    spans = [(span, version) for span, version in json.loads(window.get_string_custom_property(WINDOW_PROPERTY))]
    joined.set_int_custom_property(SPAN_PROPERTY, window.get_int_custom_property(SPAN_PROPERTY))
    joined.set_string_custom_property(WINDOW_PROPERTY, window.get_string_custom_property(WINDOW_PROPERTY))
    steps = measure_steps(_rows_of(window, spans), settings, _version(model)) if len(spans) > 1 else None
    by_prefix = {file_prefix(*span): steps.of_span(place) for place, span in enumerate(spans)} if steps else {}
    for folder in (*map(split_folder, window.splits), REJECTED_FOLDER):
        for name in files_of(window, folder):
            source, target = (os.path.join(each.uri, folder, name) for each in (window, joined))
            by_era = next((each for start, each in by_prefix.items() if name.startswith(start)), {})
            if by_era and folder == split_folder(window.splits[0]):
                write_moved(source, target, by_era, settings)
            else:
                link(source, target)
    link(os.path.join(window.uri, COUNTS_FILE), os.path.join(joined.uri, COUNTS_FILE))
    if steps:
        write_steps(steps, spans, joined)


def _rows_of(window: types.Artifact, spans: list[tuple[int, int]]) -> list[SpanRows]:
    """The rows of each span; they are taken to be equally many, since only their sum is counted."""
    n_rows = sum(read_counts(window)["by_split"].values()) // len(spans)
    files = [
        os.path.join(window.uri, folder, name)
        for folder in map(split_folder, window.splits)
        for name in files_of(window, folder)
    ]
    by_span = [tuple(file for file in files if os.path.basename(file).startswith(file_prefix(*span))) for span in spans]
    return [SpanRows(each, n_rows) for each in by_span]


def _version(model: types.Artifact) -> MeasuringVersion | None:
    """The version that LatestPushed found; None if there was none."""
    manifest = os.path.join(model.uri, MANIFEST_FILE)
    if not fileio.exists(manifest):
        return None
    with fileio.open(manifest) as file:
        facts: Mapping[str, object] = json.loads(file.read())
    with fileio.open(tflite_path(model), "rb") as content:
        return MeasuringVersion(str(facts["sha256"])[:12], content.read(), facts)
