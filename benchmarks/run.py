"""Cost of a whole Farebox run beside a stock TFX pipeline of the same stages, and of a run from the cache.

    python benchmarks/run.py [--city chicago] [--data PATH] [--repeats 5] [--json FILE] [--picture FILE]

Each run is a separate process, and the kinds take turns. The figures are medians of CPU seconds (children included),
wall seconds and peak memory. The stock pipeline is `stock_taxi.py`. It gets the same trips, cleaned and renamed
beforehand, and as many training steps as Farebox's shipped network. Farebox also reduces, prunes, quantizes, and judges
the file that it ships.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import bars, machine, measured, medians, python
from whole_runs import one_line_errors

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings

OURS, CACHED, STOCK = "farebox run", "farebox run, cached", "stock TFX"


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--data", help="a CSV or Parquet file, or a folder of them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--picture", type=Path, help="also draw them: a PNG")
    options = parser.parse_args()
    with one_line_errors("run"), tempfile.TemporaryDirectory() as folder:
        report(options, measure(options, Path(folder)))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Medians by kind of run."""
    # A child's peak includes the memory of its parent at the start, so another child loads TFX.
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        order = json.dumps(pool.submit(prepare, options, folder).result())
    ours = python("-I", "-m", "farebox", "run", "--city", options.city, "--out", folder / "farebox")
    ours += ["--data", options.data] if options.data else []
    stock = python(Path(__file__).with_name("stock_taxi.py"), folder / "trips", folder / "stock", order)
    found: dict[str, list[dict[str, float]]] = {OURS: [], CACHED: [], STOCK: []}
    for _ in range(options.repeats):
        for name, command in ((OURS, ours), (CACHED, ours), (STOCK, stock)):
            found[name].append(measured(command, folder / "log.txt"))
            print(f"{name}: {found[name][-1]['cpu_s']:.1f} CPU s", file=sys.stderr)
        for place in (folder / "farebox", folder / "stock"):
            shutil.rmtree(place)
    return {name: medians(runs) for name, runs in found.items()}


def prepare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Writes trips/ for the stock pipeline into the folder; returns that pipeline's order."""
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings(options.city, options.data, str(folder))
    return stock_order(settings, write_trips(settings, folder / "trips"))


def write_trips(settings: Settings, folder: Path) -> int:
    """Writes the accepted trips, under canonical names, as one CSV file; returns their number."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    from farebox.components.trip_example_gen.reader import read_trips

    folder.mkdir()
    trips = pa.Table.from_batches([piece.examples for piece in read_trips(settings.data, settings.city)])
    with (folder / "trips.csv").open("wb") as file:
        file.write(",".join(trips.schema.names).encode() + b"\n")  # CsvExampleGen reads pyarrow's quotes as letters
        pa_csv.write_csv(trips, file, pa_csv.WriteOptions(include_header=False))
    return int(trips.num_rows)


def stock_order(settings: Settings, n_trips: int) -> dict[str, Any]:
    """The stock pipeline's order: the same features, and the steps of Farebox's shipped network."""
    from farebox.pipeline.node_configs import feature_config

    training, shares = settings.training, settings.split.shares
    n_rows = n_trips * shares[0] / sum(shares) * (1 + training.pseudo_trips)
    steps = min(training.epochs * math.ceil(n_rows / training.batch_size), training.max_steps)
    return {"features": feature_config(settings), "steps": steps, "batch_size": training.batch_size}


def report(options: argparse.Namespace, results: dict[str, dict[str, float]]) -> None:
    """Prints the table, with each kind's CPU as a share of the stock pipeline's; writes JSON and picture on request."""
    stock = results[STOCK]["cpu_s"]
    print(f"{options.city:<24}{'CPU s':>8}{'of stock':>10}{'wall s':>8}{'peak MB':>9}")
    for name, row in results.items():
        share = row["cpu_s"] / stock
        print(f"{name:<24}{row['cpu_s']:>8.1f}{share:>9.2f}x{row['wall_s']:>8.1f}{row['peak_mb']:>9.0f}")
    if options.json:
        found = {"machine": machine(), "repeats": options.repeats, "results": results}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.picture:
        bars({name: row["cpu_s"] for name, row in results.items()}, "CPU seconds of a whole run", options.picture)


if __name__ == "__main__":
    main()
