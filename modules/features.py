"""Row-wise taxi features: plain TensorFlow, only ops that TFLite has built in. Nothing here is learned from data.

All geo arithmetic runs on degrees *relative to the south-west corner of the city's box*, and the corner is exactly
representable in float16. Large constants therefore never meet small differences, and a converter that rounds
constants to float16 moves no coordinate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.earth import EARTH_RADIUS_KM, KM_PER_DEGREE
from farebox.modules.columns import (
    COORDINATES,
    CYCLE_PERIOD,
    DROPOFF_CELL,
    HOUR_OF_WEEK,
    HOURS_OF_WEEK,
    MODEL_INPUTS,
    PAIR_CELL,
    PICKUP_CELL,
    PICKUP_EPOCH,
    PICKUP_HOUR,
    PICKUP_WEEKDAY,
    PLAIN_INPUTS,
)

SAME_POINT_KM = 0.03
N_FLAGS = 5


@dataclasses.dataclass(frozen=True)
class Geography:
    """A city's settings for features: the frame of every geo feature, and the history of its tariff.

    The box in degrees; airports and landmarks as (longitude, latitude); grid_angle: how far the street grid is turned
    from north, clockwise, in degrees; tariff_changes: when the tariff changed, in seconds since 1970.
    """

    west: float
    east: float
    south: float
    north: float
    airports: tuple[tuple[float, float], ...] = ()
    landmarks: tuple[tuple[float, float], ...] = ()
    grid_angle: float = 0.0
    tariff_changes: tuple[int, ...] = ()

    @property
    def corner(self) -> npt.NDArray[Any]:
        """South-west corner (longitude, latitude), shape (2,), rounded outward to float16."""
        corner = np.array([self.west, self.south], np.float64)
        rounded = corner.astype(np.float16)
        outward = np.where(rounded > corner, np.nextafter(rounded, np.float16(-np.inf)), rounded)
        return np.asarray(outward, np.float32)

    @property
    def near(self) -> npt.NDArray[Any]:
        """The box's south-west end in degrees from the corner, shape (2,)."""
        return np.asarray(np.array([self.west, self.south], np.float64) - self.corner, np.float32)

    @property
    def far(self) -> npt.NDArray[Any]:
        """The box's north-east end in degrees from the corner, shape (2,)."""
        return np.asarray(np.array([self.east, self.north], np.float64) - self.corner, np.float32)

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
    degrees = tf.where(tf.math.is_nan(degrees), (near + far) / 2, degrees)
    return tf.minimum(tf.maximum(degrees, near), far)


def scaled(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """The four coordinates in [0, 1] over the box, shape (n, 4)."""
    near, far = np.tile(geography.near, 2), np.tile(geography.far, 2)
    return (degrees - near) / (far - near)


def haversine_km(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Great-circle distance in km, shape (n, 1); `degrees` as from `relative_degrees`, shape (n, 4)."""
    (angles,) = on_plane(degrees, geography, (), (("angles",),))
    return haversine_of(angles)


def haversine_of(angles: tf.Tensor) -> tf.Tensor:
    """Great-circle distance in km, shape (n, 1), from the angles of `plane_columns`.

    a = sin²(Δφ/2) + cos φ1 cos φ2 sin²(Δλ/2), d = 2R atan2(√a, √(1-a)) (Sinnott 1984, "Virtues of the Haversine");
    cos φ1 cos φ2 = cos²φm - sin²(Δφ/2) with the middle latitude φm, so three sines are enough, one of them
    of φm + 90°; atan2 because TFLite has no asin. Mean Earth radius 6371.0088 km (IUGG).
    """
    east, north, middle = tf.split(tf.sin(angles) ** 2, 3, axis=1)
    a = north + (middle - north) * east
    return 2 * EARTH_RADIUS_KM * tf.atan2(tf.sqrt(tf.maximum(a, 0.0)), tf.sqrt(tf.maximum(1.0 - a, 0.0)))


def plane_columns(geography: Geography, places: tuple[tuple[float, float], ...]) -> dict[str, tuple[Any, Any]]:
    """Columns that are linear in the degrees, as matrix (4, width) and shift (width,):

    angles: radians: half the longitudes', half the latitudes' difference, the middle latitude and a right angle;
    scaled: the four coordinates in [0, 1] over the box;
    km: east and north from pickup to dropoff, on the plane tangent at the box's middle latitude;
    moves: the same, then along the street grid, across the streets' north and up it;
    positions: pickup and dropoff in km along the grid, from the box's corner, and the middle of the trip;
    pairs: from pickup to dropoff in degrees and in km; km east and north from each place to pickup, then to dropoff.
    """
    pickup, dropoff = np.eye(4)[:, :2], np.eye(4)[:, 2:]
    to_km = np.diag([geography.cosine * KM_PER_DEGREE, KM_PER_DEGREE])
    angle = math.radians(geography.grid_angle)
    to_grid = to_km @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    from_corner = (np.array(places, np.float64).reshape(-1, 2) - geography.corner) @ to_km
    near, far = np.tile(geography.near, 2).astype(np.float64), np.tile(geography.far, 2).astype(np.float64)
    moved, middle = dropoff - pickup, (pickup + dropoff) / 2
    half_and_middle = np.concatenate([moved / 2, middle[:, 1:]], axis=1)
    offsets = [np.tile(end @ to_km, len(places)) for end in (pickup, dropoff)]
    columns = {
        "angles": (np.radians(half_and_middle), np.radians([0, 0, geography.corner[1] + 90.0])),
        "scaled": (np.diag(1 / (far - near)), -near / (far - near)),
        "km": (moved @ to_km, None),
        "moves": (np.concatenate([moved @ to_km, moved @ to_grid], axis=1), None),
        "positions": (np.concatenate([pickup @ to_grid, dropoff @ to_grid, middle @ to_grid], axis=1), None),
        "pairs": (
            np.concatenate([moved, moved @ to_km, *offsets], axis=1),
            -np.concatenate([np.zeros(4), np.tile(from_corner.reshape(-1), 2)]),
        ),
    }
    return {
        name: (matrix, np.zeros(matrix.shape[1]) if shift is None else shift)
        for name, (matrix, shift) in columns.items()
    }


def on_plane(
    degrees: tf.Tensor,
    geography: Geography,
    places: tuple[tuple[float, float], ...],
    pieces: Sequence[tuple[str, ...]],
) -> list[tf.Tensor]:
    """A tensor of shape (n, width) per piece, each the columns that it names side by side; see `plane_columns`.

    One product with a constant matrix, since every operator and tensor of its own costs the file some 70 bytes.
    """
    columns = plane_columns(geography, places)
    matrices = [np.concatenate([columns[name][0] for name in names], axis=1) for names in pieces]
    shift = np.concatenate([columns[name][1] for names in pieces for name in names])
    product = tf.matmul(degrees, np.concatenate(matrices, axis=1).astype(np.float32)) + shift.astype(np.float32)
    return list(tf.split(product, [matrix.shape[1] for matrix in matrices], axis=1))


def lengths(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each pair of columns, shape (n, m) from (n, 2 m)."""
    pairs = tf.reshape(vectors, [-1, vectors.shape[1] // 2, 2])
    return tf.sqrt(tf.reduce_sum(pairs**2, axis=2))


def straight_lines(pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Straight lines from pickup to dropoff: in degrees, as the course measures them, and in km, each of shape (n, 1);
    and km to the places, shape (n, 2 n_places), in a list that is empty without places, because TFLite's CONCATENATION
    takes no empty tensor."""
    distances = lengths(pairs)
    n_places = distances.shape[1] - 2
    degrees, km, *to_places = tf.split(distances, [1, 1, *([n_places] if n_places else [])], axis=1)
    return degrees, km, to_places


def bearing(displacement: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Direction of travel as (sine, cosine) of the angle from north, shape (n, 2); (0, 0) if there is no movement.

    displacement: km east and north, shape (n, 2), and its length, shape (n, 1). If both ends are one point, kernels
    that fuse multiply and add leave some millimetres (float32's rounding of 20 km) and others nothing: a floor of 10 m
    keeps that from becoming a direction.
    """
    return displacement / tf.maximum(length, 0.01)


def rounded(values: tf.Tensor) -> tf.Tensor:
    """The values rounded to multiples of 1/4096.

    Vector and scalar kernels of a sine or a logarithm differ in the last bit, and a row's place in the batch decides
    which one it gets; training would turn that bit into a cent, a different one in every run.
    """
    return tf.round(values * 4096.0) * (1.0 / 4096.0)


def clock_angles(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Radians of hour and weekday on their cycles, then the same and a right angle, shape (n, 4)."""
    positions = tf.cast(tf.concat([inputs[name] for name in CYCLE_PERIOD], axis=1), tf.float32)
    turns = np.diag([2 * math.pi / period for period in CYCLE_PERIOD.values()])
    quarter = np.array([0, 0, math.pi / 2, math.pi / 2], np.float32)
    return tf.matmul(positions, np.concatenate([turns, turns], axis=1).astype(np.float32)) + quarter


def cycles(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Sines, then cosines, of hour and weekday as positions on their cycles, shape (n, 4): hour 23 lies beside 0."""
    return rounded(tf.sin(clock_angles(inputs)))


def cells(degrees: tf.Tensor, geography: Geography, n_buckets: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pickup and dropoff cell, each float32 of shape (n, 1) in 0..n_buckets²-1: column * n_buckets + row."""
    bucket = tf.minimum(tf.floor(scaled(degrees, geography) * n_buckets), n_buckets - 1.0)
    return bucket[:, 0:1] * n_buckets + bucket[:, 1:2], bucket[:, 2:3] * n_buckets + bucket[:, 3:4]


def cells_and_zones(position: tf.Tensor, n_cells: int, n_zones: int) -> tf.Tensor:
    """Pickup cell, dropoff cell, and pair of zones, float32 of shape (n, 3), in 0..n_cells²-1 (twice) and
    0..n_zones⁴-1; as `cells` counts them.

    position: the four coordinates in [0, 1] over a box, shape (n, 4); places outside count to the outermost cell.
    """
    per_axis = np.repeat(np.array([n_cells, n_zones], np.float32), 4)
    to_ids = np.zeros((8, 3), np.float32)
    to_ids[[0, 1], 0], to_ids[[2, 3], 1] = [n_cells, 1], [n_cells, 1]
    to_ids[4:, 2] = [n_zones**3, n_zones**2, n_zones, 1]
    buckets = tf.floor(tf.concat([position, position], axis=1) * per_axis)
    return tf.matmul(tf.minimum(tf.maximum(buckets, 0.0), per_axis - 1), to_ids)  # integers below 2^24: exact


def crosses(inputs: Mapping[str, tf.Tensor], geography: Geography, n_buckets: int) -> dict[str, tf.Tensor]:
    """Ids, int64 of shape (n, 1): pickup and dropoff cell, their exact pair (no hash, no collisions), hour of week."""
    pickup, dropoff = cells(relative_degrees(inputs, geography), geography, n_buckets)
    return {
        PICKUP_CELL: tf.cast(pickup, tf.int64),
        DROPOFF_CELL: tf.cast(dropoff, tf.int64),
        PAIR_CELL: tf.cast(pickup * n_buckets**2 + dropoff, tf.int64),
        HOUR_OF_WEEK: hour_of_week(inputs),
    }


def hour_of_week(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """0..167 from Monday 0 h, int64 of shape (n, 1); other values count to the first or the last hour."""
    hour = inputs[PICKUP_WEEKDAY] * CYCLE_PERIOD[PICKUP_HOUR] + inputs[PICKUP_HOUR]
    return tf.minimum(tf.maximum(hour, 0), HOURS_OF_WEEK - 1)


def numeric(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The course's numeric features, improved, float32 of shape (n, 16 + 2 * n_airports), unscaled.

    Four coordinates in [0, 1] over the box; straight line in degrees (the course's feature); haversine and Manhattan
    km; km east and north; bearing; hour and weekday as cycles; passengers; km from pickup and from dropoff to each
    airport.
    """
    degrees = relative_degrees(inputs, geography)
    angles, scaled_, km, pairs = on_plane(
        degrees, geography, geography.airports, (("angles",), ("scaled",), ("km",), ("pairs",))
    )
    straight_degrees, straight_km, to_places = straight_lines(pairs)
    return tf.concat(
        [
            scaled_,
            straight_degrees,
            haversine_of(angles),
            tf.reduce_sum(tf.abs(km), axis=1, keepdims=True),
            km,
            bearing(km, straight_km),
            cycles(inputs),
            *(tf.cast(inputs[name], tf.float32) for name in PLAIN_INPUTS),
            *to_places,
        ],
        axis=1,
    )


def tariff_era(epoch: tf.Tensor, geography: Geography) -> tf.Tensor:
    """For each change of the tariff whether the trip starts after it, 0 or 1, shape (n, n_changes).

    epoch: int64 seconds of the city's local time, shape (n, 1). A device is in the last era: no extrapolation.
    """
    changes = tf.constant(geography.tariff_changes, tf.int64)
    return tf.cast(tf.greater_equal(epoch, changes), tf.float32)


def _hour_flags() -> npt.NDArray[Any]:
    """Flags by hour of the week, uint8 of shape (168,), a bit per flag: see `hour_flags`."""
    hour, weekend = np.arange(HOURS_OF_WEEK) % 24, np.arange(HOURS_OF_WEEK) // 24 >= 5
    between = [(hour >= first) & (hour <= last) & ~weekend for first, last in ((7, 9), (16, 19), (9, 18))]
    flags = np.stack([weekend, *between, (hour >= 20) | (hour <= 5)], axis=1)
    return np.asarray(flags @ 2 ** np.arange(N_FLAGS), np.uint8)


def hour_flags(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Weekend; on weekdays morning rush (7-9 h), evening rush (16-19 h) and working day (9-18 h); night (20-5 h).

    0 or 1, shape (n, 5); an hour counts by its number. A table of bits: five bytes an hour would take 672 bytes more.
    """
    bits = tf.cast(tf.gather(_hour_flags(), hour_of_week(inputs)), tf.float32)
    return tf.math.floormod(tf.floor(bits * 0.5 ** np.arange(N_FLAGS, dtype=np.float32)), 2.0)


def taxicab(moves: tf.Tensor) -> tf.Tensor:
    """Manhattan km; blocks across the grid, up it, and in sum: shape (n, 4) from the `moves` of `plane_columns`."""
    sums = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)
    return tf.matmul(tf.abs(moves), sums)


def extended(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The complete feature set, float32 of shape (n, 33 + 2 (n_airports + n_landmarks) + n_changes), unscaled.

    Four coordinates in [0, 1] over the box; ends and middle in km along the street grid; km east and north; straight
    line in degrees; km to airports and landmarks; haversine km; Manhattan km, blocks across, up and in sum; bearing;
    hour and weekday as cycles; log(1 + km) and the root of the straight line; whether both ends are one point (30 m);
    passengers; times of day; the tariff's era. This order needs the fewest operators and tensors.
    """
    degrees, places = relative_degrees(inputs, geography), (*geography.airports, *geography.landmarks)
    pieces = (("angles",), ("scaled", "positions"), ("km",), ("moves",), ("pairs",))
    angles, positions, km, moves, pairs = on_plane(degrees, geography, places, pieces)
    straight_degrees, straight_km, to_places = straight_lines(pairs)
    waves = tf.concat([tf.sin(clock_angles(inputs)), tf.math.log(straight_km + 1.0)], axis=1)
    return tf.concat(
        [
            positions,
            km,
            straight_degrees,
            *to_places,
            haversine_of(angles),
            taxicab(moves),
            bearing(km, straight_km),
            rounded(waves),
            tf.sqrt(straight_km),
            tf.cast(straight_km < SAME_POINT_KM, tf.float32),
            *(tf.cast(inputs[name], tf.float32) for name in PLAIN_INPUTS),
            hour_flags(inputs),
            *([tariff_era(inputs[PICKUP_EPOCH], geography)] if geography.tariff_changes else []),
        ],
        axis=1,
    )


def raw(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The source's columns unchanged, float32 of shape (n, 7 + n_changes): the inputs of the raw-column baseline.

    The tariff's era replaces the pickup's epoch, which would be 1.4e9.
    """
    plain = [tf.cast(inputs[name], tf.float32) for name in MODEL_INPUTS]
    era = [tariff_era(inputs[PICKUP_EPOCH], geography)] if geography.tariff_changes else []
    return tf.concat([*plain, *era], axis=1)


def inputs_of(raw_columns: npt.NDArray[Any], geography: Geography) -> dict[str, npt.NDArray[Any]]:
    """Raw columns of shape (n, 1) from the matrix of `raw`, shape (n, 7 + n_changes); an epoch is its era's start."""
    n = len(MODEL_INPUTS)
    inputs = {name: raw_columns[:, [i]].astype(EXAMPLE_COLUMNS[name].dtype) for i, name in enumerate(MODEL_INPUTS)}
    if geography.tariff_changes:
        starts = np.array([0, *geography.tariff_changes], np.int64)
        inputs[PICKUP_EPOCH] = starts[raw_columns[:, n:].sum(axis=1, keepdims=True).astype(np.int64)]
    return inputs
