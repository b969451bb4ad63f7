"""What a pipeline's author gets wrong is said when the pipeline is defined, not when the node runs."""

from __future__ import annotations

import importlib

import pytest

NODES = {
    "pca_reducer.component.PcaReducer": ('{"budget": -1}', "reducer.budget=-1 must be at least 0", {}),
    "pruner.component.Pruner": ('{"rounds": 0}', "pruner.rounds=0 must be at least 1", {}),
    "quantizer.component.Quantizer": (
        '{"epochs": 0}', "quantizer.epochs=0 must be at least 1", {"model_inputs": "length,width"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("node", NODES)
def test_contradicting_settings_are_refused(node):
    from tfx.types import Channel

    wrong, text, properties = NODES[node]
    module, _, name = node.rpartition(".")
    component = getattr(importlib.import_module(f"farebox.components.{module}"), name)
    channels = {key: Channel(type=parameter.type) for key, parameter in component.SPEC_CLASS.INPUTS.items()}
    with pytest.raises(ValueError, match=text):
        component(**channels, settings=wrong, label="tip", **properties)
    assert set(component(**channels, settings="{}", label="tip", **properties).outputs) == set(
        component.SPEC_CLASS.OUTPUTS
    )
