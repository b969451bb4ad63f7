"""PcaReducer's inputs, outputs and parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components.artifacts import Projection
from farebox.components.networks.node_settings import as_json, settings_of
from farebox.components.pca_reducer.executor import PcaReducerExecutor
from farebox.components.pca_reducer.settings import ReducerSettings


class PcaReducerSpec(component_spec.ComponentSpec):
    """settings: `ReducerSettings` as JSON. label: the label's name among the transformed features.

    feature_names: names of the columns of inputs that have several, by input, as JSON; empty for none.
    """

    PARAMETERS = {
        "settings": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "feature_names": component_spec.ExecutionParameter(type=str, optional=True),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "reduced_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "projection": component_spec.ChannelParameter(type=Projection),
    }


class PcaReducer(base_component.BaseComponent):
    """Folds a reduction of a Dense layer's pre-activations or inputs into the trained network and fine-tunes it.

    model: a functional tf_keras network on transformed features, as `Format-Serving/network.keras`. examples:
    transformed ones, splits train and eval. settings: a `ReducerSettings`, a mapping of some of its fields, or either
    as JSON text. feature_names: names of the columns of inputs that have several, by input, for loadings; by default
    the input's name and a number.

    Raises ValueError, which names the key, for a setting that is unknown or out of its bounds.
    """

    SPEC_CLASS = PcaReducerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(PcaReducerExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        settings: ReducerSettings | Mapping[str, Any] | str,
        label: str,
        feature_names: Mapping[str, Sequence[str]] | None = None,
        code_digest: str = "",
    ) -> None:
        text = as_json(settings_of(ReducerSettings, settings, "reducer"))
        super().__init__(
            PcaReducerSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                settings=text,
                label=label,
                feature_names=json.dumps({name: list(each) for name, each in (feature_names or {}).items()}),
                code_digest=code_digest,
                reduced_model=types.Channel(type=standard_artifacts.Model),
                projection=types.Channel(type=Projection),
            )
        )
