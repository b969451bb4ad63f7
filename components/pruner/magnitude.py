"""Pruning of the smallest weights during fine-tuning, by tfmot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import tf_keras as keras

from farebox.components.networks import fine_tuning
from farebox.components.networks.model_optimization import import_tfmot
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch
from farebox.components.pruner.layers import copy_network
from farebox.components.pruner.schedules import Ramp, ramp_of
from farebox.components.pruner.settings import PrunerSettings

Steps = dict[str, list[dict[str, float]]]  # by layer: {step, target, reached}


@dataclasses.dataclass(frozen=True)
class Task:
    """The input of a criterion: a network, which stays as it is, batches, and the final sparsity of each layer."""

    network: keras.Model
    train: Iterable[Batch]
    evaluation: Iterable[Batch]
    steps_per_epoch: int
    targets: Mapping[str, float]
    settings: PrunerSettings
    shuffle: np.random.RandomState
    objective: Objective


class StepRecorder(keras.callbacks.Callback):
    """Target and reached sparsity of every wrapped layer, at every step that changes its mask."""

    def __init__(self, ramps: Mapping[str, Ramp]) -> None:
        super().__init__()
        self.ramps, self.step = ramps, 0
        self.steps: Steps = {name: [] for name in ramps}

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Counts steps from 1 over all epochs, as tfmot does."""
        self.step += 1
        for name, ramp in self.ramps.items():
            if ramp.is_due(self.step):
                ((weight, mask, _),) = self.model.get_layer(f"prune_low_magnitude_{name}").pruning_vars
                reached = float(np.mean((weight * mask).numpy() == 0.0))
                self.steps[name].append({"step": self.step, "target": ramp.sparsity(self.step), "reached": reached})


def by_magnitude(task: Task) -> tuple[keras.Model, Steps]:
    """Returns a copy after ramp_epochs in which sparsity rose to `targets`, and the steps of the rise."""
    tfmot = import_tfmot()
    settings, n_steps = task.settings, task.settings.ramp_epochs * task.steps_per_epoch
    ramps = {name: ramp_of(settings, final, n_steps) for name, final in task.targets.items()}

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in ramps:
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(
            layer,
            pruning_schedule=ramps[layer.name].as_tfmot(),
            block_size=tuple(settings.block_size),
            sparsity_m_by_n=(2, 4) if settings.sparsity_2_by_4 else None,
        )

    keras.utils.set_random_seed(settings.seed)
    wrapped, recorder = copy_network(task.network, wrap), StepRecorder(ramps)
    callbacks = (tfmot.sparsity.keras.UpdatePruningStep(), recorder)
    fine_tuning.fine_tune(
        wrapped,
        task.train,
        task.evaluation,
        epochs=settings.ramp_epochs,
        learning_rate=settings.learning_rate,
        shuffle=task.shuffle,
        objective=task.objective,
        callbacks=callbacks,
        keep_best=False,
    )
    return copy_network(tfmot.sparsity.keras.strip_pruning(wrapped)), recorder.steps
