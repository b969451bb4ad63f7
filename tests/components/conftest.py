"""Small real `.tflite` files that a device would refuse, converted once per test session; nodes run on toy trips."""

from __future__ import annotations

import json

import numpy as np
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


@pytest.fixture(scope="session")
def peeking_tflite(convert_tflite) -> bytes:
    """A row's fare depends on the other rows of its batch."""
    import tensorflow as tf

    return convert_tflite(lambda fare: fare - tf.reduce_mean(fare, axis=0, keepdims=True))


@pytest.fixture(scope="session")
def dicing_tflite(convert_tflite) -> bytes:
    """Another fare on every call, up to a thousandth: too small to be seen as a difference between batches."""
    import tensorflow as tf

    return convert_tflite(lambda fare: fare + 0.001 * tf.random.uniform(tf.shape(fare), seed=1))


@pytest.fixture
def trip_rows() -> dict[str, np.ndarray]:
    """Three trips and their label; `fare_tflite` makes 15.0, 3.0 and 19.5 of them by hand.

    2.5 + 7 + 1 + 4 + 0.5;  2.5 - 1.5 + 2 + 0 + 0;  2.5 + 7.5 - 0 + 0 + 8 + 1.5 with passenger_count 0.
    """
    return {
        "pickup_longitude": np.array([-70, 15, -75], np.float32),
        "pickup_latitude": np.array([40.7, 40.7, 40.7], np.float32),
        "dropoff_longitude": np.array([-73.9, -73.9, -73.9], np.float32),
        "dropoff_latitude": np.array([40.8, 40.8, 40.8], np.float32),
        "passenger_count": np.array([1, 2, 0], np.int64),
        "pickup_hour": np.array([8, 0, 16], np.int64),
        "pickup_weekday": np.array([2, 0, 6], np.int64),
        "fare": np.array([14, 4, 20], np.float32),
    }


@pytest.fixture
def run_node(toy_trips, tmp_path):
    """Runs an executor on artifacts made from its Spec; networks are saved as Model artifacts, outputs returned.

    chosen: its settings, None where the Spec has none. ready: input artifacts that exist already.
    """
    from tfx.dsl.components.base import base_beam_executor

    from components import examples_io
    from pipeline.settings import BeamSettings

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
        assert set(given) == set(spec.PARAMETERS) and set(inputs) == set(spec.INPUTS)
        on_beam = issubclass(executor, base_beam_executor.BaseBeamExecutor)
        context = executor.Context(beam_pipeline_args=list(BeamSettings().args)) if on_beam else None
        executor(context).Do(inputs, outputs, given)
        return {key: artifacts[0] for key, artifacts in outputs.items()}

    return run
