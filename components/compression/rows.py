"""The rows that a network is compressed with: checked, and shaped as its inputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.rows import Rows

Array = npt.NDArray[Any]
Inputs = Array | Mapping[str, Array]

BATCH_ROWS = 256
LEAST_ROWS = {"train": 40, "evaluation": 10, "test": 10}


@dataclasses.dataclass(frozen=True)
class Split:
    """columns: by input name, each of shape (n, ...); labels: (n, ...)."""

    columns: dict[str, Array]
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def batches(self) -> Rows:
        """The rows as TensorFlow takes them, labels of shape (n, 1) or (n, ...)."""
        labels = self.labels[:, None] if self.labels.ndim == 1 else self.labels
        return Rows(self.columns, labels.astype(np.float32), BATCH_ROWS)

    @property
    def order(self) -> npt.NDArray[np.float64]:
        """One number per row, by which extreme rows are found: the mean of its labels, shape (n,)."""
        return np.asarray(self.labels.astype(np.float64).reshape(len(self), -1).mean(axis=1))

    def joined(self, other: Split) -> Split:
        """These rows, then the other ones."""
        columns = {name: np.concatenate([values, other.columns[name]]) for name, values in self.columns.items()}
        return Split(columns, np.concatenate([self.labels, other.labels]))


def split_of(network: keras.Model, place: str, rows: tuple[Inputs, Array]) -> Split:
    """Returns (x, y) as columns and labels as they are. Raises InputError, which starts with `place`."""
    x, y = rows[0], np.asarray(rows[1])
    if y.ndim == 0:
        raise InputError(f"{place}: y must have shape (n, ...), got {y.shape}")
    if len(y) < LEAST_ROWS[place]:
        raise InputError(f"{place}: rows={len(y)} must be at least {LEAST_ROWS[place]}")
    labels = check_numbers(place, "y", y).astype(np.float64)
    if not isinstance(x, Mapping):
        if len(network.inputs) != 1:
            names = ", ".join(network.input_names)
            raise InputError(f"{place}: x must be a dict of arrays by input name, {names}, got {type(x).__name__}")
        x = {network.input_names[0]: x}
    arrays = {name: np.asarray(values) for name, values in x.items()}
    return Split(as_columns(network, arrays, len(labels), place), labels)


def as_columns(network: keras.Model, x: Mapping[str, Array], n_rows: int, place: str) -> dict[str, Array]:
    """Returns the arrays of the network's inputs, each of the input's type and of shape (n_rows, ...).

    Raises InputError, which starts with `place`, if one is missing, has another width, or is not finite.
    """
    columns = {}
    for name, tensor in zip(network.input_names, network.inputs, strict=True):
        if name not in x:
            raise InputError(f"{place}: input {name} is missing, got {', '.join(x) or 'nothing'}")
        values, width = check_numbers(place, name, x[name]), math.prod(tensor.shape[1:])
        if values.shape[:1] != (n_rows,):
            got = len(values) if values.ndim else 1
            raise InputError(f"{place}: {name} must have {n_rows} rows, as the label has, got {got}")
        if values.size != n_rows * width:
            raise InputError(f"{place}: {name} must hold {width} numbers a row, got {values.size / n_rows:g}")
        columns[name] = values.reshape(n_rows, *tensor.shape[1:]).astype(tensor.dtype.as_numpy_dtype)
    return columns


def check_numbers(place: str, name: str, values: Array) -> Array:
    """Returns the values. Raises InputError if they are not finite numbers."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{place}: {name} must be numbers, got {values.dtype}")
    if not np.isfinite(values).all():
        row = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"{place}: {name} must be finite, got {values[tuple(row)]} in row {row[0]}")
    return values
