"""The fare networks as tf_keras functional models of standard layers only, so that every tool can take them apart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.modules import columns
from farebox.modules.settings import FeatureSet, ModelSettings

HIDDEN = {"raw": (32, 8), "course": (64, 32), "full": (32, 16)}
HIDDEN_BESIDE_TABLES = (24, 16)  # of the full set; with look-ups of places and hours, 32 units are no better
COURSE_EMBEDDINGS = {columns.PAIR_CELL: 100}
ROWS_PER_DIMENSION, MAX_DIMENSIONS = 30, 3  # one dimension for each such factor in the mean rows of a cell


@dataclasses.dataclass(frozen=True)
class Architecture:
    """ModelSettings without None."""

    hidden: tuple[int, ...]
    embeddings: dict[str, int]


def embeddings_by_data(ids: Mapping[str, npt.NDArray[Any]], min_rows: int) -> dict[str, int]:
    """Dimensions by cross: the logarithm to base 30 of the mean rows of a cell that train has seen, at most 3.

    ids: of train, by cross. Cells with fewer than min_rows are not seen. No table for a cross without a dimension:
    with fewer rows a cell it would learn noise. (On five splits of NYC's sample, 2 or 3 dimensions and pairs of zones
    do not lower the RMSE beyond that of one dimension.)
    """
    dimensions = {}
    for cross, values in ids.items():
        rows = np.bincount(values.reshape(-1))
        seen = rows[rows >= min_rows]
        if len(seen) and seen.mean() >= ROWS_PER_DIMENSION:
            dimensions[cross] = min(int(math.log(seen.mean(), ROWS_PER_DIMENSION)), MAX_DIMENSIONS)
    return dimensions


def looks_all_up(feature_set: FeatureSet, embeddings: Mapping[str, int]) -> bool:
    """Whether a network of the full set looks up both places and the hour of the week: it needs fewer numbers then."""
    return feature_set == "full" and set(columns.EMBEDDED) <= set(embeddings)


def resolved(settings: ModelSettings, feature_set: FeatureSet, by_data: Mapping[str, int]) -> Architecture:
    """The settings, with None replaced by values of the feature set and, in the full one, of the data.

    by_data: dimensions by cross, from `embeddings_by_data`.
    """
    by_set = {"raw": {}, "course": COURSE_EMBEDDINGS, "full": dict(by_data)}
    embeddings = by_set[feature_set] if settings.embeddings is None else settings.embeddings
    usual = HIDDEN_BESIDE_TABLES if looks_all_up(feature_set, embeddings) else HIDDEN[feature_set]
    return Architecture(usual if settings.hidden is None else settings.hidden, embeddings)


def embedded(cross: str, cardinality: int, dimensions: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An id input of shape (n, 1), int64, and its embedding of shape (n, dimensions).

    The id passes a Flatten first: tfmot quantizes each Input next to an annotated layer, and an id must not be.
    Flatten, not Reshape: its shape is a constant of the file, while Reshape computes it with three operators.
    """
    ids = keras.Input((1,), dtype="int64", name=cross)
    flat = keras.layers.Flatten(name=f"{cross}_id")(ids)
    table = keras.layers.Embedding(cardinality, dimensions, name=f"{cross}_embedding")
    return ids, keras.layers.Flatten(name=f"{cross}_vector")(table(flat))


def centre_embeddings(network: keras.Model, ids: Mapping[str, npt.NDArray[Any]], min_rows: int) -> None:
    """Shifts tables, in place, so that the average cell is zeros, as is every cell with fewer than min_rows ids.

    ids: of train, by cross. The mean row moves into the first layer's bias, so that other cells' fares do not change.
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
