"""Quantizer in a pipeline that knows no taxi: petals to a species, with columns, layers and a label of other names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from farebox.components.tflite.files import tflite_path
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import bands_of

ROWS = {"train": 400, "eval": 300}


def _petals(n_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Species 1 is long for its width, where it does not grow on shaded ground (site 0)."""
    random = np.random.default_rng(seed)
    length, width = random.normal(30, 8, (n_rows, 1)), random.normal(10, 3, (n_rows, 1))
    site = random.integers(0, 4, (n_rows, 1))
    species = ((length - 3 * width) / 10 + (site > 0) - 0.7 > 0).astype(np.int64)
    return {
        "length": length.astype(np.float32), "width": width.astype(np.float32), "site": site, "species": species,
    }  # fmt: skip


def _preprocessing(raw):
    import tensorflow as tf
    import tensorflow_transform as tft

    sizes = tf.concat([tft.scale_to_z_score(raw["length"]), tft.scale_to_z_score(raw["width"])], axis=1)
    return {"sizes": sizes, "ground": raw["site"], "species_xf": raw["species"]}


@pytest.fixture(scope="module")
def petals(tmp_path_factory, write_transformed) -> Path:
    """raw/, transformed/ and transform_graph/ as ExampleGen and Transform leave them."""
    folder = tmp_path_factory.mktemp("petals")
    data = {split: _petals(n_rows, seed) for seed, (split, n_rows) in enumerate(ROWS.items())}
    write_transformed(folder, data, _preprocessing)
    return folder


def _network(petals: Path):
    import tf_keras as keras

    from farebox.components.networks import examples_io

    keras.utils.set_random_seed(2)
    ground, sizes = keras.Input((1,), dtype="int64", name="ground"), keras.Input((2,), name="sizes")
    vector = keras.layers.Flatten()(keras.layers.Embedding(4, 3, name="soil")(ground))
    x = keras.layers.Dense(12, activation="tanh", name="leaf")(keras.layers.Concatenate()([vector, sizes]))
    network = keras.Model([ground, sizes], keras.layers.Dense(1, activation="sigmoid", name="chance")(x))
    files = [str(file) for file in (petals / "transformed" / "Split-train").glob("*.gz")]
    rows = examples_io.labelled(files, examples_io.feature_spec_at(str(petals / "transform_graph")), "species_xf", 50)
    network.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    network.fit(rows, epochs=20, verbose=0)
    return network


@pytest.mark.slow
def test_a_classifier_of_raw_columns_becomes_one_file(petals, quick_keras, run_node):
    from tfx.types import standard_artifacts

    from farebox.components.quantizer.component import QuantizerSpec
    from farebox.components.quantizer.executor import QuantizerExecutor

    network = _network(petals)
    ready = {
        "examples": standard_artifacts.Examples(), "raw_examples": standard_artifacts.Examples(),
        "transform_graph": standard_artifacts.TransformGraph(),
    }  # fmt: skip
    for key, name in (("examples", "transformed"), ("raw_examples", "raw"), ("transform_graph", "transform_graph")):
        ready[key].uri = str(petals / name)
    outputs = run_node(
        QuantizerExecutor,
        QuantizerSpec,
        {"model": network, "unreduced_model": network},
        {"max_rmse_increase": "2%", "portable": False},
        ready,
        label="species",
        transformed_label="species_xf",
        model_inputs="length,width,site",
        non_negative=0,
        bands="{}",
        smallest_label=None,
        description="",
    )
    uri = Path(outputs["trials"].uri)
    choice = json.loads((uri / "choice.json").read_text())
    trials = [json.loads(line) for line in (uri / "trials.jsonl").read_text().splitlines()]
    shipped = Path(f"{outputs['quantized_model'].uri}/Format-Serving/tflite").read_bytes()
    assert choice["ranges"] == "none: the model predicts classes" and bands_of(shipped) is None
    assert choice["metric"] == "log_loss" and choice["eval_error"]["shipped"] <= choice["bound"]
    assert {"float32", "float16", "int8_weights", "int8", "int16x8"} <= {trial["rung"] for trial in trials}
    content = Path(tflite_path(outputs["quantized_model"])).read_bytes()
    assert len(content) == choice["bytes"] < len(Path(tflite_path(outputs["reference_model"])).read_bytes())
    held = _petals(ROWS["eval"], 1)
    species = held.pop("species")
    chance = TfliteModel(content).predict(held)
    assert np.mean((chance.reshape(-1) > 0.5) == (species.reshape(-1) == 1)) > 0.9
