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
    HOURS_OF_WEEK,
    MODEL_INPUTS,
    PAIR_CELL,
    PASSENGER_COUNT,
    PICKUP_CELL,
    PICKUP_EPOCH,
    PICKUP_HOUR,
    PICKUP_WEEKDAY,
)

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
KM_PER_DEGREE = math.pi / 180.0 * EARTH_RADIUS_KM
SAME_POINT_KM = 0.03


@dataclasses.dataclass(frozen=True)
class Geography:
    """What a city's features know of it: the frame of every geo feature, and its tariff's history.

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
    degrees = tf.where(tf.math.is_nan(degrees), (near + far) / 2, degrees)
    return tf.minimum(tf.maximum(degrees, near), far)


def scaled(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """The four coordinates in [0, 1] over the box, shape (n, 4)."""
    near, far = np.tile(geography.near, 2), np.tile(geography.far, 2)
    return (degrees - near) / (far - near)


def haversine_km(degrees: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Great-circle distance in km, shape (n, 1); `degrees` as from `relative_degrees`, shape (n, 4).

    a = sin²(Δφ/2) + cos φ1 cos φ2 sin²(Δλ/2), d = 2R atan2(√a, √(1-a)) (Sinnott 1984, "Virtues of the Haversine");
    cos φ1 cos φ2 = 1 - sin²φm - sin²(Δφ/2) with the middle latitude φm, so that three sines do; atan2 because TFLite
    has no asin. Mean Earth radius 6371.0088 km (IUGG).
    """
    half_and_middle = np.array([[-0.5, 0, 0], [0, -0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0.5]], np.float32)
    angles = tf.matmul(degrees, half_and_middle) + np.array([0, 0, geography.corner[1]], np.float32)
    east, north, middle = tf.split(tf.sin(angles * (math.pi / 180.0)) ** 2, 3, axis=1)
    a = north + (1.0 - middle - north) * east
    return 2 * EARTH_RADIUS_KM * tf.atan2(tf.sqrt(tf.maximum(a, 0.0)), tf.sqrt(tf.maximum(1.0 - a, 0.0)))


def on_plane(
    degrees: tf.Tensor, geography: Geography, places: tuple[tuple[float, float], ...] = ()
) -> dict[str, tf.Tensor]:
    """What is linear in the degrees, on the plane tangent at the box's middle latitude:

    degrees: east and north from pickup to dropoff, shape (n, 2);
    km: the same in km;
    blocks: the same along the street grid, across the streets' north and up it;
    ends: pickup and dropoff in km along the grid, from the box's corner, shape (n, 4);
    middle: of the trip, as ends, shape (n, 2);
    offsets: km east and north from each place to pickup, then to dropoff, shape (n, 4 n_places).

    One product with a constant matrix, since every operator and tensor of its own costs the file some 150 bytes.
    """
    pickup, dropoff = np.eye(4)[:, :2], np.eye(4)[:, 2:]
    to_km = np.diag([geography.cosine * KM_PER_DEGREE, KM_PER_DEGREE])
    angle = math.radians(geography.grid_angle)
    to_grid = to_km @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    from_corner = np.array(places, np.float64).reshape(-1, 2) - geography.corner
    offset = np.tile((from_corner @ to_km).reshape(-1), 2)
    columns = {
        "degrees": dropoff - pickup,
        "km": (dropoff - pickup) @ to_km,
        "blocks": (dropoff - pickup) @ to_grid,
        "ends": np.concatenate([pickup @ to_grid, dropoff @ to_grid], axis=1),
        "middle": (pickup + dropoff) / 2 @ to_grid,
        "offsets": np.concatenate([np.tile(end @ to_km, len(places)) for end in (pickup, dropoff)], axis=1),
    }
    columns = {name: matrix for name, matrix in columns.items() if matrix.size}  # TFLite splits off no empty tensor
    widths = [matrix.shape[1] for matrix in columns.values()]
    shift = np.concatenate([np.zeros(sum(widths) - offset.size), offset])
    product = tf.matmul(degrees, np.concatenate(list(columns.values()), axis=1).astype(np.float32))
    return dict(zip(columns, tf.split(product - shift.astype(np.float32), widths, axis=1), strict=True))


def lengths(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each pair of columns, shape (n, m) from (n, 2 m)."""
    pairs = tf.reshape(vectors, [-1, vectors.shape[1] // 2, 2])
    return tf.sqrt(tf.reduce_sum(pairs**2, axis=2))


def straight_line(plane: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """From pickup to dropoff in degrees, as the course measures it, and in km, each of shape (n, 1)."""
    degrees, km = tf.split(lengths(tf.concat([plane["degrees"], plane["km"]], axis=1)), 2, axis=1)
    return degrees, km


def bearing(displacement: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Direction of travel as (sine, cosine) of the angle from north, shape (n, 2); (0, 0) where there is no movement.

    displacement: km east and north, shape (n, 2), and its length, shape (n, 1). The floor of 1 cm is far below the
    resolution of float32 degrees (about 0.6 m).
    """
    return displacement / tf.maximum(length, 1e-5)


def steady(values: tf.Tensor) -> tf.Tensor:
    """The values in steps of 1/4096.

    Vector and scalar kernels of a sine or a logarithm differ in the last bit, and which of them a row meets depends on
    its place in a batch; training would make a cent of it, another one in every run.
    """
    return tf.round(values * 4096.0) * (1.0 / 4096.0)


def cycles(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Sines, then cosines, of hour and weekday as positions on their cycles, shape (n, 4): hour 23 lies beside 0."""
    positions = tf.cast(tf.concat([inputs[name] for name in CYCLE_PERIOD], axis=1), tf.float32)
    angles = positions * np.array([2 * math.pi / period for period in CYCLE_PERIOD.values()], np.float32)
    return steady(tf.concat([tf.sin(angles), tf.cos(angles)], axis=1))


def cells(degrees: tf.Tensor, geography: Geography, n_buckets: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Pickup and dropoff cell, each float32 of shape (n, 1) in 0..n_buckets²-1: column * n_buckets + row."""
    bucket = tf.minimum(tf.floor(scaled(degrees, geography) * n_buckets), n_buckets - 1.0)
    return bucket[:, 0:1] * n_buckets + bucket[:, 1:2], bucket[:, 2:3] * n_buckets + bucket[:, 3:4]


def cells_and_zones(position: tf.Tensor, n_cells: int, n_zones: int) -> tf.Tensor:
    """Pickup cell, dropoff cell, and pair of zones, float32 of shape (n, 3), in 0..n_cells²-1 (twice) and
    0..n_zones⁴-1; as `cells` counts them.

    position: the four coordinates in [0, 1] over a box, shape (n, 4); what lies outside counts to the outermost cell.
    """
    per_axis = np.repeat(np.array([n_cells, n_zones], np.float32), 4)
    weights = np.array([n_cells, 1, n_cells, 1, n_zones**3, n_zones**2, n_zones, 1], np.float32)
    buckets = tf.floor(tf.concat([position, position], axis=1) * per_axis)
    weighted = tf.minimum(tf.maximum(buckets, 0.0), per_axis - 1) * weights
    both, pickup_zone, dropoff_zone = tf.split(
        tf.reduce_sum(tf.reshape(weighted, [-1, 4, 2]), axis=2), [2, 1, 1], axis=1
    )
    return tf.concat([both, pickup_zone + dropoff_zone], axis=1)


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
    """0..167 from Monday 0 h, int64 of shape (n, 1); what is no hour or weekday counts to the first or the last."""
    hour = inputs[PICKUP_WEEKDAY] * CYCLE_PERIOD[PICKUP_HOUR] + inputs[PICKUP_HOUR]
    return tf.minimum(tf.maximum(hour, 0), HOURS_OF_WEEK - 1)


def numeric(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The numbers of the course and their betters, float32 of shape (n, 16 + 2 * n_airports), unscaled.

    Four coordinates in [0, 1] over the box; straight line in degrees (the course's feature); haversine and Manhattan
    km; km east and north; bearing; hour and weekday as cycles; passengers; km from pickup and from dropoff to each
    airport.
    """
    degrees = relative_degrees(inputs, geography)
    plane = on_plane(degrees, geography, geography.airports)
    return tf.concat(_numbers(inputs, geography, degrees, plane, *straight_line(plane)), axis=1)


def _numbers(
    inputs: Mapping[str, tf.Tensor],
    geography: Geography,
    degrees: tf.Tensor,
    plane: Mapping[str, tf.Tensor],
    straight_degrees: tf.Tensor,
    straight_km: tf.Tensor,
) -> list[tf.Tensor]:
    return [
        scaled(degrees, geography),
        straight_degrees,
        haversine_km(degrees, geography),
        tf.reduce_sum(tf.abs(plane["km"]), axis=1, keepdims=True),
        plane["km"],
        bearing(plane["km"], straight_km),
        cycles(inputs),
        tf.cast(inputs[PASSENGER_COUNT], tf.float32),
        # without places nothing, not an empty tensor: TFLite's CONCATENATION takes none
        *([lengths(plane["offsets"])] if "offsets" in plane else []),
    ]


def tariff_era(epoch: tf.Tensor, geography: Geography) -> tf.Tensor:
    """For each change of the tariff whether the trip starts after it, 0 or 1, shape (n, n_changes).

    epoch: int64 seconds of the city's local time, shape (n, 1). A device lives in the last era: no extrapolation.
    """
    changes = tf.constant(geography.tariff_changes, tf.int64)
    return tf.cast(tf.greater_equal(epoch, changes), tf.float32)


def _hour_flags() -> np.ndarray:
    """By hour of the week, uint8 of shape (168, 5): see `hour_flags`."""
    hour, weekend = np.arange(HOURS_OF_WEEK) % 24, np.arange(HOURS_OF_WEEK) // 24 >= 5
    between = [(hour >= first) & (hour <= last) & ~weekend for first, last in ((7, 9), (16, 19), (9, 18))]
    return np.stack([weekend, *between, (hour >= 20) | (hour <= 5)], axis=1).astype(np.uint8)


def hour_flags(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Weekend; on weekdays morning rush (7-9 h), evening rush (16-19 h) and working day (9-18 h); night (20-5 h).

    0 or 1, shape (n, 5); an hour counts by its number.
    """
    return tf.cast(tf.reshape(tf.gather(_hour_flags(), hour_of_week(inputs)), [-1, 5]), tf.float32)


def extended(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The complete feature set, float32 of shape (n, 33 + 2 (n_airports + n_landmarks) + n_changes), unscaled.

    What `numeric` has, with landmarks among the places; ends and middle in km along the street grid; blocks across, up
    and in sum; log(1 + km) and the root of the straight line; whether both ends are one point (30 m); times of day;
    the tariff's era.
    """
    degrees = relative_degrees(inputs, geography)
    plane = on_plane(degrees, geography, (*geography.airports, *geography.landmarks))
    straight_degrees, km = straight_line(plane)
    blocks = tf.abs(plane["blocks"])
    return tf.concat(
        [
            *_numbers(inputs, geography, degrees, plane, straight_degrees, km),
            plane["ends"],
            plane["middle"],
            blocks,
            tf.reduce_sum(blocks, axis=1, keepdims=True),
            steady(tf.math.log(km + 1.0)),
            tf.sqrt(km),
            tf.cast(km < SAME_POINT_KM, tf.float32),
            hour_flags(inputs),
            *([tariff_era(inputs[PICKUP_EPOCH], geography)] if geography.tariff_changes else []),
        ],
        axis=1,
    )


def raw(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The source's columns as they come, float32 of shape (n, 7 + n_changes): what the raw-column baseline sees.

    The moment itself would be 1.4e9: in its place stands the tariff's era.
    """
    plain = [tf.cast(inputs[name], tf.float32) for name in MODEL_INPUTS]
    era = [tariff_era(inputs[PICKUP_EPOCH], geography)] if geography.tariff_changes else []
    return tf.concat([*plain, *era], axis=1)


def inputs_of(raw_columns: np.ndarray, geography: Geography) -> dict[str, np.ndarray]:
    """Raw columns of shape (n, 1) of which `raw` makes these, shape (n, 7 + n_changes); a moment is its era's first."""
    n = len(MODEL_INPUTS)
    kinds = {name: np.float32 if name in COORDINATES else np.int64 for name in MODEL_INPUTS}
    found = {name: raw_columns[:, [i]].astype(kinds[name]) for i, name in enumerate(MODEL_INPUTS)}
    if geography.tariff_changes:
        starts = np.array([0, *geography.tariff_changes], np.int64)
        found[PICKUP_EPOCH] = starts[raw_columns[:, n:].sum(axis=1, keepdims=True).astype(np.int64)]
    return found
