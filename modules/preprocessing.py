"""The preprocessing_fn of Transform: row-wise features plus what tft analyzers learn from the train split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules import columns, features
from modules.settings import FeatureSettings

TINY = 1e-30  # keeps the reciprocal finite where the variance is 0
MAX_DEVIATION = 6.0  # standard deviations; a coordinate error must not move a fare without bound


def geography_of(custom_config: Mapping[str, Any]) -> features.Geography:
    """The city's frame from a node's `custom_config` (JSON turned its tuples into lists)."""
    geography = dict(custom_config["geography"])
    airports = tuple((float(longitude), float(latitude)) for longitude, latitude in geography.pop("airports"))
    return features.Geography(**geography, airports=airports)


def standardize(numeric: tf.Tensor) -> tf.Tensor:
    """Columns less their mean over train, divided by their standard deviation (0 delta degrees of freedom), held within
    ±6; same shape. A column that is constant in train becomes 0: the network's weights on it were never trained, and a
    device that sends another value must not meet them.

    Not tft.scale_to_z_score: its Select lets the converter carry a quantized network's int8 back over the subtraction,
    and kilometres saturate there (NYC's int8 RMSE was 12 % worse). A multiplication by a constant stops that.
    """
    mean, variance, smallest, largest = (
        analyzer(numeric, reduce_instance_dims=False) for analyzer in (tft.mean, tft.var, tft.min, tft.max)
    )
    scale = tf.where(largest > smallest, tf.math.rsqrt(tf.maximum(variance, TINY)), tf.zeros_like(variance))
    return tf.minimum(tf.maximum((numeric - mean) * scale, -MAX_DEVIATION), MAX_DEVIATION)


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Model inputs from raw columns of shape (n, 1).

    `numeric` standardized, the crosses' ids, `raw` and the distance in km for the yardsticks, and the fare.
    """
    geography = geography_of(custom_config)
    settings = FeatureSettings(**custom_config["features"])
    return {
        columns.NUMERIC: standardize(features.numeric(inputs, geography)),
        **features.crosses(inputs, geography, settings.n_buckets),
        columns.RAW: features.raw(inputs),
        columns.DISTANCE_KM: features.haversine_km(features.relative_degrees(inputs, geography), geography),
        columns.FARE: inputs[columns.FARE],
    }
