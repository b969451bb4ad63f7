"""Makes a trained network sparse: a criterion chooses the zeros, fine-tuning recovers what they cost."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks import fine_tuning
from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch
from farebox.components.pruner import layers, ranks, units
from farebox.components.pruner import masks as masking
from farebox.components.pruner.clustering import cluster
from farebox.components.pruner.magnitude import Steps, Task, by_magnitude
from farebox.components.pruner.rounds import by_lottery, by_saliency
from farebox.components.pruner.settings import LOW_RANK, UNITS, PrunerSettings

CRITERIA = {"magnitude": by_magnitude, "saliency": by_saliency, "lottery_ticket": by_lottery}
STRUCTURES = {UNITS: (units.chosen_layers, units.by_units), LOW_RANK: (ranks.chosen_layers, ranks.by_rank)}


@dataclasses.dataclass(frozen=True)
class Pruned:
    """masks: True where a weight of a pruned layer is kept; steps: by layer, a {step, target, reached} per change."""

    network: keras.Model
    masks: dict[str, npt.NDArray[Any]]
    steps: Steps


def prune(
    network: keras.Model,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    steps_per_epoch: int,
    settings: PrunerSettings,
    *,
    sparsity: float | None = None,
    objective: Objective | None = None,
) -> Pruned:
    """A pruned, fine-tuned copy; `network` stays as it is. sparsity: the final one if the settings leave it open.

    objective: by default as the network's last layer says.

    Raises InputError if the settings do not fit the network, RuntimeError if the sparsity was not reached.
    """
    objective = objective or objective_of(network)
    shuffle = np.random.RandomState(settings.seed)
    if settings.criterion in STRUCTURES:
        chosen_layers, by_structure = STRUCTURES[settings.criterion]
        share = settings.final_sparsity if sparsity is None else sparsity
        targets = dict.fromkeys(chosen_layers(network, settings.layers), float(share))  # type: ignore[arg-type]
        task = Task(network, train, evaluation, steps_per_epoch, targets, settings, shuffle, objective)
        return Pruned(by_structure(task), {}, {})
    targets = layers.targets_of(network, settings, sparsity)
    for name, target in targets.items():
        check_layer(name, layers.matrix(network, name), target, settings)
    task = Task(network, train, evaluation, steps_per_epoch, targets, settings, shuffle, objective)
    sparse, steps = CRITERIA[settings.criterion](task)
    masks = {name: layers.matrix(sparse, name) != 0.0 for name in targets}
    assert_reached(masks, targets, settings)
    hold = functools.partial(layers.apply_masks, sparse, masks)
    fine_tuning.fine_tune(
        sparse,
        train,
        evaluation,
        epochs=settings.recover_epochs,
        learning_rate=settings.learning_rate,
        shuffle=shuffle,
        objective=objective,
        after_step=hold,
    )
    if settings.clusters is not None:
        sparse = cluster(sparse, masks, train, evaluation, settings, objective=objective, n_clusters=settings.clusters)
        masks = {name: layers.matrix(sparse, name) != 0.0 for name in targets}  # small weights join the cluster at 0
    return Pruned(sparse, masks, steps)


def check_layer(name: str, matrix: npt.NDArray[Any], target: float, settings: PrunerSettings) -> None:
    """Raises InputError, before anything is trained, if a layer cannot be pruned or clustered with the settings."""
    masking.check_shape(name, matrix.shape, settings.block_size, settings.sparsity_2_by_4)
    n_kept = masking.n_kept(matrix.size, target)
    if settings.clusters is not None and settings.clusters > n_kept:
        raise InputError(f"pruner.clusters={settings.clusters} must be at most {n_kept}, the weights that {name} keeps")


def assert_reached(
    masks: Mapping[str, npt.NDArray[Any]], targets: Mapping[str, float], settings: PrunerSettings
) -> None:
    """Raises RuntimeError if a layer misses its target sparsity: in short runs tfmot silently prunes nothing."""
    height, width = settings.block_size
    unit = "zeros" if height * width == 1 else f"zero blocks of {height}x{width}"
    for name, target in targets.items():
        size = masks[name].size // (height * width)
        n_zero, wanted = masking.zero_blocks(masks[name], settings.block_size), size - masking.n_kept(size, target)
        if n_zero < wanted:
            raise RuntimeError(f"Pruner: {name} has {n_zero} {unit} of {size}, must have {wanted}")
