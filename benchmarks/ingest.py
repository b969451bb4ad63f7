"""Cost of TripExampleGen beside TFX's CsvExampleGen and a bare pyarrow read and write of the same rows.

    python benchmarks/ingest.py [--rows 1000000] [--repeats 5] [--without-stock] [--json FILE] [--picture FILE]
    python benchmarks/ingest.py --keys [--rows 1000000] [--repeats 5] [--json FILE]

Each case is a separate process. The rows are the embedded Chicago trips, repeated, with seeded jitter. They have
Farebox's column names, since the stock component cannot rename columns. 'After imports' is the time of Do; 'process'
is the whole process, imports included. With --keys: what keys of a city file cost (a filter, an expression, zones,
times in UTC, all of them), beside a plain profile of the same files.
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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import bars, machine, medians

from farebox.pipeline.settings.beam import BeamSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from farebox.components.trip_example_gen.profile import CityProfile

BEAM = list(BeamSettings().pipeline_args)
STOCK = "CsvExampleGen"
CASES = {
    STOCK: "csv",
    "TripExampleGen, CSV": "csv",
    "TripExampleGen, Parquet": "parquet",
    "pyarrow, CSV": "csv",
    "pyarrow, Parquet": "parquet",
}
PLAIN = "plain"
KEYS = (PLAIN, "where", "expression", "zones", "UTC", "all")
KINDS = {"CSV": "csv-keys", "Parquet": "parquet-keys"}
N_ZONES = 260


def main() -> None:
    """Runs every case, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="number of runs for the medians; the cases take turns")
    parser.add_argument("--without-stock", action="store_true", help="skip CsvExampleGen, which takes minutes")
    parser.add_argument("--keys", action="store_true", help="compare keys of a city file instead")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--picture", type=Path, help="also draw them: a PNG")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)  # for the child process
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(*options.case)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), options.rows)
        names = [name for name in CASES if name != STOCK or not options.without_stock]
        if options.keys:
            names = [f"{kind}, {key}" for kind in KINDS for key in KEYS]
        runs = [{name: measure(name, Path(folder)) for name in names} for _ in range(options.repeats)]
    results = {name: medians([run[name] for run in runs]) for name in names}
    if options.keys:
        print_keys(results, options.rows)
    else:
        print_table(results, options.rows)
    if options.json:
        found = {"machine": machine(), "rows": options.rows, "repeats": options.repeats, "results": results}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.picture:
        seconds = {name: row["do_cpu_s"] for name, row in results.items()}
        bars(seconds, f"CPU seconds of {options.rows:,} rows, after imports", options.picture)


def write_rows(folder: Path, n_rows: int, seed: int = 0) -> None:
    """Writes csv/trips.csv and parquet/trips.parquet: the same rows, coordinates and fares jittered.

    With more columns, for the keys of a city file, also csv-keys/trips.csv and parquet-keys/trips.parquet.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from farebox.components.trip_example_gen import reader
    from farebox.components.trip_example_gen.sources import reading

    source = reading.resolve_source("package:tfx/examples/chicago_taxi_pipeline/data/simple")
    trips = pa.Table.from_batches([piece.examples for piece in reader.read_trips(source, chicago())])
    rng = np.random.default_rng(seed)
    picks = trips.take(pa.array(rng.integers(0, trips.num_rows, n_rows)))
    columns = {}
    for name in trips.schema.names:
        values = picks[name].to_numpy()
        if values.dtype == np.float32:
            values = (values + rng.uniform(0, 0.01, n_rows)).round(6)
        columns[name] = pa.array(values)
    more = {
        "kind": pa.array(rng.integers(1, 5, n_rows)),
        "extra": pa.array(rng.integers(0, 2, n_rows) / 2),
        "zone_a": pa.array(rng.integers(0, N_ZONES, n_rows)),
        "zone_b": pa.array(rng.integers(0, N_ZONES, n_rows)),
        "utc": columns["pickup_epoch"].cast(pa.timestamp("s", "UTC")),
    }
    _write(pa.table(columns), folder, "csv", "parquet")
    in_utc = pc.strftime(more["utc"].cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
    _write(pa.table({**columns, **more, "utc": in_utc}), folder, "csv-keys")
    _write(pa.table({**columns, **more}), folder, "parquet-keys")


def _write(table: pa.Table, folder: Path, *kinds: str) -> None:
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    for kind in kinds:
        (folder / kind).mkdir()
        if kind.startswith("csv"):
            pa_csv.write_csv(table, folder / kind / "trips.csv")
        else:
            pq.write_table(table, folder / kind / "trips.parquet", row_group_size=1 << 17)


def chicago() -> CityProfile:
    """Profile of Chicago with the columns of the embedded source."""
    from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns

    columns = Columns(
        "fare",
        "pickup_longitude",
        "pickup_latitude",
        "dropoff_longitude",
        "dropoff_latitude",
        pickup_time="trip_start_timestamp",
    )
    return CityProfile("chicago", columns, Box(-87.95, -87.52, 41.64, 42.03), Bounds(2.25, 200), times="local")


def canonical() -> CityProfile:
    """Profile of the rows that `write_rows` writes."""
    import dataclasses

    from farebox.components.trip_example_gen.profile import Bounds, Box, Columns

    names = {
        **dataclasses.asdict(chicago().columns),
        "pickup_time": "pickup_epoch",
        "passenger_count": "passenger_count",
    }
    columns = Columns(**names)
    return dataclasses.replace(chicago(), columns=columns, box=Box(-88, -87, 41, 43), fare=Bounds(2, 201))


def with_key(key: str) -> CityProfile:
    """`canonical` with one of `KEYS`, or with all of them."""
    import dataclasses

    from farebox.components.trip_example_gen.profile import Locations, Place

    profile = canonical()
    columns = dataclasses.asdict(profile.columns)
    changes: dict[str, Any] = {}
    if key in ("where", "all"):
        changes["where"] = "kind in (1, 2, 3) and extra >= 0"
    if key in ("expression", "all"):
        columns["fare"] = "fare + extra - 0.25"
    if key in ("zones", "all"):
        columns |= dict.fromkeys(name for name in columns if name.endswith("itude"))
        columns |= {"pickup_location": "zone_a", "dropoff_location": "zone_b"}
        zones = {str(i): Place(-87.9 + i * 1e-3, 41.7 + i * 1e-3) for i in range(N_ZONES)}
        changes["locations"] = Locations(places=zones)
    if key in ("UTC", "all"):
        columns["pickup_time"] = "utc"
        changes |= {"times": "utc", "time_zone": "America/Chicago", "time_format": "%Y-%m-%dT%H:%M:%SZ"}
    return dataclasses.replace(profile, columns=type(profile.columns)(**columns), **changes)


def measure(name: str, folder: Path) -> dict[str, float]:
    """Runs the case in a child process; returns its figures."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [sys.executable, __file__, "--case", name, str(folder / folder_of(name)), out]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def folder_of(name: str) -> str:
    """The folder of a case's rows."""
    return CASES.get(name) or KINDS[name.partition(",")[0]]


def run_case(name: str, source: str, out: str) -> dict[str, float]:
    """Runs one executor's Do, or pyarrow's read and write, on one folder.

    Returns CPU seconds, elapsed seconds, peak memory of this process, and rows written.
    """
    work, count = bare_work(source, out) if name.startswith("pyarrow") else node_work(name, source, out)
    imports_s, start = cpu_s(), time.perf_counter()
    work()
    process_s, elapsed_s = cpu_s(), time.perf_counter() - start
    return {
        "imports_cpu_s": imports_s,
        "do_cpu_s": process_s - imports_s,
        "process_cpu_s": process_s,
        "do_elapsed_s": elapsed_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "examples": count(),
    }


def bare_work(source: str, out: str) -> tuple[Callable[[], object], Callable[[], int]]:
    """Returns a pyarrow read and write of the folder's only file, in the same format; and the count of its rows."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    (path,) = Path(source).iterdir()
    written = Path(out) / path.name
    if path.suffix == ".csv":
        return lambda: pa_csv.write_csv(pa_csv.read_csv(path), written), lambda: pa_csv.read_csv(written).num_rows
    return lambda: pq.write_table(pq.read_table(path), written), lambda: pq.read_metadata(written).num_rows


def node_work(name: str, source: str, out: str) -> tuple[Callable[[], object], Callable[[], int]]:
    """Returns a component's Do, and the count of the examples that it writes."""
    if name == STOCK:
        from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen

        node = CsvExampleGen(input_base=source)
    else:
        from farebox.components.trip_example_gen.component import TripExampleGen

        key = name.partition(", ")[2]
        node = TripExampleGen(source, with_key(key) if key in KEYS else canonical())
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri = out
    executor_class = node.executor_spec.executor_class
    executor = executor_class(executor_class.Context(beam_pipeline_args=list(BEAM)))
    properties = dict(node.exec_properties)
    return lambda: executor.Do({}, {"examples": [examples]}, properties), lambda: count_examples(Path(out))


def cpu_s() -> float:
    """CPU seconds, user and system, of this process and the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def count_examples(folder: Path) -> int:
    """Number of records in all splits under `folder`."""
    import tensorflow as tf

    files = [str(path) for path in folder.glob("Split-*/*")]
    batches = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(1 << 14)
    return sum(len(batch) for batch in batches.as_numpy_iterator())


def print_table(results: dict[str, dict[str, float]], n_rows: int) -> None:
    """Prints a line per case: the stock component's CPU over the case's, and the case's over pyarrow's."""
    stock = results.get(STOCK)
    print(f"{n_rows:,} rows, CPU s    after imports  stock / it  it / pyarrow  process  peak MB   examples")
    for name, row in results.items():
        after, bare = row["do_cpu_s"], results[f"pyarrow, {'Parquet' if name.endswith('Parquet') else 'CSV'}"]
        against = f"{stock['do_cpu_s'] / after:.1f}" if stock else ""
        print(
            f"{name:<26}{after:>12.2f}{against:>12}{after / bare['do_cpu_s']:>14.1f}{row['process_cpu_s']:>9.2f}"
            f"{row['peak_mb']:>9.0f}{row['examples']:>11.0f}"
        )


def print_keys(results: dict[str, dict[str, float]], n_rows: int) -> None:
    """Prints a line per key: its CPU and that over a plain profile's, of the same files."""
    print(f"{n_rows:,} rows, CPU s    after imports  it / plain  peak MB   examples")
    for name, row in results.items():
        plain = results[f"{name.partition(',')[0]}, {PLAIN}"]["do_cpu_s"]
        print(
            f"{name:<26}{row['do_cpu_s']:>12.2f}{row['do_cpu_s'] / plain:>12.2f}{row['peak_mb']:>9.0f}"
            f"{row['examples']:>11.0f}"
        )


if __name__ == "__main__":
    main()
