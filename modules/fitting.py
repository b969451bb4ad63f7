"""How the fare network is trained: AdamW with warm-up and cosine, Huber loss on standardized fares, averaged weights.

Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; Huber 1964, "Robust Estimation of a Location
Parameter". The loop itself is `components.networks.training_loop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks import training_loop
from farebox.components.networks.errors import rmse
from farebox.components.networks.rows import Rows
from farebox.modules.settings import TrainingSettings

CLIP_NORM = 5.0


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate from 0 to `peak` over `warm_up` steps, then down to 0 at `steps` by half a cosine."""

    def __init__(self, peak: float, warm_up: int, steps: int) -> None:
        self.peak, self.warm_up, self.steps = peak, warm_up, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(step, tf.float32) + 1.0
        rising = done / max(self.warm_up, 1)
        falling = (done - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.peak * tf.minimum(rising, 0.5 + 0.5 * tf.cos(math.pi * tf.clip_by_value(falling, 0.0, 1.0)))


def rescale(network: keras.Model, mean: float, scale: float) -> None:
    """Folds `mean + scale * output` into the last Dense layer, in place."""
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([kernel * scale, bias * scale + mean])


def warm_start(network: keras.Model, base: keras.Model, mean: float, scale: float) -> float:
    """Copies, in place, the weights of base layers with the same name and shapes; returns the share of weights copied.

    mean, scale: the network's targets are (fare - mean) / scale and `base` predicts fares, so the copy of the last
    layer is changed to predict such targets.
    """
    base_weights = {layer.name: layer.get_weights() for layer in base.layers}
    last, n_copied = network.layers[-1].name, 0
    for layer in network.layers:
        weights = base_weights.get(layer.name, [])
        if weights and [each.shape for each in weights] == [each.shape for each in layer.get_weights()]:
            if layer.name == last:
                kernel, bias = weights
                weights = [kernel / scale, (bias - mean) / scale]
            layer.set_weights(weights)
            n_copied += layer.count_params()
    return float(n_copied / network.count_params())


def rmse_of(network: keras.Model, rows: Rows) -> Callable[..., float]:
    """A function of (mean, scale): RMSE of `mean + scale * output` over rows, with the network's present weights."""
    inputs = {name: tf.constant(rows.columns[name]) for name in network.input_names}
    run = tf.function(lambda: network(inputs, training=False), autograph=False)

    def rmse_in_fares(mean: float = 0.0, scale: float = 1.0) -> float:
        return rmse(mean + scale * run().numpy().reshape(-1).astype(np.float64), rows.labels)

    return rmse_in_fares


def squared_errors(network: keras.Model, rows: Rows) -> npt.NDArray[np.float64]:
    """Squared error of each row, shape (n,)."""
    inputs = {name: tf.constant(rows.columns[name]) for name in network.input_names}
    predicted = tf.function(lambda: network(inputs, training=False), autograph=False)().numpy()
    return np.asarray((predicted.reshape(-1).astype(np.float64) - rows.labels) ** 2)


def huber_loss(delta: float) -> training_loop.Loss:
    """The Huber loss by element, quadratic up to `delta`; half the squared error if it is infinite."""

    def loss(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        error = tf.abs(predictions - targets)
        quadratic = tf.minimum(error, delta)
        return quadratic * (error - 0.5 * quadratic)

    return loss


def update_averages(
    averages: Sequence[tf.Variable], weights: Sequence[tf.Variable], n_steps: tf.Tensor, window: float
) -> None:
    """Moves exponential averages, over a window of steps, towards the weights; a plain mean until the window is full.

    n_steps: steps so far, from 1.
    """
    done = tf.cast(n_steps, tf.float32)
    share = tf.maximum(1.0 / window, 1.0 / (done + 1.0))
    for average, weight in zip(averages, weights, strict=True):
        average.assign_add(share * (weight - average))


def fit(
    network: keras.Model,
    train: Rows,
    evaluation: Rows,
    settings: TrainingSettings,
    *,
    huber_delta: float = math.inf,
    base: keras.Model | None = None,
) -> dict[str, Any]:
    """Fits in place; the averaged weights of the best eval epoch stay. The network's last layer is a linear Dense.

    train, evaluation: labelled with targets or fares in the city's currency, float64 of shape (n,).
    huber_delta: in standard deviations of the targets; infinite for mean squared error.
    base: a network that predicts fares, whose weights are the initial ones of layers that have the same shapes.

    Returns parameters, epochs, the best epoch (0 for the initial weights) and its eval_rmse, and the curve: eval RMSE
    after each epoch; with a base also begun_with, the share of weights copied.
    """
    steps_per_epoch = math.ceil(len(train) / settings.batch_size)
    epochs = min(settings.epochs, math.ceil(settings.max_steps / steps_per_epoch))
    steps = epochs * steps_per_epoch
    mean, scale = float(train.labels.mean()), float(train.labels.std()) or 1.0
    share_copied = warm_start(network, base, mean, scale) if base else 0.0
    targets = ((train.labels - mean) / scale).astype(np.float32)[:, None]
    weights = network.trainable_variables
    averages = [tf.Variable(weight, trainable=False) for weight in weights]
    optimizer = keras.optimizers.AdamW(
        Schedule(settings.learning_rate, round(settings.warm_up * steps), steps),
        weight_decay=settings.weight_decay,
        global_clipnorm=CLIP_NORM,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    window, eval_rmse = max(settings.ema * steps, 1.0), rmse_of(network, evaluation)
    curve: list[float] = []

    def eval_error() -> float:
        curve.append(eval_rmse(mean, scale))
        return curve[-1]

    best = training_loop.train(
        network,
        Rows(train.columns, targets, settings.batch_size),
        loss=huber_loss(huber_delta),
        optimizer=optimizer,
        epochs=epochs,
        shuffle=np.random.default_rng(settings.seed),
        eval_error=eval_error,
        after_step=lambda: update_averages(averages, weights, optimizer.iterations, window),
        averages=averages,
        start_error=eval_rmse(mean, scale) if share_copied else math.inf,
    )
    rescale(network, mean, scale)
    figures = {
        "parameters": network.count_params(),
        "epochs": epochs,
        "best_epoch": best.number,
        "eval_rmse": best.eval_error,
        "curve": curve,
    }
    return {**figures, "begun_with": share_copied} if base else figures
