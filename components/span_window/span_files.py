"""Files of the spans' artifacts and of the window: their names, links and counts."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types

from farebox.components.files.buckets import fileio
from farebox.components.trip_example_gen.files import (
    COUNTS_FILE,
    SPAN_PROPERTY,
    TRIP_MAP,
    VERSION_PROPERTY,
    WEEKDAYS,
    file_prefix,
)
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.components.trip_example_gen.trip_map import TripMap


def span_version(span: types.Artifact) -> tuple[int, int]:
    """Span and version, as TripExampleGen's driver sets them."""
    return span.get_int_custom_property(SPAN_PROPERTY), span.get_int_custom_property(VERSION_PROPERTY)


def prefix(span: types.Artifact) -> str:
    """The beginning of the names of its files in the window, which then sort by span: `00012-1-`."""
    return file_prefix(*span_version(span))


def split_folder(split: str) -> str:
    """The folder of a split in an Examples artifact."""
    return f"Split-{split}"


def files_of(span: types.Artifact, folder: str) -> list[str]:
    """The names of the files in a folder of an artifact, sorted; none of a folder that is not there."""
    path = os.path.join(span.uri, folder)
    return sorted(fileio.listdir(path)) if fileio.exists(path) else []


def all_files(span: types.Artifact) -> list[str]:
    """The paths of the files of all splits of a span."""
    folders = map(split_folder, span.splits)
    return [os.path.join(span.uri, folder, name) for folder in folders for name in files_of(span, folder)]


def link_files(source: types.Artifact, folder: str, target: types.Artifact, target_folder: str) -> None:
    """Links, or copies, every file of a folder of a span into one of the window, under a name that begins with the
    span's prefix, and with the folder's name if it is another one."""
    start = prefix(source) + ("" if folder == target_folder else f"{folder}-")
    for name in files_of(source, folder):
        link(os.path.join(source.uri, folder, name), os.path.join(target.uri, target_folder, start + name))


def link(source: str, target: str) -> None:
    """Makes a hard link or, if the file system cannot, a copy."""
    if "://" not in source:
        with contextlib.suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return
    fileio.copy(source, target, overwrite=True)


def read_counts(span: types.Artifact) -> dict[str, Any]:
    """TripExampleGen's counts.json."""
    with fileio.open(os.path.join(span.uri, COUNTS_FILE)) as file:
        counts: dict[str, Any] = json.loads(file.read())
    return counts


def union_of(counts: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    """The union of the sketches that several counts.json have under a key; None of none."""
    union = RowSketch.union(RowSketch.from_json(each[key]) for each in counts if each.get(key))
    return union.to_json() if union else None


def union_of_maps(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The sum of the maps of several counts.json; None of none."""
    trip_map = TripMap.union(TripMap.from_json(each[TRIP_MAP]) for each in counts if each.get(TRIP_MAP))
    return trip_map.to_json() if trip_map else None


def sum_of_weekdays(counts: Sequence[Mapping[str, Any]]) -> list[int]:
    """Examples by day of the week, from Monday."""
    return [sum(each.get(WEEKDAYS, [0] * 7)[day] for each in counts) for day in range(7)]
