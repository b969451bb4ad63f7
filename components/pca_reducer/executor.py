"""PcaReducer's executor: one Beam pass over train, the choice of k, the network, the projection and its pictures."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

from farebox.components.files.artifact_json import write_json
from farebox.components.networks import examples_io
from farebox.components.networks.candidates import save_candidates
from farebox.components.networks.labels import resolved
from farebox.components.networks.node_settings import settings_of
from farebox.components.networks.resolution import Resolution
from farebox.components.networks.rows import Rows
from farebox.components.pca_reducer import axes, beam_pass, folding, plots
from farebox.components.pca_reducer.moments import Summary
from farebox.components.pca_reducer.reducing import Outcome, reduce_network
from farebox.components.pca_reducer.settings import ANALYSIS_ONLY, ReducerSettings


class PcaReducerExecutor(BaseBeamExecutor):
    """Reads a model, writes a narrower one and its projection."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `PcaReducerSpec`. Raises InputError if the network cannot be taken apart at the layer."""
        settings = settings_of(ReducerSettings, exec_properties["settings"], "reducer")
        label, (model,) = exec_properties["label"], input_dict["model"]
        (reduced_model,), (projection,) = output_dict["reduced_model"], output_dict["projection"]
        network = examples_io.load_network(model)
        named = json.loads(exec_properties.get("feature_names") or "{}")
        n_features = folding.n_features(network, settings.layer, settings.space)
        names = folding.feature_names(network, settings.layer, "input", named)
        train, evaluation = examples_io.fitting_splits(input_dict, label, settings.batch_size, settings.seed)
        resolution, splits = resolved(
            network, {"train": train, "eval": evaluation}, settings.objective, settings.metric
        )
        objective = resolution.objective
        n_classes = objective.n_classes if objective.is_one_hot and len(network.output.shape) == 2 else 0
        rows = beam_pass.Rows(
            examples_io.network_path(model), input_dict["transform_graph"][0].uri, label, settings.layer,
            settings.space, settings.seed, n_classes,
        )  # fmt: skip
        files = examples_io.split_files(input_dict["examples"][0], "train")
        summary = beam_pass.summarize(
            self._make_beam_pipeline(), files, rows, n_features, sample_rows=settings.sample_rows,
            folder=os.path.join(projection.uri, "aside"),
        )  # fmt: skip
        if n_classes:
            summary.sample.labels = resolution.labels("train", summary.sample.labels)
        outcome = reduce_network(network, settings, summary, splits["train"], splits["eval"], objective=objective)
        source, chosen = outcome.source, outcome.chosen
        logging.info(
            "PcaReducer: %s %s of %s from %d to k=%d over %d rows (%s); parameters %d -> %d, eval error %.4f -> %.4f",
            settings.space, settings.method, settings.layer, n_features, outcome.k, summary.moments.rows,
            outcome.why, source.parameters, chosen.parameters, source.error, chosen.error,
        )  # fmt: skip
        examples_io.save_network(chosen.network, reduced_model)
        save_candidates(outcome.candidates, reduced_model)
        facts = facts_of(outcome, settings, summary, resolution)
        write_json(projection, "projection.json", {**facts, "features": names, "label": label})
        coloured = plots.Coloured.of(outcome.axes, summary.sample, label)
        loads = loadings_of(outcome.axes, settings, summary, network, splits["train"])
        arrays = {**arrays_of(outcome), **loads, "codes": coloured.codes[:, :2], "code_labels": coloured.labels}
        beam_pass.write_npz(os.path.join(projection.uri, "projection.npz"), arrays)
        plots.draw(projection.uri, facts, names, arrays, coloured)


def facts_of(outcome: Outcome, settings: ReducerSettings, summary: Summary, resolution: Resolution) -> dict[str, Any]:
    """Returns the content of projection.json except the names of features and label."""
    source, chosen = outcome.source, outcome.chosen
    return {
        "layer": settings.layer,
        "space": settings.space,
        "method": settings.method,
        "standardize": settings.standardize,
        "whiten": settings.whiten,
        "k": outcome.k,
        "n_features": source.k,
        "folded": outcome.is_folded,
        "why": outcome.why,
        "objective": resolution.text,
        "metric": resolution.objective.metric,
        "explained_variance_ratio": outcome.kept,
        "eval_error": {"source": source.error, "folded": chosen.folded_error, "reduced": chosen.error},
        "parameters": {"source": source.parameters, "reduced": chosen.parameters},
        "rows": {"moments": summary.moments.rows, "sample": len(summary.sample.rows)},
        "trials": [
            {
                "k": trial.k,
                "eval_error": trial.error,
                "folded_eval_error": trial.folded_error,
                "expected_error": trial.expected_error,
                "parameters": trial.parameters,
            }
            for trial in outcome.trials
        ],
    }


def arrays_of(outcome: Outcome) -> dict[str, Any]:
    """Returns the axes of projection.npz; explained_variance has all components of the method, not only k."""
    chosen, curve = outcome.axes, outcome.curve
    arrays = {
        "mean": chosen.mean,
        "scale": chosen.scale,
        "components": chosen.components,
        "decoder": chosen.decoder,
        "explained_variance": curve.explained_variance,
        "explained_variance_ratio": curve.explained_variance_ratio,
        "total_variance": np.array(curve.total_variance),
    }
    if chosen.landmarks is not None:
        marks = chosen.landmarks
        arrays |= {
            "landmarks": marks.rows, "landmark_gamma": np.array(marks.gamma), "landmark_offset": marks.offset,
        }  # fmt: skip
    return arrays


def loadings_of(
    chosen: axes.Axes, settings: ReducerSettings, summary: Summary, network: keras.Model, train: Rows
) -> dict[str, Any]:
    """Returns the loadings of projection.npz: of codes with the layer's inputs, whose names say more than its units'.

    Codes of pre-activations, and those that are no product of features, are computed for some rows of train.
    """
    if settings.space == "preactivation":
        some = {name: values[: settings.sample_rows] for name, values in train.columns.items()}
        features, projected = (
            folding.extractor(network, settings.layer, space)(some) for space in ("input", "preactivation")
        )
        covariances, correlations = axes.loadings_over(chosen, projected, features)
    elif settings.method in ANALYSIS_ONLY:
        covariances, correlations = axes.loadings_over(chosen, summary.sample.rows)
    else:
        covariances, correlations = axes.loadings(chosen, summary.moments.covariance)
    return {"loadings_covariance": covariances, "loadings_correlation": correlations}
