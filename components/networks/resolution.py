"""Which objective a network has: as asked for, as it was compiled, or as its last layer says; the labels must agree."""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError, fault_of
from farebox.components.networks.metrics import AUTO, CUSTOM, METRICS
from farebox.components.networks.objective import Objective, Score, last_activation

Array = npt.NDArray[Any]
OF_NUMBERS = re.compile(r"mse|mae|mape|msle|mean_.*|huber.*|log_?cosh|poisson")
HINT = "set objective to regression, binary, classes, multilabel or custom:MODULE:FUNCTION"
CLOSE = 1e-3  # of the sum of a row's probabilities to 1


@dataclasses.dataclass(frozen=True)
class Resolution:
    """An objective and where it comes from, in words; labels: prepares those of a split, (place, labels) -> labels."""

    objective: Objective
    why: str
    labels: Callable[[str, Array], Array]

    @property
    def text(self) -> str:
        """The kind and where it comes from."""
        return f"{self.objective.kind}: {self.why}"


@dataclasses.dataclass(frozen=True)
class Head:
    """Shape and meaning of a network's answers.

    tail: shape of a row's answers. activation: of its last layer. loss: its name, empty if nobody knows; from_logits:
    whether that takes logits.
    """

    tail: tuple[int, ...]
    activation: str
    loss: str = ""
    from_logits: bool | None = None

    @classmethod
    def of(cls, network: keras.Model) -> Head:
        """The head of a tf_keras network."""
        tail = tuple(int(size) for size in network.output.shape[1:])
        loss = getattr(network, "loss", None)
        config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
        return cls(tail, last_activation(network), compiled_loss(network), config.get("from_logits"))


def resolve(head: Head, labels: Array, predictions: Array, kind: str | Score, metric: str) -> Resolution:
    """Returns the objective. Raises InputError if the labels contradict it, or it does not exist.

    labels, predictions: of the same rows, shape (n, ...). kind: `auto`, a kind, or a function of predictions and labels
    that returns an error, or its name as `custom:MODULE:FUNCTION`. metric: `auto` or one of the kind.
    """
    tail = head.tail
    if isinstance(kind, str) and kind.startswith(CUSTOM):
        kind = score_named(kind)
    if callable(kind):
        return _custom(kind, tail, metric)
    chosen, why = (kind, "as set") if kind != AUTO else _guess(head, labels)
    if chosen not in METRICS:
        raise InputError(f"objective={chosen} must be auto, {', '.join(METRICS)} or custom:MODULE:FUNCTION")
    metric = METRICS[chosen][0] if metric == AUTO else metric
    if metric not in METRICS[chosen]:
        raise InputError(f"metric={metric} must be {' or '.join(METRICS[chosen])} for objective={chosen}")
    is_shifted = chosen == "classes" and _counts_from_1(labels, tail)
    prepare = {
        "regression": lambda place, values: _numbers(place, values, tail),
        "binary": lambda place, values: _zeros_and_ones(place, values, tail),
        "multilabel": lambda place, values: _zeros_and_ones(place, values, tail),
        "classes": lambda place, values: _class_ids(place, values, tail, first=int(is_shifted)),
    }[chosen]
    try:
        prepare("the rows", labels[:1] if chosen == "regression" else labels)
    except InputError as error:
        raise InputError(f"objective={chosen} ({why}): {error}" + ("" if kind != AUTO else f"; {HINT}")) from error
    if is_shifted:
        why += f"; labels 1 to {tail[-1]} are classes 0 to {tail[-1] - 1}"
    n_classes = {"classes": tail[-1], "binary": 2, "multilabel": 2}.get(chosen, 0)
    is_logits = n_classes > 0 and _is_logits(head, predictions, is_one_hot=chosen == "classes")
    if is_logits:
        why += "; the network answers logits"
    return Resolution(Objective(chosen, metric, n_classes, is_logits), why, prepare)  # type: ignore[arg-type]


def score_named(text: str) -> Score:
    """Returns the function of `custom:MODULE:FUNCTION`, imported from the current folder or the environment."""
    module, _, function = text.removeprefix(CUSTOM).partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"objective={text} must name a function as custom:MODULE:FUNCTION: {error}") from error
    finally:
        sys.path.remove("")
    if not callable(found):
        raise InputError(f"objective={text} must name a function, got {type(found).__name__}")
    score: Score = found
    return score


def _custom(score: Score, tail: tuple[int, ...], metric: str) -> Resolution:
    name = getattr(score, "__name__", "custom")
    if metric != AUTO:
        raise InputError(f"metric={metric} must be left out for a custom objective: {name} is the metric")

    def shaped(predictions: Array, labels: Array) -> float:
        try:
            return float(score(predictions.reshape(len(predictions), *tail), labels))
        except Exception as error:  # of a function of the user's own
            raise InputError(f"objective: {name} must return a number, got {fault_of(error)}") from error

    return Resolution(Objective("custom", name, score=shaped), "as set", lambda _place, values: values)


def _guess(head: Head, labels: Array) -> tuple[str, str]:
    """The kind, and what says so: the loss that the network was compiled with, or its last layer and the labels."""
    loss, tail = head.loss, head.tail
    is_single = math.prod(tail) == 1
    if OF_NUMBERS.fullmatch(loss):
        return "regression", f"its loss is {loss}"
    if "categorical" in loss:
        return "classes", f"its loss is {loss}"
    if loss.startswith("binary"):
        return ("binary" if is_single else "multilabel"), f"its loss is {loss}"
    activation = head.activation
    why = f"its last layer is {activation}"
    if activation == "softmax":
        return "classes", why
    if activation == "sigmoid":
        return ("binary" if is_single else "multilabel"), why
    if labels.size * tail[-1] == len(labels) * math.prod(tail) and tail[-1] > 1 and _are_ids(labels):
        return "classes", f"{why}, the labels are ids"
    if is_single and np.isin(labels, (0, 1)).all():
        raise InputError(f"objective: {why} and the labels are 0 and 1, which may be numbers or classes; {HINT}")
    return "regression", why


def compiled_loss(network: keras.Model) -> str:
    """Name of the loss that the network was compiled with; empty if there is none, or several."""
    loss = getattr(network, "loss", None)
    if isinstance(loss, keras.losses.Loss):
        loss = getattr(loss, "fn", loss)
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _is_logits(head: Head, predictions: Array, *, is_one_hot: bool) -> bool:
    """Whether the predictions are no probabilities: the last layer says so, or they lie outside of 0 and 1."""
    if head.activation in ("softmax", "sigmoid"):
        return False
    if head.from_logits is not None:
        return head.from_logits
    if predictions.min() < 0 or predictions.max() > 1 + CLOSE:
        return True
    return is_one_hot and bool(np.abs(predictions.sum(axis=-1) - 1).max() > CLOSE)


def _numbers(place: str, labels: Array, tail: tuple[int, ...]) -> Array:
    width = math.prod(tail)
    if labels.size != len(labels) * width:
        raise InputError(f"{place}: labels must hold {width} numbers a row, got {labels.size // max(len(labels), 1)}")
    return labels.reshape(len(labels), *tail).astype(np.float64)


def _zeros_and_ones(place: str, labels: Array, tail: tuple[int, ...]) -> Array:
    shaped = _numbers(place, labels, tail)
    if not np.isin(shaped, (0, 1)).all():
        raise InputError(f"{place}: labels must be 0 and 1, got {shaped[~np.isin(shaped, (0, 1))][0]:g}")
    return shaped


def _are_ids(labels: Array) -> bool:
    return bool((labels == np.rint(labels)).all() and labels.min() >= 0)


def _counts_from_1(labels: Array, tail: tuple[int, ...]) -> bool:
    """Whether class ids begin at 1: else the largest would be beyond the last class."""
    is_of_ids = labels.size == len(labels) * math.prod(tail[:-1])
    return bool(is_of_ids and _are_ids(labels) and labels.min() >= 1 and labels.max() == tail[-1])


def _class_ids(place: str, labels: Array, tail: tuple[int, ...], first: int) -> Array:
    """Class ids from 0, shape (n, ...): of ids from `first`, or of labels that are 1 for one class and 0 for others."""
    n_classes = tail[-1]
    if labels.size == len(labels) * math.prod(tail) and n_classes > 1:
        one_hot = labels.reshape(len(labels), *tail)
        if not (np.isin(one_hot, (0, 1)).all() and (one_hot.sum(axis=-1) == 1).all()):
            raise InputError(
                f"{place}: labels must be class ids, or 1 for one of the {n_classes} classes and 0 elsewhere"
            )
        return np.asarray(one_hot.argmax(axis=-1).astype(np.float64))
    ids = _numbers(place, labels, tail[:-1]) - first
    wrong = ~np.isin(ids, range(n_classes))
    if wrong.any():
        last = n_classes - 1 + first
        raise InputError(f"{place}: labels must be class ids from {first} to {last}, got {ids[wrong][0] + first:g}")
    return ids
