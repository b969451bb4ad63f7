"""Reading splits of an Examples artifact, and the Keras networks beside them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.objective import Objective, Running, objective_of
from farebox.components.networks.rows import Batch, Rows, in_memory
from farebox.components.networks.saved_model import NETWORK_FILE, network_of_saved_model
from farebox.components.tflite.files import serving_dir

if TYPE_CHECKING:
    from tfx import types

EVAL_BATCH_ROWS = 2048
MAX_FITTING_ROWS, MAX_EVAL_ROWS = 500_000, 100_000  # rows of train and of eval that a node holds in memory, at most


def load_network(model: types.Artifact) -> keras.Model:
    """The float network of a Model artifact, as Trainer, PcaReducer and Pruner write it."""
    return network_at(network_path(model))


def network_path(model: types.Artifact) -> str:
    """The file of a Model artifact's float network; the folder if it is a SavedModel alone."""
    folder = serving_dir(model)
    path = os.path.join(folder, NETWORK_FILE)
    return path if tf.io.gfile.exists(path) else folder


def network_at(path: str) -> keras.Model:
    """A network from its file, or from the folder of a SavedModel. Raises InputError if that has no layers."""
    if path.endswith(".keras"):
        return keras.models.load_model(path, compile=False)
    return network_of_saved_model(path)


def save_network(network: keras.Model, model: types.Artifact) -> None:
    """Writes the network into a Model artifact."""
    tf.io.gfile.makedirs(serving_dir(model))
    network.save(os.path.join(serving_dir(model), NETWORK_FILE))


def split_files(examples: types.Artifact, split: str) -> list[str]:
    """The TFRecord shards of one split, sorted."""
    return sorted(tf.io.gfile.glob(os.path.join(examples.uri, f"Split-{split}", "*")))


def raw_feature_spec(columns: Mapping[str, tf.DType]) -> dict[str, tf.io.FixedLenFeature]:
    """The parsing spec of TripExampleGen's examples: every column present, shape (1,)."""
    return {name: tf.io.FixedLenFeature((1,), dtype) for name, dtype in columns.items()}


def transformed_feature_spec(transform_graph: types.Artifact) -> dict[str, Any]:
    """The parsing spec of Transform's examples."""
    return feature_spec_at(transform_graph.uri)


def feature_spec_at(transform_graph_uri: str) -> dict[str, Any]:
    """The same from the transform graph's folder."""
    import tensorflow_transform as tft

    return dict(tft.TFTransformOutput(transform_graph_uri).transformed_feature_spec())


def dataset(
    examples: types.Artifact,
    split: str,
    feature_spec: Mapping[str, Any],
    label: str,
    batch_size: int,
) -> tf.data.Dataset:
    """({feature: (n, width)}, label (n, 1)), batch by batch."""
    return labelled(split_files(examples, split), feature_spec, label, batch_size)


def labelled(
    files: Sequence[str],
    feature_spec: Mapping[str, Any],
    label: str,
    batch_size: int,
) -> tf.data.Dataset:
    """The same from TFRecord files. Raises InputError if they have no such label."""
    if label not in feature_spec:
        raise InputError(f"label={label} must be a column of the examples, got {', '.join(sorted(feature_spec))}")

    def parse(serialized: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        columns = tf.io.parse_example(serialized, dict(feature_spec))
        return columns, columns.pop(label)

    rows = tf.data.TFRecordDataset(files, compression_type="GZIP")
    return rows.batch(batch_size).map(parse).prefetch(2)


def fitting_splits(
    input_dict: Mapping[str, list[types.Artifact]], label: str, batch_size: int, seed: int
) -> tuple[Rows, Rows]:
    """Train and eval of a node whose inputs are transformed `examples` and a `transform_graph`.

    A sample if there are more rows than MAX_FITTING_ROWS or MAX_EVAL_ROWS. batch_size: of train.
    """
    (examples,), (transform_graph,) = input_dict["examples"], input_dict["transform_graph"]
    spec = transformed_feature_spec(transform_graph)
    train, evaluation = (
        in_memory(dataset(examples, split, spec, label, EVAL_BATCH_ROWS), max_rows, seed)
        for split, max_rows in (("train", MAX_FITTING_ROWS), ("eval", MAX_EVAL_ROWS))
    )
    return dataclasses.replace(train, batch_size=batch_size), evaluation


def numpy_batches(batches: Iterable[Batch]) -> Iterator[tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]]:
    """The same batches as numpy arrays; labels as float64 of shape (n,), or (n, ...) if a row has several."""
    for columns, label in batches:
        labels = label.numpy().astype(np.float64)
        yield (
            {name: values.numpy() for name, values in columns.items()},
            labels.reshape(-1) if labels.size == len(labels) else labels,
        )


def network_error(network: keras.Model, batches: Iterable[Batch], objective: Objective | None = None) -> Running:
    """The network's error over the batches; objective: by default as its last layer says."""
    error = (objective or objective_of(network)).running()
    predict = tf.function(lambda columns: network(columns, training=False), autograph=False)
    for columns, label in batches:
        error.update(predict({name: columns[name] for name in network.input_names}).numpy(), label.numpy())
    return error


def expected_error(
    network: keras.Model,
    source: keras.Model,
    source_error: float,
    batches: Iterable[Batch],
    objective: Objective | None = None,
) -> float:
    """Expected error of a changed copy of `source` on rows like these, from how far its predictions move.

    Uses no labels: on few rows, the best of several copies beats its source by chance.
    """
    objective = objective or objective_of(source)
    if not objective.is_additive:
        return source_error
    departure = objective.running_departure()
    predict = tf.function(
        lambda columns: (network(columns, training=False), source(columns, training=False)), autograph=False
    )
    for columns, _ in batches:
        changed, before = predict({name: columns[name] for name in source.input_names})
        departure.update(changed.numpy(), before.numpy())
    return objective.with_departure(source_error, departure.error)
