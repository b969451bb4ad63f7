"""Rows to show with a failed check: examples of a split, and rows that TripExampleGen rejected."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

SHOWN, SCANNED = 3, 200_000  # rows to show, and at most to scan for them
MAX_TEXT = 160
Row = Mapping[str, Sequence[float | str]]


def find_examples(folder: str, feature: str, fits: Callable[[Sequence[float | str]], bool]) -> list[str]:
    """Up to three rows of a split whose values of `feature`, an empty sequence if missing, fit; it comes first."""
    rows = (row for row in itertools.islice(_examples(folder), SCANNED) if fits(row.get(feature, ())))
    return [describe(row, feature) for row in itertools.islice(rows, SHOWN)]


def describe(row: Row, first: str) -> str:
    """`fare=12.5 pickup_hour=8 ...`."""
    names = [first, *(name for name in sorted(row) if name != first)]
    return " ".join(f"{name}={','.join(map(_text, row.get(name, ())))}" for name in names)


def find_rejected(folder: str, reason: str) -> list[str]:
    """Up to three rows rejected for `reason`: `file row 12: text`."""
    rows = (row for row in itertools.islice(_rejected(folder), SCANNED) if row["reason"] == reason)
    return [
        f"{os.path.basename(row['file'])} row {row['row']}: {row['text'][:MAX_TEXT]}"
        for row in itertools.islice(rows, SHOWN)
    ]


def _text(value: float | str) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _examples(folder: str) -> Iterator[Row]:
    for path in sorted(tf.io.gfile.glob(os.path.join(folder, "*"))):
        for serialized in tf.data.TFRecordDataset(path, compression_type="GZIP").as_numpy_iterator():
            yield {
                name: [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in _values(value)]
                for name, value in tf.train.Example.FromString(serialized).features.feature.items()
            }


def _values(feature: tf.train.Feature) -> Sequence[float | int | bytes]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _rejected(folder: str) -> Iterator[dict[str, str]]:
    for path in sorted(tf.io.gfile.glob(os.path.join(folder, "rejected-*.csv"))):
        with tf.io.gfile.GFile(path) as file:
            yield from csv.DictReader(file)
