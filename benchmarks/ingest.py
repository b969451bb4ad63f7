"""TripExampleGen beside TFX's CsvExampleGen on the same rows: processor seconds and peak memory, a process each.

    python benchmarks/ingest.py [--rows 1000000] [--repeats 1] [--json FILE]

The rows are the embedded Chicago trips again and again, with seeded jitter, already under our column names: the stock
component can rename nothing. 'After imports' is what Do took; 'process' is the whole process, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.settings import BeamSettings

if TYPE_CHECKING:
    from components.trip_example_gen.profile import CityProfile

BEAM = list(BeamSettings().pipeline_args)
CASES = {"CsvExampleGen": "csv", "TripExampleGen, CSV": "csv", "TripExampleGen, Parquet": "parquet"}


def main() -> None:
    """Runs every case, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1, help="medians of so many runs")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)  # what a process of its own is started with
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(*options.case)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), options.rows)
        results = {name: measure(name, Path(folder), options.repeats) for name in CASES}
    print_table(results, options.rows)
    if options.json:
        options.json.write_text(json.dumps({"rows": options.rows, "results": results}, indent=2) + "\n")


def write_rows(folder: Path, n_rows: int, seed: int = 0) -> None:
    """Writes csv/trips.csv and parquet/trips.parquet: the same rows, coordinates and fares jittered."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from components.trip_example_gen import reader, sources

    source = sources.resolve_source("package:tfx/examples/chicago_taxi_pipeline/data/simple")
    trips = pa.Table.from_batches([piece.examples for piece in reader.read_trips(source, chicago())])
    rng = np.random.default_rng(seed)
    picks = trips.take(pa.array(rng.integers(0, trips.num_rows, n_rows)))
    columns = {}
    for name in trips.schema.names:
        values = picks[name].to_numpy()
        if values.dtype == np.float32:
            values = (values + rng.uniform(0, 0.01, n_rows)).round(6)
        columns[name] = pa.array(values)
    for kind in ("csv", "parquet"):
        (folder / kind).mkdir()
    pa_csv.write_csv(pa.table(columns), folder / "csv" / "trips.csv")
    pq.write_table(pa.table(columns), folder / "parquet" / "trips.parquet", row_group_size=1 << 17)


def chicago() -> CityProfile:
    """The profile of Chicago as the embedded source has it."""
    from components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns

    columns = Columns(
        "fare",
        "pickup_longitude",
        "pickup_latitude",
        "dropoff_longitude",
        "dropoff_latitude",
        pickup_time="trip_start_timestamp",
    )
    return CityProfile("chicago", columns, Box(-87.95, -87.52, 41.64, 42.03), Bounds(2.25, 200))


def canonical() -> CityProfile:
    """The profile of the rows that `write_rows` writes."""
    import dataclasses

    from components.trip_example_gen.profile import Bounds, Box

    columns = dataclasses.replace(chicago().columns, pickup_time="pickup_epoch", passenger_count="passenger_count")
    return dataclasses.replace(chicago(), columns=columns, box=Box(-88, -87, 41, 43), fare=Bounds(2, 201))


def measure(name: str, folder: Path, repeats: int) -> dict[str, float]:
    """Medians of `repeats` processes."""
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            command = [sys.executable, __file__, "--case", name, str(folder / CASES[name]), out]
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def run_case(name: str, source: str, out: str) -> dict[str, float]:
    """One executor's Do on one folder: processor seconds, elapsed seconds, peak memory of this process, examples."""
    if name == "CsvExampleGen":
        from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen

        node = CsvExampleGen(input_base=source)
    else:
        from components.trip_example_gen.component import TripExampleGen

        node = TripExampleGen(source, canonical())
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri = out
    executor_class = node.executor_spec.executor_class
    executor = executor_class(executor_class.Context(beam_pipeline_args=list(BEAM)))
    imports_s, start = cpu_s(), time.perf_counter()
    executor.Do({}, {"examples": [examples]}, dict(node.exec_properties))
    process_s, elapsed_s = cpu_s(), time.perf_counter() - start
    return {
        "imports_cpu_s": imports_s,
        "do_cpu_s": process_s - imports_s,
        "process_cpu_s": process_s,
        "do_elapsed_s": elapsed_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "examples": count_examples(Path(out)),
    }


def cpu_s() -> float:
    """Processor seconds, user and system, of this process and the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def count_examples(folder: Path) -> int:
    """Records in all splits under `folder`."""
    import tensorflow as tf

    files = [str(path) for path in folder.glob("Split-*/*")]
    batches = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(1 << 14)
    return sum(len(batch) for batch in batches.as_numpy_iterator())


def print_table(results: dict[str, dict[str, float]], n_rows: int) -> None:
    """A line per case; ratios are the stock component's share over the case's."""
    stock = results["CsvExampleGen"]
    print(f"{n_rows} rows{'':22}CPU s after imports  ratio   CPU s process  ratio   peak MB   examples")
    for name, row in results.items():
        after, whole = row["do_cpu_s"], row["process_cpu_s"]
        print(
            f"{name:<28}{after:>20.2f}{stock['do_cpu_s'] / after:>6.1f}x{whole:>15.2f}"
            f"{stock['process_cpu_s'] / whole:>6.1f}x{row['peak_mb']:>10.0f}{row['examples']:>11.0f}"
        )


if __name__ == "__main__":
    main()
