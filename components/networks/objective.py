"""The loss that a network is fine-tuned by and the metric that judges it: an `Objective`.

It is a setting, or guessed from the network's last layer; `resolution` checks a guess with labels.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks import errors

Kind = Literal["regression", "binary", "classes", "multilabel", "custom"]
Running = errors.RunningError | errors.RunningLogLoss | errors.RunningScore
Score = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]

POINTS = ("accuracy", "auc")  # the error is 1 - metric
SHAPED = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)  # they hand numbers on as they are


@dataclasses.dataclass(frozen=True)
class Objective:
    """metric: of `METRICS`, or a custom one's name; every error is lower for a better network.

    n_classes: 0 for numbers, 2 for 0 and 1. is_logits: the network answers logits. score: of `custom`, (predictions,
    labels) -> error.
    """

    kind: Kind = "regression"
    metric: str = "rmse"
    n_classes: int = 0
    is_logits: bool = False
    score: Score | None = dataclasses.field(default=None, compare=False)

    @property
    def is_one_hot(self) -> bool:
        return self.kind == "classes"

    @property
    def is_of_chances(self) -> bool:
        return self.kind in ("binary", "classes", "multilabel")

    @property
    def n_columns(self) -> int:
        """Numbers that the network answers for a label."""
        return self.n_classes if self.is_one_hot else 1

    @property
    def loss_name(self) -> str:
        """The loss as Keras names it."""
        if not self.is_of_chances:
            return "mse"
        return "categorical_crossentropy" if self.is_one_hot else "binary_crossentropy"

    @property
    def loss(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """(labels, predictions) of a batch -> losses; the labels are another network's `targets`."""
        loss: Any = keras.losses.get(self.loss_name)
        chosen: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = (
            functools.partial(loss, from_logits=self.is_logits) if self.is_of_chances else loss
        )
        return chosen

    def targets(self, predictions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Labels for a network that imitates one with these predictions: they, or the probabilities of logits."""
        if not (self.is_logits and self.is_of_chances):
            return predictions
        chances = errors.probabilities(predictions, predictions.size // self.n_columns, is_logits=True)
        chances = chances if self.is_one_hot else chances[:, 1]
        return chances.reshape(predictions.shape).astype(np.float32)

    def running(self) -> Running:
        """A new sum of errors over batches."""
        if self.score is not None:
            return errors.RunningScore(self.score, self.metric)
        if self.metric == "auc":
            return errors.RunningScore(errors.auc_error, "auc_error")
        if self.is_of_chances:
            return errors.RunningLogLoss(self.metric, is_logits=self.is_logits)
        return errors.RunningError(self.metric)

    @property
    def is_additive(self) -> bool:
        """Whether the error follows from a mean over rows; a changed network's can be expected without labels then."""
        return self.score is None and self.metric != "auc"

    def row_losses(self, predictions: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Loss of each row, shape (n,), whose mean gives the error, if `is_additive`."""
        rows = len(labels)
        if not self.is_of_chances:
            difference = predictions.astype(np.float64).reshape(rows, -1) - labels.reshape(rows, -1)
            losses = np.abs(difference) if self.metric == "mae" else difference**2
        else:
            ids = labels.reshape(-1).astype(np.int64)
            chances = errors.probabilities(predictions, len(ids), is_logits=self.is_logits)
            of_label = chances[np.arange(len(ids)), ids]
            losses = chances.argmax(axis=1) != ids if self.metric == "accuracy" else -np.log(of_label)
        return np.asarray(losses.reshape(rows, -1).mean(axis=1, dtype=np.float64))

    def of_mean_loss(self, mean: float) -> float:
        """The error of a mean of `row_losses`."""
        return math.sqrt(mean) if self.metric == "rmse" else mean

    def running_departure(self) -> errors.RunningError | errors.RunningDivergence:
        """A new sum of how far predictions depart from another network's."""
        if not self.is_of_chances:
            return errors.RunningError(self.metric)
        return errors.RunningDivergence(self.metric, n_columns=self.n_columns, is_logits=self.is_logits)

    def with_departure(self, error: float, departure: float) -> float:
        """Expected error of a network whose predictions depart from those of one with this error.

        The departure is taken to be independent of the error: mean((e + d)^2) is mean(e^2) + mean(d^2), and divergence
        adds to log loss. AUC and custom metrics have no such estimate: the error itself.
        """
        if not self.is_additive:
            return error
        return math.hypot(error, departure) if self.metric == "rmse" else error + departure


NUMBERS = Objective()


def objective_of(network: keras.Model) -> Objective:
    """RMSE for a linear last layer; log loss for sigmoid (one unit, class ids 0 and 1) and softmax (class ids).

    Raises ValueError if the network has several outputs.
    """
    if len(network.outputs) != 1:
        raise ValueError(f"{network.name}: outputs={network.output_names} must be one")
    activation = last_activation(network)
    if activation == "softmax":
        return Objective("classes", "log_loss", int(network.output.shape[-1]))
    if activation == "sigmoid" and network.output.shape[-1] == 1:
        return Objective("binary", "log_loss", 2)
    return NUMBERS


def last_activation(network: keras.Model) -> str:
    """Name of the activation of the network's last layer that computes; `linear` if it has none."""
    last = network.output.node.layer
    while isinstance(last, SHAPED):
        last = last.input.node.layer
    last = getattr(last, "layer", last)  # tfmot wraps layers
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(last, "activation", None), "__name__", "linear"))
