"""The fare networks as tf_keras functional models of standard layers only, so that every tool can take them apart."""

from __future__ import annotations

from collections.abc import Mapping

import tf_keras as keras

from modules import columns
from modules.settings import ModelSettings


def embedded(cross: str, cardinality: int, dimensions: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An id input of shape (n, 1), int64, and its embedding of shape (n, dimensions).

    The id passes a Reshape first: tfmot quantizes whatever Input touches an annotated layer, and an id must not be.
    """
    ids = keras.Input((1,), dtype="int64", name=cross)
    flat = keras.layers.Reshape((), name=f"{cross}_id")(ids)
    return ids, keras.layers.Embedding(cardinality, dimensions, name=f"{cross}_embedding")(flat)


def build_network(
    settings: ModelSettings, n_numeric: int, cardinalities: Mapping[str, int], mean_fare: float
) -> keras.Model:
    """Fare in the city's currency, shape (n, 1), from `numeric` (n, n_numeric) and the ids of the chosen crosses.

    The output starts at the mean fare of train: the first epochs then learn differences, not a level.
    """
    numeric = keras.Input((n_numeric,), name=columns.NUMERIC)
    inputs, branches = [numeric], [numeric]
    for cross, dimensions in settings.embeddings.items():
        ids, branch = embedded(cross, cardinalities[cross], dimensions)
        inputs.append(ids)
        branches.append(branch)
    x = keras.layers.Concatenate(name="concatenated")(branches) if len(branches) > 1 else numeric
    for i, units in enumerate(settings.hidden):
        x = keras.layers.Dense(units, activation="relu", name=f"hidden_{i}")(x)
    start = keras.initializers.Constant(mean_fare)
    return keras.Model(inputs, keras.layers.Dense(1, bias_initializer=start, name=columns.FARE)(x), name="network")


def build_baseline(n_raw: int) -> keras.Model:
    """The course's baseline: a DNN [32, 8] on the source's raw, unscaled columns, shape (n, n_raw)."""
    raw = keras.Input((n_raw,), name=columns.RAW)
    x = keras.layers.Dense(32, activation="relu")(raw)
    x = keras.layers.Dense(8, activation="relu")(x)
    return keras.Model(raw, keras.layers.Dense(1, name=columns.FARE)(x), name="baseline")
