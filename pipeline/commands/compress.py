"""`farebox compress`: PcaReducer, Pruner and Quantizer on any tf_keras functional model with numeric inputs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.errors import InputError
from farebox.pipeline.local import libraries
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, make_folder
from farebox.pipeline.process import output_to_log

MODEL_FILE, SUMMARY_FILE = "model.tflite", "compression.json"
LEAST_ROWS, BATCH_ROWS = 50, 256
EVAL_SHARE = 5  # one row in five is held out, and chooses


@dataclasses.dataclass(frozen=True)
class Request:
    """What to compress, by which rows, within which budget, and where to."""

    model: str
    examples: str
    label: str
    budget: str
    out: str
    seed: int = 17


@dataclasses.dataclass(frozen=True)
class Rows:
    """Columns of shape (n, ...) by input name and labels of shape (n,); `fitted` and `held` are indices of rows."""

    columns: dict[str, np.ndarray]
    labels: np.ndarray
    fitted: np.ndarray
    held: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The same of some rows."""
        return {name: values[rows] for name, values in self.columns.items()}, self.labels[rows]

    def batches(self, rows: np.ndarray) -> Any:
        """As the components take them, a `farebox.components.networks.rows.Rows`."""
        from farebox.components.networks import rows as held

        columns, labels = self.of(rows)
        return held.Rows(columns, labels[:, None].astype(np.float32), BATCH_ROWS)


def run(request: Request, quiet: bool = False) -> dict[str, Any]:
    """Compresses, writes `model.tflite`, `compression.json`, the trial log and `log.txt` into `out`; the summary.

    Raises InputError: the model or the examples cannot be used, or `out` cannot be written.
    """
    check_paths(request)
    out = Path(request.out)
    make_folder(out)
    with output_to_log(out / LOG_FILE) as stream, RunConsole(stream, quiet) as screen:
        screen.working("importing TensorFlow")
        libraries.configure_libraries()
        return compress(request, out, screen)


def check_paths(request: Request) -> None:
    """What can be said before TensorFlow is there. Raises InputError."""
    if not Path(request.model).exists():
        raise InputError(f"--model={request.model} must be a .keras, .h5 or SavedModel that exists")
    path = Path(request.examples)
    if path.suffix not in (".npz", ".csv", ".parquet") or not path.is_file():
        raise InputError(f"--examples={path} must be a .npz, .csv or .parquet file that exists")


def compress(request: Request, out: Path, screen: RunConsole) -> dict[str, Any]:
    """See `run`."""
    from farebox.components.networks.objective import objective_of
    from farebox.components.quantizer import ladder
    from farebox.components.quantizer.conversion import calibration_rows
    from farebox.components.quantizer.executor import write_log
    from farebox.components.quantizer.settings import REDUCED, UNREDUCED

    network = load(request.model)
    columns, labels = read(Path(request.examples), request.label, network)
    rows = dealt(columns, labels, request.seed)
    settings = asked(network, request, rows)
    screen.say(f"{network.count_params():,} parameters, {len(rows.fitted):,} rows to fit, {len(rows.held):,} to choose")

    steps: dict[str, str] = {}
    smaller = network
    for name, step in (("reducer", reduced), ("pruner", pruned)):
        screen.working(name)
        try:
            smaller, steps[name] = step(smaller, settings[name], rows)
        except InputError as error:  # a network that cannot be taken apart so is compressed without it
            steps[name] = f"skipped: {error}"
        screen.say(f"{name}: {steps[name]}")
    screen.working("quantizer")
    chosen, metric = settings["quantizer"], objective_of(network).metric
    outcome = ladder.search(
        {REDUCED: smaller, UNREDUCED: network},
        None,
        calibration_rows([rows.of(rows.fitted)], chosen.calibration_rows),
        (rows.batches(rows.fitted), rows.batches(rows.held)),
        [rows.of(rows.held)],
        network.output_names[0],
        chosen,
    )
    write_log(outcome, chosen, metric, str(out))
    summary = {**summary_of(outcome), **steps, "metric": metric, "model": str(out / MODEL_FILE)}
    (out / SUMMARY_FILE).write_text(json.dumps(summary, indent=2))
    (out / MODEL_FILE).write_bytes(outcome.chosen.content)
    return summary


def dealt(columns: dict[str, np.ndarray], labels: np.ndarray, seed: int) -> Rows:
    """One row in five is held out, by chance."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return Rows(columns, labels, order[len(order) // EVAL_SHARE :], order[: len(order) // EVAL_SHARE])


def summary_of(outcome: Any) -> dict[str, Any]:
    """The choice beside the unreduced float32 file."""
    reference, chosen = outcome.trials[0], outcome.chosen
    return {
        "mode": chosen.rung,
        "network": chosen.network,
        "why": outcome.why,
        "eval_error": {"float32": reference.error, "shipped": chosen.error, "bound": outcome.bound},
        "bytes": {"float32": reference.bytes, "shipped": chosen.bytes},
        "gzip_bytes": {"float32": reference.gzip_bytes, "shipped": chosen.gzip_bytes},
    }


def load(model: str) -> Any:
    """The tf_keras functional network of a `.keras`, `.h5` or SavedModel. Raises InputError where it is none."""
    import tf_keras as keras

    try:
        network = keras.models.load_model(model, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"--model={model} must be a tf_keras model: {str(error).strip().splitlines()[0]}") from error
    if not isinstance(network, keras.Model) or not getattr(network, "_is_graph_network", False):
        raise InputError(f"--model={model} must be a functional tf_keras model, got {type(network).__name__}")
    if len(network.outputs) != 1:
        raise InputError(f"--model={model} must have one output, got {network.output_names}")
    inputs = zip(network.input_names, network.inputs, strict=True)
    if wrong := [name for name, each in inputs if not _is_numeric(each)]:
        raise InputError(f"--model={model} must have numeric inputs of known width, got {', '.join(wrong)}")
    return network


def _is_numeric(tensor: Any) -> bool:
    known = all(size is not None for size in tensor.shape[1:])
    return known and (tensor.dtype.is_floating or tensor.dtype.is_integer)


def read(path: Path, label: str, network: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns as the network's inputs have them, each of shape (n, ...), and labels of shape (n,), float64.

    `.npz`: arrays by input name. `.csv` and `.parquet`: a column per input; where the network has one input of
    several numbers, all columns but the label, in their order. Raises InputError.
    """
    table = _table(path)
    if label not in table:
        raise InputError(f"{path}: label={label} must be one of its columns, got {', '.join(table)}")
    labels = _numbers(path, label, table.pop(label)).astype(np.float64).reshape(-1)
    if len(labels) < LEAST_ROWS:
        raise InputError(f"{path}: rows={len(labels)} must be at least {LEAST_ROWS}")
    if len(network.inputs) == 1 and network.input_names[0] not in table and table:
        columns = [_numbers(path, name, values).reshape(len(labels), -1) for name, values in table.items()]
        table = {network.input_names[0]: np.concatenate(columns, axis=1)}
    found = {}
    for name, tensor in zip(network.input_names, network.inputs, strict=True):
        if name not in table:
            raise InputError(f"{path}: input {name} is missing, got {', '.join(table) or 'nothing'}")
        values, width = _numbers(path, name, table[name]), int(np.prod(tensor.shape[1:]))
        if values.size != len(labels) * width:
            raise InputError(f"{path}: {name} must hold {width} numbers a row, got {values.size / len(labels):g}")
        found[name] = values.reshape(len(labels), *tensor.shape[1:]).astype(tensor.dtype.as_numpy_dtype)
    return found, labels


def _table(path: Path) -> dict[str, np.ndarray]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    readers: dict[str, Callable[[], Mapping[str, np.ndarray]]] = {
        ".npz": lambda: np.load(path),
        ".csv": lambda: _arrays(pyarrow.csv.read_csv(path)),
        ".parquet": lambda: _arrays(pyarrow.parquet.read_table(path)),
    }
    try:
        return dict(readers[path.suffix]())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}") from error


def _arrays(table: Any) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in table.column_names}


def _numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} must be numbers, got {values.dtype}")
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(f"{path}: {name} must be finite, got {values[row]} in row {row}")
    return values


def asked(network: Any, request: Request, rows: Rows) -> dict[str, Any]:
    """Settings of the three: each decides by itself, within the budget, whether it pays."""
    from farebox.components.networks import examples_io
    from farebox.components.pca_reducer.settings import ReducerSettings
    from farebox.components.pruner.settings import PrunerSettings
    from farebox.components.quantizer.settings import QuantizerSettings

    try:
        quantizer = QuantizerSettings(max_rmse_increase=request.budget, seed=request.seed)
    except ValueError as error:
        raise InputError(f"--budget={request.budget} must be a number or a percentage such as 1%") from error
    uncompressed = examples_io.network_error(network, rows.batches(rows.held)).error
    share = max(quantizer.bound(uncompressed) / uncompressed - 1, 0.0) if uncompressed else 0.0
    return {
        "reducer": ReducerSettings(n_components="auto", layer=widest_dense(network), budget=share, seed=request.seed),
        "pruner": PrunerSettings(final_sparsity="auto", budget=share, seed=request.seed),
        "quantizer": quantizer,
    }


def widest_dense(network: Any) -> str:
    """The widest Dense layer with a bias that is not the last; the last where there is no other."""
    import tf_keras as keras

    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense) and layer.use_bias]
    if not dense:
        return "none"
    return str(max(dense[:-1] or dense, key=lambda layer: layer.kernel.shape[0] * layer.units).name)


def reduced(source: Any, settings: Any, rows: Rows) -> tuple[Any, str]:
    """The network reduced where that pays, and why. Raises ValueError where it cannot be taken apart."""
    from farebox.components.pca_reducer import folding
    from farebox.components.pca_reducer.moments import Batch, Summary, row_hashes
    from farebox.components.pca_reducer.reducing import reduce_network

    width = folding.n_features(source, settings.layer, settings.space)
    summary, extract = Summary(width, settings.sample_rows), folding.extractor(source, settings.layer, settings.space)
    for start in range(0, len(rows.fitted), BATCH_ROWS):
        columns, labels = rows.of(rows.fitted[start : start + BATCH_ROWS])
        hashes = row_hashes(settings.seed, "examples", start, len(labels))
        summary.update(Batch(hashes, extract(columns), labels))
    outcome = reduce_network(source, settings, summary, rows.batches(rows.fitted), rows.batches(rows.held))
    return outcome.chosen.network, f"{settings.layer}, k={outcome.k} of {width}: {outcome.why}"


def pruned(source: Any, settings: Any, rows: Rows) -> tuple[Any, str]:
    """The network pruned where that pays, and why. Raises ValueError where it cannot be."""
    from farebox.components.pruner.selection import prune_network

    outcome = prune_network(source, rows.batches(rows.fitted), rows.batches(rows.held), settings)
    return outcome.kept.pruned.network, outcome.why
