"""PcaReducer's executor: one Beam pass over train, the choice of k, the network, the projection and its pictures."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from absl import logging
from tfx import types
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

from farebox.components.files.artifact_json import write_json
from farebox.components.networks import examples_io
from farebox.components.networks.node_settings import settings_of
from farebox.components.networks.objective import objective_of
from farebox.components.pca_reducer import axes, beam_pass, folding, plots
from farebox.components.pca_reducer.moments import Summary
from farebox.components.pca_reducer.reducing import Outcome, reduce_network
from farebox.components.pca_reducer.settings import ReducerSettings


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
        names = folding.feature_names(network, settings.layer, settings.space)
        summary = self._summarize(input_dict, settings, label, len(names), projection.uri)
        train, evaluation = examples_io.fitting_splits(input_dict, label, settings.batch_size, settings.seed)
        outcome = reduce_network(network, settings, summary, train, evaluation)
        source, chosen = outcome.source, outcome.chosen
        logging.info(
            "PcaReducer: %s %s of %s from %d to k=%d over %d rows (%s); parameters %d -> %d, eval error %.4f -> %.4f",
            settings.space, settings.method, settings.layer, len(names), outcome.k, summary.moments.rows,
            outcome.why, source.parameters, chosen.parameters, source.error, chosen.error,
        )  # fmt: skip
        examples_io.save_network(chosen.network, reduced_model)
        facts = facts_of(outcome, settings, summary, objective_of(network).metric)
        write_json(projection, "projection.json", {**facts, "features": names, "label": label})
        coloured = plots.Coloured.of(outcome.axes, summary.sample, label)
        arrays = {**arrays_of(outcome, summary), "codes": coloured.codes[:, :2], "code_labels": coloured.labels}
        beam_pass.write_npz(os.path.join(projection.uri, "projection.npz"), arrays)
        plots.draw(projection.uri, facts, names, arrays, coloured)

    def _summarize(
        self,
        input_dict: dict[str, list[types.Artifact]],
        settings: ReducerSettings,
        label: str,
        n_features: int,
        uri: str,
    ) -> Summary:
        (model,), (examples,), (graph,) = (input_dict[key] for key in ("model", "examples", "transform_graph"))
        rows = beam_pass.Rows(
            examples_io.network_path(model), graph.uri, label, settings.layer, settings.space, settings.seed
        )
        files = examples_io.split_files(examples, "train")
        aside = os.path.join(uri, "aside")
        return beam_pass.summarize(
            self._make_beam_pipeline(), files, rows, n_features, sample_rows=settings.sample_rows, folder=aside
        )


def facts_of(outcome: Outcome, settings: ReducerSettings, summary: Summary, metric: str) -> dict[str, Any]:
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
        "metric": metric,
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


def arrays_of(outcome: Outcome, summary: Summary) -> dict[str, Any]:
    """Returns the content of projection.npz; explained_variance has all components of the method, not only k."""
    chosen, curve = outcome.axes, outcome.curve
    covariances, correlations = (
        axes.loadings_over(chosen, summary.sample.rows)
        if chosen.method == "nmf"
        else axes.loadings(chosen, summary.moments.covariance)
    )
    return {
        "mean": chosen.mean,
        "scale": chosen.scale,
        "components": chosen.components,
        "decoder": chosen.decoder,
        "explained_variance": curve.explained_variance,
        "explained_variance_ratio": curve.explained_variance_ratio,
        "total_variance": np.array(curve.total_variance),
        "loadings_covariance": covariances,
        "loadings_correlation": correlations,
    }
