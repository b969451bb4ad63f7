"""The rows that a network is compressed with: checked, and shaped as its inputs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError

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
    """An input. tail: shape of a row's numbers; dtype: of NumPy; other_names: under which rows may have it, too."""

    name: str
    tail: tuple[int, ...]
    dtype: str
    other_names: tuple[str, ...] = ()

    def name_in(self, x: Mapping[str, Array]) -> str | None:
        """The name of these that the rows have; None if they have none of them."""
        return next((name for name in (self.name, *self.other_names) if name in x), None)


def inputs_of(network: keras.Model) -> tuple[Input, ...]:
    """The inputs of a functional tf_keras network, in its order."""
    pairs = zip(network.input_names, network.inputs, strict=True)
    return tuple(
        Input(name, tuple(tensor.shape[1:]), np.dtype(tensor.dtype.as_numpy_dtype).name) for name, tensor in pairs
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
        columns[each.name] = values.reshape(n_rows, *each.tail).astype(each.dtype)
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
    limits: Any = np.iinfo(dtype) if is_whole else np.finfo(dtype)
    wrong = (values < limits.min) | (values > limits.max)
    if is_whole:
        wrong |= values != np.rint(values)
    if wrong.any():
        kind = "whole numbers" if is_whole else f"from {limits.min:.3g} to {limits.max:.3g}"
        raise InputError(f"{place}: {name} must be {dtype} {kind}, got {values[wrong][0]:g}")


def check_numbers(place: str, name: str, values: Array) -> Array:
    """Returns the values. Raises InputError if they are not finite numbers."""
    if values.dtype.kind not in "fiub":
        raise InputError(f"{place}: {name} must be numbers, got {_no_numbers(values)}")
    if not np.isfinite(values).all():
        row = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"{place}: {name} must be finite, got {values[tuple(row)]} in row {row[0]}")
    return values


def _no_numbers(values: Array) -> str:
    """What is no number among the values."""
    if values.dtype.kind not in "OSU" or not values.size:
        return str(values.dtype)
    rows = list(values.reshape(len(values), -1)[:, 0])
    lists = [each for each in rows if isinstance(each, np.ndarray)]
    if len(lists) == len(rows):
        sizes = [each.size for each in lists]
        return f"{min(sizes)} to {max(sizes)} of them a row" if len(set(sizes)) > 1 else f"lists of {lists[0].dtype}"
    is_fine = (lambda each: isinstance(each, np.ndarray)) if lists else _is_number
    row = next((i for i, each in enumerate(rows) if not is_fine(each)), 0)
    return f"{rows[row]!r} in row {row}"


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
