"""Pruner's executor: reads and writes artifacts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from farebox.components.files.artifact_json import write_json
from farebox.components.networks import examples_io
from farebox.components.networks.candidates import Candidate, load_candidates, save_candidates
from farebox.components.networks.labels import resolved
from farebox.components.networks.node_settings import settings_of
from farebox.components.networks.rows import Batch, Rows
from farebox.components.pruner import channels, layers, plots, selection
from farebox.components.pruner.groups import producers
from farebox.components.pruner.settings import PrunerSettings


class PrunerExecutor(base_executor.BaseExecutor):
    """Reads a model, writes a sparse one, its masks and their pictures."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `PrunerSpec`. Raises InputError if the network cannot be pruned as the settings ask."""
        settings = settings_of(PrunerSettings, exec_properties["settings"], "pruner")
        (model,) = input_dict["model"]
        sources = load_candidates(model) or [Candidate(examples_io.load_network(model), 0.0, 0.0)]
        train, evaluation = examples_io.fitting_splits(
            input_dict, exec_properties["label"], settings.batch_size, settings.seed
        )
        original = sources[-1].network
        resolution, splits = resolved(
            original, {"train": train, "eval": evaluation}, settings.objective, settings.metric
        )
        trained = layers.trained_rows(original, every_row(input_dict, exec_properties["label"], train))
        outcome = selection.Search(
            sources, splits["train"], splits["eval"], settings, trained=trained, objective=resolution.objective
        ).outcome()
        kept, skipped = outcome.kept, outcome.skipped
        network = kept.pruned.network
        source = next(each.network for each in sources if each.k == kept.k)
        summary = {
            "objective": resolution.text,
            "metric": resolution.objective.metric,
            "criterion": settings.criterion,
            "why": outcome.why,
            "sparsity": layers.total_sparsity(network),
            "sparsity_by_layer": layers.sparsity(network),
            "units": {
                layer.name: [channels.units_of(layer), channels.units_of(network.get_layer(layer.name))]
                for layer in producers(source)
            },
            "untrained_rows": {name: float(1 - np.mean(rows)) for name, rows in trained.items()},
            "eval_error": {"source": outcome.source_error, "pruned": kept.eval_error},
            "gzip_bytes": {"unpruned": skipped.gzip_bytes, "pruned": kept.gzip_bytes},
            "trials": [trial.summary for trial in outcome.trials],
        }
        logging.info("Pruner: %s", summary)
        (pruned_model,), (report,) = output_dict["pruned_model"], output_dict["pruning"]
        examples_io.save_network(network, pruned_model)
        save_candidates(outcome.candidates, pruned_model)
        write_json(report, "pruning.json", summary | {"steps": kept.pruned.steps})
        write_masks(report, source, layers.kept_weights(network, kept.pruned.masks, trained))
        if kept.pruned.steps:
            write_bytes(report, "ramp.png", plots.ramp(kept.pruned.steps))


def every_row(input_dict: Mapping[str, list[types.Artifact]], label: str, train: Rows) -> Iterable[Batch]:
    """All rows of train: those in memory, or the files' if there are more. An id that a sample lacks may be trained."""
    if len(train) < examples_io.MAX_FITTING_ROWS:
        return train
    (examples,), (graph,) = input_dict["examples"], input_dict["transform_graph"]
    spec = examples_io.transformed_feature_spec(graph)
    rows: Iterable[Batch] = examples_io.dataset(examples, "train", spec, label, examples_io.EVAL_BATCH_ROWS)
    return rows


def write_masks(report: types.Artifact, source: keras.Model, masks: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes masks.npz, and for each mask a picture of the weights before and after."""
    arrays = io.BytesIO()  # remote files cannot seek, which a zip needs
    named: dict[str, Any] = dict(masks)
    np.savez_compressed(arrays, **named)
    write_bytes(report, "masks.npz", arrays.getvalue())
    for name, mask in masks.items():
        picture = plots.mask(name, layers.matrix(source, name) != 0.0, mask)
        write_bytes(report, f"mask-{name.replace('/', '-')}.png", picture)


def write_bytes(artifact: types.Artifact, name: str, content: bytes) -> None:
    """Writes `{artifact.uri}/{name}`."""
    with fileio.open(os.path.join(artifact.uri, name), "wb") as file:
        file.write(content)
