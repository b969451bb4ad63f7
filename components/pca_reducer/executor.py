"""PcaReducer's work on artifacts: moments over train, then one fold and one fine-tuning per trial."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from components import examples_io, fine_tuning
from components.objective import objective_of
from components.pca_reducer import pca, selection
from components.pca_reducer.settings import ReducerSettings


class PcaReducerExecutor(base_executor.BaseExecutor):
    """Model in, narrower model and its projection out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `PcaReducerSpec`. Raises ValueError where the network cannot be taken apart at the chosen layer."""
        settings = ReducerSettings(**json.loads(exec_properties["settings"]))
        (model,) = input_dict["model"]
        network = examples_io.load_network(model)
        train, evaluation = examples_io.fitting_splits(
            input_dict, exec_properties["label"], settings.batch_size, settings.seed
        )
        axes = self._axes(network, settings.layer, train)
        source_error = examples_io.network_error(network, evaluation).error
        imitating = fine_tuning.imitating(train, network)

        def attempt(k: int) -> selection.Trial:
            keras.utils.set_random_seed(settings.seed)
            folded = pca.fold(network, settings.layer, axes, k)
            start = examples_io.network_error(folded, evaluation).error
            error = fine_tuning.fine_tune(
                folded, imitating, evaluation, settings.fine_tune_epochs, settings.learning_rate, start_error=start
            )
            return selection.Trial(k, error, folded)

        best, trials, why = selection.choose(settings, axes, source_error, attempt)
        logging.info(
            "PcaReducer: %s from %d to k=%d (%s); parameters %d -> %d, eval error %.4f -> %.4f",
            settings.layer, len(axes.mean), best.k, why,
            network.count_params(), best.network.count_params(), source_error, best.error,
        )  # fmt: skip
        (reduced_model,), (projection,) = output_dict["reduced_model"], output_dict["projection"]
        examples_io.save_network(best.network, reduced_model)
        examples_io.write_json(
            projection,
            "projection.json",
            {
                "layer": settings.layer,
                "k": best.k,
                "metric": objective_of(network).metric,
                "why": why,
                "explained_variance_ratio": float(axes.explained_variance_ratio[: best.k].sum()),
                "eval_error": {"source": source_error, "reduced": best.error},
                "trials": [{"k": trial.k, "eval_error": trial.error} for trial in trials],
            },
        )
        arrays = io.BytesIO()  # remote files cannot seek, which a zip needs
        np.savez(
            arrays, mean=axes.mean, components=axes.components[: best.k], explained_variance=axes.explained_variance
        )
        with fileio.open(os.path.join(projection.uri, "projection.npz"), "wb") as file:
            file.write(arrays.getvalue())

    @staticmethod
    def _axes(network: keras.Model, layer: str, train: tf.data.Dataset) -> pca.Axes:
        moments = pca.Moments(pca.dense_layer(network, layer).units)
        for batch in pca.preactivations(network, layer, train):
            moments.update(batch)
        return pca.principal_axes(moments)
