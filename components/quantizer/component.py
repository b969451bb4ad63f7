"""Quantizer's inputs, outputs and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components.artifacts import QuantizationTrials
from farebox.components.networks.node_settings import as_json, settings_of
from farebox.components.quantizer.executor import QuantizerExecutor
from farebox.components.quantizer.settings import BandSettings, QuantizerSettings
from farebox.components.tflite.description import Description


class QuantizerSpec(component_spec.ComponentSpec):
    """settings: `QuantizerSettings` as JSON. label: the label's name. model_inputs: raw columns, separated by commas.

    transformed_label: its name among the transformed features; empty if that is the same. non_negative: 1 if no output
    may be below 0. description: a `Description` as JSON, empty for none. bands: `BandSettings` as JSON. smallest_label:
    where ranges begin, at least.
    """

    PARAMETERS = {
        "settings": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "transformed_label": component_spec.ExecutionParameter(type=str, optional=True),
        "model_inputs": component_spec.ExecutionParameter(type=str),
        "non_negative": component_spec.ExecutionParameter(type=int),
        "description": component_spec.ExecutionParameter(type=str),
        "bands": component_spec.ExecutionParameter(type=str),
        "smallest_label": component_spec.ExecutionParameter(type=float, optional=True),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "unreduced_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "raw_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "quantized_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "reference_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "trials": component_spec.ChannelParameter(type=QuantizationTrials),
    }


class Quantizer(base_component.BaseComponent):
    """Converts a network to the cheapest raw-input `.tflite` within a budget, and the unreduced network to float32.

    settings: a `QuantizerSettings`, a mapping of some of its fields, or either as JSON text. label: its name among the
    raw examples, and of the file's output; transformed_label: its name among the transformed ones if that is another
    one, such as `tips_xf` in TFX's template. non_negative: both files
    return 0 if their network returns less, as for a fare, a duration or a count. description: both files carry it as
    metadata, with the days of the examples' rows; without it, they carry none. bands: a `BandSettings`, in the same
    forms; the bands are a fact of the description of `quantized_model`. smallest_label: no range
    begins below it; by default 0 if `non_negative`.

    Raises ValueError, which names the key, for a setting that is unknown or out of its bounds.
    """

    SPEC_CLASS = QuantizerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(QuantizerExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        unreduced_model: types.BaseChannel,
        examples: types.BaseChannel,
        raw_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        settings: QuantizerSettings | Mapping[str, Any] | str,
        label: str,
        transformed_label: str = "",
        model_inputs: str,
        non_negative: bool = False,
        description: Description | None = None,
        bands: BandSettings | Mapping[str, Any] | str | None = None,
        smallest_label: float | None = None,
        code_digest: str = "",
    ) -> None:
        text = as_json(settings_of(QuantizerSettings, settings, "quantizer"))
        if smallest_label is None and non_negative:
            smallest_label = 0.0
        super().__init__(
            QuantizerSpec(
                model=model,
                unreduced_model=unreduced_model,
                examples=examples,
                raw_examples=raw_examples,
                transform_graph=transform_graph,
                settings=text,
                label=label,
                transformed_label=transformed_label or None,
                model_inputs=model_inputs,
                non_negative=int(non_negative),
                description=description.to_json() if description else "",
                bands=as_json(settings_of(BandSettings, bands or BandSettings(), "bands")),
                smallest_label=smallest_label,
                code_digest=code_digest,
                quantized_model=types.Channel(type=standard_artifacts.Model),
                reference_model=types.Channel(type=standard_artifacts.Model),
                trials=types.Channel(type=QuantizationTrials),
            )
        )
