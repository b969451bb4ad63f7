"""Zeros that cost nothing, then zeros that are trained for: unused embedding rows, and tfmot's magnitude pruning.

Zhu and Gupta 2017, "To prune, or not to prune", equation 1: sparsity ramps polynomially (cubic) to its final value.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from components import fine_tuning
from components.pruner.settings import PrunerSettings


def copy_network(
    network: keras.Model, wrap: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None
) -> keras.Model:
    """A network with the same weights and layers of its own; tfmot's wrappers share layers with what they wrap."""
    plain = keras.models.clone_model(network)
    plain.set_weights(network.get_weights())
    return keras.models.clone_model(plain, clone_function=wrap) if wrap else plain


def embeddings_of(network: keras.Model) -> list[keras.layers.Embedding]:
    """The embedding layers of a network."""
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]


def trained_rows(network: keras.Model, batches: tf.data.Dataset) -> tuple[dict[str, np.ndarray], int]:
    """Which rows of each embedding occur in the batches (bool, shape (input_dim,)), and how many batches there are."""
    embeddings = embeddings_of(network)
    seen = {layer.name: np.zeros(layer.input_dim, bool) for layer in embeddings}
    ids = tf.function(keras.Model(network.inputs, {layer.name: layer.input for layer in embeddings}))
    n_batches = 0
    for columns, _ in batches:
        n_batches += 1
        if embeddings:
            for name, values in ids({key: columns[key] for key in network.input_names}).items():
                seen[name][values.numpy().reshape(-1)] = True
    return seen, n_batches


def zero_rows(network: keras.Model, trained: dict[str, np.ndarray]) -> None:
    """Zeroes, in place, the embedding rows that no training row ever used: they hold nothing learned."""
    for name, rows in trained.items():
        table = network.get_layer(name).get_weights()[0]
        network.get_layer(name).set_weights([np.where(rows[:, None], table, 0.0)])


def pruned_layers(network: keras.Model, patterns: tuple[str, ...]) -> list[str]:
    """Names of the Dense layers that match. Raises ValueError where none does."""
    dense = [layer.name for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    chosen = [name for name in dense if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not chosen:
        raise ValueError(f"pruner.layers={list(patterns)} must match a Dense layer, got none of {dense}")
    return chosen


def sparsity(network: keras.Model) -> dict[str, float]:
    """The fraction of zeros in every kernel and embedding table, by layer."""
    return {
        layer.name: float(np.mean(layer.get_weights()[0] == 0.0))
        for layer in network.layers
        if isinstance(layer, (keras.layers.Dense, keras.layers.Embedding))
    }


def total_sparsity(network: keras.Model) -> float:
    """The fraction of zeros in all weights."""
    weights = network.get_weights()
    return sum(int(np.sum(weight == 0.0)) for weight in weights) / sum(weight.size for weight in weights)


def assert_reached(network: keras.Model, layers: list[str], target: float) -> None:
    """Raises RuntimeError where a layer is less sparse than asked: in short runs tfmot silently prunes nothing."""
    for name in layers:
        kernel = network.get_layer(name).get_weights()[0]
        zeros = int(np.sum(kernel == 0.0))
        if zeros < int(target * kernel.size):
            raise RuntimeError(
                f"Pruner: {name} has {zeros} zeros of {kernel.size}, must have {int(target * kernel.size)}"
            )


def prune(
    network: keras.Model,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    steps_per_epoch: int,
    settings: PrunerSettings,
) -> tuple[keras.Model, float]:
    """A pruned, fine-tuned copy and its eval error; `network` stays as it is."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow_model_optimization as tfmot

    chosen = pruned_layers(network, settings.layers)
    end_step = max(settings.ramp_epochs * steps_per_epoch, 1)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=settings.initial_sparsity,
        final_sparsity=settings.final_sparsity,
        begin_step=0,
        end_step=end_step,
        frequency=max(1, min(100, end_step // 20)),  # tfmot's default of 100 never fires in a short run
    )

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in chosen:
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

    keras.utils.set_random_seed(settings.seed)
    wrapped = copy_network(network, wrap)
    step = (tfmot.sparsity.keras.UpdatePruningStep(),)
    fine_tuning.fine_tune(
        wrapped, train, evaluation, settings.ramp_epochs, settings.learning_rate, step, keep_best=False
    )
    error = fine_tuning.fine_tune(wrapped, train, evaluation, settings.recover_epochs, settings.learning_rate, step)
    pruned = copy_network(tfmot.sparsity.keras.strip_pruning(wrapped))
    assert_reached(pruned, chosen, settings.final_sparsity)
    return pruned, error
