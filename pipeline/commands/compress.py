"""`farebox compress`: reads a model and its rows, calls `components.compression.compress`, writes the result."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from farebox.components.errors import InputError
from farebox.pipeline.commands.options import AsJson
from farebox.pipeline.commands.screen import logged
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, make_folder

Array = npt.NDArray[Any]
MODEL_FILE, SUMMARY_FILE = "model.tflite", "compression.json"
LEAST_ROWS = 50
EVAL_SHARE = 5  # one row in five is held out for evaluation


def compress(
    *,
    model: Annotated[str, typer.Option(help="A tf_keras functional model: .keras, .h5 or a SavedModel.")],
    examples: Annotated[str, typer.Option(help="Rows of its inputs and the label: .npz, .csv or .parquet.")],
    label: Annotated[str, typer.Option(help="The label's column: numbers, or class ids.")] = "label",
    budget: Annotated[
        str, typer.Option(help="The error may grow by this: 1%, or a number in the label's unit.")
    ] = "1%",
    out: Annotated[str, typer.Option(help="For model.tflite, compression.json and the trial log.")] = "compressed",
    as_json: AsJson = False,
) -> None:
    """Makes any small Keras model the smallest .tflite in a budget, without the taxi pipeline."""
    summary = run(CompressRequest(model, examples, label, budget, out), quiet=as_json)
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    errors, sizes = summary["eval_error"], summary["bytes"]
    print(
        f"{summary['mode']} of the {summary['network']} network: {sizes['shipped']:,} B of {sizes['float32']:,} B, "
        f"{summary['metric']} {errors['shipped']:.4g} of {errors['float32']:.4g}; {summary['model']}"
    )


@dataclasses.dataclass(frozen=True)
class CompressRequest:
    """The arguments of `farebox compress`."""

    model: str
    examples: str
    label: str
    budget: str
    out: str
    seed: int = 17


def run(request: CompressRequest, *, quiet: bool = False) -> dict[str, Any]:
    """Writes `model.tflite`, `compression.json`, the trial log and `log.txt` into `out`; returns the summary.

    Raises InputError if the model, the examples or the budget cannot be used, or `out` cannot be written.
    """
    check_paths(request)
    out = Path(request.out)
    make_folder(out)
    with logged(quiet=quiet)(out / LOG_FILE) as screen:
        screen.working("importing TensorFlow")
        return compress_files(request, out, screen)


def check_paths(request: CompressRequest) -> None:
    """Raises InputError for what is wrong before TensorFlow is imported."""
    if not Path(request.model).exists():
        raise InputError(f"--model={request.model} must be a .keras, .h5 or SavedModel that exists")
    path = Path(request.examples)
    if path.suffix not in READERS or not path.is_file():
        raise InputError(f"--examples={path} must be a .npz, .csv or .parquet file that exists")


def compress_files(request: CompressRequest, out: Path, screen: RunConsole) -> dict[str, Any]:
    """Compresses and writes everything except `log.txt`; see `run`."""
    from farebox.components import compression

    network = load(request.model)
    compression.check_budget(request.budget, "--budget")
    columns, labels = read(Path(request.examples), request.label, network)
    fitting, held_out = split_rows(len(labels), request.seed)
    screen.say(f"{network.count_params():,} parameters, {len(fitting):,} rows to fit, {len(held_out):,} to choose")

    def show(step: str, result: str) -> None:
        if result:
            screen.say(f"{step}: {result}")
        else:
            screen.working(step)

    result = compression.compress(
        network,
        train=({name: values[fitting] for name, values in columns.items()}, labels[fitting]),
        evaluation=({name: values[held_out] for name, values in columns.items()}, labels[held_out]),
        budget=request.budget,
        seed=request.seed,
        on_step=show,
    )
    result.save_log(out)
    summary = {**result.as_json(), "model": str(out / MODEL_FILE)}
    (out / SUMMARY_FILE).write_text(json.dumps(summary, indent=2))
    result.save(out / MODEL_FILE)
    return summary


def split_rows(n_rows: int, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Returns the indices of the rows to fit and of the rows held out, one in five, drawn by `seed`."""
    order = np.random.default_rng(seed).permutation(n_rows)
    return order[n_rows // EVAL_SHARE :], order[: n_rows // EVAL_SHARE]


def load(model: str) -> Any:
    """Returns the network of a `.keras`, `.h5` or SavedModel. Raises InputError if `compress` cannot use it."""
    import tf_keras as keras

    from farebox.components import compression

    try:
        network = keras.models.load_model(model, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"--model={model} must be a tf_keras model: {str(error).strip().splitlines()[0]}") from error
    compression.check_network(network, f"--model={model}")
    return network


def read(path: Path, label: str, network: Any) -> tuple[dict[str, Array], Array]:
    """Returns the network's inputs by name, each of shape (n, ...), and float64 labels of shape (n,).

    `.npz`: arrays by input name. `.csv` and `.parquet`: a column for each input; for a network with one input of
    several numbers, all columns except the label, in their order. Raises InputError.
    """
    from farebox.components.compression import as_columns, check_numbers

    table = _table(path)
    if label not in table:
        raise InputError(f"{path}: label={label} must be one of its columns, got {', '.join(table)}")
    labels = check_numbers(str(path), label, table.pop(label)).astype(np.float64).reshape(-1)
    if len(labels) < LEAST_ROWS:
        raise InputError(f"{path}: rows={len(labels)} must be at least {LEAST_ROWS}")
    if len(network.inputs) == 1 and network.input_names[0] not in table and table:
        columns = [check_numbers(str(path), name, values).reshape(len(labels), -1) for name, values in table.items()]
        table = {network.input_names[0]: np.concatenate(columns, axis=1)}
    return as_columns(network, table, len(labels), str(path)), labels


def _table(path: Path) -> dict[str, Array]:
    """Returns the file's columns by name. Raises InputError if it cannot be read."""
    import pyarrow as pa

    try:
        return dict(READERS[path.suffix](path))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}") from error


def _read_csv(path: Path) -> dict[str, Array]:
    import pyarrow.csv

    return _arrays(pyarrow.csv.read_csv(path))


def _read_parquet(path: Path) -> dict[str, Array]:
    import pyarrow.parquet

    from farebox.components.trip_example_gen.sources.safe_arrow import close_cve_2023_47248

    close_cve_2023_47248()
    return _arrays(pyarrow.parquet.read_table(path))


def _arrays(table: Any) -> dict[str, Array]:
    return {name: table[name].to_numpy() for name in table.column_names}


READERS: dict[str, Callable[[Path], Mapping[str, Array]]] = {
    ".npz": np.load,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
