"""Examples of spans as TripExampleGen writes them, and SpanWindow's executor on them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

GRID = {"west": 0, "east": 2, "south": 0, "north": 1, "columns": 2, "rows": 1}


@pytest.fixture
def span_of(tmp_path, write_examples):
    """(span, version, fares by split) -> an Examples artifact as TripExampleGen writes it.

    columns: other columns by split, each of a number per fare; without them there is the fare alone.
    """
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2
    from tfx.types import artifact_utils
    from tfx.types.standard_artifacts import Examples

    from farebox.components.trip_example_gen.row_sketch import RowSketch

    made = []

    def make(span: int, version: int = 1, ingest: str = "today", columns=None, **fares: list[float]) -> Examples:
        artifact = Examples()
        made.append(artifact)
        artifact.id, artifact.uri = len(made), str(tmp_path / f"examples-{len(made)}")
        artifact.split_names = artifact_utils.encode_split_names(list(fares) or ["train"])
        examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(artifact, "tfrecords_gzip")
        for name, value in (("span", span), ("version", version)):
            artifact.set_int_custom_property(name, value)
        artifact.set_string_custom_property("ingest", ingest)
        weekdays = Counter()
        for split, values in fares.items():
            others = (columns or {}).get(split, {})
            table = {**others, "fare": np.array(values, np.float32)}
            file = Path(artifact.uri, f"Split-{split}", "data_tfrecord-00000-of-00001.gz")
            write_examples(file, {name: np.asarray(column)[:, None] for name, column in table.items()})
            weekdays.update(np.asarray(others.get("pickup_weekday", [0] * len(values))).tolist())
        n = sum(map(len, fares.values()))
        counts = {
            "read": n + span, "examples": n, "rejected": span, "by_reason": {"outside_city": span}, "error": "",
            "by_column": [["outside_city", "x", span]], "by_split": {name: len(v) for name, v in fares.items()},
            "days": [f"2024-01-{span:02}", f"2024-02-{span:02}"], "weekdays": [weekdays[day] for day in range(7)],
            "trip_map": {"grid": GRID, "pickups": [[1], [span]], "dropoffs": [[0], [n]]},
            "trained_rows": RowSketch.of(np.array([span], np.uint64), 0).to_json(),
            "all_rows": RowSketch.of(np.array([span, 1000 + span], np.uint64), 0).to_json(),
        }  # fmt: skip
        Path(artifact.uri, "rejected").mkdir(parents=True)
        Path(artifact.uri, "rejected", "rejected-00000.csv").write_text(f"span {span}\n")
        Path(artifact.uri, "counts.json").write_text(json.dumps(counts))
        return artifact

    return make


@pytest.fixture
def join():
    """(spans, folder, settings of the window) -> the joined artifact. model: a version's folder, on a cluster."""
    from tfx.types.standard_artifacts import Examples, Model

    from farebox.components.span_window.executor import SpanWindowExecutor

    def run(spans, folder: Path, model: Path | None = None, **settings):
        joined, inputs = Examples(), {"spans": spans}
        joined.uri = str(folder)
        if model:
            inputs["version"] = [Model()]
            inputs["version"][0].uri = str(folder.with_suffix(".version"))
            folder.with_suffix(".version").mkdir()
            if model.exists():
                serving = folder.with_suffix(".version") / "Format-Serving"
                serving.mkdir()
                shutil.copy(model / "fare.tflite", serving / "tflite")
                shutil.copy(model / "manifest.json", serving.parent)
        SpanWindowExecutor().Do(inputs, {"examples": [joined]}, {"settings": json.dumps(settings)})
        return joined

    return run


@pytest.fixture
def fares():
    """(examples, split) -> its fares, in the order of the files."""
    import tensorflow as tf

    def read(examples, split: str) -> list[float]:
        files = sorted(tf.io.gfile.glob(f"{examples.uri}/Split-{split}/*"))
        records = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
        return [tf.train.Example.FromString(record).features.feature["fare"].float_list.value[0] for record in records]

    return read
