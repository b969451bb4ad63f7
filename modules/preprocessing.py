"""The preprocessing_fn of Transform: row-wise features plus what tft analyzers learn from the train split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from farebox.modules import clock, columns, extra, features
from farebox.modules.settings import CrossSettings

TINY = 1e-30  # keeps the reciprocal finite if the variance is 0
MIN_BOX = 1e-3  # of half the city's box; a box needs an area even if every trip starts at one point
MAX_DEVIATION = 6.0  # standard deviations; a coordinate error must not move a fare without bound


def geography_of(custom_config: Mapping[str, Any]) -> features.Geography:
    """The city's Geography from a node's `custom_config` (JSON has turned its tuples into lists)."""
    geography = dict(custom_config["geography"])
    for kind in ("airports", "landmarks"):
        geography[kind] = tuple((float(longitude), float(latitude)) for longitude, latitude in geography.get(kind, ()))
    geography["extras"] = tuple(extra.ExtraInput(**each) for each in geography.get("extras", ()))
    return features.Geography(**geography)


def standardize(numeric: tf.Tensor, defaults: Sequence[float | None] = ()) -> tf.Tensor:
    """Columns less their mean over train, divided by their standard deviation (0 delta degrees of freedom), held within
    ±6; same shape. A column that is constant in train becomes 0: the network's weights on it were never trained, and a
    device that sends another value must not use them.

    defaults: of the last columns, a city's own numbers, which are also held within their range in train; a missing one
    becomes its default, or the mean.

    Not tft.scale_to_z_score: its Select lets the converter carry a quantized network's int8 back over the subtraction,
    and kilometres saturate there (NYC's int8 RMSE was 12 % worse). A multiplication by a constant stops that.
    """
    wide = tf.cast(numeric, tf.float64)  # float32 sums would depend on the order in which Beam merges them
    mean, variance, smallest, largest = (
        tf.cast(analyzer(wide, reduce_instance_dims=False), tf.float32)
        for analyzer in (tft.mean, tft.var, tft.min, tft.max)
    )
    scale = tf.where(largest > smallest, tf.math.rsqrt(tf.maximum(variance, TINY)), tf.zeros_like(variance))
    shares = (numeric - mean) * (scale / MAX_DEVIATION)  # TFLite holds a product within ±1 by itself
    if not defaults:
        return tf.minimum(tf.maximum(shares, -1.0), 1.0) * MAX_DEVIATION
    n_others = numeric.shape[1] - len(defaults)
    default, low, high = (
        tf.concat([tf.fill([n_others], fill), (ends - mean)[n_others:] * (scale / MAX_DEVIATION)[n_others:]], axis=0)
        for fill, ends in ((0.0, _defaults_or(mean, defaults)), (-1.0, smallest), (1.0, largest))
    )
    shares = tf.where(tf.math.is_nan(shares), default, shares)  # NaN, too, where an infinite number meets a scale of 0
    return tf.minimum(tf.maximum(shares, tf.maximum(low, -1.0)), tf.minimum(high, 1.0)) * MAX_DEVIATION


def _defaults_or(mean: tf.Tensor, defaults: Sequence[float | None]) -> tf.Tensor:
    """The mean, shape (width,), with the defaults in place of its last numbers, except for those that are None."""
    n_others = mean.shape[0] - len(defaults)
    is_given = np.array([False] * n_others + [default is not None for default in defaults])
    values = np.array([0.0] * n_others + [default or 0.0 for default in defaults], np.float32)
    return tf.where(is_given, values, mean)


def busy_box(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """South-west and north-east end, each of shape (4,), of the box that holds 98 % of train's longitudes and 98 % of
    its latitudes, pickups and dropoffs together; `places` as from `features.in_box`."""
    ends = [tft.quantiles(places[:, axis::2], 100, epsilon=0.001)[0] for axis in (0, 1)]
    low, high = tf.stack([end[0] for end in ends]), tf.stack([end[-1] for end in ends])
    return tf.tile(low, [2]), tf.tile(tf.maximum(high, low + MIN_BOX), [2])


def crosses(
    inputs: Mapping[str, tf.Tensor], geography: features.Geography, settings: CrossSettings
) -> dict[str, tf.Tensor]:
    """Ids, int64 of shape (n, 1), of the full set: pickup and dropoff cell and pair of zones over the busy box, hour of
    the week. No analyzer needs the result of another: TFT's second phase does not run on Beam 2.74."""
    places = features.in_box(inputs, geography)
    low, high = busy_box(places)
    changes, offset, size = geography.n_tariff_changes, places - low, high - low
    numbers = clock.whole_numbers(inputs, changes)
    crossed = features.crosses_of(offset, size, numbers, n_tariff_changes=changes, n_cells=settings.n_cells)
    # A shipped file has these ids in int32: there, the last CAST goes. TFLite splits no int64.
    pickup, dropoff, hour = tf.split(tf.cast(crossed, tf.int32), 3, axis=1)
    pair = tf.cast(features.zone_pair_of(offset, size, settings.n_zones), tf.int32)
    return {
        name: tf.cast(each, tf.int64) for name, each in zip(columns.CROSSES, (pickup, dropoff, pair, hour), strict=True)
    }


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Model inputs from raw columns of shape (n, 1).

    `numeric` standardized, the crosses' ids, `raw` and the distance in km for the yardsticks, and the fare. In the full
    set `numeric` is extended, the brief numbers are beside it, and the cells lie over the busy box.
    """
    geography, settings = geography_of(custom_config), CrossSettings(**custom_config["crosses"])
    defaults = [each.default for each in extra.numbers_of(geography.extras)]
    if custom_config["features"] == "full":
        numbers = {columns.NUMERIC: standardize(features.extended(inputs, geography), defaults)}
        numbers[columns.BRIEF] = standardize(features.brief(inputs, geography), defaults)
        ids = crosses(inputs, geography, settings)
    else:
        numbers = {columns.NUMERIC: standardize(features.numeric(inputs, geography), defaults)}
        ids = features.crosses(inputs, geography, settings.n_buckets)
    return {
        **numbers,
        **ids,
        columns.RAW: features.raw(inputs, geography),
        columns.DISTANCE_KM: features.haversine_km(features.in_box(inputs, geography), geography),
        columns.FARE: inputs[columns.FARE],
    }
