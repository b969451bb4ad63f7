"""Row-wise features of a pickup's hour, weekday and era of the tariff, and of passengers: all that is a whole number.

Plain TensorFlow, only operators that tflite-micro has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from farebox.modules.columns import (
    CYCLE_PERIOD,
    FLAGS,
    HOURS_OF_WEEK,
    PICKUP_ERA,
    PICKUP_HOUR,
    PICKUP_WEEKDAY,
    PLAIN_INPUTS,
)

LARGE = 1000  # a whole number that no trip has


def rounded(values: tf.Tensor) -> tf.Tensor:
    """The values rounded to multiples of 1/4096.

    Vector and scalar kernels of a sine or a logarithm differ in the last bit, and a row's place in the batch decides
    which one it gets; training would turn that bit into a cent, a different one in every run.
    """
    return tf.round(values * 4096.0) * (1.0 / 4096.0)


def whole_numbers(inputs: Mapping[str, tf.Tensor], n_tariff_changes: int) -> tf.Tensor:
    """The inputs that are whole numbers, float32 of shape (n, 3 + n_changes): the tariff's era once for each change."""
    return tf.cast(tf.concat([inputs[name] for name in _whole_names(n_tariff_changes)], axis=1), tf.float32)


def _whole_names(n_tariff_changes: int) -> tuple[str, ...]:
    return (*PLAIN_INPUTS, *CYCLE_PERIOD, *[PICKUP_ERA] * n_tariff_changes)


def clock_angles(numbers: tf.Tensor, n_tariff_changes: int) -> tf.Tensor:
    """Radians of hour and weekday on their cycles, then the same and a right angle, shape (n, 4).

    numbers: of `whole_numbers`.
    """
    matrix, shift = _clock_columns(n_tariff_changes)
    return tf.matmul(numbers, matrix.astype(np.float32)) + shift.astype(np.float32)


def _clock_columns(n_tariff_changes: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Matrix and shift that make `clock_angles` of `whole_numbers`."""
    names = _whole_names(n_tariff_changes)
    turns = np.zeros((len(names), len(CYCLE_PERIOD)))
    for i, (name, period) in enumerate(CYCLE_PERIOD.items()):
        turns[names.index(name), i] = 2 * math.pi / period
    return np.concatenate([turns, turns], axis=1), np.repeat([0, math.pi / 2], len(CYCLE_PERIOD))


def cycles(inputs: Mapping[str, tf.Tensor], n_tariff_changes: int) -> tf.Tensor:
    """Sines, then cosines, of hour and weekday as positions on their cycles, shape (n, 4): hour 23 lies beside 0."""
    return rounded(tf.sin(clock_angles(whole_numbers(inputs, n_tariff_changes), n_tariff_changes)))


def hour_of_week(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """0..167 from Monday 0 h, int64 of shape (n, 1); other values count to the first or the last hour."""
    hour = inputs[PICKUP_WEEKDAY] * CYCLE_PERIOD[PICKUP_HOUR] + inputs[PICKUP_HOUR]
    return tf.minimum(tf.maximum(hour, 0), HOURS_OF_WEEK - 1)


def hour_columns(n_tariff_changes: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The hours that each of `whole_numbers` counts, and its last value, for an hour of the week; 0 for the others."""
    names, (day, week) = _whole_names(n_tariff_changes), CYCLE_PERIOD.values()
    counts = {PICKUP_HOUR: (1, day - 1), PICKUP_WEEKDAY: (day, week - 1)}
    columns = np.array([counts.get(name, (0, 0)) for name in names], np.float32)
    return columns[:, 0], columns[:, 1]


def held(numbers: tf.Tensor, n_tariff_changes: int) -> tf.Tensor:
    """The `whole_numbers`, the first era at most 1, the next one at most 2 and so on, others at most LARGE; same shape.

    A device may send a later era than training had; where the difference of two of these columns is 1, the tariff has
    changed.
    """
    others = len(_whole_names(0))
    most = np.append(np.full(others, LARGE), np.arange(1, n_tariff_changes + 1)).astype(np.float32)
    return tf.minimum(numbers, most)


def tariff_era(era: tf.Tensor, n_tariff_changes: int) -> tf.Tensor:
    """For each change of the tariff whether the trip starts after it, 0 or 1, shape (n, n_tariff_changes).

    era: number of changes before the trip, int64 of shape (n, 1). A device is in the last era: no extrapolation.
    """
    return tf.cast(tf.greater_equal(era, np.arange(1, n_tariff_changes + 1)), tf.float32)


def clock_and_flags(numbers: tf.Tensor, n_tariff_changes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The angles of `clock_angles`, shape (n, 4); passengers, shape (n, 1); flags, 1 or -1, shape (n, 5 + n_changes).

    numbers: of `whole_numbers`. The flags are those of FLAGS, then for each change of the tariff whether the trip
    starts before it. One product with a constant matrix, as in `on_plane`; an interval around a middle needs an
    absolute value and a difference, and no table by hour of the week. Numbers are whole, and an interval's ends lie
    between them: twice the distance to an end is at least 1. TFLite holds a difference within ±1 by itself.
    """
    names = _whole_names(n_tariff_changes)
    matrix, shift = _clock_columns(n_tariff_changes)
    plain = np.eye(len(names))[:, : len(PLAIN_INPUTS)]
    ours = [name for name, *_ in FLAGS.values()] + [PICKUP_ERA] * n_tariff_changes
    from_middle = 2 * np.eye(len(names))[:, [names.index(name) for name in ours]]
    middles = [2 * middle for _, middle, _ in FLAGS.values()] + [0.0] * n_tariff_changes
    widths = [2 * half_width for *_, half_width in FLAGS.values()]
    widths += [2 * change + 1 for change in range(n_tariff_changes)]
    product = tf.matmul(numbers, np.concatenate([matrix, plain, from_middle], axis=1).astype(np.float32))
    product += np.concatenate([shift, np.zeros(len(PLAIN_INPUTS)), -np.array(middles)]).astype(np.float32)
    angles, passengers, distances = tf.split(product, [matrix.shape[1], plain.shape[1], len(ours)], axis=1)
    flags = tf.minimum(tf.maximum(np.array(widths, np.float32) - tf.abs(distances), -1.0), 1.0)
    return angles, passengers, flags
