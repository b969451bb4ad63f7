"""CPU seconds and peak memory of PcaReducer's pass over rows, a process for each number of rows.

    python benchmarks/moments.py [--rows 1000000 10000000] [--features 33] [--json FILE]

The rows are Gaussian, in gzipped TFRecord shards of 500,000 as Transform writes them. 'After imports' is the time of
the pass; the peak is that of the whole process. If memory grew with rows, the lines would differ.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from farebox.pipeline.settings.beam import BeamSettings

SHARD_ROWS, WRITE_ROWS = 500_000, 1 << 14
LABEL, COLUMN, LAYER = "fare", "numeric", "hidden_0"
SAMPLE_ROWS = 20_000
BEAM = list(BeamSettings().pipeline_args)


def main() -> None:
    """Writes the rows once, runs the pass over their first shards for each number of rows, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000], help="multiples of 500,000")
    parser.add_argument("--features", type=int, default=33)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)  # for the child process
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(Path(options.case[0]), int(options.case[1]))))
        return
    if any(rows < SHARD_ROWS or rows % SHARD_ROWS for rows in options.rows):
        parser.error(f"--rows={options.rows} must be multiples of {SHARD_ROWS}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_network(folder, options.features)
        for shard in range(max(options.rows) // SHARD_ROWS):
            write_shard(folder, shard, options.features)
        results = [measure(folder, rows) for rows in sorted(options.rows)]
    print(f"{'rows':>12}{'CPU s after imports':>22}{'µs a row':>10}{'elapsed s':>11}{'peak MB':>9}{'off by':>10}")
    for row in results:
        print(
            f"{row['rows']:>12,}{row['pass_cpu_s']:>22.1f}{1e6 * row['pass_cpu_s'] / row['rows']:>10.1f}"
            f"{row['pass_elapsed_s']:>11.1f}{row['peak_mb']:>9.0f}{row['off_by']:>10.1e}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def write_network(folder: Path, n_features: int) -> None:
    """Writes a network with one hidden layer, and the metadata with which the rows are parsed."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tf_keras as keras
    from tensorflow_transform.tf_metadata import metadata_io

    x = keras.Input((n_features,), name=COLUMN)
    hidden = keras.layers.Dense(32, activation="relu", name=LAYER)(x)
    keras.Model(x, keras.layers.Dense(1, name=LABEL)(hidden)).save(folder / "network.keras")
    columns = {COLUMN: n_features, LABEL: 1}
    spec = {name: tf.io.FixedLenFeature((width,), tf.float32) for name, width in columns.items()}
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    metadata_io.write_metadata(metadata, str(folder / tft.TFTransformOutput.TRANSFORMED_METADATA_DIR))


def rows_of(shard: int, n_features: int) -> npt.NDArray[np.float32]:
    """Rows of a shard, float32 of shape (n, n_features): unit variance around 0, 1, 2, ..."""
    random = np.random.default_rng(shard)
    rows = random.standard_normal((SHARD_ROWS, n_features), np.float32) + np.arange(n_features, dtype=np.float32)
    return np.asarray(rows, np.float32)


def write_shard(folder: Path, shard: int, n_features: int) -> None:
    """Writes one gzipped TFRecord file; the label is the first feature."""
    import pyarrow as pa
    import tensorflow as tf
    from tfx_bsl.coders import example_coder

    encoder, rows = example_coder.RecordBatchToExamplesEncoder(), rows_of(shard, n_features)
    path = str(folder / f"rows-{shard:05d}.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions("GZIP", compression_level=1)) as writer:
        for start in range(0, SHARD_ROWS, WRITE_ROWS):
            part = rows[start : start + WRITE_ROWS]
            lists = [
                pa.ListArray.from_arrays(
                    pa.array(np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)), pa.array(values.ravel())
                )
                for values in (part, part[:, :1])
            ]
            for serialized in encoder.encode(pa.RecordBatch.from_arrays(lists, [COLUMN, LABEL])):
                writer.write(serialized)


def measure(folder: Path, rows: int) -> dict[str, float]:
    """Runs the pass over this many rows in a child process; returns its figures."""
    command = [sys.executable, __file__, "--case", str(folder), str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_case(folder: Path, rows: int) -> dict[str, float]:
    """CPU and elapsed seconds, peak memory, and the distance of the means from NumPy's."""
    import apache_beam as beam

    from farebox.components.networks import examples_io
    from farebox.components.pca_reducer import beam_pass

    files = sorted(map(str, folder.glob("rows-*.gz")))[: rows // SHARD_ROWS]
    source = beam_pass.Rows(str(folder / "network.keras"), str(folder), LABEL, LAYER, "input", seed=0)
    n_features = examples_io.network_at(source.network).input_shape[1]
    with tempfile.TemporaryDirectory() as aside:
        before, start = cpu_s(), time.perf_counter()
        pipeline = beam.Pipeline(argv=BEAM)
        summary = beam_pass.summarize(
            pipeline, files, source, n_features, sample_rows=SAMPLE_ROWS, folder=f"{aside}/summary"
        )
        spent, elapsed = cpu_s() - before, time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    means = [rows_of(shard, n_features).mean(axis=0, dtype=np.float64) for shard in range(len(files))]
    return {
        "rows": summary.moments.rows,
        "pass_cpu_s": spent,
        "pass_elapsed_s": elapsed,
        "peak_mb": peak_mb,
        "off_by": float(np.abs(summary.moments.mean - np.mean(means, axis=0)).max()),
    }


def cpu_s() -> float:
    """CPU seconds, user and system, of this process and the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
