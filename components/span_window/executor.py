"""Joins the examples of several spans: splits, rejected rows and counts."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.files import (
    COUNTS_FILE,
    DAYS,
    REJECTED_FOLDER,
    SPAN_PROPERTY,
    TRAINED_ROWS,
    TRIP_MAP,
    VERSION_PROPERTY,
    WINDOW_PROPERTY,
    span_of_days,
)
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.components.trip_example_gen.trip_map import TripMap


class SpanWindowExecutor(base_executor.BaseExecutor):
    """Joins several Examples artifacts into one."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],  # noqa: ARG002 - TFX's signature
    ) -> None:
        """Raises InputError if the spans do not have the same splits."""
        spans = sorted(input_dict["spans"], key=span_version)
        joined = artifact_utils.get_single_instance(output_dict["examples"])
        splits = common_splits(spans)
        describe(joined, spans, splits)
        for folder in (*(f"Split-{split}" for split in splits), REJECTED_FOLDER):
            fileio.makedirs(os.path.join(joined.uri, folder))
            for span in spans:
                link_files(os.path.join(span.uri, folder), os.path.join(joined.uri, folder), prefix(span))
        counts = add_counts([read_counts(span) for span in spans])
        with fileio.open(os.path.join(joined.uri, COUNTS_FILE), "w") as file:
            file.write(json.dumps(counts, indent=2, sort_keys=True) + "\n")
        logging.info("SpanWindow: %s, %d examples", [span_version(span) for span in spans], counts["examples"])


def span_version(span: types.Artifact) -> tuple[int, int]:
    """Span and version, as TripExampleGen's driver sets them."""
    return span.get_int_custom_property(SPAN_PROPERTY), span.get_int_custom_property(VERSION_PROPERTY)


def prefix(span: types.Artifact) -> str:
    """The beginning of the names of its files in the window, which then sort by span: `00012-1-`."""
    return "{:05d}-{}-".format(*span_version(span))


def common_splits(spans: Sequence[types.Artifact]) -> list[str]:
    """The splits that every span has. Raises InputError if they differ."""
    first = sorted(spans[0].splits)
    for span in spans:
        if sorted(span.splits) != first:
            number, version = span_version(span)
            raise InputError(f"span {number} version {version}: splits={sorted(span.splits)} must be {first}")
    return list(spans[0].splits)


def describe(joined: types.Artifact, spans: Sequence[types.Artifact], splits: Sequence[str]) -> None:
    """Sets the properties that readers of the artifact need; its span is the newest one."""
    joined.split_names = artifact_utils.encode_split_names(list(splits))
    examples_utils.set_payload_format(joined, examples_utils.get_payload_format(spans[0]))
    examples_utils.set_file_format(joined, examples_utils.get_file_format(spans[0]))
    joined.set_int_custom_property(SPAN_PROPERTY, max(span_version(span)[0] for span in spans))
    joined.set_string_custom_property(WINDOW_PROPERTY, json.dumps([span_version(span) for span in spans]))


def link_files(source: str, target: str, prefix: str) -> None:
    """Links, or copies, every file of a folder to a name that begins with the prefix."""
    for name in sorted(fileio.listdir(source)) if fileio.exists(source) else ():
        link(os.path.join(source, name), os.path.join(target, prefix + name))


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


def add_counts(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of several counts.json."""
    union = RowSketch.union(RowSketch.from_json(each[TRAINED_ROWS]) for each in counts if each.get(TRAINED_ROWS))
    trip_map = TripMap.union(TripMap.from_json(each[TRIP_MAP]) for each in counts if each.get(TRIP_MAP))
    return {
        **Losses.sum(map(Losses.from_json, counts)).to_json(),
        "by_split": sum((Counter(each["by_split"]) for each in counts), Counter()),
        TRAINED_ROWS: union.to_json() if union else None,
        TRIP_MAP: trip_map.to_json() if trip_map else None,
        DAYS: span_of_days(each.get(DAYS) for each in counts),
        "error": "",
    }
