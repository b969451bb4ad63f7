"""The preprocessing_fn of Transform: row-wise features plus what tft analyzers learn from the train split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules import columns, features
from modules.settings import FeatureSettings

MAX_DEVIATION = 6.0  # standard deviations; a coordinate error must not move a fare without bound


def geography_of(custom_config: Mapping[str, Any]) -> features.Geography:
    """The city's frame from a node's `custom_config` (JSON turned its tuples into lists)."""
    geography = dict(custom_config["geography"])
    airports = tuple((float(longitude), float(latitude)) for longitude, latitude in geography.pop("airports"))
    return features.Geography(**geography, airports=airports)


def varies(numeric: tf.Tensor) -> tf.Tensor:
    """1 for a column that varies in train, 0 for a constant one, shape (width,).

    The network's weights on a constant were never trained; a device that sends another value must not meet them.
    """
    smallest, largest = (edge(numeric, reduce_instance_dims=False) for edge in (tft.min, tft.max))
    return tf.cast(largest > smallest, tf.float32)


def preprocessing_fn(inputs: dict[str, tf.Tensor], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Model inputs from raw columns of shape (n, 1): `numeric` standardized (mean and variance of train, 0 delta
    degrees of freedom) and held within ±6, the crosses' ids, `raw` and the distance in km for the yardsticks, fare."""
    geography = geography_of(custom_config)
    settings = FeatureSettings(**custom_config["features"])
    numeric = features.numeric(inputs, geography)
    standardized = tft.scale_to_z_score(numeric, elementwise=True) * varies(numeric)
    return {
        columns.NUMERIC: tf.minimum(tf.maximum(standardized, -MAX_DEVIATION), MAX_DEVIATION),
        **features.crosses(inputs, geography, settings.n_buckets),
        columns.RAW: features.raw(inputs),
        columns.DISTANCE_KM: features.haversine_km(features.relative_degrees(inputs, geography), geography),
        columns.FARE: inputs[columns.FARE],
    }
