"""Cost of Trainer's input: rows per CPU second of a network's fit from files, beside a fit from arrays in memory.

    python benchmarks/training_input.py [--city chicago] [--rows 15000] [--repeats 5] [--json FILE]

Both are Trainer's fit of one network; each measurement is a separate process. Before the first fit, TFXIO reads both
splits as in Trainer, once for all epochs and networks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from processes import machine, measured, medians, python
from whole_runs import one_line_errors


def main() -> None:
    """Transforms the rows, fits, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--rows", type=int, nargs="+", default=[15_000], help="simulated trips")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)  # for the child process
    options = parser.parse_args()
    if options.case:
        city, trips, out = options.case
        print(json.dumps(fit_twice(city, trips, out)))
        return
    with one_line_errors("training_input"), tempfile.TemporaryDirectory() as folder:
        results = {rows: measure(options.city, rows, options.repeats, Path(folder)) for rows in options.rows}
    print("| rows | TFXIO reads, CPU s | a fit, CPU s | rows/s of in-memory | of the whole Trainer |")
    print("|--:|--:|--:|--:|--:|")
    for rows, found in results.items():
        ratios = (found[fit] / (found["read"] + found[fit]) for fit in ("fit", "trainer"))
        print(f"| {rows:,} | {found['read']:.2f} | {found['fit']:.2f} | {' | '.join(f'{x:.2f} x' for x in ratios)} |")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": results}, indent=2) + "\n")


def measure(city: str, rows: int, repeats: int, folder: Path) -> dict[str, float]:
    """Medians of CPU seconds: read; fit; and trainer, everything that Trainer does after reading."""
    trips, out, log = folder / f"{rows}.csv", folder / str(rows), folder / "log.txt"
    simulate = ("data", "simulate", "--city", city, "--rows", str(rows), "--out", trips)
    measured(python("-I", "-m", "farebox", *simulate), log)
    runs = []
    for number in range(1, repeats + 1):
        print(f"{rows:,} rows: fit {number} of {repeats}", file=sys.stderr)
        measured(
            python(__file__, "--case", city, trips, out), log
        )  # the first run also transforms; the others use its result
        runs.append(json.loads(log.read_text().splitlines()[-1]))
    figures: dict[str, float] = medians(runs)
    return figures


def fit_twice(city: str, trips: str, out: str) -> dict[str, float]:
    """CPU seconds of reading, of fitting one network, and of all of Trainer's fits."""
    from farebox.pipeline import node_configs
    from farebox.pipeline.local import run
    from farebox.pipeline.local.console import RunConsole
    from farebox.pipeline.local.folder import new_run_id
    from farebox.pipeline.settings import load

    settings = load.load_settings(city, trips, out)
    run_id = new_run_id()
    (settings.runs_dir / run_id).mkdir(parents=True)
    with RunConsole(sys.stderr, quiet=True) as screen:
        produced = run.run_graph(settings, run_id, screen, {}, last="Transform")

    from tfx.components.trainer.fn_args_utils import DataAccessor
    from tfx.components.util import tfxio_utils
    from tfx.types import artifact_utils

    from farebox.modules import preprocessing, training

    (examples,), (transform_graph,) = produced["transformed_examples"], produced["transform_graph"]
    files = {split: [f"{artifact_utils.get_split_uri([examples], split)}/*"] for split in ("train", "eval")}
    factory = tfxio_utils.get_tf_dataset_factory_from_artifact([examples], ["training_input"])
    fn_args = SimpleNamespace(
        transform_graph_path=transform_graph.uri,
        train_files=files["train"],
        eval_files=files["eval"],
        data_accessor=DataAccessor(factory, None, None),
    )
    config = node_configs.fitting_config(settings)
    seconds: dict[str, float] = {}
    task = timed(seconds, "read", training.read_task, fn_args, config)
    timed(seconds, "fit", training.fit_network, task, training.soft_targets(task, None))
    timed(seconds, "yardsticks", training.fit_yardsticks, task)
    geography = preprocessing.geography_of(config)
    timed(seconds, "teacher", training.fit_lesson, task, transform_graph.uri, geography)
    trainer = seconds["fit"] + seconds.pop("yardsticks") + seconds.pop("teacher")
    return {**seconds, "trainer": trainer}


def timed(seconds: dict[str, float], name: str, call: Any, *arguments: Any) -> Any:
    """Returns the call's result; stores its CPU seconds under `name`."""
    started = time.process_time()
    result = call(*arguments)
    seconds[name] = time.process_time() - started
    return result


if __name__ == "__main__":
    main()
