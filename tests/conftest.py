"""Fixtures made once per test session: toy trips, their real transform graph, a network fitted to them, a `.tflite`."""

from __future__ import annotations

import dataclasses
import functools
import gc
import hashlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from farebox.pipeline.local.libraries import GARBAGE

# The first call of a TensorFlow op may take a second. Equal examples in every run: a change is judged by itself.
settings.register_profile("farebox", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)  # by hand: --hypothesis-profile=explore
settings.load_profile("farebox")


def pytest_configure() -> None:
    """Ends the ignoring of SIGINT, which a shell's background jobs and all their children inherit.

    Tests send it to farebox, to PostgreSQL and to themselves. Also looks for garbage as seldom as farebox does.
    """
    gc.set_threshold(GARBAGE)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: in parallel, a test that takes minutes must not begin last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Leaves what collection imported to no garbage collection: pyarrow 10 walks all live objects at each read of a
    CSV, which takes 0.1 s beside TensorFlow."""
    if "tensorflow" in sys.modules:
        _spare_keras()
    gc.collect()
    gc.freeze()


@functools.cache
def _spare_keras() -> None:
    """Keeps AutoGraph from converting tf_keras, the default since TF 2.17: the first fit takes 2 s of CPU, not 28 s."""
    from tensorflow.python.autograph.core import config

    config.CONVERSION_RULES += (config.DoNotConvert("tf_keras"),)


BOX = {"west": -87.95, "east": -87.52, "south": 41.64, "north": 42.03}
ROWS = {"train": 640, "eval": 320, "test": 320}
N_BUCKETS = 3
CHANGE = 1_325_376_000  # 1 January 2012, s

FLOAT_INPUTS = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
INT_INPUTS = ("passenger_count", "pickup_hour", "pickup_weekday")
KERNEL = (-0.1, 0.0, 0.0, 0.0, 1.0, 0.5, 0.25)
BIAS = 2.5


@dataclasses.dataclass(frozen=True)
class ToyTrips:
    """Toy trips: raw/, transformed/ (with Split-{train,eval,test}) and transform_graph/ in `folder`.

    columns: the raw columns by split, each of shape (n, 1).
    """

    folder: Path
    columns: dict[str, dict[str, np.ndarray]]
    custom_config: dict[str, Any]

    @property
    def transform_graph(self) -> str:
        return str(self.folder / "transform_graph")

    @property
    def raw_spec(self) -> dict[str, Any]:
        return _spec(self.columns["train"])

    def batches(self, split: str, batch_size: int = 64, kind: str = "transformed") -> Any:
        """Batches ({feature: (n, width)}, fare (n, 1)) of a split, raw or transformed."""
        from types import SimpleNamespace

        from farebox.components.networks import examples_io

        graph = SimpleNamespace(uri=self.transform_graph)
        spec = self.raw_spec if kind == "raw" else examples_io.transformed_feature_spec(graph)
        return examples_io.dataset(SimpleNamespace(uri=str(self.folder / kind)), split, spec, "fare", batch_size)


def _trips(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Trips of about 3 km within the box; fare = 2.5 + 1.5 per km, 4 more from 16 to 19 h, noise of 0.3.

    Most of the 81 pairs of 3x3 cells are too far apart to occur. Always one passenger, as in a source without a column.
    """
    random = np.random.default_rng(seed)
    corner, size = np.array([BOX["west"], BOX["south"]]), np.array([0.43, 0.39])
    pickup = corner + size * random.uniform(0.1, 0.9, (rows, 2))
    dropoff = np.clip(pickup + random.normal(0, 0.02, (rows, 2)), corner, corner + size)
    hour = random.integers(0, 24, (rows, 1))
    km = np.hypot((dropoff - pickup)[:, :1] * 82.9, (dropoff - pickup)[:, 1:] * 111.2)
    fare = 2.5 + 1.5 * km + 4.0 * ((hour >= 16) & (hour < 20)) + random.normal(0, 0.3, (rows, 1))
    floats = {
        "pickup_longitude": pickup[:, :1],
        "pickup_latitude": pickup[:, 1:],
        "dropoff_longitude": dropoff[:, :1],
        "dropoff_latitude": dropoff[:, 1:],
        "fare": fare,
    }
    ints = {
        "passenger_count": np.ones((rows, 1), np.int64),
        "pickup_hour": hour,
        "pickup_weekday": random.integers(0, 7, (rows, 1)),
    }
    return {name: values.astype(np.float32) for name, values in floats.items()} | ints


def _dated(columns: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """The same trips on days around CHANGE, after which each costs 5 more."""
    epoch = CHANGE + np.random.default_rng(seed).integers(-100, 100, columns["fare"].shape) * 86400
    era = (epoch >= CHANGE).astype(np.int64)
    return columns | {"pickup_era": era, "fare": columns["fare"] + 5 * era.astype(np.float32)}


def _rows(columns: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _serialized(row: dict[str, np.ndarray]) -> bytes:
    import tensorflow as tf

    def feature(values: np.ndarray) -> tf.train.Feature:
        if values.dtype.kind == "f":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values.reshape(-1)))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.reshape(-1)))

    features = {name: feature(np.asarray(values)) for name, values in row.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def _write_examples(file: Path, columns: dict[str, np.ndarray]) -> None:
    """Writes a compressed TFRecord of rows, as ExampleGen and Transform do."""
    import tensorflow as tf

    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for row in _rows(columns):
            writer.write(_serialized(row))


def _write_transformed(folder: Path, data: dict[str, dict[str, np.ndarray]], preprocessing_fn: Callable) -> None:
    """Writes raw/, transform_graph/ and transformed/, as ExampleGen and Transform do; columns by split.

    One tft pass over train.
    """
    import apache_beam as beam
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from tensorflow_transform.tf_metadata import metadata_io

    graph = folder / "transform_graph"
    metadata = tft.DatasetMetadata.from_feature_spec(_spec(data["train"]))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        rows = pipeline | beam.Create(_rows(data["train"]))
        transform_fn = (rows, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(graph))
    metadata_io.write_metadata(metadata, str(graph / tft.TFTransformOutput.RAW_METADATA_DIR))
    layer = tft.TFTransformOutput(str(graph)).transform_features_layer()
    for split, columns in data.items():
        transformed = layer({name: tf.constant(values) for name, values in columns.items()})
        for kind, written in (("raw", columns), ("transformed", {name: t.numpy() for name, t in transformed.items()})):
            _write_examples(folder / kind / f"Split-{split}" / "trips-00000-of-00001.gz", written)


@pytest.fixture(scope="session")
def write_examples() -> Callable:
    """Returns `_write_examples`."""
    return _write_examples


@pytest.fixture(scope="session")
def write_transformed() -> Callable:
    """Returns `_write_transformed`."""
    return _write_transformed


def _spec(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.io.FixedLenFeature(values.shape[1:], values.dtype) for name, values in columns.items()}


@pytest.fixture(scope="session")
def toy_trips(tmp_path_factory) -> ToyTrips:
    """640 train, 320 eval and 320 test trips in a Chicago-sized box with 3 buckets per axis and one airport."""
    geography = BOX | {"airports": [[-87.9073, 41.9803]]}
    columns = {split: _trips(rows, seed) for seed, (split, rows) in enumerate(ROWS.items())}
    config = {"geography": geography, "features": "course", "crosses": {"n_buckets": N_BUCKETS}}
    return _toy(ToyTrips(tmp_path_factory.mktemp("toy_trips"), columns, config))


@pytest.fixture(scope="session")
def full_trips(tmp_path_factory, toy_trips) -> ToyTrips:
    """The same trips with dates, a landmark, a turned street grid, a change of tariff, and the full feature set."""
    places = {"landmarks": [[-87.63, 41.88]], "grid_angle": 20.0, "n_tariff_changes": 1}
    geography = toy_trips.custom_config["geography"] | places
    crosses = {"n_cells": 4, "n_zones": 2, "min_rows": 3}
    columns = {split: _dated(trips, seed) for seed, (split, trips) in enumerate(toy_trips.columns.items())}
    config = {"geography": geography, "features": "full", "crosses": crosses}
    return _toy(ToyTrips(tmp_path_factory.mktemp("full_trips"), columns, config))


def _toy(toy: ToyTrips) -> ToyTrips:
    """Writes the folder of the trips; the config is converted as an execution property carries it."""
    from farebox.modules import preprocessing

    config = json.loads(json.dumps(toy.custom_config))
    preprocess = functools.partial(preprocessing.preprocessing_fn, custom_config=config)
    _write_transformed(toy.folder, toy.columns, preprocess)
    counts = {"read": 1290, "examples": sum(ROWS.values()), "rejected": 10, "by_reason": {"outside_city": 10}}
    counts |= {"days": ["2011-09-23", "2012-04-09"]}
    (toy.folder / "raw" / "counts.json").write_text(json.dumps(counts))
    return toy


@pytest.fixture(scope="session")
def quick_keras() -> None:
    """`_spare_keras`, for a file that imports TensorFlow only in its tests."""
    _spare_keras()


@pytest.fixture(scope="session")
def make_network(quick_keras) -> Callable[..., Any]:
    """Builds an untrained [16, 8] network on the toy trips' features, with a 6-dimensional embedding of cell pairs."""
    import tf_keras as keras

    from farebox.modules import columns, model

    def make(seed: int = 1, hidden: tuple[int, ...] = (16, 8), embeddings: dict[str, int] | None = None) -> Any:
        keras.utils.set_random_seed(seed)
        crosses = {columns.PAIR_CELL: 6} if embeddings is None else embeddings
        return model.build_network(hidden, crosses, columns.cardinalities(N_BUCKETS), width=18)

    return make


@pytest.fixture(scope="session")
def toy_network(toy_trips, make_network) -> Any:
    """`make_network()` after 15 epochs on the toy trips. Tests share it and must not change it."""
    from farebox.modules import fitting, training
    from farebox.modules.settings import TrainingSettings

    network = make_network()
    train, evaluation = (training.read_fares(toy_trips.batches(split), 10_000, 0) for split in ("train", "eval"))
    fitting.fit(network, train, evaluation, TrainingSettings(epochs=15, batch_size=64))
    return network


@pytest.fixture(scope="session")
def evaluate(toy_trips):
    """(folder, files, max_rmse) -> artifacts of Evaluator on the test split, with the pipeline's own config.

    files: the `.tflite` of `model`, and of `baseline_model` if there is one. bands: of `model`.
    """
    from tfx.types import artifact_utils, standard_artifacts
    from tfx.utils import proto_utils

    from farebox.components.artifacts import EvaluatorBlessing
    from farebox.components.evaluator.executor import FileEvaluatorExecutor
    from farebox.components.model_gate.settings import ModelBounds
    from farebox.components.tflite.description import Description
    from farebox.components.tflite.metadata import described
    from farebox.pipeline import nodes
    from farebox.pipeline.settings.beam import BeamSettings

    def run(folder: Path, files: dict[str, bytes], max_rmse: float, bands=None) -> dict:
        examples, evaluation, blessing = (
            standard_artifacts.Examples(), standard_artifacts.ModelEvaluation(), EvaluatorBlessing(),
        )  # fmt: skip
        examples.uri, examples.split_names = str(toy_trips.folder / "raw"), artifact_utils.encode_split_names(["test"])
        evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
        inputs = {"examples": [examples]}
        for number, (key, content) in enumerate(files.items(), start=1):
            model = standard_artifacts.Model()
            model.id, model.uri = number, str(folder / key)
            Path(model.uri, "Format-Serving").mkdir(parents=True)
            facts = {"bands": bands.to_json()} if bands is not None and key == "model" else {}
            told = described(content, Description(facts=facts)) if facts else content
            Path(model.uri, "Format-Serving", "tflite").write_bytes(told)
            inputs[key] = [model]
        config = nodes.eval_config(ModelBounds(max_rmse=max_rmse))
        context = FileEvaluatorExecutor.Context(beam_pipeline_args=list(BeamSettings().pipeline_args))
        properties = {
            "eval_config": proto_utils.proto_to_json(config),
            "example_splits": '["test"]',
            "module_path": "farebox.modules.slicing",
            "fairness_indicator_thresholds": "null",
            "slicing": json.dumps({"box": list(BOX.values()), "airports": {"ohare": [-87.9073, 41.9803]}}),
        }
        FileEvaluatorExecutor(context).Do(inputs, {"evaluation": [evaluation], "blessing": [blessing]}, properties)
        ready = {"evaluation": evaluation, "model_blessing": blessing, "quantized_model": inputs["model"][0]}
        return ready | {"reference_model": inputs["model"][0]}

    return run


def _convert(
    last_step=None,
    *,
    select_tf_ops=False,
    era: int | None = None,
    clips_inputs=False,
    batch: int | None = None,
    whole="int64",
    types=None,
    optimizations=(),
) -> bytes:
    """A `.tflite`: fare = 2.5 - 0.1 pickup_longitude + passenger_count + 0.5 pickup_hour + 0.25 pickup_weekday.

    last_step: applied to the fare. era: from this era on the fare is 5 higher, and the file also asks for pickup_era.
    clips_inputs: missing inputs are 0, and all are clipped to ±100. batch: rows of a call, None for any. whole: dtype
    of whole numbers. types: unusual {input: dtype}; an input with a new name is added to the fare.
    """
    import tensorflow as tf
    import tf_keras as keras

    _spare_keras()
    dtypes = dict.fromkeys(FLOAT_INPUTS, "float32") | dict.fromkeys(INT_INPUTS, whole) | (types or {})
    inputs = {name: keras.Input((1,), batch, name=name, dtype=dtype) for name, dtype in dtypes.items()}
    columns = keras.layers.Concatenate()([tf.cast(column, tf.float32) for column in inputs.values()])
    if clips_inputs:
        columns = tf.where(tf.math.is_nan(columns), 0.0, columns)  # SELECT_V2: tflite-micro lacks SELECT
        columns = tf.minimum(tf.maximum(columns, -100.0), 100.0)
    fare = keras.layers.Dense(
        1,
        kernel_initializer=keras.initializers.Constant(
            np.array([*KERNEL, *[1.0] * (len(inputs) - len(KERNEL))])[:, None]
        ),
        bias_initializer=keras.initializers.Constant(BIAS),
    )(columns)
    if era is not None:
        inputs["pickup_era"] = keras.Input((1,), name="pickup_era", dtype="int32")
        fare = fare + 5.0 * tf.cast(inputs["pickup_era"] >= era, tf.float32)
    network = keras.Model(inputs, last_step(fare) if last_step else fare)

    def answers(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return dict(zip(network.output_names, tf.nest.flatten(network(columns)), strict=True))

    with tempfile.TemporaryDirectory() as folder:  # of a function: a Keras model would be saved with each layer's own
        module, signature = tf.Module(), {name: tf.TensorSpec(i.shape, i.dtype, name) for name, i in inputs.items()}
        module.captured = network.variables
        serving = tf.function(answers, input_signature=[signature], autograph=False)
        tf.saved_model.save(module, folder, signatures=serving)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = list(optimizations)
        if select_tf_ops:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        return converter.convert()


@pytest.fixture(scope="session")
def convert_tflite() -> Callable[..., bytes]:
    """Returns `_convert`: it makes a real `.tflite` with the pipeline's raw inputs and known arithmetic."""
    return _convert


@pytest.fixture(scope="session")
def fare_tflite() -> bytes:
    """A `.tflite` with built-in ops only; see `_convert` for its arithmetic."""
    return _convert()


@pytest.fixture
def run_pusher(tmp_path):
    """run(content, base, ...) runs Pusher's executor under TFX's own spec and returns the PushedModel.

    blessed: 1 by input, or another number, or None for no value. judged: the bytes that each blessing names; by default
    model_blessing names none. judgement, device, golden: the gates' files beside them. settings: PushSettings.
    """
    from tfx.proto import pusher_pb2
    from tfx.types import standard_component_specs
    from tfx.utils import json_utils, proto_utils

    from farebox.components.atomic_pusher.executor import AtomicPusherExecutor

    spec = standard_component_specs.PusherSpec

    def run(content, base, *, blessed=(), judged=(), judgement=None, device=None, golden=None, span=None, **settings):
        folder = tmp_path / f"pusher-{len(list(tmp_path.glob('pusher-*')))}"
        inputs = {key: [spec.INPUTS[key].type()] for key in ("model", "model_blessing", "infra_blessing")}
        outputs = {key: [parameter.type()] for key, parameter in spec.OUTPUTS.items()}
        for key, (artifact,) in (inputs | outputs).items():
            artifact.uri = str(folder / key)
            (folder / key).mkdir(parents=True)
        (folder / "model" / "Format-Serving").mkdir()
        (folder / "model" / "Format-Serving" / "tflite").write_bytes(content)
        if span is not None:
            inputs["model"][0].set_int_custom_property("span", span)
        if judgement is not None:
            (folder / "model_blessing" / "judgement.json").write_text(judgement)
        if device is not None:
            (folder / "infra_blessing" / "device.json").write_text(device)
        if golden is not None:
            (folder / "infra_blessing" / "golden.json").write_text(golden)
        blessings = {"model_blessing": 1, "infra_blessing": 1, **dict(blessed)}
        for key, value in blessings.items():
            if value is not None:
                inputs[key][0].set_int_custom_property("blessed", value)
        for key, about in {"infra_blessing": content, **dict(judged)}.items():
            inputs[key][0].set_string_custom_property("sha256", hashlib.sha256(about).hexdigest())
        destination = pusher_pb2.PushDestination()
        destination.filesystem.base_directory = str(base)
        config = {"manifest": {"lane": "A"}, "push": settings, "promise": ["airport"]}
        exec_properties = {
            "push_destination": proto_utils.proto_to_json(destination),
            "custom_config": json_utils.dumps(config),
        }
        context = AtomicPusherExecutor.Context(pipeline_run_id="run-7")
        AtomicPusherExecutor(context).Do(inputs, outputs, exec_properties)
        return outputs["pushed_model"][0]

    return run


@pytest.fixture(scope="session")
def held_tflite() -> bytes:
    """`fare_tflite` with clipped inputs, int32 and a batch of 1: every runtime gives a finite fare for any input."""
    return _convert(clips_inputs=True, batch=1, whole="int32")


@pytest.fixture
def trip_rows() -> dict[str, np.ndarray]:
    """Three trips and their label; by hand, `fare_tflite` predicts 15.0, 3.0 and 19.5.

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
