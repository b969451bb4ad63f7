"""Rows that TFX's own nodes read through TFXIO, told while they run."""

from __future__ import annotations

import json
import types

import apache_beam
import pytest
import tensorflow as tf
from tfx_bsl.tfxio import tf_example_record

from farebox.components.files import progress
from farebox.components.trip_example_gen.files import COUNTS_FILE
from farebox.pipeline.local import rows_read

COUNTS = {"by_split": {"train": 3, "eval": 1, "test": 2}}


@pytest.fixture
def produced(tmp_path):
    """The artifacts of a run whose examples tell their rows."""
    (tmp_path / COUNTS_FILE).write_text(json.dumps(COUNTS))
    return {"examples": [types.SimpleNamespace(uri=str(tmp_path))]}


@pytest.mark.parametrize(
    ("node", "passes"),
    [("StatisticsGen", [("row", 6)]), ("Transform", [("row to analyse", 3), ("row to transform", 6)]), ("Trainer", [])],
)
def test_the_passes_of_a_node_over_the_rows(produced, node, passes):
    assert rows_read.passes_of(node, produced) == passes
    assert rows_read.passes_of(node, {}) == []


def test_a_pipeline_tells_the_rows_that_it_reads(produced, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "rows")) as writer:
        for _ in range(3):
            writer.write(tf.train.Example().SerializeToString())
    for _ in range(2):  # the second call changes nothing
        rows_read.watch_batches()
    heard = []

    def read_twice():
        for _ in range(2):
            with apache_beam.Pipeline("FnApiRunner") as pipeline:
                _ = pipeline | tf_example_record.TFExampleRecord(str(tmp_path / "rows")).BeamSource(1)

    with progress.heard_by(lambda *step: heard.append(step)):
        with rows_read.counted("Transform", produced):
            read_twice()
        read_twice()
    assert heard == [("row to analyse", n, 3) for n in (1, 2, 3)] + [("row to transform", n, 6) for n in (1, 2, 3)]
