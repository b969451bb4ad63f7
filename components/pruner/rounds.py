"""Pruning in rounds with masks of our own: by saliency, and as lottery tickets."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.networks import fine_tuning
from farebox.components.pruner import masks as masking
from farebox.components.pruner.layers import apply_masks, copy_network, matrix
from farebox.components.pruner.magnitude import Steps, Task
from farebox.components.pruner.saliency import saliency
from farebox.components.pruner.schedules import round_sparsity

Masks = dict[str, npt.NDArray[Any]]


class Rounds:
    """The common part of both criteria: the next masks, fine-tuning under them, and the record of both."""

    def __init__(self, task: Task, network: keras.Model) -> None:
        self.task, self.settings, self.network = task, task.settings, network
        self.masks: Masks = {name: np.ones(matrix(network, name).shape, bool) for name in task.targets}
        self.steps: Steps = {name: [] for name in task.targets}
        self.step = 0

    def fit(self) -> None:
        """ramp_epochs of fine-tuning under the masks so far."""
        epochs, hold = self.settings.ramp_epochs, functools.partial(apply_masks, self.network, dict(self.masks))
        train, evaluation = self.task.train, self.task.evaluation
        fine_tuning.fine_tune(
            self.network,
            train,
            evaluation,
            epochs=epochs,
            learning_rate=self.settings.learning_rate,
            shuffle=self.task.shuffle,
            objective=self.task.objective,
            keep_best=False,
            after_step=hold,
        )
        self.step += epochs * self.task.steps_per_epoch

    def prune(self, scores: Mapping[str, npt.NDArray[Any]], number: int) -> None:
        """Zeroes the weights with the lowest scores, up to the round's sparsity; earlier zeros stay."""
        for name, final in self.task.targets.items():
            target = round_sparsity(self.settings.initial_sparsity, final, number, self.settings.rounds)
            left = np.where(self.masks[name], scores[name], -1.0)
            if self.settings.sparsity_2_by_4:
                target, self.masks[name] = final, masking.two_of_four(left)
            else:
                self.masks[name] = masking.largest(left, target, self.settings.block_size)
            reached = float(np.mean(~self.masks[name]))
            self.steps[name].append({"step": self.step, "target": target, "reached": reached})
        apply_masks(self.network, self.masks)


def by_saliency(task: Task) -> tuple[keras.Model, Steps]:
    """A copy without the weights that matter least, after rounds of pruning and fine-tuning."""
    keras.utils.set_random_seed(task.settings.seed)
    rounds = Rounds(task, copy_network(task.network))
    for number in range(1, task.settings.rounds + 1):
        rounds.prune(saliency(rounds.network, list(task.targets), task.train, task.objective), number)
        rounds.fit()
    return rounds.network, rounds.steps


def by_lottery(task: Task) -> tuple[keras.Model, Steps]:
    """The winning ticket: initial weights under the masks that rounds of training from them gave.

    Frankle and Carbin 2019, "The Lottery Ticket Hypothesis". A Model artifact holds trained weights only, so the
    initial ones are drawn anew from the network's initializers.
    """
    fresh = initialized(task.network, task.settings.seed)
    initial = fresh.get_weights()
    rounds = Rounds(task, fresh)
    for number in range(1, task.settings.rounds + 1):
        rounds.fit()
        trained = {name: np.abs(matrix(fresh, name)) for name in task.targets}
        fresh.set_weights(initial)
        rounds.prune(trained, number)
    return fresh, rounds.steps


def initialized(network: keras.Model, seed: int) -> keras.Model:
    """A copy with trainable weights drawn by its initializers; weights that are adapted, not trained, stay."""
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(network)
    for mine, other in zip(fresh.non_trainable_weights, network.non_trainable_weights, strict=True):
        mine.assign(other)
    return fresh
