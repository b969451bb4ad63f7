"""PcaReducer, Pruner and Quantizer on any functional tf_keras network with numeric inputs, as one function.

No TFX, no files and no settings of a process: `compress` leaves output, environment and imports as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError, increase
from farebox.components.networks import examples_io
from farebox.components.networks.objective import objective_of
from farebox.components.networks.rows import Rows
from farebox.components.pca_reducer import folding
from farebox.components.pca_reducer.moments import Batch, Summary, position_hashes
from farebox.components.pca_reducer.reducing import reduce_network
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.pruner.selection import prune_network
from farebox.components.pruner.settings import PrunerSettings
from farebox.components.quantizer import ladder, trial_log
from farebox.components.quantizer.conversion import calibration_rows
from farebox.components.quantizer.settings import REDUCED, UNREDUCED, QuantizerSettings

Array = npt.NDArray[Any]
Inputs = Array | Mapping[str, Array]
OnStep = Callable[[str, str], None]
Content = bytes  # `bytes` is a field of Compression

BATCH_ROWS = 256
LEAST_ROWS = {"train": 40, "evaluation": 10}


@dataclasses.dataclass(frozen=True)
class Errors:
    """Error on the evaluation rows: RMSE in the label's unit, or log loss in nats."""

    float32: float
    shipped: float
    bound: float


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Bytes of the unreduced float32 file and of the chosen one."""

    float32: int
    shipped: int


@dataclasses.dataclass(frozen=True)
class Compression:
    """The chosen `.tflite`, and how it compares with the float32 file of the network.

    mode: the rung, a name in `quantizer.rungs.RUNGS`. network: `reduced` or `unreduced`. why: why it was chosen.
    reducer, pruner: what each did to the network, in words. metric: `rmse` or `log_loss`. content: the file itself.
    """

    mode: str
    network: str
    why: str
    eval_error: Errors
    bytes: Sizes
    gzip_bytes: Sizes
    reducer: str
    pruner: str
    metric: str
    content: Content = dataclasses.field(repr=False)
    outcome: ladder.QuantizationOutcome = dataclasses.field(repr=False)

    def save(self, path: str | Path) -> None:
        """Writes the `.tflite`."""
        Path(path).write_bytes(self.content)

    def save_log(self, folder: str | Path) -> None:
        """Writes choice.json, trials.jsonl, sensitivity.json and pareto.png: every file tried, and why it lost."""
        trial_log.write_log(self.outcome, self.metric, QuantizerSettings().optimize_for, str(folder))

    def as_json(self) -> dict[str, Any]:
        """Returns everything except the content and the trials, as dictionaries, numbers and text."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("content", "outcome")]
        values = {name: getattr(self, name) for name in names}
        return {
            name: dataclasses.asdict(value) if isinstance(value, Errors | Sizes) else value
            for name, value in values.items()
        }


def compress(
    network: keras.Model,
    *,
    train: tuple[Inputs, Array],
    evaluation: tuple[Inputs, Array],
    budget: float | str = "1%",
    seed: int = 17,
    on_step: OnStep | None = None,
) -> Compression:
    """Returns the smallest `.tflite` of a network whose error on the evaluation rows stays within the budget.

    Each of three steps decides whether it pays: PcaReducer narrows the widest Dense layer, Pruner zeroes weights, and
    Quantizer chooses the number format. `network` stays as it is.

    network: a functional tf_keras model with one output and numeric inputs of known shape; its last layer tells whether
        it predicts numbers (linear) or classes (sigmoid or softmax, class ids as labels).
    train, evaluation: (x, y). x: an array of shape (n, ...) for a network with one input, or a dict of such arrays by
        input name; y: labels of shape (n,). train is for fine-tuning and calibration, evaluation chooses. At least 40
        and 10 rows.
    budget: how much the error may grow over the unreduced float32 file's: a percentage such as `1%`, or a number in the
        unit of the label (numbers) or in nats (classes).
    on_step: called with a step's name and "" as it begins, and for the steps `reducer` and `pruner` with its name and
        result as it ends.

    Raises InputError, with key, value and bound, if the network, the rows or the budget cannot be used.
    """
    check_network(network)
    fitting, held_out = _split(network, "train", train), _split(network, "evaluation", evaluation)
    settings = _settings(network, held_out, budget, seed)
    say = on_step or (lambda _name, _result: None)
    reduced, results = network, {}
    for name, step in (("reducer", _reduced), ("pruner", _pruned)):
        say(name, "")
        try:
            reduced, results[name] = step(reduced, settings, fitting, held_out)
        except InputError as error:  # a network that this step cannot change is compressed without it
            results[name] = f"skipped: {error}"
        say(name, results[name])
    say("quantizer", "")
    outcome = ladder.search(
        {REDUCED: reduced, UNREDUCED: network},
        front=None,
        calibration=calibration_rows([(fitting.columns, fitting.labels)], settings.quantizer.calibration_rows),
        train=fitting.batches,
        evaluation=held_out.batches,
        file_rows=[(held_out.columns, held_out.labels)],
        output=network.output_names[0],
        settings=settings.quantizer,
    )
    return _compression(outcome, objective_of(network).metric, results)


def check_network(network: Any, name: str = "network") -> None:
    """Raises InputError, which starts with `name`, if `compress` cannot use the network."""
    if not isinstance(network, keras.Model) or not getattr(network, "_is_graph_network", False):
        raise InputError(f"{name} must be a functional tf_keras model, got {type(network).__name__}")
    if len(network.outputs) != 1:
        raise InputError(f"{name} must have one output, got {network.output_names}")
    inputs = zip(network.input_names, network.inputs, strict=True)
    if unusable := [each for each, tensor in inputs if not _is_numeric(tensor)]:
        raise InputError(f"{name} must have numeric inputs of known width, got {', '.join(unusable)}")


def _is_numeric(tensor: Any) -> bool:
    is_known = all(size is not None for size in tensor.shape[1:])
    return is_known and bool(tensor.dtype.is_floating or tensor.dtype.is_integer)


def check_budget(budget: float | str, name: str = "budget") -> None:
    """Raises InputError, which starts with `name`, if the budget is neither a number nor a percentage."""
    try:
        increase(budget, 1.0, name)
    except ValueError as error:
        raise InputError(f"{name}={budget} must be a number or a percentage such as 1%") from error


def as_columns(network: keras.Model, x: Mapping[str, Array], n_rows: int, place: str) -> dict[str, Array]:
    """Returns the arrays of the network's inputs, each of the input's type and of shape (n_rows, ...).

    Raises InputError, which starts with `place`, if one is missing, has another width, or is not finite.
    """
    columns = {}
    for name, tensor in zip(network.input_names, network.inputs, strict=True):
        if name not in x:
            raise InputError(f"{place}: input {name} is missing, got {', '.join(x) or 'nothing'}")
        values, width = check_numbers(place, name, x[name]), int(np.prod(tensor.shape[1:]))
        if values.size != n_rows * width:
            raise InputError(f"{place}: {name} must hold {width} numbers a row, got {values.size / n_rows:g}")
        columns[name] = values.reshape(n_rows, *tensor.shape[1:]).astype(tensor.dtype.as_numpy_dtype)
    return columns


def check_numbers(place: str, name: str, values: Array) -> Array:
    """Returns the values. Raises InputError if they are not finite numbers."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{place}: {name} must be numbers, got {values.dtype}")
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(f"{place}: {name} must be finite, got {values[row]} in row {row}")
    return values


@dataclasses.dataclass(frozen=True)
class _Split:
    """columns: by input name, each of shape (n, ...); labels: (n,), float64."""

    columns: dict[str, Array]
    labels: npt.NDArray[np.float64]

    @property
    def batches(self) -> Rows:
        return Rows(self.columns, self.labels[:, None].astype(np.float32), BATCH_ROWS)


def _split(network: keras.Model, place: str, rows: tuple[Inputs, Array]) -> _Split:
    """Returns (x, y) as columns and labels. Raises InputError, which starts with `place`."""
    x, y = rows[0], np.asarray(rows[1])
    if y.ndim == 0 or y.size != len(y):
        raise InputError(f"{place}: y must have shape (n,), got {y.shape}")
    if len(y) < LEAST_ROWS[place]:
        raise InputError(f"{place}: rows={len(y)} must be at least {LEAST_ROWS[place]}")
    labels = check_numbers(place, "y", y).astype(np.float64).reshape(-1)
    n_classes = objective_of(network).n_classes
    if n_classes and not np.isin(labels, range(n_classes)).all():
        wrong = labels[~np.isin(labels, range(n_classes))][0]
        raise InputError(f"{place}: y must be class ids from 0 to {n_classes - 1}, got {wrong:g}")
    if not isinstance(x, Mapping):
        if len(network.inputs) != 1:
            names = ", ".join(network.input_names)
            raise InputError(f"{place}: x must be a dict of arrays by input name, {names}, got {type(x).__name__}")
        x = {network.input_names[0]: x}
    arrays = {name: np.asarray(values) for name, values in x.items()}
    return _Split(as_columns(network, arrays, len(labels), place), labels)


@dataclasses.dataclass(frozen=True)
class _Settings:
    reducer: ReducerSettings
    pruner: PrunerSettings
    quantizer: QuantizerSettings


def _settings(network: keras.Model, held_out: _Split, budget: float | str, seed: int) -> _Settings:
    """Returns settings with which each component decides whether it pays, all within the budget."""
    check_budget(budget)
    quantizer = QuantizerSettings(max_rmse_increase=budget, seed=seed, portable=False)
    error = examples_io.network_error(network, held_out.batches).error
    share = max(quantizer.bound(error) / error - 1, 0.0) if error else 0.0
    return _Settings(
        ReducerSettings(n_components="auto", layer=widest_dense(network), budget=share, seed=seed),
        PrunerSettings(final_sparsity="auto", budget=share, seed=seed),
        quantizer,
    )


def widest_dense(network: keras.Model) -> str:
    """Returns the widest Dense layer with a bias except the last; the last if it is alone, `none` without any."""
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense) and layer.use_bias]
    if not dense:
        return "none"
    return str(max(dense[:-1] or dense, key=lambda layer: layer.kernel.shape[0] * layer.units).name)


def _reduced(source: keras.Model, settings: _Settings, fitting: _Split, held_out: _Split) -> tuple[keras.Model, str]:
    """Returns the network, narrower if that pays, and why. Raises InputError if it cannot be taken apart."""
    chosen = settings.reducer
    width = folding.n_features(source, chosen.layer, chosen.space)
    summary, extract = Summary(width, chosen.sample_rows), folding.extractor(source, chosen.layer, chosen.space)
    for start in range(0, len(fitting.labels), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        features = extract({name: values[part] for name, values in fitting.columns.items()})
        hashes = position_hashes(chosen.seed, "examples", start, len(features))
        summary.update(Batch(hashes, features, fitting.labels[part]))
    outcome = reduce_network(source, chosen, summary, fitting.batches, held_out.batches)
    return outcome.chosen.network, f"{chosen.layer}, k={outcome.k} of {width}: {outcome.why}"


def _pruned(source: keras.Model, settings: _Settings, fitting: _Split, held_out: _Split) -> tuple[keras.Model, str]:
    """Returns the network, sparser if that pays, and why. Raises InputError if it cannot be pruned."""
    outcome = prune_network(source, fitting.batches, held_out.batches, settings.pruner)
    return outcome.kept.pruned.network, outcome.why


def _compression(outcome: ladder.QuantizationOutcome, metric: str, results: Mapping[str, str]) -> Compression:
    reference, chosen = outcome.trials[0], outcome.chosen
    return Compression(
        mode=chosen.rung,
        network=chosen.network,
        why=outcome.why,
        eval_error=Errors(reference.error, chosen.error, outcome.bound),
        bytes=Sizes(reference.bytes, chosen.bytes),
        gzip_bytes=Sizes(reference.gzip_bytes, chosen.gzip_bytes),
        metric=metric,
        content=chosen.content,
        outcome=outcome,
        **results,
    )
