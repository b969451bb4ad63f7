"""The three compressing components as a pipeline's author defines them: settings in three forms, and wrong ones."""

from __future__ import annotations

import dataclasses
import json

import pytest

from farebox import components

PROPERTIES = {"PcaReducer": {}, "Pruner": {}, "Quantizer": {"model_inputs": "length,width"}}
SETTINGS = {
    "PcaReducer": ({"budget": 0.01}, components.ReducerSettings),
    "Pruner": ({"rounds": 2}, components.PrunerSettings),
    "Quantizer": ({"max_rmse_increase": "1%", "keep_float": ["y"]}, components.QuantizerSettings),
}


def define(name: str, settings):
    """The component, on channels of its own input types."""
    from tfx.types import Channel

    component = getattr(components, name)
    channels = {key: Channel(type=parameter.type) for key, parameter in component.SPEC_CLASS.INPUTS.items()}
    return component(**channels, settings=settings, label="tip", **PROPERTIES[name])


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_a_dataclass_a_mapping_or_json(name):
    """All three give the same execution property, so that TFX's cache takes them for the same."""
    values, kind = SETTINGS[name]
    nodes = [define(name, settings) for settings in (kind(**values), values, json.dumps(values))]
    properties = [node.exec_properties["settings"] for node in nodes]
    assert properties == [json.dumps(dataclasses.asdict(kind(**values)), sort_keys=True)] * 3
    assert set(nodes[0].outputs) == set(nodes[0].SPEC_CLASS.OUTPUTS)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("PcaReducer", {"budget": -1}, "reducer.budget=-1 must be at least 0"),
        ("Pruner", '{"rounds": 0}', "pruner.rounds=0 must be at least 1"),
        ("Quantizer", {"epochs": 0}, "quantizer.epochs=0 must be at least 1"),
        ("PcaReducer", {"bugdet": 1}, "reducer.bugdet must be one of the settings n_components, layer, "),
        ("Pruner", '{"round": 1}', "pruner.round must be one of the settings criterion, layers, "),
        ("Quantizer", '{"mode": "auto"', 'quantizer: settings must be JSON, got \'{"mode": "auto"\': '),
        ("Quantizer", "[]", r"quantizer: settings must be QuantizerSettings, a mapping or JSON text, got '\[\]'"),
    ],
)
def test_wrong_settings_are_refused_when_the_pipeline_is_defined(name, settings, text):
    with pytest.raises(ValueError, match=f"^{text}"):
        define(name, settings)
