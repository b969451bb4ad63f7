"""The rows that a network is compressed with: checked, and shaped as its inputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError, is_number
from farebox.components.tflite.types import stored_type

if TYPE_CHECKING:
    import tf_keras as keras

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
        from farebox.components.networks.rows import Rows

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


@dataclasses.dataclass(frozen=True)
class Input:
    """An input. tail: shape of a row's numbers; dtype: of NumPy; other_names: under which rows may have it, too.

    stored: the type that a file takes.
    """

    name: str
    tail: tuple[int, ...]
    dtype: str
    other_names: tuple[str, ...] = ()

    @property
    def stored(self) -> str:
        return stored_type(self.dtype)

    def name_in(self, x: Mapping[str, Array]) -> str | None:
        """The name of these that the rows have; None if they have none of them."""
        return next((name for name in (self.name, *self.other_names) if name in x), None)


def inputs_of(network: keras.Model) -> tuple[Input, ...]:
    """The inputs of a functional tf_keras network, in its order; other_names: its keys of a dict of inputs."""
    pairs = zip(network.input_names, network.inputs, strict=True)
    keys = network.input if isinstance(network.input, Mapping) else {}
    return tuple(
        Input(
            name,
            tuple(tensor.shape[1:]),
            np.dtype(tensor.dtype.as_numpy_dtype).name,
            tuple(key for key, each in keys.items() if each is tensor and key != name),
        )
        for name, tensor in pairs
    )


def split_of(inputs: Sequence[Input], place: str, rows: tuple[Inputs, Array]) -> Split:
    """Returns (x, y) as columns and labels as they are. Raises InputError, which starts with `place`."""
    x, y = rows[0], np.asarray(rows[1])
    if y.ndim == 0:
        raise InputError(f"{place}: y must have shape (n, ...), got {y.shape}")
    if len(y) < LEAST_ROWS[place]:
        raise InputError(f"{place}: rows={len(y)} must be at least {LEAST_ROWS[place]}")
    labels = check_numbers(place, "y", y).astype(np.float64)
    _check_type(place, "y", labels, "float32")
    if not isinstance(x, Mapping):
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs)
            raise InputError(f"{place}: x must be a dict of arrays by input name, {names}, got {type(x).__name__}")
        x = {inputs[0].name: x}
    arrays = {name: np.asarray(values) for name, values in x.items()}
    return Split(as_columns(inputs, arrays, len(labels), place), labels)


def as_columns(inputs: Sequence[Input], x: Mapping[str, Array], n_rows: int, place: str) -> dict[str, Array]:
    """Returns the arrays of the inputs, each of the input's type and of shape (n_rows, ...).

    Raises InputError, which starts with `place`, if one is missing, has another shape, is not finite, or cannot be of
    the input's type.
    """
    columns = {}
    for each in inputs:
        name = each.name_in(x)
        if name is None:
            raise InputError(f"{place}: input {each.name} is missing, got {', '.join(x) or 'nothing'}")
        values, width = check_numbers(place, name, x[name]), math.prod(each.tail)
        if values.shape[:1] != (n_rows,):
            got = len(values) if values.ndim else 1
            raise InputError(f"{place}: {name} must have {n_rows} rows, as the label has, got {got}")
        if values.size != n_rows * width:
            raise InputError(f"{place}: {name} must hold {width} numbers a row, got {values.size / n_rows:g}")
        _check_axes(place, name, values.shape[1:], each.tail)
        _check_type(place, name, values, each.dtype)
        columns[each.name] = values.reshape(n_rows, *each.tail).astype(each.stored)
    return columns


def _check_axes(place: str, name: str, tail: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raises InputError for axes in another order, such as channels last in place of first."""
    plain, plain_wanted = (tuple(size for size in sizes if size > 1) for sizes in (tail, wanted))
    if len(plain) > 1 and plain != plain_wanted:
        raise InputError(f"{place}: {name} must have shape (n, {_text(wanted)}), got (n, {_text(tail)}): transpose it")


def _text(sizes: tuple[int, ...]) -> str:
    return ", ".join(map(str, sizes))


def _check_type(place: str, name: str, values: Array, dtype: str) -> None:
    """Raises InputError for numbers that an input or the label cannot hold."""
    is_whole = np.issubdtype(np.dtype(dtype), np.integer)
    low, high = _limits(dtype)
    wrong = (values < low) | (values > high)
    if is_whole:
        wrong |= values != np.rint(values)
    if wrong.any():
        kind = "whole numbers" if is_whole else f"from {low:.3g} to {high:.3g}"
        raise InputError(f"{place}: {name} must be {dtype} {kind}, got {values[wrong][0]:g}")


def _limits(dtype: str) -> tuple[float, float]:
    """The smallest and the largest number of a type; of fractions, as a file stores them."""
    if dtype == "bool":
        return 0, 1
    limits: Any = np.iinfo(dtype) if np.issubdtype(np.dtype(dtype), np.integer) else np.finfo(stored_type(dtype))
    return limits.min, limits.max


def check_numbers(place: str, name: str, values: Array) -> Array:
    """Returns the values. Raises InputError if they are not finite numbers."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{place}: {name} must be numbers, got {_no_numbers(values)}")
    if not np.isfinite(values).all():
        row = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"{place}: {name} must be finite, got {values[tuple(row)]} in row {row[0]}")
    return values


def check_finite(network: str, answers: Array) -> None:
    """Raises InputError, which starts with `network`, if one of its answers is NaN or infinite."""
    wrong = answers[~np.isfinite(answers)]
    if wrong.size:
        raise InputError(f"{network} must answer finite numbers, got {wrong[0]} on the rows")


def _no_numbers(values: Array) -> str:
    """The first value that is no number, in words."""
    if values.dtype.kind not in "OSU" or not values.size:
        return str(values.dtype)
    rows = list(values.reshape(len(values), -1)[:, 0])
    lists = [each for each in rows if isinstance(each, np.ndarray)]
    if len(lists) == len(rows):
        sizes = [each.size for each in lists]
        return f"{min(sizes)} to {max(sizes)} of them a row" if len(set(sizes)) > 1 else f"lists of {lists[0].dtype}"
    is_fine = (lambda each: isinstance(each, np.ndarray)) if lists else is_number
    row = next((i for i, each in enumerate(rows) if not is_fine(each)), 0)
    value = rows[row].item() if isinstance(rows[row], np.generic) else rows[row]
    return f"{value!r} in row {row}"
