"""Accuracy of Farebox beside simpler models: whole runs of the pipeline over several splits and training seeds.

    python benchmarks/accuracy.py --city chicago|nyc|FILE [--data PATH] [--seeds 5] [--splits 3] [--first-split 1000]
                                  [--out FOLDER] [--set key=value ...]

Each split assigns the rows anew, each seed trains anew, and each run is a separate process. Finished runs in --out are
not repeated. The nodes choose on eval. Test is read once per split and seed, after the last choice; nothing is chosen
here. A run whose push was refused also counts, with the figures of the file that was judged.

A ratio is that of the mean RMSE over seeds, averaged over splits. Its interval comes from test rows alone (1000 paired
resamples per split). The spread shows the effect of seeds: the standard deviation within a split.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accuracy_report import (
    LIGHTGBM,
    MODELS,
    NETWORK,
    NO_EMBEDDING_DNN,
    RAW_DNN,
    SHIPPED,
    FloatArray,
    Result,
    Results,
    Squared,
    report,
    test_errors,
)
from whole_runs import SEEDED, Parser, add_run_options, digest_of, one_line_errors, outputs_of, start_one

from farebox.components.errors import InputError

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings

AGREEMENT = 1e-3  # between the RMSE of a run's summary and of its rows, relative: TFMA sums in float32


def main() -> None:
    """Runs the command. Exit codes are Farebox's: 0 done, 2 bad input, 3 the data were refused."""
    with one_line_errors("accuracy"):
        options = parse()
        if options.one:
            measure(options, *options.one)
        else:
            report(options.out, options.overrides, *make_runs(options))


def parse() -> argparse.Namespace:
    """Reads and checks the options. Raises InputError."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    add_run_options(parser, seeds=5)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--first-split", type=int, default=1000, help="split.seed of the first split")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)  # for the child process
    options: argparse.Namespace = parser.parse_args()
    for name, least in (("seeds", 1), ("splits", 1), ("first_split", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name.replace('_', '-')}={getattr(options, name)} must be at least {least}")
    for assignment in options.overrides:
        if assignment.partition("=")[0].strip() in ("split.seed", *SEEDED):
            raise InputError(f"--set {assignment}: this script sets the seeds: use --seeds, --splits and --first-split")
    city = settings_of(options, options.first_split, 1).city.name
    options.out = options.out or Path("runs", f"accuracy-{city}")
    return options


def settings_of(options: argparse.Namespace, split: int, seed: int) -> Settings:
    """Returns the settings of one run."""
    from farebox.pipeline.settings.load import load_settings

    seeds = [f"split.seed={split}", *(f"{key}={seed}" for key in SEEDED)]
    return load_settings(options.city, options.data, str(options.out or "."), [*options.overrides, *seeds])


# The runs


def paths_of(out: Path, split: int, seed: int) -> tuple[Path, Path]:
    """Returns the paths of a run's summary and of its predictions."""
    return out / "results" / f"summary-{split}-{seed}.json", out / "results" / f"errors-{split}-{seed}.npz"


def make_runs(options: argparse.Namespace) -> tuple[Results, Squared]:
    """Makes the missing runs; returns all results, by split and seed, and their squared errors."""
    splits, seeds = [options.first_split + i for i in range(options.splits)], range(1, options.seeds + 1)
    wanted = [(split, seed) for split in splits for seed in seeds]
    for number, (split, seed) in enumerate(wanted, start=1):
        what = f"run {number} of {len(wanted)}, split {split}, seed {seed}"
        if is_finished(options, split, seed):
            print(f"{what}: exists", file=sys.stderr)
            continue
        started = time.monotonic()
        start_one(__file__, options, split, seed)
        print(f"{what}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    results = [[read_result(paths_of(options.out, split, seed)[0]) for seed in seeds] for split in splits]
    return results, [squared_errors([paths_of(options.out, split, seed)[1] for seed in seeds]) for split in splits]


def read_result(path: Path) -> Result:
    """Reads what `measure` wrote."""
    return Result.from_json(json.loads(path.read_text()))


def is_finished(options: argparse.Namespace, split: int, seed: int) -> bool:
    """Whether both files of a run with exactly these settings, trips and code exist."""
    summary, errors = paths_of(options.out, split, seed)
    if not (summary.is_file() and errors.is_file()):
        return False
    return bool(json.loads(summary.read_text())["digest"] == digest_of(settings_of(options, split, seed)))


def measure(options: argparse.Namespace, split: int, seed: int) -> None:
    """Runs the pipeline once, predicts test, and writes both files of `paths_of`."""
    from farebox.components import files
    from farebox.pipeline.local import run as runs
    from farebox.pipeline.local.folder import LOG_FILE
    from farebox.pipeline.process import output_to_log

    settings = settings_of(options, split, seed)
    digest, (summary_path, errors_path) = digest_of(settings), paths_of(options.out, split, seed)
    summary_path.parent.mkdir(parents=True, exist_ok=True)
    summary_path.unlink(missing_ok=True)
    with contextlib.redirect_stdout(sys.stderr):
        summary = runs.run(settings).summary
    with output_to_log(settings.runs_dir / summary.run_id / LOG_FILE):
        nodes, cached = outputs_of(settings, summary.run_id)
        predicted, fares = predictions(nodes)
        eval_rmse = eval_errors(nodes)
    check_agreement(test_errors(summary), predicted, fares)
    np.savez_compressed(errors_path, fares=fares, **predicted)
    trainer_cpu_s = None if "Trainer" in cached else summary.cpu_s["Trainer"]
    result = Result(split, seed, digest, eval_rmse, trainer_cpu_s, summary)
    files.write_atomically(summary_path, json.dumps(result.to_json(), indent=2))  # last: it marks the run as finished


def eval_errors(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """RMSE on eval by model, from the files of Trainer and Quantizer; models without one are left out."""
    training = json.loads(Path(nodes["Trainer"]["model_run"].uri, "training.json").read_text())
    choice = json.loads(Path(nodes["Quantizer"]["trials"].uri, "choice.json").read_text())
    errors = {name: training[name]["eval_rmse"] for name in MODELS if name in training}
    return {**errors, SHIPPED: choice["eval_error"]["shipped"]}


def predictions(nodes: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, FloatArray], FloatArray]:
    """Predicted fares by model for the test rows, and the true fares, each float64 of shape (n,).

    All models see the same rows in the same order: raw, or transformed by Transform's graph.
    """
    import tensorflow as tf
    import tensorflow_transform as tft

    from farebox.components.model_gate import executor, yardsticks
    from farebox.components.networks import examples_io
    from farebox.components.tflite import interpreter
    from farebox.components.tflite.files import tflite_path
    from farebox.modules import columns

    graph = tft.TFTransformOutput(nodes["Transform"]["transform_graph"].uri)
    layer, spec, run = graph.transform_features_layer(), graph.raw_feature_spec(), nodes["Trainer"]["model_run"]
    train = examples_io.dataset(
        nodes["Transform"]["transformed_examples"],
        "train",
        graph.transformed_feature_spec(),
        columns.FARE,
        examples_io.EVAL_BATCH_ROWS,
    )
    network = examples_io.load_network(nodes["Trainer"]["model"])
    predictors = {
        **yardsticks.fit_trivial(examples_io.numpy_batches(train), columns.DISTANCE_KM),
        RAW_DNN: executor.network_predictor(run, RAW_DNN),
        NO_EMBEDDING_DNN: executor.network_predictor(run, NO_EMBEDDING_DNN),
        LIGHTGBM: executor.booster_predictor(run, list(columns.BOOSTER_INPUTS)),
        NETWORK: lambda features: network({name: tf.constant(features[name]) for name in network.input_names}).numpy(),
    }
    shipped = interpreter.TfliteModel(tflite_path(nodes["Quantizer"]["quantized_model"]))
    batches: dict[str, list[FloatArray]] = {name: [] for name in ("fares", *MODELS)}
    test = examples_io.dataset(
        nodes["TripExampleGen"]["examples"], "test", spec, columns.FARE, examples_io.EVAL_BATCH_ROWS
    )
    for raw, fares in examples_io.numpy_batches(test):
        features = {name: value.numpy() for name, value in layer({k: tf.constant(v) for k, v in raw.items()}).items()}
        batch = {name: predict(features) for name, predict in predictors.items()}
        for name, values in {**batch, SHIPPED: shipped.predict(raw), "fares": fares}.items():
            batches[name].append(np.asarray(values, np.float64).reshape(-1))
    rows = {name: np.concatenate(parts) for name, parts in batches.items()}
    return rows, rows.pop("fares")


def check_agreement(summary: Mapping[str, float], predicted: Mapping[str, FloatArray], fares: FloatArray) -> None:
    """Raises RuntimeError if the RMSE of the rows is not the summary's: one of the two then used other rows."""
    for name, values in predicted.items():
        rmse = float(np.sqrt(np.mean((values - fares) ** 2)))
        if abs(rmse - summary[name]) > AGREEMENT * summary[name]:
            raise RuntimeError(f"{name}: RMSE of the test rows must be the summary's {summary[name]}, got {rmse}")


def squared_errors(files: Sequence[Path]) -> dict[str, FloatArray]:
    """Squared errors of a split by model, shape (n_seeds, n_rows). Raises InputError if seeds have different rows."""
    loaded = [dict(np.load(path)) for path in files]
    for path, rows in zip(files, loaded, strict=True):
        if not np.array_equal(rows["fares"], loaded[0]["fares"]):
            raise InputError(f"{path}: must hold the test rows of {files[0].name}: remove both to make them again")
    squared = {name: np.stack([(rows[name] - rows["fares"]) ** 2 for rows in loaded]) for name in MODELS}
    return {**squared, "fares": loaded[0]["fares"]}


if __name__ == "__main__":
    main()
