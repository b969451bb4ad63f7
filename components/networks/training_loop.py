"""The one training loop, of Trainer and of fine-tuning: shuffled epochs over rows in memory, judged on eval.

An own loop with an epoch in one graph: Keras' `fit` spends 26 CPU seconds in AutoGraph before its first step, and
starting a step from Python takes longer than the arithmetic of a small network.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.files import progress
from farebox.components.networks.rows import Rows

Shuffle = np.random.Generator | np.random.RandomState
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Step = Callable[[tf.Tensor], None]
Weights = Sequence[npt.NDArray[Any]]

_INDICES = tf.TensorSpec((None,), tf.int64)


@dataclasses.dataclass(frozen=True)
class Epoch:
    """number: from 1, or 0 before the first epoch; eval_error: of `weights`, all that the network then has."""

    number: int
    eval_error: float
    weights: Weights


def train(
    network: keras.Model,
    rows: Rows,
    *,
    loss: Loss,
    optimizer: keras.optimizers.Optimizer,
    epochs: int,
    shuffle: Shuffle,
    eval_error: Callable[[], float],
    after_step: Callable[[], None] = lambda: None,
    averages: Sequence[tf.Variable] | None = None,
    start_error: float = math.inf,
    keep_best: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Epoch:
    """Trains in place, and returns the epoch whose weights the network keeps.

    That is the epoch with the least eval error, or number 0, the weights from before, if no epoch is below
    `start_error`. keep_best: False keeps the last epoch instead.

    loss: (labels, predictions) of a batch -> errors, of which the mean is minimized, plus what layers add.
    shuffle: orders the rows anew for each epoch. eval_error: judges the weights that the network has when it is called.
    after_step: TensorFlow's ops after each step, a part of the graph. averages: judged and kept in place of the
    trainable weights, if there are any. callbacks: see batches, epochs and `val_error` as in Keras' `fit`, which takes
    a graph per step; after_step is cheaper.
    """
    optimizer.build(network.trainable_variables)
    step = _training_step(network, rows, loss, optimizer, after_step)
    listeners = keras.callbacks.CallbackList(list(callbacks), model=network)
    run_epoch = _step_by_step(step, rows, listeners) if callbacks else _in_one_graph(step, rows)
    best = last = Epoch(0, start_error, network.get_weights())
    listeners.on_train_begin()
    for number in range(1, epochs + 1):
        listeners.on_epoch_begin(number - 1)
        run_epoch(tf.constant(shuffle.permutation(len(rows))))
        with _weights_to_judge(network, averages):
            last = Epoch(number, eval_error(), network.get_weights())
        best = last if last.eval_error < best.eval_error else best
        listeners.on_epoch_end(number - 1, {"val_error": last.eval_error})
        progress.step("epoch", number, epochs)
    listeners.on_train_end()
    if not keep_best:
        return last
    network.set_weights(best.weights)
    return best


def _training_step(
    network: keras.Model,
    rows: Rows,
    loss: Loss,
    optimizer: keras.optimizers.Optimizer,
    after_step: Callable[[], None],
) -> Step:
    """Indices of rows, shape (batch,) -> a step of the optimizer over them."""
    columns = {name: tf.constant(rows.columns[name]) for name in network.input_names}
    labels, weights = tf.constant(rows.labels), network.trainable_variables

    def step(chosen: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            predicted = network({name: tf.gather(column, chosen) for name, column in columns.items()}, training=True)
            total = tf.add_n([tf.reduce_mean(loss(tf.gather(labels, chosen), predicted)), *network.losses])
        optimizer.apply_gradients(zip(tape.gradient(total, weights), weights, strict=True))
        after_step()

    return step


def _in_one_graph(step: Step, rows: Rows) -> Step:
    """Indices of all rows, in the order to see them -> the steps over them."""
    n_rows, batch_size = len(rows), rows.batch_size

    def run_epoch(order: tf.Tensor) -> None:
        def body(first: tf.Tensor) -> tuple[tf.Tensor]:
            step(order[first : first + batch_size])
            return (first + batch_size,)

        tf.while_loop(lambda first: first < n_rows, body, (tf.constant(0),), parallel_iterations=1)

    graph: Step = tf.function(run_epoch, autograph=False, input_signature=[_INDICES])
    return graph


def _step_by_step(step: Step, rows: Rows, listeners: keras.callbacks.CallbackList) -> Step:
    """The same with a call of the listeners before and after each step."""
    run_step = tf.function(step, autograph=False, input_signature=[_INDICES])

    def run_epoch(order: tf.Tensor) -> None:
        for number, first in enumerate(range(0, len(rows), rows.batch_size)):
            listeners.on_train_batch_begin(number)
            run_step(order[first : first + rows.batch_size])
            listeners.on_train_batch_end(number)

    return run_epoch


@contextlib.contextmanager
def _weights_to_judge(network: keras.Model, averages: Sequence[tf.Variable] | None) -> Iterator[None]:
    """Within it the network has the averages for weights; without averages its own."""
    if averages is None:
        yield
        return
    current = network.get_weights()
    network.set_weights([average.numpy() for average in averages])
    yield
    network.set_weights(current)
