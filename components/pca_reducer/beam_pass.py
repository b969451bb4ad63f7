"""One Beam pass over train: an element is a TFRecord shard, read in batches; workers combine summaries of rows."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.transforms.util import ReshufflePerKey
from tfx.dsl.io import fileio

from farebox.components.networks import examples_io
from farebox.components.pca_reducer import folding
from farebox.components.pca_reducer.moments import Batch, Summary, position_hashes, summary_of
from farebox.components.pca_reducer.settings import Space

READ_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class Rows:
    """Input of a worker that turns a shard into features.

    It has the paths of the network and of the transform graph, and the place of the features in the network. n_classes:
    of class ids or one-hot labels, else 0.
    """

    network: str
    transform_graph: str
    label: str
    layer: str
    space: Space
    seed: int
    n_classes: int = 0


class _ReadShard(beam.DoFn):
    """Reads (number, path) into batches of rows. Beam fuses this step with the combiner: batches stay in the worker."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def setup(self) -> None:
        """Loads the network once per worker."""
        rows = self._rows
        self._extract = folding.extractor(examples_io.network_at(rows.network), rows.layer, rows.space)
        self._spec = examples_io.feature_spec_at(rows.transform_graph)

    def process(self, numbered: tuple[int, str]) -> Iterator[Batch]:
        _, path = numbered
        first_row = 0
        for columns, label in examples_io.labelled([path], self._spec, self._rows.label, READ_ROWS):
            features = self._extract(columns)
            labels = label.numpy().astype(np.float64).reshape(len(features), -1)
            is_one_hot = labels.shape[1] == self._rows.n_classes > 1
            labels = labels.argmax(axis=1).astype(np.float64) if is_one_hot else labels[:, 0]
            yield Batch(
                position_hashes(self._rows.seed, os.path.basename(path), first_row, len(features)), features, labels
            )
            first_row += len(features)


class SummaryFn(beam.CombineFn):
    """Combines batches into their Summary."""

    def __init__(self, n_features: int, sample_rows: int) -> None:
        self._shape = n_features, sample_rows

    def create_accumulator(self) -> Summary:
        return Summary(*self._shape)

    def add_input(self, summary: Summary, batch: Batch) -> Summary:
        summary.update(batch)
        return summary

    def merge_accumulators(self, summaries: Iterable[Summary]) -> Summary:
        merged = Summary(*self._shape)
        merged.merge(summaries)
        return merged

    def extract_output(self, summary: Summary) -> Summary:
        return summary


def summarize(
    pipeline: Any, files: Sequence[str], rows: Rows, n_features: int, *, sample_rows: int, folder: str
) -> Summary:
    """Runs the pass on a Beam pipeline that has not run yet. An engine's workers share only files with this process.

    folder: the place where they write the summary for a moment.
    """
    path = os.path.join(folder, "summary.npz")
    fileio.makedirs(folder)
    with pipeline as steps:
        _ = (
            steps
            | "Shards" >> beam.Create(list(enumerate(files)))
            # by number, not by a random key as Reshuffle does: here shards are merged in one order, every time
            | "Spread" >> ReshufflePerKey()
            | "Read" >> beam.ParDo(_ReadShard(rows))
            | "Summarize" >> beam.CombineGlobally(SummaryFn(n_features, sample_rows))
            | "Write" >> beam.Map(write_summary, path)
        )
    with fileio.open(path, "rb") as file, np.load(io.BytesIO(file.read())) as arrays:
        summary = summary_of(dict(arrays))
    fileio.rmtree(folder)
    return summary


def write_summary(summary: Summary, path: str) -> None:
    """Writes a summary; `summary_of` reads it."""
    write_npz(path, summary.arrays())


def write_npz(path: str, arrays: dict[str, Any]) -> None:
    """Writes arrays to a local or remote file. Remote files cannot seek, but a zip must: hence one write."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    with fileio.open(path, "wb") as file:
        file.write(content.getvalue())
