"""Row-wise columns of a city's own inputs: numbers as they are, and a flag for each value of a category.

Plain TensorFlow, only operators that tflite-micro has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

MAX_JOINED = 10  # inputs of a CONCATENATION of tflite-micro


@dataclasses.dataclass(frozen=True)
class ExtraInput:
    """A city's own input of the model.

    n_values: of a category, whose codes are 0 to n_values - 1; 0 for a number. default: the number or code where it is
    missing; None for the mean over train, and for a category's first value.
    """

    name: str
    n_values: int = 0
    default: float | None = None

    @property
    def is_category(self) -> bool:
        """Whether it is a code, not a number."""
        return self.n_values > 0


def categories_of(extras: Sequence[ExtraInput]) -> list[ExtraInput]:
    """The categories, in order."""
    return [extra for extra in extras if extra.is_category]


def numbers_of(extras: Sequence[ExtraInput]) -> list[ExtraInput]:
    """The numbers, in order."""
    return [extra for extra in extras if not extra.is_category]


def width(extras: Sequence[ExtraInput]) -> int:
    """Number of columns that `columns_of` gives."""
    return sum(extra.n_values or 1 for extra in extras)


def columns_of(inputs: Mapping[str, tf.Tensor], extras: Sequence[ExtraInput]) -> list[tf.Tensor]:
    """The flags of all categories, then the numbers, which may be missing (NaN), float32; one tensor each, if any.

    Flags have the shape (n, sum of n_values), numbers (n, n_numbers).
    """
    categories, numbers = categories_of(extras), numbers_of(extras)
    flags = [category_flags(joined([inputs[each.name] for each in categories]), categories)] if categories else []
    return [*flags, *([joined([inputs[each.name] for each in numbers])] if numbers else [])]


def category_flags(codes: tf.Tensor, categories: Sequence[ExtraInput]) -> tf.Tensor:
    """1 for the value that each category has, 0 for its others, float32 of shape (n, sum of n_values).

    codes: whole numbers of shape (n, n_categories); one that a category does not have counts as its default, or its
    first value. No one-hot operator and no table: 1 less the distance from each code is 1 or at most 0.
    """
    half = np.array([each.n_values - 1 for each in categories], np.float32) / 2
    default = np.array([each.default or 0.0 for each in categories], np.float32)
    from_middle = tf.cast(codes, tf.float32) - half
    known = tf.where(tf.abs(from_middle) <= half, from_middle, default - half)
    owner = np.repeat(np.eye(len(categories), dtype=np.float32), [each.n_values for each in categories], axis=1)
    places = np.concatenate([np.arange(each.n_values) - h for each, h in zip(categories, half, strict=True)])
    return tf.nn.relu(1.0 - tf.abs(tf.matmul(known, owner) - places.astype(np.float32)))


def joined(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """The tensors side by side, at most ten in one operator."""
    level = list(tensors)
    while len(level) > MAX_JOINED:
        level = [tf.concat(level[i : i + MAX_JOINED], axis=1) for i in range(0, len(level), MAX_JOINED)]
    return tf.concat(level, axis=1) if len(level) > 1 else level[0]


def inputs_of(columns: npt.NDArray[Any], extras: Sequence[ExtraInput]) -> dict[str, npt.NDArray[Any]]:
    """The inputs of shape (n, 1) from the columns of `columns_of` side by side: codes int64, numbers float32."""
    inputs, start = {}, 0
    for each in categories_of(extras):
        flags = columns[:, start : start + each.n_values]
        inputs[each.name] = flags.argmax(axis=1)[:, None].astype(np.int64)
        start += each.n_values
    for each in numbers_of(extras):
        inputs[each.name] = columns[:, [start]].astype(np.float32)
        start += 1
    return inputs
