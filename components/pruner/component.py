"""Pruner's inputs, outputs and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components.artifacts import Pruning
from farebox.components.networks.node_settings import as_json, settings_of
from farebox.components.pruner.executor import PrunerExecutor
from farebox.components.pruner.settings import PrunerSettings


class PrunerSpec(component_spec.ComponentSpec):
    """settings: `PrunerSettings` as JSON. label: the label's name among the transformed features.

    model: `Format-Serving/network.keras`, a tf_keras functional model on transformed features, with one output.
    """

    PARAMETERS = {
        "settings": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "pruned_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "pruning": component_spec.ChannelParameter(type=Pruning),
    }


class Pruner(base_component.BaseComponent):
    """Zeroes embedding rows that were never trained, prunes the network and fine-tunes it.

    examples: transformed ones, splits train and eval. settings: a `PrunerSettings`, a mapping of some of its fields, or
    either as JSON text.

    Raises ValueError, which names the key, for a setting that is unknown or out of its bounds.
    """

    SPEC_CLASS = PrunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PrunerExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        settings: PrunerSettings | Mapping[str, Any] | str,
        label: str,
        code_digest: str = "",
    ) -> None:
        text = as_json(settings_of(PrunerSettings, settings, "pruner"))
        super().__init__(
            PrunerSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                settings=text,
                label=label,
                code_digest=code_digest,
                pruned_model=types.Channel(type=standard_artifacts.Model),
                pruning=types.Channel(type=Pruning),
            )
        )
