"""Joins the examples of several spans: splits, rejected rows and counts."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from farebox.components.errors import InputError
from farebox.components.files.artifact_json import write_json
from farebox.components.files.buckets import fileio
from farebox.components.span_window.ingested_window import move_window
from farebox.components.span_window.settings import WindowSettings
from farebox.components.span_window.span_files import (
    link_files,
    read_counts,
    span_version,
    split_folder,
    sum_of_weekdays,
    union_of,
    union_of_maps,
)
from farebox.components.span_window.time_split import split_by_time
from farebox.components.trip_example_gen.files import (
    COUNTS_FILE,
    DAYS,
    REJECTED_FOLDER,
    SPAN_PROPERTY,
    TRAINED_ROWS,
    TRIP_MAP,
    WEEKDAYS,
    WINDOW_PROPERTY,
    span_of_days,
)
from farebox.components.trip_example_gen.judging.losses import Losses


class SpanWindowExecutor(base_executor.BaseExecutor):
    """Joins several Examples artifacts into one."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises InputError if the spans do not have the same splits."""
        settings = WindowSettings(**json.loads(exec_properties["settings"]))
        spans = sorted(input_dict["spans"], key=span_version)
        joined = artifact_utils.get_single_instance(output_dict["examples"])
        splits = common_splits(spans)
        describe(joined, spans, splits)
        for folder in (*(split_folder(split) for split in splits), REJECTED_FOLDER):
            fileio.makedirs(os.path.join(joined.uri, folder))
        if version := input_dict.get("version"):
            move_window(spans[0], joined, artifact_utils.get_single_instance(version), settings)
            return
        for span in spans:
            link_files(span, REJECTED_FOLDER, joined, REJECTED_FOLDER)
        counts = add_counts([read_counts(span) for span in spans])
        if settings.by_time and len(spans) > 1:
            counts |= split_by_time(spans, joined, settings)
        else:
            for span in spans:
                for split in splits:
                    link_files(span, split_folder(split), joined, split_folder(split))
        write_json(joined, COUNTS_FILE, counts)
        logging.info(
            "SpanWindow: %s, %d examples %s",
            [span_version(span) for span in spans], counts["examples"], dict(counts["by_split"]),
        )  # fmt: skip


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


def add_counts(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of several counts.json."""
    return {
        **Losses.sum(map(Losses.from_json, counts)).to_json(),
        "by_split": sum((Counter(each["by_split"]) for each in counts), Counter()),
        TRAINED_ROWS: union_of(counts, TRAINED_ROWS),
        TRIP_MAP: union_of_maps(counts),
        WEEKDAYS: sum_of_weekdays(counts),
        DAYS: span_of_days(each.get(DAYS) for each in counts),
        "error": "",
    }
