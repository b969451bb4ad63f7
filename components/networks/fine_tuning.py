"""Fine-tuning a network after it was changed: shared by PcaReducer, Pruner and Quantizer.

A loop of our own over rows in memory, an epoch in one graph: Keras' `fit` takes longer over AutoGraph and over each
step than over the arithmetic of a small network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch, Rows, in_memory

EVAL_ROWS = 1 << 15  # predicted at once


def imitating(batches: Iterable[Batch], source: keras.Model) -> Rows:
    """The same rows, labelled by what the source network predicts.

    A changed network that learns from its source keeps what the source was taught (Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network"); the fares would lead it back to their noise.
    """
    rows = in_memory(batches)
    return dataclasses.replace(rows, labels=_predictions(source)(rows))


def fine_tune(
    network: keras.Model,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    epochs: int,
    learning_rate: float,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start_error: float = math.inf,
    keep_best: bool = True,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Eval error of the best epoch, whose weights `network` keeps; its own weights where no epoch beats `start_error`.

    train: labelled as the network's output is, `imitating` does so; evaluation: as the examples are. keep_best: False
    keeps the last epoch instead. Mean squared error or cross-entropy, Adam. Rows are shuffled anew for each epoch, by
    numpy's global generator: `keras.utils.set_random_seed` makes it repeatable. Callbacks see batches, epochs and
    `val_error`, as of Keras' `fit`; after_step, in TensorFlow's ops, is cheaper, as a part of the graph.
    """
    rows, held, objective = in_memory(train), in_memory(evaluation), objective_of(network)
    network.compile(keras.optimizers.Adam(learning_rate), loss=objective.loss)  # callbacks look for the optimizer
    step, predict = _training_step(network, rows, objective, after_step), _predictions(network)
    run_epoch = _in_batches(step, rows)
    listeners = keras.callbacks.CallbackList(list(callbacks), model=network)
    best_error, best, reached = start_error, network.get_weights(), math.inf
    listeners.on_train_begin()
    for epoch in range(epochs):
        listeners.on_epoch_begin(epoch)
        order = np.random.permutation(len(rows))
        if callbacks:
            for number, first in enumerate(range(0, len(rows), rows.batch_size)):
                listeners.on_train_batch_begin(number)
                step(tf.constant(order[first : first + rows.batch_size]))
                listeners.on_train_batch_end(number)
        else:
            run_epoch(tf.constant(order))
        error = objective.running()
        error.update(predict(held), held.labels)
        reached = error.error
        if reached < best_error:
            best_error, best = reached, network.get_weights()
        listeners.on_epoch_end(epoch, {"val_error": reached})
    listeners.on_train_end()
    if not keep_best:
        return reached
    network.set_weights(best)
    return best_error


def _training_step(
    network: keras.Model, rows: Rows, objective: Objective, after_step: Callable[[], None]
) -> Callable[[tf.Tensor], None]:
    """Places of rows, shape (batch,) -> a step of the network's optimizer over them."""
    columns = {name: tf.constant(rows.columns[name]) for name in network.input_names}
    targets, loss, weights = tf.constant(rows.labels), keras.losses.get(objective.loss), network.trainable_variables
    network.optimizer.build(weights)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.int64)])
    def step(chosen: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            predicted = network({name: tf.gather(column, chosen) for name, column in columns.items()}, training=True)
            total = tf.add_n([tf.reduce_mean(loss(tf.gather(targets, chosen), predicted)), *network.losses])
        network.optimizer.apply_gradients(zip(tape.gradient(total, weights), weights, strict=True))
        after_step()

    return step


def _in_batches(step: Callable[[tf.Tensor], None], rows: Rows) -> Callable[[tf.Tensor], None]:
    """Places of all rows, in the order in which they are to be seen -> the steps over them."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((len(rows),), tf.int64)])
    def run_epoch(order: tf.Tensor) -> None:
        def body(first: tf.Tensor) -> tuple[tf.Tensor]:
            step(order[first : first + rows.batch_size])
            return (first + rows.batch_size,)

        tf.while_loop(lambda first: first < len(rows), body, (tf.constant(0),), parallel_iterations=1)

    return run_epoch


def _predictions(network: keras.Model) -> Callable[[Rows], np.ndarray]:
    """Rows -> what the network, with its weights of the moment, makes of them."""
    run = tf.function(lambda columns: network(columns, training=False), autograph=False, reduce_retracing=True)

    def predict(rows: Rows) -> np.ndarray:
        columns = {name: rows.columns[name] for name in network.input_names}
        parts = [slice(first, first + EVAL_ROWS) for first in range(0, len(rows), EVAL_ROWS)]
        return np.concatenate(
            [run({name: tf.constant(values[part]) for name, values in columns.items()}).numpy() for part in parts]
        )

    return predict
