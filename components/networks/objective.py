"""The loss that a network is fine-tuned by and the metric that judges it; both follow from its last layer."""

from __future__ import annotations

import dataclasses
import math

import tf_keras as keras

from farebox.components.networks.errors import RunningDivergence, RunningError, RunningLogLoss


@dataclasses.dataclass(frozen=True)
class Objective:
    """metric: `rmse`, or `log_loss` in nats; loss: as Keras names it; n_classes: 0 for numbers."""

    metric: str
    loss: str
    n_classes: int = 0

    @property
    def is_one_hot(self) -> bool:
        return self.loss == "categorical_crossentropy"

    def running(self) -> RunningError | RunningLogLoss:
        """A new sum of errors over batches."""
        return RunningLogLoss() if self.n_classes else RunningError()

    def running_departure(self) -> RunningError | RunningDivergence:
        """A new sum of how far predictions depart from another network's."""
        return RunningDivergence() if self.n_classes else RunningError()

    def with_departure(self, error: float, departure: float) -> float:
        """Expected error of a network whose predictions depart from those of one with this error.

        The departure is taken to be independent of the error: mean((e + d)^2) is mean(e^2) + mean(d^2), and divergence
        adds to log loss.
        """
        return error + departure if self.n_classes else math.hypot(error, departure)


NUMBERS = Objective("rmse", "mse")


def objective_of(network: keras.Model) -> Objective:
    """RMSE for a linear last layer; log loss for sigmoid (one unit, class ids 0 and 1) and softmax (class ids).

    Raises ValueError if the network has several outputs.
    """
    if len(network.outputs) != 1:
        raise ValueError(f"{network.name}: outputs={network.output_names} must be one")
    last = network.output.node.layer
    last = getattr(last, "layer", last)  # tfmot wraps layers
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if activation == "softmax" or isinstance(last, keras.layers.Softmax):
        return Objective("log_loss", "categorical_crossentropy", int(network.output.shape[-1]))
    if activation == "sigmoid" and network.output.shape[-1] == 1:
        return Objective("log_loss", "binary_crossentropy", 2)
    return NUMBERS
