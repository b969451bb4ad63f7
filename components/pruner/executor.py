"""Pruner's work on artifacts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from components import examples_io, fine_tuning
from components.objective import objective_of
from components.pruner import pruning
from components.pruner.settings import PrunerSettings


class PrunerExecutor(base_executor.BaseExecutor):
    """Model in, sparse model and what was zeroed out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `PrunerSpec`. Raises ValueError where no layer matches, RuntimeError where sparsity was not reached."""
        settings = PrunerSettings(**json.loads(exec_properties["settings"]))
        (model,) = input_dict["model"]
        network = examples_io.load_network(model)
        train, evaluation = examples_io.fitting_splits(
            input_dict, exec_properties["label"], settings.batch_size, settings.seed
        )

        source_error = examples_io.network_error(network, evaluation).error
        trained, steps_per_epoch = pruning.trained_rows(network, train)
        pruning.zero_rows(network, trained)
        imitating = fine_tuning.imitating(train, network)
        pruned, _ = pruning.prune(network, imitating, evaluation, steps_per_epoch, settings)
        pruning.zero_rows(pruned, trained)

        summary = {
            "metric": objective_of(network).metric,
            "sparsity": pruning.total_sparsity(pruned),
            "sparsity_by_layer": pruning.sparsity(pruned),
            "untrained_rows": {name: float(1 - np.mean(rows)) for name, rows in trained.items()},
            "eval_error": {"source": source_error, "pruned": examples_io.network_error(pruned, evaluation).error},
        }
        logging.info("Pruner: %s", summary)
        (pruned_model,), (report,) = output_dict["pruned_model"], output_dict["pruning"]
        examples_io.save_network(pruned, pruned_model)
        examples_io.write_json(report, "pruning.json", summary)
