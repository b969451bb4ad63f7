"""Small real `.tflite` files that a device would refuse, converted once per test session; nodes run on toy trips."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="session")
def flex_tflite(convert_tflite) -> bytes:
    """Needs FlexAtan, which TFLite has not built in."""
    import tensorflow as tf

    return convert_tflite(tf.atan, select_tf_ops=True)


@pytest.fixture(scope="session")
def nan_tflite(convert_tflite) -> bytes:
    """The logarithm of a negative number on every row."""
    import tensorflow as tf

    return convert_tflite(lambda fare: tf.math.log(-tf.abs(fare) - 1.0))


@pytest.fixture
def run_node(toy_trips, tmp_path):
    """Runs an executor on artifacts made from its Spec; networks are saved as Model artifacts, outputs returned.

    chosen: its settings, None where the Spec has none. ready: input artifacts that exist already.
    """
    from tfx.dsl.components.base import base_beam_executor

    from farebox.components.networks import examples_io
    from farebox.pipeline.settings.load import BeamSettings

    places = {"examples": "transformed", "raw_examples": "raw", "transform_graph": "transform_graph"}

    def run(executor, spec, networks, chosen, ready=None, **properties):
        inputs, outputs = {key: [artifact] for key, artifact in (ready or {}).items()}, {}
        for key, parameter in spec.INPUTS.items():
            if key in inputs:
                continue
            artifact = parameter.type()
            artifact.uri = str(toy_trips.folder / places[key]) if key in places else str(tmp_path / "in" / key)
            if key in networks:
                examples_io.save_network(networks[key], artifact)
            inputs[key] = [artifact]
        for key, parameter in spec.OUTPUTS.items():
            artifact = parameter.type()
            artifact.uri = str(tmp_path / "out" / key)
            outputs[key] = [artifact]
        settings = {} if chosen is None else {"settings": json.dumps(chosen)}
        given = settings | {"label": "fare", "code_digest": "", **properties}
        required = {name for name, parameter in spec.PARAMETERS.items() if not parameter.optional}
        assert required <= set(given) <= set(spec.PARAMETERS) and set(inputs) == set(spec.INPUTS)
        on_beam = issubclass(executor, base_beam_executor.BaseBeamExecutor)
        context = executor.Context(beam_pipeline_args=list(BeamSettings().pipeline_args)) if on_beam else None
        executor(context).Do(inputs, outputs, given)
        return {key: artifacts[0] for key, artifacts in outputs.items()}

    return run
