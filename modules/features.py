"""Row-wise taxi features: plain TensorFlow, only ops that TFLite has built in. Nothing here is learned from data.

All geo arithmetic runs on places *within the city's box*, -1 to 1 from end to end. Large constants therefore never meet
small differences.
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
from farebox.modules import clock, extra
from farebox.modules.columns import (
    COORDINATES,
    DROPOFF_CELL,
    HOUR_OF_WEEK,
    MODEL_INPUTS,
    PAIR_CELL,
    PICKUP_CELL,
    PICKUP_ERA,
    PLAIN_INPUTS,
)

LEAST_KM = 0.03  # a shorter length is a sensor's or an arithmetic's noise


@dataclasses.dataclass(frozen=True)
class Geography:
    """A city's settings for features: the frame of every geo feature, and the history of its tariff.

    The box in degrees; airports and landmarks as (longitude, latitude); grid_angle: how far the street grid is turned
    from north, clockwise, in degrees; n_tariff_changes: how often the tariff has changed; extras: the city's own
    inputs, in the order of the model's.
    """

    west: float
    east: float
    south: float
    north: float
    airports: tuple[tuple[float, float], ...] = ()
    landmarks: tuple[tuple[float, float], ...] = ()
    grid_angle: float = 0.0
    n_tariff_changes: int = 0
    extras: tuple[extra.ExtraInput, ...] = ()

    @property
    def middle(self) -> npt.NDArray[Any]:
        """The box's middle (longitude, latitude), float32 of shape (2,)."""
        return np.array([(self.west + self.east) / 2, (self.south + self.north) / 2], np.float32)

    @property
    def half(self) -> npt.NDArray[Any]:
        """Half the box's width and height in degrees, float32 of shape (2,)."""
        return np.array([(self.east - self.west) / 2, (self.north - self.south) / 2], np.float32)

    @property
    def cosine(self) -> float:
        """Cosine of the box's middle latitude: what a degree of longitude is worth here."""
        return math.cos(math.radians((self.south + self.north) / 2))


def in_box(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The four coordinates, shape (n, 4) in the order of COORDINATES, in halves of the box from its middle: -1 to 1.

    Places outside are held at the box's end. A missing coordinate (NaN) becomes the middle, so that a fare is always a
    number. TFLite holds a product within ±1 by itself.
    """
    degrees = tf.concat([inputs[name] for name in COORDINATES], axis=1) - np.tile(geography.middle, 2)
    degrees = tf.where(tf.math.is_nan(degrees), 0.0, degrees)
    return tf.minimum(tf.maximum(degrees * np.tile(1 / geography.half, 2), -1.0), 1.0)


def haversine_km(places: tf.Tensor, geography: Geography) -> tf.Tensor:
    """Great-circle distance in km, shape (n, 1); `places` as from `in_box`, shape (n, 4).

    d = 2R atan2(√a, √(1-a)), with a as in `haversine_of`. Mean Earth radius 6371.0088 km (IUGG).
    """
    (angles,) = on_plane(places, geography, (), (("angles",),))
    a = haversine_of(angles)
    return 2 * EARTH_RADIUS_KM * tf.atan2(tf.sqrt(a), tf.sqrt(tf.maximum(1.0 - a, 0.0)))


def haversine_of(angles: tf.Tensor) -> tf.Tensor:
    """Haversine of the central angle between the ends, shape (n, 1), from the angles of `plane_columns`.

    a = sin²(Δφ/2) + cos φ1 cos φ2 sin²(Δλ/2) (Sinnott 1984, "Virtues of the Haversine"); cos φ1 cos φ2 = cos²φm -
    sin²(Δφ/2) with the middle latitude φm, so three sines are enough, one of them of φm + 90°.
    """
    east, north, middle = tf.split(tf.sin(angles) ** 2, 3, axis=1)
    return tf.nn.relu(north + (middle - north) * east)


def half_chord(angles: tf.Tensor) -> tf.Tensor:
    """Half the straight line through the Earth between the ends, in Earth radii, shape (n, 1).

    √a of `haversine_of`: the great-circle distance is 2R asin √a, and within a city asin x = x to 1e-6 (x³/6 for 100 km
    is 5 cm). tflite-micro has neither asin nor atan2. No factor of 2R: features are standardized.
    """
    return tf.sqrt(haversine_of(angles))


def plane_columns(geography: Geography, places: tuple[tuple[float, float], ...]) -> dict[str, tuple[Any, Any]]:
    """Columns that are linear in the degrees from the box's middle, as matrix (4, width) and shift (width,):

    angles: radians: half the longitudes', half the latitudes' difference, the middle latitude and a right angle;
    scaled: the four coordinates in [0, 1] over the box;
    km: east and north from pickup to dropoff, on the plane tangent at the box's middle latitude;
    moves: the same, then along the street grid, across the streets' north and up it;
    middle: the middle of the trip, in km along the grid from the box's middle;
    easts, norths: from pickup to dropoff in km and in degrees; km from each place to pickup, then to dropoff;
    km_easts, km_norths: the same without degrees;
    pairs: east and north of each of these in turn.
    """
    pickup, dropoff = np.eye(4)[:, :2], np.eye(4)[:, 2:]
    to_km = np.diag([geography.cosine * KM_PER_DEGREE, KM_PER_DEGREE])
    angle = math.radians(geography.grid_angle)
    to_grid = to_km @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    from_middle = np.tile(((np.array(places, np.float64).reshape(-1, 2) - geography.middle) @ to_km).reshape(-1), 2)
    moved, middle = dropoff - pickup, (pickup + dropoff) / 2
    half_and_middle = np.concatenate([moved / 2, middle[:, 1:]], axis=1)
    offsets = [np.tile(end @ to_km, len(places)) for end in (pickup, dropoff)]
    pairs, shift = np.concatenate([moved @ to_km, moved, *offsets], axis=1), -np.append(np.zeros(4), from_middle)
    columns = {
        "angles": (np.radians(half_and_middle), np.radians([0, 0, geography.middle[1] + 90.0])),
        "scaled": (np.diag(0.5 / np.tile(geography.half, 2)), np.full(4, 0.5)),
        "km": (moved @ to_km, None),
        "moves": (np.concatenate([moved @ to_km, moved @ to_grid], axis=1), None),
        "middle": (middle @ to_grid, None),
        "easts": (pairs[:, 0::2], shift[0::2]),
        "norths": (pairs[:, 1::2], shift[1::2]),
        "km_easts": (np.delete(pairs[:, 0::2], 1, axis=1), np.delete(shift[0::2], 1)),
        "km_norths": (np.delete(pairs[:, 1::2], 1, axis=1), np.delete(shift[1::2], 1)),
        "pairs": (pairs, shift),
    }
    return {
        name: (matrix, np.zeros(matrix.shape[1]) if added is None else added)
        for name, (matrix, added) in columns.items()
    }


def on_plane(
    shares: tf.Tensor,
    geography: Geography,
    places: tuple[tuple[float, float], ...],
    pieces: Sequence[tuple[str, ...]],
) -> list[tf.Tensor]:
    """A tensor of shape (n, width) per piece, each the columns that it names side by side; see `plane_columns`.

    shares: as from `in_box`. One product with a constant matrix, since every operator and tensor of its own costs the
    file some 50 bytes.
    """
    columns = plane_columns(geography, places)
    matrix = np.concatenate([columns[name][0] for names in pieces for name in names], axis=1)
    shift = np.concatenate([columns[name][1] for names in pieces for name in names])
    of_shares = (np.tile(geography.half, 2)[:, None] * matrix).astype(np.float32)
    product = tf.matmul(shares, of_shares) + (shift + 0.0).astype(np.float32)  # -0.0 becomes 0.0
    return list(tf.split(product, [sum(columns[name][0].shape[1] for name in names) for names in pieces], axis=1))


def lengths(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each pair of columns, shape (n, m) from (n, 2 m)."""
    pairs = tf.reshape(vectors, [-1, vectors.shape[1] // 2, 2])
    return tf.sqrt(tf.reduce_sum(pairs**2, axis=2))


def first_of(columns: tf.Tensor) -> tf.Tensor:
    """The first column, shape (n, 1). tflite-micro refuses a split into one column and nothing."""
    return tf.split(columns, [1, columns.shape[1] - 1], axis=1)[0] if columns.shape[1] > 1 else columns


def straight_lines(pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Straight line from pickup to dropoff in km, shape (n, 1); and the same in degrees, as the course measures it,
    with km to the places, shape (n, 1 + 2 n_places)."""
    distances = lengths(pairs)
    km, others = tf.split(distances, [1, distances.shape[1] - 1], axis=1)
    return km, others


def bearing(displacement: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Direction of travel as (sine, cosine) of the angle from north, shape (n, 2); (0, 0) if there is no movement.

    displacement: km east and north, shape (n, 2), and its length of `at_least_30_m`, shape (n, 1).
    """
    return displacement / length


def at_least_30_m(length: tf.Tensor) -> tf.Tensor:
    """The length in km, shape (n, 1), or LEAST_KM for a shorter one.

    The floor keeps some millimetres from becoming a direction: runtimes differ by a millimetre.
    """
    return tf.maximum(length, LEAST_KM)


def buckets_of(places: tf.Tensor, n_buckets: int) -> tf.Tensor:
    """The bucket of each coordinate, 0 to n_buckets - 1, float32 of shape (n, 4); `places` as from `in_box`."""
    return tf.minimum(tf.floor((places + 1.0) * (n_buckets / 2)), n_buckets - 1.0)


def crosses_of(
    offset: tf.Tensor, size: tf.Tensor, numbers: tf.Tensor, *, n_tariff_changes: int, n_cells: int
) -> tf.Tensor:
    """Pickup cell, dropoff cell and hour of the week, float32 of shape (n, 3), in 0..n_cells²-1 (twice) and 0..167;
    cells as `cells` counts them.

    offset: the four coordinates from a box's south-west end, shape (n, 4), and the box's size, shape (4,), in one unit;
    places outside count to the outermost cell. numbers: of `clock.whole_numbers`; hours and weekdays outside count to
    the first or the last one. No kernel fuses this product with a sum: all agree on the cell.
    """
    to_hours, last = clock.hour_columns(n_tariff_changes)
    to_ids = np.zeros((4 + len(last), 3), np.float32)
    to_ids[[0, 1], 0], to_ids[[2, 3], 1], to_ids[4:, 2] = [n_cells, 1], [n_cells, 1], to_hours
    scale = tf.concat([n_cells / size, np.sign(to_hours)], axis=0)
    most = np.append(np.full(4, n_cells - 1, np.float32), last)
    return tf.matmul(_buckets(tf.concat([offset, numbers], axis=1), scale, most), to_ids)  # below 2^24: exact


def zone_pair_of(offset: tf.Tensor, size: tf.Tensor, n_zones: int) -> tf.Tensor:
    """Pair of zones, float32 of shape (n, 1), in 0..n_zones⁴-1, as `crosses_of`; apart, since few networks read it."""
    to_ids = np.array([[n_zones**3], [n_zones**2], [n_zones], [1]], np.float32)
    return tf.matmul(_buckets(offset, n_zones / size, np.full(4, n_zones - 1, np.float32)), to_ids)


def _buckets(values: tf.Tensor, scale: tf.Tensor, most: npt.NDArray[np.float32]) -> tf.Tensor:
    """Whole numbers of 0 to `most`, same shape. TFLite holds a product at 0 or above by itself."""
    return tf.minimum(tf.floor(tf.nn.relu(values * scale)), most)


def crosses(inputs: Mapping[str, tf.Tensor], geography: Geography, n_buckets: int) -> dict[str, tf.Tensor]:
    """Ids, int64 of shape (n, 1): pickup and dropoff cell, their exact pair (no hash, no collisions), hour of week.

    A cell is column * n_buckets + row. A product for each id: a file computes only those that its network reads.
    """
    buckets, n = buckets_of(in_box(inputs, geography), n_buckets), n_buckets
    columns = {PICKUP_CELL: (n, 1, 0, 0), DROPOFF_CELL: (0, 0, n, 1), PAIR_CELL: (n**3, n**2, n, 1)}
    ids = {name: tf.matmul(buckets, np.array(each, np.float32)[:, None]) for name, each in columns.items()}
    return {**{name: tf.cast(each, tf.int64) for name, each in ids.items()}, HOUR_OF_WEEK: clock.hour_of_week(inputs)}


def numeric(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The course's numeric features, improved, float32 of shape (n, 16 + 2 * n_airports + n_extra), unscaled.

    Four coordinates in [0, 1] over the box; straight line in degrees (the course's feature); km from pickup and from
    dropoff to each airport; haversine and Manhattan km; km east and north; bearing; hour and weekday as cycles;
    passengers; the city's own, categories first.
    """
    pieces = (("angles",), ("scaled",), ("km",), ("pairs",))
    angles, scaled, km, pairs = on_plane(in_box(inputs, geography), geography, geography.airports, pieces)
    straight_km, straight_lines_ = straight_lines(pairs)
    return tf.concat(
        [
            scaled,
            straight_lines_,
            half_chord(angles) * (2 * EARTH_RADIUS_KM),
            tf.reduce_sum(tf.abs(km), axis=1, keepdims=True),
            km,
            bearing(km, at_least_30_m(straight_km)),
            clock.cycles(inputs, geography.n_tariff_changes),
            *(tf.cast(inputs[name], tf.float32) for name in PLAIN_INPUTS),
            *extra.columns_of(inputs, geography.extras),
        ],
        axis=1,
    )


def taxicab(moves: tf.Tensor) -> tf.Tensor:
    """Manhattan km; blocks across the grid, up it, and in sum: shape (n, 4) from the `moves` of `plane_columns`.

    Sums of the others, but without them NYC's RMSE is 1 % higher.
    """
    sums = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], np.float32)
    return tf.matmul(tf.abs(moves), sums)


def extended(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The complete feature set, float32, unscaled, of shape (n, 23 + 2 (n_airports + n_landmarks) + n_changes +
    n_extra).

    The trip's middle in km along the street grid; km east and north, which give both ends with the middle; straight
    line in km and in degrees, and those to airports and landmarks; Manhattan km, blocks across, up and in sum; bearing;
    hour and weekday as cycles; log(1 + km); passengers; times of day; the tariff's era; the city's own, categories
    first. This order needs the fewest operators and tensors, and joins nine tensors, eleven with a city's own:
    tflite-micro's CONCATENATION takes ten, so that two remain then. No great circle: in a city it is the straight line
    but for a quarter of a percent, and took seven operators.
    """
    places, changes = (*geography.airports, *geography.landmarks), geography.n_tariff_changes
    pieces = (("middle",), ("km",), ("moves",), ("easts",), ("norths",))
    middle, km, moves, easts, norths = on_plane(in_box(inputs, geography), geography, places, pieces)
    distances = tf.sqrt(easts * easts + norths * norths)
    straight_km = first_of(distances)
    angles, passengers, flags = clock.clock_and_flags(clock.whole_numbers(inputs, changes), changes)
    waves = tf.concat([tf.sin(angles), tf.math.log(straight_km + 1.0), passengers], axis=1)
    return tf.concat(
        [
            middle,
            km,
            distances,
            taxicab(moves),
            bearing(km, at_least_30_m(straight_km)),
            clock.rounded(waves),  # passengers are whole: no rounding moves them
            flags,
            *extra.columns_of(inputs, geography.extras),
        ],
        axis=1,
    )


def brief(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The numbers of a network that looks up places and the hour of the week, float32, unscaled, of shape (n, 11 +
    2 (n_airports + n_landmarks) + n_changes + n_extra).

    Passengers, hour, weekday; the era, for change n of the tariff at most n; the trip's middle; straight line in km,
    and those to airports and landmarks; km east, north, across the streets and up them, without sign; log(1 + km); the
    city's own. No times of day, no direction and no sums: they took 17 operators.
    """
    places, changes = (*geography.airports, *geography.landmarks), geography.n_tariff_changes
    pieces = (("middle",), ("moves",), ("km_easts",), ("km_norths",))
    middle, moves, easts, norths = on_plane(in_box(inputs, geography), geography, places, pieces)
    distances = tf.sqrt(easts * easts + norths * norths)
    straight_km = first_of(distances)
    numbers = clock.held(clock.whole_numbers(inputs, changes), changes)
    log_km = clock.rounded(tf.math.log(straight_km + 1.0))
    own = extra.columns_of(inputs, geography.extras)
    return tf.concat([numbers, middle, distances, tf.abs(moves), log_km, *own], axis=1)


def raw(inputs: Mapping[str, tf.Tensor], geography: Geography) -> tf.Tensor:
    """The source's columns unchanged, float32 of shape (n, 7 + n_changes + n_extra): the raw-column baseline's inputs.

    A flag per change of the tariff replaces the number of the pickup's era, and flags a category's code.
    """
    plain = [tf.cast(inputs[name], tf.float32) for name in MODEL_INPUTS]
    era = [clock.tariff_era(inputs[PICKUP_ERA], geography.n_tariff_changes)] if geography.n_tariff_changes else []
    return extra.joined([*plain, *era, *extra.columns_of(inputs, geography.extras)])


def inputs_of(raw_columns: npt.NDArray[Any], geography: Geography) -> dict[str, npt.NDArray[Any]]:
    """Raw columns of shape (n, 1) from the matrix of `raw`, shape (n, 7 + n_changes + n_extra)."""
    n, end = len(MODEL_INPUTS), raw_columns.shape[1] - extra.width(geography.extras)
    inputs = {name: raw_columns[:, [i]].astype(EXAMPLE_COLUMNS[name].dtype) for i, name in enumerate(MODEL_INPUTS)}
    if geography.n_tariff_changes:
        inputs[PICKUP_ERA] = raw_columns[:, n:end].sum(axis=1, keepdims=True).astype(np.int64)
    return inputs | extra.inputs_of(raw_columns[:, end:], geography.extras)
