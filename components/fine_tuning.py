"""Fine-tuning a network after it was changed: shared by PcaReducer, Pruner and Quantizer."""

from __future__ import annotations

import math

import tensorflow as tf
import tf_keras as keras

from components.objective import objective_of


def imitating(batches: tf.data.Dataset, source: keras.Model) -> tf.data.Dataset:
    """The same batches, labelled by what the source network predicts.

    A changed network that learns from its source keeps what the source was taught (Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network"); the fares would lead it back to their noise.
    """

    @tf.autograph.experimental.do_not_convert
    def relabel(columns: dict[str, tf.Tensor], _: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return columns, source({name: columns[name] for name in source.input_names}, training=False)

    return batches.map(relabel)


def fine_tune(
    network: keras.Model,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    epochs: int,
    learning_rate: float,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    start_error: float = math.inf,
    keep_best: bool = True,
) -> float:
    """Eval error of the best epoch, whose weights `network` keeps; its own weights where no epoch beats `start_error`.

    train: labelled as the network's output is, `imitating` does so; evaluation: as the examples are. keep_best: False
    keeps the last epoch instead. Mean squared error or cross-entropy, Adam.
    """
    objective = objective_of(network)
    evaluation = evaluation.map(lambda columns, label: (columns, objective.targets(label)))
    network.compile(keras.optimizers.Adam(learning_rate), loss=objective.loss, metrics=[objective.keras_metric()])
    # what Keras wrote needs no AutoGraph, which takes longer over it than a short fit
    network.train_step = tf.autograph.experimental.do_not_convert(network.train_step)
    network.test_step = tf.autograph.experimental.do_not_convert(network.test_step)
    start = network.get_weights()
    best = keras.callbacks.EarlyStopping("val_error", mode="min", patience=epochs + 1, restore_best_weights=True)
    # EarlyStopping goes back to its best epoch at the end of every fit, not only where it stops early
    kept = (best, *callbacks) if keep_best else callbacks
    history = network.fit(train, validation_data=evaluation, epochs=epochs, callbacks=list(kept), verbose=0)
    reached = min(history.history["val_error"])
    if not keep_best:
        return history.history["val_error"][-1]
    network.set_weights(best.best_weights if reached < start_error else start)
    return min(reached, start_error)
