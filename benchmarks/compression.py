"""Cost and benefit of each step of the compression: whole runs of the pipeline, then every form of their networks.

    python benchmarks/compression.py --city chicago|nyc|FILE [--data PATH] [--seeds 3] [--out FOLDER] [--set key=value]

One run per training seed, each a separate process. Finished runs in --out are not repeated. Each form is a
file from raw columns to the fare: the DNN without embeddings; the trained, the reduced and the pruned network in
float32; the pruned one in every number format and trained for int8; and the file that the run would ship. RMSE is
measured on test with the files' own bytes; one row and 1024 rows are timed in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from whole_runs import SEEDED, Parser, add_run_options, digest_of, one_line_errors, outputs_of, start_one

from farebox.components.errors import InputError

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings

SHIPPED, ORIGINAL, NO_EMBEDDING = "full line: what ships", "original", "DNN without embeddings"
RUNGS = ("float16", "int8_weights", "dynamic", "int8", "int16x8", "qat", "pqat")
MEANS = ("bytes", "gzip_bytes", "us_one", "us_batch")
BATCH, ROUNDS, INVOKES = 1024, 5, 200


def main() -> None:
    """Runs the command. Exit codes are Farebox's: 0 done, 2 bad input, 3 the data were refused."""
    with one_line_errors("compression"):
        options = parse()
        if options.one:
            measure(options, *options.one)
        else:
            report(options, [run(options, seed) for seed in range(1, options.seeds + 1)])


def parse() -> argparse.Namespace:
    """Reads and checks the options. Raises InputError."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    add_run_options(parser, seeds=3)
    parser.add_argument("--one", nargs=1, type=int, help=argparse.SUPPRESS)  # for the child process
    options: argparse.Namespace = parser.parse_args()
    if options.seeds < 1:
        raise InputError(f"--seeds={options.seeds} must be at least 1")
    options.out = options.out or Path("runs", f"compression-{settings_of(options, 1).city.name}")
    return options


def settings_of(options: argparse.Namespace, seed: int) -> Settings:
    """Returns the settings of one run."""
    from farebox.pipeline.settings.load import load_settings

    seeds = [f"{key}={seed}" for key in SEEDED]
    return load_settings(options.city, options.data, str(options.out or "."), [*options.overrides, *seeds])


def run(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Figures of one seed by form; a child process measures them if these settings, trips and code have none yet."""
    path, digest = options.out / f"forms-{seed}.json", digest_of(settings_of(options, seed))
    if not path.is_file() or json.loads(path.read_text()).get("digest") != digest:
        start_one(__file__, options, seed)
    print(f"seed {seed} of {options.seeds}: done", file=sys.stderr)
    forms: dict[str, Any] = json.loads(path.read_text())["forms"]
    return forms


def measure(options: argparse.Namespace, seed: int) -> None:
    """Runs the pipeline once, measures every form of its networks, and writes `forms-SEED.json`."""
    from farebox.components.files import write_atomically
    from farebox.pipeline.local import run as runs
    from farebox.pipeline.local.folder import LOG_FILE
    from farebox.pipeline.process import output_to_log

    settings = settings_of(options, seed)
    digest = digest_of(settings)
    with contextlib.redirect_stdout(sys.stderr):
        summary = runs.run(settings).summary
    with output_to_log(settings.runs_dir / summary.run_id / LOG_FILE):
        nodes, _ = outputs_of(settings, summary.run_id)
        forms = figures(files(nodes, settings), test_rows(nodes))
    if summary.figures.measured:
        model = summary.figures.measured.model
        forms[SHIPPED]["how"] = f"{model.mode} of the {model.network} network"
    write_atomically(options.out / f"forms-{seed}.json", json.dumps({"digest": digest, "forms": forms}, indent=2))


def files(nodes: Mapping[str, Mapping[str, Any]], settings: Any) -> dict[str, bytes]:
    """Returns the bytes of every form."""
    import tensorflow_transform as tft
    import tf_keras as keras

    from farebox.components.networks import examples_io
    from farebox.components.quantizer.conversion import Front, Source, calibration_rows
    from farebox.components.quantizer.qat import quantization_aware
    from farebox.components.tflite.files import tflite_path
    from farebox.modules import columns

    graph, transformed = nodes["Transform"]["transform_graph"], nodes["Transform"]["transformed_examples"]
    raw_spec = tft.TFTransformOutput(graph.uri).raw_feature_spec()
    inputs = {name: raw_spec[name].dtype for name in settings.model_inputs}
    front = Front(tft.TFTransformOutput(graph.uri).transform_features_layer(), inputs)
    chosen = settings.quantizer
    train, evaluation = examples_io.fitting_splits(
        {"examples": [transformed], "transform_graph": [graph]}, columns.FARE, chosen.batch_size, chosen.seed
    )
    calibration = calibration_rows(examples_io.numpy_batches(train), chosen.calibration_rows)

    def source(network: keras.Model) -> Source:
        return Source(network, front, calibration, columns.FARE)

    rival = Path(nodes["Trainer"]["model_run"].uri, "no_embedding_dnn.keras")
    forms = {NO_EMBEDDING: source(keras.models.load_model(rival, compile=False)).file("float32")}
    for name, node, key in (
        (ORIGINAL, "Trainer", "model"),
        ("reduced", "PcaReducer", "reduced_model"),
        ("pruned", "Pruner", "pruned_model"),
    ):
        network = examples_io.load_network(nodes[node][key])
        forms[name] = source(network).file("float32")
    pruned = source(network)
    for rung in RUNGS:
        aware = rung in ("qat", "pqat")
        trained = (
            quantization_aware(network, train, evaluation, chosen, keeps_zeros=rung == "pqat") if aware else network
        )
        forms[f"pruned, {rung}"] = (source(trained) if aware else pruned).file(rung)
    return {**forms, SHIPPED: Path(tflite_path(nodes["Quantizer"]["quantized_model"])).read_bytes()}


def test_rows(nodes: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]:
    """Returns the raw columns of test, and its fares."""
    import tensorflow_transform as tft

    from farebox.components.networks import examples_io
    from farebox.modules import columns

    spec = tft.TFTransformOutput(nodes["Transform"]["transform_graph"].uri).raw_feature_spec()
    batches = list(
        examples_io.numpy_batches(
            examples_io.dataset(nodes["TripExampleGen"]["examples"], "test", spec, columns.FARE, 4096)
        )
    )
    names = batches[0][0]
    return {name: np.concatenate([rows[name] for rows, _ in batches]) for name in names}, np.concatenate(
        [fares for _, fares in batches]
    )


def figures(
    contents: Mapping[str, bytes], rows: tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]
) -> dict[str, dict[str, Any]]:
    """RMSE, MAE, bytes, gzip bytes, and microseconds of one row and of a batch, by form."""
    from farebox.components.networks.errors import RunningError
    from farebox.components.tflite.files import gzip_bytes
    from farebox.components.tflite.interpreter import TfliteModel, measure_latency_us

    columns, fares = rows
    one = {name: values[:1] for name, values in columns.items()}
    batch = {name: np.resize(values, (BATCH, 1)) for name, values in columns.items()}
    forms: dict[str, dict[str, Any]] = {}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contents}
    models = {name: TfliteModel(content) for name, content in contents.items()}
    for name, content in contents.items():
        error = RunningError()
        error.update(models[name].predict(columns), fares)
        forms[name] = {"rmse": error.rmse, "mae": error.mae, "bytes": len(content), "gzip_bytes": gzip_bytes(content)}
    for _ in range(ROUNDS):
        for name, model in models.items():
            single, _ = measure_latency_us(model, one, INVOKES, INVOKES // 10)
            many, _ = measure_latency_us(model, batch, INVOKES // 10, 2)
            times[name].append((single, many))
    for name, measured in times.items():
        forms[name]["us_one"], forms[name]["us_batch"] = (float(value) for value in np.median(measured, axis=0))
    return forms


@dataclasses.dataclass(frozen=True)
class Line:
    """Means of a form over seeds. spread: standard deviation of the RMSE."""

    form: str
    rmse: float
    spread: float
    bytes: float
    gzip_bytes: float
    us_one: float
    us_batch: float


def lines(results: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[Line]:
    """A line per form, in the order of the first result."""
    per_form = []
    for form in results[0]:
        errors = [result[form]["rmse"] for result in results]
        spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
        means = (float(np.mean([result[form][key] for result in results])) for key in MEANS)
        per_form.append(Line(form, float(np.mean(errors)), spread, *means))
    return per_form


def table(per_form: Sequence[Line]) -> str:
    """The lines in Markdown; ratios are to the original network."""
    (original,) = (line for line in per_form if line.form == ORIGINAL)
    head = "| form | test RMSE | spread | / original | bytes | 1/ | gzip | 1/ | one row, µs | 1024 rows, µs |"
    rows = [
        f"| {line.form} | {line.rmse:.3f} | {line.spread:.3f} | {line.rmse / original.rmse:.4f} | {line.bytes:,.0f} "
        f"| {original.bytes / line.bytes:.1f} | {line.gzip_bytes:,.0f} | {original.gzip_bytes / line.gzip_bytes:.1f} "
        f"| {line.us_one:.1f} | {line.us_batch:.0f} |"
        for line in per_form
    ]
    return "\n".join([head, "|---|" + "--:|" * 9, *rows])


def report(options: argparse.Namespace, results: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
    """Prints the table and writes it to --out."""
    text = table(lines(results))
    shipped = ", ".join(sorted({result[SHIPPED]["how"] for result in results}))
    text = f"{options.city}, {len(results)} seeds {' '.join(options.overrides)}\n\n{text}\n\nwhat ships: {shipped}\n"
    (options.out / "compression.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
