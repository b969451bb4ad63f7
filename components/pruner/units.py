"""Structured pruning: whole units and channels go, so that tensors shrink, and with them files and latency."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks import fine_tuning
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch
from farebox.components.pruner import channels
from farebox.components.pruner.groups import groups_of
from farebox.components.pruner.layers import copy_network
from farebox.components.pruner.magnitude import Task
from farebox.components.pruner.saliency import terms
from farebox.components.pruner.schedules import round_sparsity

Group = tuple[str, ...]  # names of layers that lose the same units


def by_units(task: Task) -> keras.Model:
    """A fine-tuned copy without the units and channels that matter least, after rounds of removal and fine-tuning."""
    settings, network = task.settings, copy_network(task.network)
    weights = {group: weights_by_unit(network, group) for group in chosen_groups(network, list(task.targets))}
    full = sum(weights[group] * _width(network, group) for group in weights)
    (final,) = set(task.targets.values())
    for number in range(1, settings.rounds + 1):
        keras.utils.set_random_seed(settings.seed)
        left = sum(weights[group] * _width(network, group) for group in weights)
        share = round_sparsity(0.0, final, number, settings.rounds)
        saliency = unit_saliency(network, list(weights), task.train, task.objective)
        network = smaller(network, saliency, weights, left - full * (1 - share))
        fine_tuning.fine_tune(
            network,
            task.train,
            task.evaluation,
            epochs=settings.ramp_epochs,
            learning_rate=settings.learning_rate,
            shuffle=task.shuffle,
            objective=task.objective,
            keep_best=number == settings.rounds,
        )
    return network


def chosen_layers(network: keras.Model, patterns: Sequence[str] | None) -> list[str]:
    """Names of the layers to shrink. Raises InputError if a pattern matches none, or there is none."""
    names = [name for group in groups_of(network) for name in group]
    for pattern in patterns or ():
        if not fnmatch.filter(names, pattern):
            raise InputError(f"pruner.layers: {pattern} must match a layer whose units can go, got none of {names}")
    chosen = [name for name in names if patterns is None or any(fnmatch.fnmatch(name, each) for each in patterns)]
    if not chosen:
        raise InputError("pruner.criterion=units must have a Dense or Conv layer before the last: the network has none")
    return chosen


def chosen_groups(network: keras.Model, names: Sequence[str]) -> list[Group]:
    """The groups of layers with one of the names: what is added to a layer loses the same units."""
    return [group for group in groups_of(network) if set(group) & set(names)]


def smaller(
    network: keras.Model,
    saliency: Mapping[Group, npt.NDArray[Any]],
    weights: Mapping[Group, int],
    n_weights: float,
) -> keras.Model:
    """The network without the units that matter least by weight, until about n_weights are gone; one a layer stays.

    saliency: by group of layers, of each unit, shape (units,). weights: that go with a unit, by group.
    """
    ranked = sorted(
        (float(value) / weights[group], group, unit)
        for group, values in saliency.items()
        for unit, value in enumerate(values)
    )
    removed: dict[Group, list[int]] = {group: [] for group in saliency}
    gone = 0
    for _, group, unit in ranked:
        if gone >= n_weights:
            break
        if len(removed[group]) < len(saliency[group]) - 1:
            removed[group].append(unit)
            gone += weights[group]
    return channels.without(
        network, {name: np.array(sorted(units), np.intp) for group, units in removed.items() for name in group}
    )


def weights_by_unit(network: keras.Model, group: Group) -> int:
    """Weights that go with a unit of a group of layers: their own, and those by which others read it."""
    first = np.zeros(1, np.intp)
    return int(network.count_params() - channels.without(network, dict.fromkeys(group, first)).count_params())


def _width(network: keras.Model, group: Group) -> int:
    return channels.units_of(network.get_layer(group[0]))


def unit_saliency(
    network: keras.Model, groups: Sequence[Group], batches: Iterable[Batch], objective: Objective
) -> dict[Group, npt.NDArray[Any]]:
    """The rise of the mean loss by unit, shape (units,), when what its readers see of it, in all layers of its group,
    becomes zero.

    Theis, Korshunova, Tejani, Huszár 2018, "Faster gaze prediction with dense networks and Fisher pruning", equation 8:
    h / 2 with h the second derivative by a factor of the unit, in the Gauss-Newton form of `saliency`.
    """
    ends = [[_end(network, network.get_layer(name)) for name in group] for group in groups]
    probes = keras.Model(network.inputs, [network.output, ends])

    def squares(columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            output, seen = probes(columns, training=False)
            weighted = terms(output, objective)
        return [
            tf.add_n([_by_unit(each, tape.gradient(term, each), weight) for weight, term in weighted]) for each in seen
        ]

    run = tf.function(squares, autograph=False)
    total, n_rows = {group: np.zeros(_width(network, group)) for group in groups}, 0
    for columns, label in batches:
        n_rows += len(label)
        for group, values in zip(groups, run({key: columns[key] for key in network.input_names}), strict=True):
            total[group] += values.numpy()
    return {group: sums / n_rows / 2 for group, sums in total.items()}


def _end(network: keras.Model, layer: keras.layers.Layer) -> Any:
    """The tensor in which readers of a layer see its units: behind its activations and normalization."""
    following = channels.readers(network, layer.output)
    while len(following) == 1 and channels.keeps_each(following[0]):
        layer = following[0]
        following = channels.readers(network, layer.output)
    return layer.output


def _by_unit(values: Sequence[tf.Tensor], slopes: Sequence[tf.Tensor], weight: tf.Tensor) -> tf.Tensor:
    """The sum over rows of the weighted square of d term / d factor, shape (units,); positions of a row, in all layers
    of a group, share one."""
    n_rows, units = tf.shape(values[0])[0], values[0].shape[-1]
    moved = [tf.reshape(each * slope, (n_rows, -1, units)) for each, slope in zip(values, slopes, strict=True)]
    by_row = tf.reduce_sum(tf.concat(moved, axis=1), axis=1)
    weights = tf.reduce_mean(tf.reshape(weight, (n_rows, -1)), axis=1, keepdims=True)
    return tf.reduce_sum(weights * by_row**2, axis=0)
