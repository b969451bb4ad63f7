"""The three nodes behind the Trainer of TFX's own templates, with the templates' unchanged module files.

`test_in_tfx_templates.py` runs these tests in a process of their own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROWS = {"train": 500, "eval": 200}
NAMES = ("examples", "transformed"), ("raw_examples", "raw"), ("transform_graph", "transform_graph")


def _penguins(n_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Three species by the columns of TFX's penguin data, with its units."""
    random = np.random.default_rng(seed)
    species = random.integers(0, 3, (n_rows, 1))
    means = np.array([[39, 18, 190, 3700], [49, 18, 196, 3700], [47, 15, 217, 5000]])[species[:, 0]]
    sizes = means + random.normal(0, 1, (n_rows, 4)) * [2.8, 1.1, 6.5, 450]
    names = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")
    columns = {name: sizes[:, [i]].astype(np.float32) for i, name in enumerate(names)}
    return columns | {"species": species}


def _artifacts(folder: Path) -> dict:
    """examples, raw_examples and transform_graph below a folder, as TFX's nodes leave them."""
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2
    from tfx.types import artifact_utils, standard_artifacts

    ready = {}
    for key, place in NAMES:
        ready[key] = standard_artifacts.TransformGraph() if key == "transform_graph" else standard_artifacts.Examples()
        ready[key].uri = str(folder / place)
        if key != "transform_graph":
            ready[key].split_names = artifact_utils.encode_split_names(list(ROWS))
            examples_utils.set_payload_format(ready[key], example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    return ready


def _trained(run_fn, folder: Path, ready: dict, steps: int) -> str:
    """Calls a template's run_fn as TFX's Trainer does; returns the folder of the Model artifact."""
    from tfx.components.trainer.fn_args_utils import DataAccessor, FnArgs
    from tfx.components.util import tfxio_utils

    examples = [ready["examples"]]
    run_fn(
        FnArgs(
            train_files=[str(folder / "transformed" / "Split-train" / "*")],
            eval_files=[str(folder / "transformed" / "Split-eval" / "*")],
            train_steps=steps,
            eval_steps=2,
            schema_path=None,
            transform_graph_path=str(folder / "transform_graph"),
            transform_output=str(folder / "transform_graph"),
            serving_model_dir=str(folder / "model" / "Format-Serving"),
            model_run_dir=str(folder / "run"),
            data_accessor=DataAccessor(
                tf_dataset_factory=tfxio_utils.get_tf_dataset_factory_from_artifact(examples, []),
                record_batch_factory=None,
                data_view_decode_fn=None,
            ),
        )
    )
    return str(folder / "model")


@pytest.fixture
def shipped(run_node, tmp_path):
    """(Model's folder, artifacts, PcaReducer's settings, Quantizer's properties) -> outputs of the three in a row."""
    from tfx.types import standard_artifacts

    from farebox.components.pca_reducer.component import PcaReducerSpec
    from farebox.components.pca_reducer.executor import PcaReducerExecutor
    from farebox.components.pruner.component import PrunerSpec
    from farebox.components.pruner.executor import PrunerExecutor
    from farebox.components.quantizer.component import QuantizerSpec
    from farebox.components.quantizer.executor import QuantizerExecutor

    def run(uri: str, ready: dict, reducer: dict, **quantizer):
        model = standard_artifacts.Model()
        model.uri = uri

        def node(executor, spec, settings, models, **properties):
            inputs = {key: ready[key] for key in spec.INPUTS if key in ready}
            return run_node(executor, spec, {}, settings, inputs | models, **properties)

        label = {"label": quantizer["transformed_label"]}
        pruner = {"final_sparsity": 0.25, "layers": ["*"], "ramp_epochs": 1, "recover_epochs": 1}
        reduced = node(PcaReducerExecutor, PcaReducerSpec, reducer, {"model": model}, **label)
        pruned = node(PrunerExecutor, PrunerSpec, pruner, {"model": reduced["reduced_model"]}, **label)
        models = {"model": pruned["pruned_model"], "unreduced_model": model}
        quantizer |= {"non_negative": 0, "bands": "{}", "smallest_label": None, "description": ""}
        last = node(QuantizerExecutor, QuantizerSpec, {"max_rmse_increase": "5%"}, models, **quantizer)
        return reduced | pruned | last

    return run


def test_penguins_have_a_logits_head(write_transformed, quick_keras, shipped, tmp_path):
    """The template's run_fn writes a SavedModel alone; classes are known by their ids and by logits."""
    from tfx.experimental.templates.penguin.models import features, model, preprocessing

    from farebox.components.tflite.interpreter import TfliteModel

    write_transformed(
        tmp_path,
        {split: _penguins(n, seed) for seed, (split, n) in enumerate(ROWS.items())},
        preprocessing.preprocessing_fn,
    )
    ready = _artifacts(tmp_path)
    uri = _trained(model.run_fn, tmp_path, ready, steps=200)
    reducer = {"layer": "dense", "n_components": 4}
    labels = {"label": "species", "transformed_label": "species_xf"}
    outputs = shipped(uri, ready, reducer, **labels, model_inputs=",".join(features.FEATURE_KEYS))
    choice = json.loads(Path(outputs["trials"].uri, "choice.json").read_text())
    assert choice["objective"].startswith("classes: ") and choice["objective"].endswith("logits")
    assert choice["metric"] == "log_loss" and choice["eval_error"]["shipped"] <= choice["bound"]
    held = _penguins(ROWS["eval"], 1)
    species = held.pop("species")
    content = Path(outputs["quantized_model"].uri, "Format-Serving", "tflite").read_bytes()
    answers = TfliteModel(content).predict(held)
    assert answers.shape == (ROWS["eval"], 3) and answers.min() < 0
    assert np.mean(answers.argmax(axis=1) == species[:, 0]) > 0.9
    assert _pushed(outputs["quantized_model"], tmp_path / "served") == content


def _pushed(model, served: Path) -> bytes:
    """The file that TFX's own Pusher copies."""
    from tfx.components.pusher.executor import Executor
    from tfx.proto import pusher_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(served.with_name("pushed_model"))
    place = pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(served)))
    properties = {"push_destination": proto_utils.proto_to_json(place), "custom_config": "null"}
    Executor().Do({"model": [model]}, {"pushed_model": [pushed]}, properties)
    (file,) = served.glob("*/tflite")
    return file.read_bytes()


def _taxi_trips(n_rows: int, first: int) -> dict[str, np.ndarray]:
    """Rows of the template's own data, with the columns that it uses."""
    import pandas as pd
    import tfx

    path = Path(tfx.__file__).parent / "examples/chicago_taxi_pipeline/data/simple/data.csv"
    names = ["trip_miles", "pickup_latitude", "trip_start_hour", "fare", "tips"]
    rows = pd.read_csv(path, usecols=names).dropna()[first : first + n_rows]
    columns = {name: rows[[name]].to_numpy(np.float32) for name in names}
    return columns | {"trip_start_hour": rows[["trip_start_hour"]].to_numpy(np.int64)}


def test_taxi_label_is_made_by_the_transform(write_transformed, quick_keras, shipped, tmp_path, monkeypatch):
    """`tips_xf`, a class, is made of tips and fare; the last layers are a sigmoid and a Reshape.

    A second dense feature, as tf_keras cannot load a Concatenate of one tensor.
    """
    import tf_keras as keras
    from tfx.experimental.templates.taxi.models import features, preprocessing
    from tfx.experimental.templates.taxi.models.keras_model import model

    from farebox.components.networks.saved_model import NETWORK_FILE
    from farebox.components.tflite.interpreter import TfliteModel

    monkeypatch.setattr(features, "DENSE_FLOAT_FEATURE_KEYS", ["trip_miles", "fare"])
    write_transformed(
        tmp_path, {"train": _taxi_trips(2000, 0), "eval": _taxi_trips(600, 2000)}, preprocessing.preprocessing_fn
    )
    ready = _artifacts(tmp_path)
    keras.utils.set_random_seed(1)
    network = model._build_keras_model([16, 8], 0.01)
    folder = tmp_path / "model" / "Format-Serving"
    folder.mkdir(parents=True)
    network.save(folder / NETWORK_FILE)
    reducer = {"layer": network.layers[-2].name, "space": "input", "n_components": 4, "fine_tune_epochs": 1}
    outputs = shipped(
        str(folder.parent),
        ready,
        reducer,
        label="tips",
        transformed_label="tips_xf",
        model_inputs="trip_miles,fare,pickup_latitude,trip_start_hour",
    )
    choice = json.loads(Path(outputs["trials"].uri, "choice.json").read_text())
    assert choice["objective"].startswith("binary: its last layer is sigmoid") and choice["metric"] == "log_loss"
    held = _taxi_trips(600, 2000)
    is_tipped = held.pop("tips")[:, 0] > 0.2 * held["fare"][:, 0]
    chances = TfliteModel(Path(outputs["quantized_model"].uri, "Format-Serving", "tflite").read_bytes()).predict(held)
    hits = np.where(is_tipped, chances.reshape(-1), 1 - chances.reshape(-1))
    loss = float(-np.log(np.maximum(hits, 1e-7)).mean())
    assert choice["eval_error"]["shipped"] == pytest.approx(loss, rel=1e-3)
