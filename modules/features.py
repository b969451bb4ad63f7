"""Row-wise taxi features: plain TensorFlow, only ops that TFLite has built in. Nothing here is learned from data.

All geo arithmetic runs on degrees *relative to the south-west corner of the city's box*, and the corner is exactly
representable in float16. Large constants therefore never meet small differences, and a converter that rounds
constants to float16 moves no coordinate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from modules.columns import (
    COORDINATES,
    CYCLE_PERIOD,
    DROPOFF_CELL,
    HOUR_OF_WEEK,
    MODEL_INPUTS,
    PAIR_CELL,
    PASSENGER_COUNT,
    PICKUP_CELL,
    PICKUP_HOUR,
    PICKUP_WEEKDAY,
)

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
KM_PER_DEGREE = math.pi / 180.0 * EARTH_RADIUS_KM


@dataclasses.dataclass(frozen=True)
class Geography:
    """A city's box in degrees and its airports as (longitude, latitude); the frame of every geo feature."""

    west: float
    east: float
    south: float
    north: float
    airports: tuple[tuple[float, float], ...] = ()

    @property
    def corner(self) -> np.ndarray:
        """South-west corner (longitude, latitude), shape (2,), rounded outward to float16."""
        corner = np.array([self.west, self.south], np.float64)
        rounded = corner.astype(np.float16)
        outward = np.where(rounded > corner, np.nextafter(rounded, np.float16(-np.inf)), rounded)
        return outward.astype(np.float32)

    @property
    def near(self) -> np.ndarray:
        """The box's south-west end in degrees from the corner, shape (2,)."""
        return (np.array([self.west, self.south], np.float64) - self.corner).astype(np.float32)

    @property
    def far(self) -> np.ndarray:
        """The box's north-east end in degrees from the corner, shape (2,)."""
        return (np.array([self.east, self.north], np.float64) - self.corner).astype(np.float32)

    @property
    def cosine(self) -> float:
        """Cosine of the box's middle latitude: what a degree of longitude is worth here."""
        return math.cos(math.radians((self.south + self.north) / 2))


def relative_degrees(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """Degrees from the box's corner, shape (n, 4) in the order of COORDINATES, held inside the box.

    A missing coordinate (NaN) becomes the middle of the box, so that a fare is always a number.
    """
    degrees = tf.concat([inputs[name] for name in COORDINATES], axis=1) - np.tile(geography.corner, 2)
    near, far = np.tile(geography.near, 2), np.tile(geography.far, 2)
    degrees = tf.where(tf.math.is_nan(degrees), tf.zeros_like(degrees) + (near + far) / 2, degrees)
    return tf.minimum(tf.maximum(degrees, near), far)


def scaled(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """The four coordinates in [0, 1] over the box, shape (n, 4)."""
    near, far = np.tile(geography.near, 2), np.tile(geography.far, 2)
    return (degrees - near) / (far - near)


def haversine_km(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Great-circle distance in km, shape (n, 1); `degrees` as from `relative_degrees`, shape (n, 4).

    a = sin²(Δφ/2) + cos φ1 cos φ2 sin²(Δλ/2), d = 2R atan2(√a, √(1-a)) (Sinnott 1984, "Virtues of the Haversine");
    atan2 because TFLite has no asin. Mean Earth radius 6371.0088 km (IUGG).
    """
    radians = math.pi / 180.0
    half = tf.sin((degrees[:, 2:] - degrees[:, :2]) * (radians / 2))
    cosine = tf.cos((tf.gather(degrees, [1, 3], axis=1) + geography.corner[1]) * radians)
    a = half[:, 1:] ** 2 + cosine[:, :1] * cosine[:, 1:] * half[:, :1] ** 2
    return 2 * EARTH_RADIUS_KM * tf.atan2(tf.sqrt(a), tf.sqrt(tf.maximum(1.0 - a, 0.0)))


def displacement_km(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Kilometres east and north from pickup to dropoff, shape (n, 2), on the plane tangent at the box's middle."""
    per_degree = np.array([geography.cosine * KM_PER_DEGREE, KM_PER_DEGREE], np.float32)
    return (degrees[:, 2:] - degrees[:, :2]) * per_degree


def bearing(displacement: tf.Tensor) -> tf.Tensor:
    """Direction of travel as (sine, cosine) of the angle from north, shape (n, 2); (0, 0) where there is no movement.

    The floor of 1 cm is far below the resolution of float32 degrees (about 0.6 m).
    """
    length = tf.sqrt(tf.reduce_sum(displacement**2, axis=1, keepdims=True))
    return displacement / tf.maximum(length, 1e-5)


def airport_km(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Kilometres from pickup and from dropoff to each airport, shape (n, 2 * n_airports), plane at mid-latitude."""
    airports = np.array(geography.airports, np.float64).reshape(-1, 2) - geography.corner
    scale = np.array([geography.cosine * KM_PER_DEGREE, KM_PER_DEGREE])
    ends = tf.reshape(degrees, [-1, 2, 1, 2])
    offset = (ends - airports.astype(np.float32)) * scale.astype(np.float32)
    return tf.reshape(tf.sqrt(tf.reduce_sum(offset**2, axis=-1)), [-1, 2 * len(airports)])


def cyclic(position: tf.Tensor, period: int) -> tf.Tensor:
    """Sine and cosine of a position on a cycle, shape (n, 2): hour 23 lies beside hour 0."""
    angle = tf.cast(position, tf.float32) * (2 * math.pi / period)
    return tf.concat([tf.sin(angle), tf.cos(angle)], axis=1)


def cells(degrees: tf.Tensor, geography: Geography, n_buckets: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pickup and dropoff cell, each float32 of shape (n, 1) in 0..n_buckets²-1: column * n_buckets + row."""
    bucket = tf.minimum(tf.floor(scaled(degrees, geography) * n_buckets), n_buckets - 1.0)
    return bucket[:, 0:1] * n_buckets + bucket[:, 1:2], bucket[:, 2:3] * n_buckets + bucket[:, 3:4]


def crosses(inputs: Mapping[str, tf.Tensor], geography: Geography, n_buckets: int) -> dict[str, tf.Tensor]:
    """Ids, int64 of shape (n, 1): pickup and dropoff cell, their exact pair (no hash, no collisions), hour of week."""
    pickup, dropoff = cells(relative_degrees(inputs, geography), geography, n_buckets)
    return {
        PICKUP_CELL: tf.cast(pickup, tf.int64),
        DROPOFF_CELL: tf.cast(dropoff, tf.int64),
        PAIR_CELL: tf.cast(pickup * n_buckets**2 + dropoff, tf.int64),
        HOUR_OF_WEEK: inputs[PICKUP_WEEKDAY] * CYCLE_PERIOD[PICKUP_HOUR] + inputs[PICKUP_HOUR],
    }


def numeric(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """Every engineered number of a trip, float32 of shape (n, 16 + 2 * n_airports), unscaled.

    Four coordinates in [0, 1] over the box; straight line in degrees (the course's feature); haversine and Manhattan
    km; km east and north; bearing; hour and weekday as cycles; passengers; km from both ends to each airport.
    """
    degrees = relative_degrees(inputs, geography)
    displacement = displacement_km(degrees, geography)
    delta = degrees[:, 2:] - degrees[:, :2]
    return tf.concat(
        [
            scaled(degrees, geography),
            tf.sqrt(tf.reduce_sum(delta**2, axis=1, keepdims=True)),
            haversine_km(degrees, geography),
            tf.reduce_sum(tf.abs(displacement), axis=1, keepdims=True),
            displacement,
            bearing(displacement),
            *(cyclic(inputs[name], period) for name, period in CYCLE_PERIOD.items()),
            tf.cast(inputs[PASSENGER_COUNT], tf.float32),
            # without airports nothing, not an empty tensor: TFLite's CONCATENATION takes none
            *([airport_km(degrees, geography)] if geography.airports else []),
        ],
        axis=1,
    )


def raw(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The source's columns as they come, float32 of shape (n, 7): what the raw-column baseline sees."""
    return tf.concat([tf.cast(inputs[name], tf.float32) for name in MODEL_INPUTS], axis=1)
