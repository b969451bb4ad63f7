"""The training loop: AdamW with warm-up and cosine, Huber loss on standardized fares, averaged weights.

Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; Huber 1964, "Robust Estimation of a Location
Parameter". A loop of our own, an epoch in one graph: Keras' fit spends 26 CPU seconds in AutoGraph before its first
step, and starting a step from Python takes longer than the arithmetic of a small network.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.modules import rows
from farebox.modules.settings import TrainingSettings
from farebox.modules.warm_start import begin_with

CLIP_NORM = 5.0


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """From 0 to `peak` over `warm_up` steps, then down to 0 at `steps` by half a cosine."""

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


def rmse_of(network: keras.Model, columns: dict[str, np.ndarray], fares: np.ndarray) -> Callable[..., float]:
    """A function of (mean, scale): RMSE of `mean + scale * output` over rows, with the weights of the moment."""
    inputs = {name: tf.constant(columns[name]) for name in network.input_names}
    run = tf.function(lambda: network(inputs, training=False), autograph=False)

    def rmse(mean: float = 0.0, scale: float = 1.0) -> float:
        predicted = mean + scale * run().numpy().reshape(-1).astype(np.float64)
        return rows.rmse(predicted, fares)

    return rmse


def fit(
    network: keras.Model,
    train: tuple[dict[str, np.ndarray], np.ndarray],
    evaluation: tuple[dict[str, np.ndarray], np.ndarray],
    settings: TrainingSettings,
    huber_delta: float = math.inf,
    base: keras.Model | None = None,
) -> dict[str, float]:
    """Fits in place; the averaged weights of the best eval epoch stay. The network's last layer is a linear Dense.

    base: a network that predicts fares, with whose weights to begin where they fit.

    train, evaluation: columns by name of shape (n, width), and targets or fares in the city's currency of shape (n,).
    huber_delta: in standard deviations of the targets; infinite for mean squared error.
    Returns parameters, epochs, the best epoch (0 for the weights to begin with) and its eval_rmse; with a base,
    begun_with, the share of weights that fitted.
    """
    n, batch = len(train[1]), settings.batch_size
    steps_per_epoch = math.ceil(n / batch)
    epochs = min(settings.epochs, math.ceil(settings.max_steps / steps_per_epoch))
    steps = epochs * steps_per_epoch
    mean, scale = float(train[1].mean()), float(train[1].std()) or 1.0
    begun = begin_with(network, base, mean, scale) if base else 0.0
    inputs = {name: tf.constant(train[0][name]) for name in network.input_names}
    targets = tf.constant(((train[1] - mean) / scale).astype(np.float32)[:, None])
    weights = network.trainable_variables
    optimizer = keras.optimizers.AdamW(
        Schedule(settings.learning_rate, round(settings.warm_up * steps), steps),
        weight_decay=settings.weight_decay,
        global_clipnorm=CLIP_NORM,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(weights)
    averages = [tf.Variable(weight, trainable=False) for weight in weights]
    window = max(settings.ema * steps, 1.0)

    def step(chosen: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            predicted = network({name: tf.gather(column, chosen) for name, column in inputs.items()}, training=True)
            error = tf.abs(predicted - tf.gather(targets, chosen))
            quadratic = tf.minimum(error, huber_delta)
            loss = tf.reduce_mean(quadratic * (error - 0.5 * quadratic))
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        done = tf.cast(optimizer.iterations, tf.float32)
        share = tf.maximum(1.0 / window, 1.0 / (done + 1.0))  # a plain mean until the window is full
        for average, weight in zip(averages, weights, strict=True):
            average.assign_add(share * (weight - average))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((n,), tf.int64)])
    def run_epoch(order: tf.Tensor) -> None:
        def body(first: tf.Tensor) -> tuple[tf.Tensor]:
            step(order[first : first + batch])
            return (first + batch,)

        tf.while_loop(lambda first: first < n, body, (tf.constant(0),), parallel_iterations=1)

    error = rmse_of(network, *evaluation)
    random = np.random.default_rng(settings.seed)
    best_rmse, best_epoch, best = error(mean, scale) if begun else math.inf, 0, network.get_weights()
    for epoch in range(1, epochs + 1):
        run_epoch(tf.constant(random.permutation(n)))
        current = network.get_weights()
        network.set_weights([average.numpy() for average in averages])
        reached = error(mean, scale)
        if reached < best_rmse:
            best_rmse, best_epoch, best = reached, epoch, network.get_weights()
        network.set_weights(current)
    network.set_weights(best)
    rescale(network, mean, scale)
    figures = {"parameters": network.count_params(), "epochs": epochs, "best_epoch": best_epoch, "eval_rmse": best_rmse}
    return {**figures, "begun_with": begun} if base else figures
