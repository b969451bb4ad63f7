"""How accurate Farebox is beside simpler models: whole runs of the pipeline over several splits and training seeds.

    python benchmarks/accuracy.py --city chicago|nyc|FILE [--data PATH] [--seeds 5] [--splits 3] [--first-split 1000]
                                  [--out FOLDER] [--set key=value ...]

Every split deals the rows anew; every seed trains anew, each run in a process of its own. Runs that are finished in
--out are not made again. Each node chose on eval; test is looked at once per split and seed, after the last choice, and
nothing is chosen here. A run whose push was refused counts too: its figures are those of the file that was judged.

A ratio is that of the mean RMSE over seeds, averaged over splits. Its interval comes from test rows alone (1000 paired
resamples per split): what seeds do is in the spread, the standard deviation within a split.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from components.errors import GateError, InputError

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.settings import Settings

SHIPPED, NETWORK, LIGHTGBM = "shipped", "network", "lightgbm"
RAW_DNN, NO_EMBEDDING_DNN = "raw_dnn", "no_embedding_dnn"
MODELS = {
    "predict_mean": "predict the mean",
    "linear_on_distance": "linear on distance",
    RAW_DNN: "raw-column DNN",
    NO_EMBEDDING_DNN: "engineered DNN without embeddings",
    LIGHTGBM: "LightGBM",
    NETWORK: "float network",
    SHIPPED: "shipped file",
}
DRAWN = (SHIPPED, NETWORK, NO_EMBEDDING_DNN, "linear_on_distance", RAW_DNN)
COMPARED = ((SHIPPED, LIGHTGBM), (SHIPPED, NO_EMBEDDING_DNN))
COLUMNS = ("model", "eval RMSE", "test RMSE", "spread", "eval ratio", "test ratio")
SEEDED = ("training.seed", "reducer.seed", "pruner.seed", "quantizer.seed")
CODE = ("pipeline.local_runner", "modules.preprocessing", "modules.training", "modules.slicing")
TABLE_WIDTH = 100
RESAMPLES, LEVEL = 1000, 0.95
AGREEMENT = 1e-3  # between the RMSE of a run's summary and of its rows, relative: TFMA sums in float32
WORTH_SEEING = 1.25  # the picture's right end, as a ratio to LightGBM
MAX_BYTES, MAX_TO_RAW_DNN = 30_000, 0.5
MAX_TO_LIGHTGBM, MAX_TO_LIGHTGBM_ELSEWHERE = {"chicago": 0.98}, 1.0

Results = list[list[dict[str, Any]]]  # by split and seed, as `measure` writes them
Squared = list[dict[str, np.ndarray]]  # of each split: fares (n_rows,) and models' squared errors (n_seeds, n_rows)


@dataclasses.dataclass(frozen=True)
class Aim:
    """A figure and the bound that it should not exceed; None where it is not known, or has no bound."""

    name: str
    value: float | None
    bound: float | None

    @property
    def ok(self) -> bool | None:
        return None if self.value is None or self.bound is None else self.value <= self.bound

    def describe(self) -> str:
        """`bytes of the largest file: 21,480, at most 30,000: yes`."""
        value, bound = (
            "unknown" if x is None else f"{x:,.0f}" if x >= 1000 else f"{x:.3f}" for x in (self.value, self.bound)
        )
        return (
            f"{self.name}: {value}"
            if self.ok is None
            else f"{self.name}: {value}, at most {bound}: {'yes' if self.ok else 'no'}"
        )


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main() -> None:
    """The command. Exit codes are Farebox's: 0 done, 2 bad input, 3 the data were refused."""
    try:
        options = parse()
        if options.one:
            measure(options, *options.one)
        else:
            report(options, *make_runs(options))
    except InputError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        sys.exit(2)
    except GateError as error:
        print(f"accuracy: refused: {error}", file=sys.stderr)
        sys.exit(3)


def parse() -> argparse.Namespace:
    """The options, checked."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--data", help="a CSV or Parquet file, or a folder of them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--first-split", type=int, default=1000, help="split.seed of the first split")
    parser.add_argument("--out", type=Path, help="for runs, table and picture; runs/accuracy-CITY without it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)  # what a process of its own is started with
    options = parser.parse_args()
    for name, least in (("seeds", 1), ("splits", 1), ("first_split", 0)):
        if getattr(options, name) < least:
            raise InputError(f"--{name.replace('_', '-')}={getattr(options, name)} must be at least {least}")
    for assignment in options.overrides:
        if assignment.partition("=")[0].strip() in ("split.seed", *SEEDED):
            raise InputError(f"--set {assignment}: seeds are dealt here: give --seeds, --splits and --first-split")
    city = settings_of(options, options.first_split, 1).city.name
    options.out = options.out or Path("runs", f"accuracy-{city}")
    return options


def settings_of(options: argparse.Namespace, split: int, seed: int) -> Settings:
    """The settings of one run."""
    from pipeline.settings import load_settings

    seeds = [f"split.seed={split}", *(f"{key}={seed}" for key in SEEDED)]
    return load_settings(options.city, options.data, str(options.out or "."), [*options.overrides, *seeds])


def digest_of(settings: Settings) -> str:
    """SHA-256 of all that a run's figures depend on: settings, trips and schema (by size and time), and code."""
    from components.trip_example_gen.sources import find_files
    from pipeline.code_digest import code_digest

    files = [*find_files(settings.data), *filter(None, [settings.schema])]
    stamps = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
    asked = {**dataclasses.asdict(dataclasses.replace(settings, out=".")), "files": stamps, "code": code_digest(*CODE)}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


# The runs


def paths_of(out: Path, split: int, seed: int) -> tuple[Path, Path]:
    """Where a run's summary and its predictions are kept."""
    return out / "results" / f"summary-{split}-{seed}.json", out / "results" / f"errors-{split}-{seed}.npz"


def make_runs(options: argparse.Namespace) -> tuple[Results, Squared]:
    """Makes the runs that are missing; all results, by split and seed, and their squared errors."""
    splits, seeds = [options.first_split + i for i in range(options.splits)], range(1, options.seeds + 1)
    wanted = [(split, seed) for split in splits for seed in seeds]
    for number, (split, seed) in enumerate(wanted, start=1):
        what = f"run {number} of {len(wanted)}, split {split}, seed {seed}"
        if is_finished(options, split, seed):
            print(f"{what}: there already", file=sys.stderr)
            continue
        started = time.monotonic()
        start_one(options, split, seed)
        print(f"{what}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    results = [[json.loads(paths_of(options.out, split, seed)[0].read_text()) for seed in seeds] for split in splits]
    return results, [squared_errors([paths_of(options.out, split, seed)[1] for seed in seeds]) for split in splits]


def is_finished(options: argparse.Namespace, split: int, seed: int) -> bool:
    """Whether a run of these very settings, trips and code has left both of its files."""
    summary, errors = paths_of(options.out, split, seed)
    if not (summary.is_file() and errors.is_file()):
        return False
    return bool(json.loads(summary.read_text())["digest"] == digest_of(settings_of(options, split, seed)))


def start_one(options: argparse.Namespace, split: int, seed: int) -> None:
    """`measure` in a process of its own; ends this one as that one ended, which has said why."""
    command = [
        sys.executable,
        __file__,
        "--city",
        options.city,
        "--out",
        str(options.out),
        "--one",
        f"{split}",
        f"{seed}",
    ]
    command += ["--data", options.data] if options.data else []
    command += [part for override in options.overrides for part in ("--set", override)]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        sys.exit(done.returncode)


def measure(options: argparse.Namespace, split: int, seed: int) -> None:
    """One run of the pipeline, then its predictions on test; writes both files of `paths_of`."""
    from pipeline import runs
    from pipeline.console import output_to_log

    settings = settings_of(options, split, seed)
    digest, (summary_path, errors_path) = digest_of(settings), paths_of(options.out, split, seed)
    summary_path.parent.mkdir(parents=True, exist_ok=True)
    summary_path.unlink(missing_ok=True)
    with contextlib.redirect_stdout(sys.stderr):
        summary = runs.run(settings, quiet=True)
    with output_to_log(settings.runs_dir / summary["run_id"] / runs.LOG_FILE):
        nodes, cached = outputs_of(settings, summary["run_id"])
        predicted, fares = predictions(nodes)
        eval_rmse = eval_errors(nodes)
    check_agreement(test_errors(summary), predicted, fares)
    np.savez_compressed(errors_path, fares=fares, **predicted)
    result = {
        "split": split,
        "seed": seed,
        "digest": digest,
        "eval_rmse": eval_rmse,
        "trainer_cpu_s": None if "Trainer" in cached else summary["cpu_s"]["Trainer"],
        "summary": summary,
    }
    runs.write_atomically(summary_path, json.dumps(result, indent=2))  # last: it says that the run is finished


def test_errors(summary: Mapping[str, Any]) -> dict[str, float]:
    """RMSE on test by model, from a run's summary."""
    return {**summary["yardsticks"], NETWORK: summary["rmse"]["engineered"], SHIPPED: summary["rmse"]["shipped"]}


def outputs_of(settings: Settings, run_id: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """A run's first output artifact by node and name, from MLMD, and which nodes came from the cache."""
    from tfx.orchestration import metadata

    from pipeline import local_runner

    store = metadata.sqlite_metadata_connection_config(str(settings.runs_dir.resolve() / "metadata.sqlite"))
    nodes, cached = {}, set()
    with metadata.Metadata(store) as handle:
        context = handle.store.get_context_by_type_and_name("pipeline_run", run_id)
        node_type = handle.store.get_context_type("node").id
        for execution in handle.store.get_executions_by_context(context.id):
            contexts = handle.store.get_contexts_by_execution(execution.id)
            (node,) = (one.name.rpartition(".")[2] for one in contexts if one.type_id == node_type)
            outputs, from_cache = local_runner.outcome(handle, execution.id)
            nodes[node] = {name: artifacts[0] for name, artifacts in outputs.items() if artifacts}
            cached |= {node} if from_cache else set()
    return nodes, cached


def eval_errors(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """RMSE on eval by model, of those that have one, as Trainer and Quantizer left them."""
    training = json.loads(Path(nodes["Trainer"]["model_run"].uri, "training.json").read_text())
    trials = json.loads(Path(nodes["Quantizer"]["trials"].uri, "trials.json").read_text())
    (shipped,) = (trial["rmse"] for trial in trials["trials"] if trial["mode"] == trials["mode"])
    return {**{name: training[name]["eval_rmse"] for name in MODELS if name in training}, SHIPPED: shipped}


def predictions(nodes: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every model's fares for the raw test rows, and the rows' own, each float64 of shape (n,).

    All see the same rows in the same order: the raw ones, and what Transform's graph makes of them.
    """
    import tensorflow as tf
    import tensorflow_transform as tft

    from components import examples_io, tflite
    from components.yardstick_gate import executor, yardsticks
    from modules import boosting, columns

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
        LIGHTGBM: executor.booster_predictor(run, list(boosting.INPUTS)),
        NETWORK: lambda features: network({name: tf.constant(features[name]) for name in network.input_names}).numpy(),
    }
    shipped = tflite.TfliteModel(examples_io.tflite_path(nodes["Quantizer"]["quantized_model"]))
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("fares", *MODELS)}
    test = examples_io.dataset(
        nodes["TripExampleGen"]["examples"], "test", spec, columns.FARE, examples_io.EVAL_BATCH_ROWS
    )
    for raw, fares in examples_io.numpy_batches(test):
        features = {name: value.numpy() for name, value in layer({k: tf.constant(v) for k, v in raw.items()}).items()}
        batch = {name: predict(features) for name, predict in predictors.items()}
        for name, values in {**batch, SHIPPED: shipped.predict(raw), "fares": fares}.items():
            found[name].append(np.asarray(values, np.float64).reshape(-1))
    rows = {name: np.concatenate(batches) for name, batches in found.items()}
    return rows, rows.pop("fares")


def check_agreement(summary: Mapping[str, float], predicted: Mapping[str, np.ndarray], fares: np.ndarray) -> None:
    """Raises RuntimeError where the rows' RMSE is not the summary's: then one of the two looked at other rows."""
    for name, values in predicted.items():
        rmse = float(np.sqrt(np.mean((values - fares) ** 2)))
        if abs(rmse - summary[name]) > AGREEMENT * summary[name]:
            raise RuntimeError(f"{name}: RMSE of the test rows must be the summary's {summary[name]}, got {rmse}")


def squared_errors(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """A split's squared errors by model, of shape (n_seeds, n_rows). Raises InputError where seeds differ in rows."""
    loaded = [dict(np.load(path)) for path in files]
    for path, one in zip(files, loaded, strict=True):
        if not np.array_equal(one["fares"], loaded[0]["fares"]):
            raise InputError(f"{path}: must hold the test rows of {files[0].name}: remove both, to make them again")
    squared = {name: np.stack([(one[name] - one["fares"]) ** 2 for one in loaded]) for name in MODELS}
    return {**squared, "fares": loaded[0]["fares"]}


# The figures: `rmse` is of shape (n_splits, n_seeds)


def spread(rmse: np.ndarray) -> float | None:
    """Standard deviation over seeds (1 delta degree of freedom) within a split, averaged; None for a single seed."""
    return float(rmse.std(axis=1, ddof=1).mean()) if rmse.shape[1] > 1 else None


def ratio(rmse: np.ndarray, reference: np.ndarray) -> float:
    """The ratio of the means over seeds, averaged over splits."""
    return float((rmse.mean(axis=1) / reference.mean(axis=1)).mean())


def bootstrap_interval(
    squared: Sequence[np.ndarray], reference: Sequence[np.ndarray], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of `ratio` over resampled test rows (Efron 1979), the same rows for both models.

    squared, reference: of each split the squared errors, shape (n_seeds, n_rows).
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((len(squared), resamples))
    for split, pair in enumerate(zip(squared, reference, strict=True)):
        n_seeds, n_rows = pair[0].shape
        both = np.concatenate(pair)
        for i in range(resamples):
            times = np.bincount(random.integers(n_rows, size=n_rows), minlength=n_rows)
            rmse = np.sqrt(both @ times / n_rows)
            drawn[split, i] = rmse[:n_seeds].mean() / rmse[n_seeds:].mean()
    low, high = np.quantile(drawn.mean(axis=0), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def by_model(results: Results, errors_of: Callable[[Mapping[str, Any]], Mapping[str, float]]) -> dict[str, np.ndarray]:
    """RMSE of shape (n_splits, n_seeds), of the models that have one in every run."""
    found = [[errors_of(one) for one in split] for split in results]
    known = [name for name in MODELS if all(name in one for split in found for one in split)]
    return {name: np.array([[one[name] for one in split] for split in found]) for name in known}


def table_of(held: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """A row per model, from RMSE on eval and on test; None where a model has no such figure."""
    return {
        name: {
            "eval_rmse": float(held[name].mean()) if name in held else None,
            "test_rmse": float(test[name].mean()),
            "spread": spread(test[name]),
            "eval_ratio": ratio(held[name], held[LIGHTGBM]) if name in held else None,
            "test_ratio": ratio(test[name], test[LIGHTGBM]),
        }
        for name in test
    }


def intervals_of(squared: Squared, test: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Ratio on test and its interval: the shipped file against two models, and all against LightGBM."""
    pairs = dict.fromkeys([*COMPARED, *((name, LIGHTGBM) for name in MODELS if name != LIGHTGBM)])
    found = []
    for model, reference in pairs:
        low, high = bootstrap_interval([one[model] for one in squared], [one[reference] for one in squared])
        pair = {"model": model, "reference": reference, "ratio": ratio(test[model], test[reference])}
        found.append({**pair, "low": low, "high": high})
    return found


def aims_of(city: str, test: Mapping[str, np.ndarray], n_bytes: int, trainer_cpu_s: float | None) -> list[Aim]:
    """What the product promises, and whether it holds; Trainer's time has no bound."""
    to_booster = MAX_TO_LIGHTGBM.get(city, MAX_TO_LIGHTGBM_ELSEWHERE)
    return [
        Aim("shipped / LightGBM, test", ratio(test[SHIPPED], test[LIGHTGBM]), to_booster),
        Aim("shipped / DNN without embeddings, test", ratio(test[SHIPPED], test[NO_EMBEDDING_DNN]), 1.0),
        Aim("shipped / raw-column DNN, test", ratio(test[SHIPPED], test[RAW_DNN]), MAX_TO_RAW_DNN),
        Aim("bytes of the largest file", n_bytes, MAX_BYTES),
        Aim("CPU seconds of Trainer, median", trainer_cpu_s, None),
    ]


# What people see


def report(options: argparse.Namespace, results: Results, squared: Squared) -> None:
    """Prints the table; writes accuracy.json, accuracy.md and accuracy.png."""
    from rich.console import Console

    runs = [run_facts(one) for split in results for one in split]
    held = by_model(results, lambda one: one["eval_rmse"])
    test = by_model(results, lambda one: test_errors(one["summary"]))
    city, currency = (results[0][0]["summary"][key] for key in ("city", "currency"))
    times = [run["trainer_cpu_s"] for run in runs if run["trainer_cpu_s"] is not None]
    table, intervals = table_of(held, test), intervals_of(squared, test)
    aims = aims_of(city, test, max(run["bytes"] for run in runs), statistics.median(times) if times else None)
    rows = [len(one["fares"]) for one in squared]
    facts = {
        "city": city,
        "currency": currency,
        "splits": [split[0]["split"] for split in results],
        "seeds": [one["seed"] for one in results[0]],
        "test_rows": rows,
        "overrides": options.overrides,
        "lane": results[0][0]["summary"]["lane"],
    }
    title = f"{city}: {plural(len(results), 'split')} x {plural(len(results[0]), 'training seed')}, RMSE in {currency}"
    lines = [
        f"{' + '.join(f'{n:,}' for n in rows)} test rows; ratio: to LightGBM; spread: standard deviation over seeds",
        *(describe_interval(one) for one in intervals[: len(COMPARED)]),
        *(aim.describe() for aim in aims),
    ]
    console = Console(highlight=False, soft_wrap=True, width=max(Console().width, TABLE_WIDTH))
    console.print(rich_table(title, table))
    console.print("\n".join(lines), markup=False)
    listed = [{**dataclasses.asdict(aim), "ok": aim.ok} for aim in aims]
    content = {**facts, "models": table, "intervals": intervals, "aims": listed, "runs": runs}
    (options.out / "accuracy.json").write_text(json.dumps(content, indent=2) + "\n")
    (options.out / "accuracy.md").write_text(markdown(title, table, lines))
    draw(options.out / "accuracy.png", title.rpartition(",")[0], test, against_lightgbm(intervals))


def against_lightgbm(intervals: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Those whose reference is LightGBM, by model."""
    return {one["model"]: one for one in intervals if one["reference"] == LIGHTGBM}


def plural(n: int, noun: str) -> str:
    """`1 split`, `3 splits`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def run_facts(result: Mapping[str, Any]) -> dict[str, Any]:
    """What accuracy.json keeps of a run."""
    summary = result["summary"]
    return {
        **{key: result[key] for key in ("split", "seed", "eval_rmse", "trainer_cpu_s")},
        "test_rmse": test_errors(summary),
        "bytes": summary["model"]["bytes"],
        "blessed": summary["blessed"],
        "refused_by": [gate["name"] for gate in summary["gates"] if not gate["ok"]],
        "run_id": summary["run_id"],
    }


def cells_of(name: str, row: Mapping[str, float | None]) -> list[str]:
    """A row of the table as text."""
    return [MODELS[name], *("–" if value is None else f"{value:.3f}" for value in row.values())]


def rich_table(title: str, table: Mapping[str, Mapping[str, float | None]]) -> Table:
    """The table for a terminal."""
    from rich import box
    from rich.table import Table

    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in COLUMNS:
        shown.add_column(column, justify="left" if column == COLUMNS[0] else "right", no_wrap=True)
    for name, row in table.items():
        shown.add_row(*cells_of(name, row), style="bold" if name == SHIPPED else None)
    return shown


def markdown(title: str, table: Mapping[str, Mapping[str, float | None]], lines: Sequence[str]) -> str:
    """The same for a document."""
    rows = [COLUMNS, ("---", *("--:" for _ in COLUMNS[1:])), *(cells_of(name, row) for name, row in table.items())]
    return "\n".join(
        [f"## {title}", "", *(f"| {' | '.join(row)} |" for row in rows), "", *(f"- {x}" for x in lines), ""]
    )


def describe_interval(one: Mapping[str, Any]) -> str:
    """`shipped file / LightGBM on test: 0.981, 95 % interval 0.970 to 0.993`."""
    pair = f"{MODELS[one['model']]} / {MODELS[one['reference']]}"
    return f"{pair} on test: {one['ratio']:.3f}, {LEVEL * 100:.0f} % interval {one['low']:.3f} to {one['high']:.3f}"


def draw(path: Path, title: str, test: Mapping[str, np.ndarray], intervals: Mapping[str, Mapping[str, Any]]) -> None:
    """A dot per run, the ratio to LightGBM and its interval; a model too far to the right is a number there."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    axes.axvline(1, color="#444444", linewidth=1.5)
    for height, name in enumerate(DRAWN):
        found, color = intervals[name], "#c2500a" if name == SHIPPED else "#33638d"
        if found["ratio"] > WORTH_SEEING:
            at_right = axes.get_yaxis_transform()
            axes.text(0.99, height, f"{found['ratio']:.2f} →", transform=at_right, ha="right", **label(color))
            continue
        dots = test[name] / test[LIGHTGBM]
        heights = np.repeat(height + np.linspace(-0.2, 0.2, len(dots) + 2)[1:-1], dots.shape[1])  # a line per split
        axes.plot(dots.ravel(), heights, "o", color=color, alpha=0.4, markersize=7, markeredgewidth=0)
        axes.plot((found["low"], found["high"]), (height, height), "|-", color=color, linewidth=2, markersize=14)
        axes.plot(found["ratio"], height, "D", color=color, markersize=9)  # need not lie within the interval
        axes.text(found["ratio"], height - 0.33, f"{found['ratio']:.3f}", ha="center", **label(color))
    axes.set_ylim(len(DRAWN) - 0.5, -0.6)
    axes.set_yticks(range(len(DRAWN)), [MODELS[name] for name in DRAWN], fontsize=14)
    axes.tick_params(axis="x", labelsize=13)
    axes.set_xlabel("RMSE on test over LightGBM's, which is 1", fontsize=14)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=16, x=0.01, ha="left")
    figure.supxlabel("dot: a run; diamond: mean; bar: 95 % interval over test rows", fontsize=12, x=0.99, ha="right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def label(color: str) -> dict[str, Any]:
    """How numbers are written in the picture."""
    return {"color": color, "fontsize": 13, "va": "center"}


if __name__ == "__main__":
    main()
