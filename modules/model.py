"""The fare networks as tf_keras functional models of standard layers only, so that every tool can take them apart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras as keras

from farebox.modules import columns
from farebox.modules.settings import FeatureSet, ModelSettings

HIDDEN = {"raw": (32, 8), "course": (64, 32), "full": (32, 16)}
COURSE_EMBEDDINGS = {columns.PAIR_CELL: 100}
ROWS_PER_DIMENSION, MAX_DIMENSIONS = 4.4, 3  # a dimension for each such factor of the rows that a cell has


@dataclasses.dataclass(frozen=True)
class Architecture:
    """ModelSettings with nothing left open."""

    hidden: tuple[int, ...]
    embeddings: dict[str, int]


def embeddings_by_data(ids: Mapping[str, np.ndarray], min_rows: int) -> dict[str, int]:
    """Dimensions by cross: the logarithm to base 4.4 of the mean rows of a cell that train has seen, at most 3.

    ids: of train, by cross. Cells with fewer than min_rows are not seen. No table for a cross without a dimension:
    with fewer rows a cell it would learn noise. (Base 5 costs NYC's sample 0.5 % of RMSE, 4 some 1.3 KB for nothing.)
    """
    dimensions = {}
    for cross, values in ids.items():
        rows = np.bincount(values.reshape(-1))
        seen = rows[rows >= min_rows]
        if len(seen) and seen.mean() >= ROWS_PER_DIMENSION:
            dimensions[cross] = min(int(math.log(seen.mean(), ROWS_PER_DIMENSION)), MAX_DIMENSIONS)
    return dimensions


def resolved(settings: ModelSettings, feature_set: FeatureSet, by_data: Mapping[str, int]) -> Architecture:
    """The settings with what is None taken from the feature set and, in the full one, from the data.

    by_data: dimensions by cross as the data want them.
    """
    by_set = {"raw": {}, "course": COURSE_EMBEDDINGS, "full": dict(by_data)}
    return Architecture(
        HIDDEN[feature_set] if settings.hidden is None else settings.hidden,
        by_set[feature_set] if settings.embeddings is None else settings.embeddings,
    )


def embedded(cross: str, cardinality: int, dimensions: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An id input of shape (n, 1), int64, and its embedding of shape (n, dimensions).

    The id passes a Flatten first: tfmot quantizes whatever Input touches an annotated layer, and an id must not be.
    Flatten, not Reshape: its shape is a constant of the file, where Reshape computes it by three operators.
    """
    ids = keras.Input((1,), dtype="int64", name=cross)
    flat = keras.layers.Flatten(name=f"{cross}_id")(ids)
    table = keras.layers.Embedding(cardinality, dimensions, name=f"{cross}_embedding")
    return ids, keras.layers.Flatten(name=f"{cross}_vector")(table(flat))


def centre_embeddings(network: keras.Model, ids: Mapping[str, np.ndarray], min_rows: int) -> None:
    """Makes the average cell the row of zeros, and that the row of every cell with fewer than min_rows ids, in place.

    ids: of train, by cross. The mean row moves into the first layer's bias, so that fares in other cells stay.
    """
    start = network.get_layer("hidden_0").kernel.shape[0] - sum(
        network.get_layer(f"{cross}_embedding").output_dim for cross in ids
    )
    for cross, values in ids.items():
        layer = network.get_layer(f"{cross}_embedding")
        (table,), (kernel, bias) = layer.get_weights(), network.get_layer("hidden_0").get_weights()
        rows = np.bincount(values.reshape(-1), minlength=len(table))
        rows = np.where(rows >= min_rows, rows, 0)
        mean = rows @ table / max(rows.sum(), 1)
        layer.set_weights([np.where(rows[:, None] > 0, table - mean, 0.0)])
        network.get_layer("hidden_0").set_weights([kernel, bias + mean @ kernel[start : start + layer.output_dim]])
        start += layer.output_dim


def build_network(
    hidden: Sequence[int],
    embeddings: Mapping[str, int],
    cardinalities: Mapping[str, int],
    *,
    width: int,
    source: str = columns.NUMERIC,
    name: str = "network",
) -> keras.Model:
    """Fare of shape (n, 1) from the numbers in `source` (n, width) and the ids of the embedded crosses.

    hidden: units per Dense layer (ReLU); embeddings: dimensions by cross; cardinalities: ids by cross.
    """
    numbers = keras.Input((width,), name=source)
    inputs, branches = [numbers], [numbers]
    for cross, dimensions in embeddings.items():
        ids, branch = embedded(cross, cardinalities[cross], dimensions)
        inputs.append(ids)
        branches.append(branch)
    x = keras.layers.Concatenate(name="concatenated")(branches) if len(branches) > 1 else numbers
    for i, units in enumerate(hidden):
        x = keras.layers.Dense(units, activation="relu", name=f"hidden_{i}")(x)
    return keras.Model(inputs, keras.layers.Dense(1, name=columns.FARE)(x), name=name)
