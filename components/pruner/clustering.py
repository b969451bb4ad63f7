"""Weight clustering by tfmot: few distinct values per kernel compress well; the zeros of pruning stay.

Han, Mao, Dally 2016, "Deep Compression", section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.networks import fine_tuning
from farebox.components.networks.model_optimization import import_tfmot
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch
from farebox.components.pruner.layers import copy_network, matrix
from farebox.components.pruner.settings import PrunerSettings


def cluster(
    network: keras.Model,
    masks: Mapping[str, npt.NDArray[np.bool_]],
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    settings: PrunerSettings,
    *,
    objective: Objective,
    n_clusters: int,
) -> keras.Model:
    """Returns a fine-tuned copy whose masked layers have at most n_clusters values each, 0 where the mask is False."""
    tfmot = import_tfmot()
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in masks:
            return layer
        return cluster_weights(  # the public function does not keep zeros
            layer,
            number_of_clusters=n_clusters,
            cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=True,
        )

    keras.utils.set_random_seed(settings.seed)
    wrapped = copy_network(network, wrap)
    fine_tuning.fine_tune(
        wrapped,
        train,
        evaluation,
        epochs=settings.recover_epochs,
        learning_rate=settings.learning_rate,
        shuffle=np.random.RandomState(settings.seed),
        objective=objective,
    )
    clustered = copy_network(tfmot.clustering.keras.strip_clustering(wrapped))
    for name, mask in masks.items():
        kernel = matrix(clustered, name)
        n_values = len(np.unique(kernel))
        if n_values > n_clusters or kernel[~mask].any():
            raise RuntimeError(
                f"Pruner: {name} has {n_values} values and {np.count_nonzero(kernel[~mask])} pruned weights back"
            )
    return clustered
