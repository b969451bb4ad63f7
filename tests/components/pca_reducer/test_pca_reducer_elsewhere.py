"""PcaReducer in a pipeline that knows no taxi: a classifier on made-up examples, with inputs of other names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

N_KINDS, SHARDS = 3, 3


def _columns(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Kind by the largest of three sums of the sizes, moved by the colour; no feature is negative."""
    random = np.random.default_rng(seed)
    sizes, colour = random.gamma(2, 1, (rows, 5)), random.integers(0, 6, (rows, 1))
    scores = np.stack([sizes[:, 0] + sizes[:, 1], sizes[:, 2] + (colour[:, 0] > 3), 2 * sizes[:, 3]], axis=1)
    return {
        "sizes": sizes.astype(np.float32),
        "age": random.uniform(0, 1, (rows, 1)).astype(np.float32),
        "colour": colour,
        "kind": scores.argmax(axis=1)[:, None],
    }


@pytest.fixture(scope="session")
def kinds(tmp_path_factory, write_examples) -> Path:
    """examples/: 600 train rows in three shards, 200 eval rows; transform_graph/, which says how they parse."""
    import tensorflow as tf
    import tensorflow_transform as tft
    from tensorflow_transform.tf_metadata import metadata_io

    folder = tmp_path_factory.mktemp("kinds")
    for shard in range(SHARDS):
        name = f"transformed_examples-{shard:05d}-of-{SHARDS:05d}.gz"
        write_examples(folder / "examples" / "Split-train" / name, _columns(200, shard))
    write_examples(folder / "examples" / "Split-eval" / "transformed_examples-00000-of-00001.gz", _columns(200, 9))
    spec = {
        name: tf.io.FixedLenFeature((values.shape[1],), tf.float32 if values.dtype.kind == "f" else tf.int64)
        for name, values in _columns(1, 0).items()
    }
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    metadata_io.write_metadata(
        metadata, str(folder / "transform_graph" / tft.TFTransformOutput.TRANSFORMED_METADATA_DIR)
    )
    return folder


@pytest.fixture(scope="session")
def classifier(quick_keras):
    """sizes, age and an embedded colour to three probabilities, fitted to 600 rows."""
    import tf_keras as keras

    keras.utils.set_random_seed(0)
    sizes, age = keras.Input((5,), name="sizes"), keras.Input((1,), name="age")
    colour = keras.Input((1,), dtype="int64", name="colour")
    vector = keras.layers.Flatten()(keras.layers.Embedding(6, 12, name="of_colour")(colour))
    x = keras.layers.Dense(14, activation="relu", name="wide")(keras.layers.Concatenate()([age, vector, sizes]))
    network = keras.Model([colour, age, sizes], keras.layers.Dense(N_KINDS, activation="softmax", name="probable")(x))
    parts = [_columns(200, shard) for shard in range(SHARDS)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    network.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    network.fit({name: columns[name] for name in network.input_names}, columns["kind"], epochs=20, verbose=0)
    return network


@pytest.fixture
def reduce(kinds, classifier, run_node):
    """Settings -> (projection.json, its folder, the reduced network)."""
    from tfx.types import standard_artifacts

    from farebox.components.networks import examples_io
    from farebox.components.pca_reducer.component import PcaReducerSpec
    from farebox.components.pca_reducer.executor import PcaReducerExecutor

    def run(**chosen):
        examples, graph = standard_artifacts.Examples(), standard_artifacts.TransformGraph()
        examples.uri, graph.uri = str(kinds / "examples"), str(kinds / "transform_graph")
        settings = {"layer": "wide", "fine_tune_epochs": 2, **chosen}
        ready = {"examples": examples, "transform_graph": graph}
        outputs = run_node(PcaReducerExecutor, PcaReducerSpec, {"model": classifier}, settings, ready, label="kind")
        uri = outputs["projection"].uri
        network = examples_io.load_network(outputs["reduced_model"])
        return json.loads(Path(uri, "projection.json").read_text()), uri, network

    return run


def _eval_error(kinds: Path, network) -> float:
    from farebox.components.networks import examples_io

    spec = examples_io.feature_spec_at(str(kinds / "transform_graph"))
    held = examples_io.dataset(SimpleNamespace(uri=str(kinds / "examples")), "eval", spec, "kind", 64)
    return examples_io.network_error(network, held).error


def test_a_classifier_is_reduced_and_judged_by_its_log_loss(kinds, classifier, reduce):
    """Two discriminants of three kinds; the fold's own error is what the axes of the artifact give by hand."""
    from farebox.components.pca_reducer import folding
    from farebox.components.pca_reducer.axes import load_projection

    projection, uri, network = reduce(method="lda", space="input", n_components=0.99)
    assert (projection["k"], projection["metric"], projection["label"]) == (2, "log_loss", "kind")
    assert projection["rows"] == {"moments": 600, "sample": 600} and projection["n_features"] == 18
    assert projection["features"][0] == "age" and projection["features"][1] == "of_colour[0]"
    errors = projection["eval_error"]
    assert errors["source"] == pytest.approx(_eval_error(kinds, classifier), rel=1e-5)
    assert errors["reduced"] == pytest.approx(_eval_error(kinds, network), rel=1e-4)
    folded = folding.fold(classifier, "wide", load_projection(uri), "input")
    assert errors["folded"] == pytest.approx(_eval_error(kinds, folded), rel=1e-4)
    assert errors["reduced"] <= errors["folded"]


def test_nmf_looks_and_leaves_the_network_alone(classifier, reduce):
    """sizes, age and ids' vectors: the vectors are made non-negative here, as nmf demands."""
    table = classifier.get_layer("of_colour")
    before = table.get_weights()
    table.set_weights([np.abs(before[0])])
    try:
        projection, uri, network = reduce(method="nmf", space="input", n_components=3)
        for weight, kept in zip(network.get_weights(), classifier.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, kept)
    finally:
        table.set_weights(before)
    assert projection["k"] == 3 and not projection["folded"] and projection["trials"] == []
    assert projection["why"].startswith("fixed by reducer.n_components; for analysis only: ")
    assert projection["eval_error"]["source"] == projection["eval_error"]["reduced"]
    arrays = np.load(f"{uri}/projection.npz")
    assert np.all(arrays["components"] >= 0) and arrays["loadings_correlation"].shape == (3, 18)
    assert 0 < projection["explained_variance_ratio"] < 1


def test_nmf_says_that_features_are_negative(reduce):
    with pytest.raises(ValueError, match="^reducer.method=nmf must have features of at least 0, got -.* in of_colour"):
        reduce(method="nmf", space="input", n_components=3)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["preactivation", "input"])
@pytest.mark.parametrize("method", ["pca", "svd", "ica", "pls"])
@pytest.mark.parametrize("n_components", [8, 0.9, "auto"])
def test_every_method_and_space_and_choice_of_k(reduce, method, space, n_components):
    projection, _, network = reduce(
        method=method, space=space, n_components=n_components, standardize=True, whiten=True, budget=49.0
    )
    errors = projection["eval_error"]
    assert projection["folded"] and errors["reduced"] <= errors["folded"]
    assert network.get_layer("wide").kernel.shape[0] == projection["k"]
    assert projection["parameters"]["reduced"] == network.count_params()
    if n_components == "auto":
        assert errors["reduced"] <= 50 * errors["source"]
        assert projection["parameters"]["reduced"] < projection["parameters"]["source"]
    elif n_components == 0.9:
        assert projection["explained_variance_ratio"] >= 0.9
    else:
        assert projection["k"] == 8


def test_rows_are_numbered_through_a_shard_however_it_is_read(kinds, classifier, tmp_path, monkeypatch):
    """Batches of 64 of its 200 rows: hashes, labels and features are the shard's, in order."""
    from farebox.components.pca_reducer import beam_pass
    from farebox.components.pca_reducer.moments import position_hashes

    monkeypatch.setattr(beam_pass, "READ_ROWS", 64)
    classifier.save(tmp_path / "network.keras")
    shard = kinds / "examples" / "Split-train" / f"transformed_examples-00001-of-{SHARDS:05d}.gz"
    rows = beam_pass.Rows(
        str(tmp_path / "network.keras"), str(kinds / "transform_graph"), "kind", "wide", "input", seed=4
    )
    reader = beam_pass._ReadShard(rows)
    reader.setup()
    batches = list(reader.process((1, str(shard))))
    assert [len(batch.rows) for batch in batches] == [64, 64, 64, 8]
    columns = _columns(200, 1)
    hashes, labels, features = (
        np.concatenate([getattr(batch, name) for batch in batches]) for name in ("hashes", "labels", "rows")
    )
    np.testing.assert_array_equal(hashes, position_hashes(4, shard.name, 0, 200))
    np.testing.assert_array_equal(labels, columns["kind"][:, 0])
    np.testing.assert_array_equal(features[:, 13:], columns["sizes"])


@pytest.mark.slow
def test_equal_seeds_give_equal_networks_and_samples(reduce):
    """Three shards, a sample of 100 of their 600 rows: no byte may depend on chance."""
    runs = [reduce(method="ica", n_components=4, sample_rows=100) for _ in range(2)]
    assert runs[0][0] == runs[1][0] and runs[0][0]["rows"]["sample"] == 100
    for first, second in zip(runs[0][2].get_weights(), runs[1][2].get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_example_in_the_docs_makes_a_node():
    """Its channels are typed, and its settings are ones that the executor takes."""
    from tfx.types import Channel, standard_artifacts

    from farebox.components.pca_reducer.settings import ReducerSettings

    page = (Path(__file__).parents[3] / "docs/components/pca_reducer.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.S)
    types = {"transformed_examples": standard_artifacts.Examples, "transform_graph": standard_artifacts.TransformGraph}
    names = {
        "trainer": SimpleNamespace(outputs={"model": Channel(type=standard_artifacts.Model)}),
        "transform": SimpleNamespace(outputs={key: Channel(type=kind) for key, kind in types.items()}),
    }
    exec(example, names)
    assert names["narrower"].type is standard_artifacts.Model
    assert ReducerSettings(**json.loads(names["reducer"].exec_properties["settings"])).method == "pls"
