"""Splits with the labels that a network's objective takes: what PcaReducer, Pruner and Quantizer begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.fine_tuning import predictions_of
from farebox.components.networks.objective import Score
from farebox.components.networks.resolution import Head, Resolution, resolve
from farebox.components.networks.rows import Rows

ROWS_TO_GUESS = 1000  # whose predictions tell logits from probabilities


class Labelled(Protocol):
    """Rows with labels: `Rows`, or a split of `compress`."""

    @property
    def columns(self) -> dict[str, npt.NDArray[Any]]: ...

    @property
    def labels(self) -> npt.NDArray[Any]: ...


def resolution_of(
    network: keras.Model, splits: Mapping[str, Labelled], objective: str | Score, metric: str
) -> Resolution:
    """Returns the objective, checked with the labels of all splits. Raises InputError if they contradict it."""
    if len(network.outputs) != 1:
        raise InputError(f"{network.name}: outputs={network.output_names} must be one")
    labels = np.concatenate([rows.labels.reshape(len(rows.labels), -1) for rows in splits.values()])
    first = next(iter(splits.values()))
    some = {name: values[:ROWS_TO_GUESS] for name, values in first.columns.items()}
    predictions = predictions_of(network)(Rows(some, first.labels[:ROWS_TO_GUESS], ROWS_TO_GUESS))
    shaped = labels.reshape(-1, *first.labels.shape[1:])
    return resolve(Head.of(network), shaped, predictions.astype(np.float32), objective, metric)


def resolved(
    network: keras.Model, splits: Mapping[str, Rows], objective: str | Score, metric: str
) -> tuple[Resolution, dict[str, Rows]]:
    """Returns `resolution_of`, and the splits with labels as it takes them, of shape (n, 1) or (n, ...)."""
    resolution = resolution_of(network, splits, objective, metric)

    def prepared(place: str, rows: Rows) -> Rows:
        labels = resolution.labels(place, rows.labels)
        return dataclasses.replace(rows, labels=labels[:, None] if labels.ndim == 1 else labels)

    return resolution, {place: prepared(place, rows) for place, rows in splits.items()}
