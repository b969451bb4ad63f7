"""Fine-tuning of a changed network: shared by PcaReducer, Pruner and Quantizer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks import training_loop
from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch, Rows, in_memory

EVAL_ROWS = 1 << 15  # predicted at once


def imitating(batches: Iterable[Batch], source: keras.Model, objective: Objective | None = None) -> Rows:
    """The same rows, labelled with the source network's predictions.

    A changed network that learns from its source keeps what the source was taught (Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network"); the fares would lead it back to their noise.
    """
    rows = in_memory(batches)
    targets = (objective or objective_of(source)).targets
    return dataclasses.replace(rows, labels=targets(predictions_of(source)(rows)))


def fine_tune(
    network: keras.Model,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    *,
    epochs: int,
    learning_rate: float,
    shuffle: training_loop.Shuffle,
    objective: Objective | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start_error: float = math.inf,
    keep_best: bool = True,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Trains in place by Adam, and returns the eval error of the weights that the network keeps.

    Those are the best epoch's, or its own if no epoch is below `start_error`; keep_best, after_step and callbacks as
    in `training_loop.train`. objective: loss and eval error, by default as the network's last layer says.

    train: labelled with what the network should predict, as by `imitating`; evaluation: with the examples' own labels.
    """
    rows, objective = in_memory(evaluation), objective or objective_of(network)
    predict = predictions_of(network)

    def eval_error() -> float:
        error = objective.running()
        error.update(predict(rows), rows.labels)
        return error.error

    network.compile(keras.optimizers.Adam(learning_rate), loss=objective.loss_name)  # callbacks look for the optimizer
    kept = training_loop.train(
        network,
        in_memory(train),
        loss=objective.loss,
        optimizer=network.optimizer,
        epochs=epochs,
        shuffle=shuffle,
        eval_error=eval_error,
        after_step=after_step,
        start_error=start_error,
        keep_best=keep_best,
        callbacks=callbacks,
    )
    return kept.eval_error


def predictions_of(network: keras.Model) -> Callable[[Rows], npt.NDArray[Any]]:
    """Rows -> predictions of the network, with the weights that it has when called."""
    run = tf.function(lambda columns: network(columns, training=False), autograph=False, reduce_retracing=True)

    def predict(rows: Rows) -> npt.NDArray[Any]:
        columns = {name: rows.columns[name] for name in network.input_names}
        parts = [slice(first, first + EVAL_ROWS) for first in range(0, len(rows), EVAL_ROWS)]
        return np.concatenate(
            [run({name: tf.constant(values[part]) for name, values in columns.items()}).numpy() for part in parts]
        )

    return predict
