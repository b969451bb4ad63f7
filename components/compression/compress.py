"""PcaReducer, Pruner and Quantizer on any functional tf_keras network with numeric inputs, as one function.

No TFX, no files and no settings of a process: `compress` leaves output, environment and imports as they are.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import tf_keras as keras

from farebox.components.compression import coverage, notes
from farebox.components.compression.compress_file import compress_file
from farebox.components.compression.file_network import FileNetwork, file_network
from farebox.components.compression.result import Compression
from farebox.components.compression.rows import Array, Inputs, inputs_of, split_of
from farebox.components.compression.stages import OnStep
from farebox.components.compression.task import Task
from farebox.components.errors import InputError, increase
from farebox.components.networks.labels import resolution_of
from farebox.components.networks.metrics import AUTO
from farebox.components.networks.objective import Score
from farebox.components.networks.plain import listed, plain_network
from farebox.components.quantizer.child import Child
from farebox.components.quantizer.settings import Goal, QuantizerSettings

FILE_NAME = re.compile(r"(?!serving_default_)[\w./-]+", re.ASCII)  # of an input, which a SavedModel and a file keep


def compress(
    network: keras.Model | FileNetwork | bytes,
    *,
    train: tuple[Inputs, Array],
    evaluation: tuple[Inputs, Array],
    test: tuple[Inputs, Array] | None = None,
    budget: float | str = "1%",
    objective: str | Score = AUTO,
    metric: str = AUTO,
    trained_ids: Mapping[str, Array] | None = None,
    keep_names: bool = False,
    optimize_for: str = "size",
    portable: bool = False,
    seed: int = 17,
    search_s: float = QuantizerSettings.search_s,
    max_slowdown: float = QuantizerSettings.max_slowdown,
    cache: str | Path | None = None,
    on_step: OnStep | None = None,
) -> Compression:
    """Returns the smallest `.tflite` of a network whose error on the evaluation rows stays within the budget.

    PcaReducer narrows the widest Dense layer, Pruner zeroes weights, both to several degrees, and Quantizer chooses
    among the networks and number formats; the file that ships holds the budget once. `network` stays as it is.

    network: a functional tf_keras model with one output and numeric inputs of known shape; or the content of a
        `.tflite` with these, of which only the number format and the tables change.
    train, evaluation: (x, y). x: an array of shape (n, ...) for a network with one input, or a dict of such arrays by
        input name; y: labels of shape (n, ...). train is for fine-tuning and calibration, evaluation chooses. At least
        40 and 10 rows.
    test: rows that choose nothing; the result has the error on them, with its interval. At least 10 rows.
    budget: how much the error may grow over the unreduced float32 file's: a percentage such as `1%`, or a number in the
        unit of the label (numbers) or in nats (classes). For accuracy and auc, both are of the whole: 1% is 0.01.
    objective: `regression`, `binary` (labels 0 and 1), `classes` (class ids from 0 or 1, or one-hot), `multilabel`, a
        function of predictions and labels that returns an error, or its name as `custom:MODULE:FUNCTION`. By default it
        follows from the loss that the network was compiled with or from its last layer, and labels that contradict it
        are refused.
    metric: `rmse` or `mae`; `log_loss`, `accuracy` or `auc`. By default the first of them.
    trained_ids: by embedding, or by an input that feeds one, all ids that training had; the other rows of the table
        become zero. By default all ids count as trained, those that the rows lack, too. Not for a `.tflite`.
    keep_names: the file's inner tensors keep their names.
    optimize_for: what the file is the smallest in: `size` or `gzip`; `latency` and `balanced`, as Quantizer has them.
    portable: only formats that every runtime has and answers alike, tflite-micro among them.
    search_s: CPU seconds after which no further trial begins; a warning of the log says what was not tried. The few
        formats of a `.tflite` are all tried.
    max_slowdown: share of the time of one row that the file may add, as Quantizer has it; from 4 on, weights of four
        bits are tried.
    cache: a folder for finished networks, files and errors; an interrupted call, or one with another budget, reuses
        them.
    on_step: called with a step's name and "" as it begins, and for the steps `reducer` and `pruner` with its name and
        result as it ends.

    Raises InputError, with key, value and bound, if the network, the rows or the budget cannot be used.
    """
    check_budget(budget)
    if not 0 < search_s < math.inf:
        raise InputError(f"search_s={search_s} must be above 0 and finite")
    if not 0 <= max_slowdown < math.inf:
        raise InputError(f"max_slowdown={max_slowdown} must be at least 0 and finite")
    goal = checked_goal(optimize_for)
    named = {"train": train, "evaluation": evaluation} | ({"test": test} if test else {})
    say = on_step or (lambda _name, _result: None)
    if isinstance(network, bytes | FileNetwork):
        if trained_ids is not None:
            raise InputError("trained_ids must be left out for a .tflite: its tables stay as they are")
        with Child() as run:
            file = file_network(network) if isinstance(network, bytes) else network
            return compress_file(
                file, named, budget=budget, objective=objective, metric=metric, keep_names=keep_names, seed=seed,
                on_step=say, run=run, optimize_for=goal, portable=portable, max_slowdown=max_slowdown,
                cache=Path(cache) if cache else None,
            )  # fmt: skip
    check_network(network)
    inputs = inputs_of(network)
    splits = {place: split_of(inputs, place, rows) for place, rows in named.items()}
    network = listed(network)
    with Child() as run:
        resolution = resolution_of(network, splits, objective, metric)
        splits = {
            place: dataclasses.replace(rows, labels=resolution.labels(place, rows.labels))
            for place, rows in splits.items()
        }
        covered = coverage.coverage_of(network, splits["train"].columns, trained_ids)
        network = plain_network(network)
        task = Task(
            network, splits, resolution=resolution, covered=covered, budget=budget, seed=seed, search_s=search_s,
            keep_names=keep_names, run=run, optimize_for=goal, portable=portable, max_slowdown=max_slowdown,
            cache=Path(cache) if cache else None,
        )  # fmt: skip
        result = task.compressed(say)
        result = dataclasses.replace(result, notes=(*result.notes, *notes.of_types(inputs)))
        return dataclasses.replace(result, test=task.tested(result, splits["test"])) if test else result


def check_network(network: Any, name: str = "network") -> None:
    """Raises InputError, which starts with `name`, if `compress` cannot use the network."""
    if not isinstance(network, keras.Model) or not getattr(network, "_is_graph_network", False):
        raise InputError(f"{name} must be a functional tf_keras model, got {type(network).__name__}")
    if len(network.outputs) != 1:
        raise InputError(f"{name} must have one output, got {network.output_names}")
    inputs = zip(network.input_names, network.inputs, strict=True)
    if unusable := [each for each, tensor in inputs if not _is_numeric(tensor)]:
        raise InputError(f"{name} must have numeric inputs of known width, got {', '.join(unusable)}")
    if odd := [each for each in network.input_names if not FILE_NAME.fullmatch(each)]:
        raise InputError(
            f"{name} must have inputs named with A-Z, a-z, 0-9, _, -, . and /, without serving_default_ before, got "
            f"{', '.join(odd)}"
        )
    if len({re.sub(r"\W", "_", each) for each in network.input_names}) < len(network.input_names):
        raise InputError(f"{name} must have inputs whose names differ in letters, got {', '.join(network.input_names)}")


def _is_numeric(tensor: Any) -> bool:
    is_known = all(size is not None for size in tensor.shape[1:])
    return is_known and bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def check_budget(budget: float | str, name: str = "budget") -> None:
    """Raises InputError, which starts with `name`, if the budget is neither a number nor a percentage."""
    try:
        increase(budget, 1.0, name)
    except ValueError as error:
        raise InputError(f"{name}={budget} must be a number or a percentage such as 1%") from error


def checked_goal(goal: str, name: str = "optimize_for") -> Goal:
    """Returns what the file is to be the smallest in. Raises InputError, which starts with `name`, for another word."""
    for known in get_args(Goal):
        if goal == known:
            return cast(Goal, known)
    raise InputError(f"{name}={goal} must be one of {', '.join(get_args(Goal))}")
