"""Geo features: numbers by hand or from double-precision formulas of another form, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.tflite.slim import slim
from farebox.modules import clock, columns, features
from farebox.modules.features import Geography

WORLD = Geography(-180, 180, -90, 90)
SQUARE = Geography(0, 3, 0, 3)
ERAS = Geography(0, 3, 0, 3, n_tariff_changes=2)
CHICAGO = Geography(-87.95, -87.52, 41.64, 42.03, ((-87.9073, 41.9803), (-87.7522, 41.7868)))
SYDNEY = Geography(150.9, 151.4, -34.1, -33.6)
DEGREE_KM = 111.19508  # pi / 180 * 6371.0088

longitudes, latitudes = st.floats(-180, 180, width=32), st.floats(-90, 90, width=32)
trips = st.tuples(longitudes, latitudes, longitudes, latitudes)
anything = st.floats(width=32)  # infinities and NaN included


def inputs(*trips: tuple[float, ...], passengers=1, hour=0, weekday=0) -> dict[str, tf.Tensor]:
    """Raw columns of shape (n, 1) from (pickup lon, lat, dropoff lon, lat) each."""
    coordinates = np.array(trips, np.float32).reshape(-1, 4)
    ids = {columns.PASSENGER_COUNT: passengers, columns.PICKUP_HOUR: hour, columns.PICKUP_WEEKDAY: weekday}
    return {name: tf.constant(coordinates[:, [i]]) for i, name in enumerate(columns.COORDINATES)} | {
        name: tf.fill([len(coordinates), 1], tf.constant(value, tf.int64)) for name, value in ids.items()
    }


def haversine(trip: tuple[float, ...], geography: Geography) -> float:
    return features.haversine_km(features.in_box(inputs(trip), geography), geography).numpy().item()


def by_cosines(trip: tuple[float, ...]) -> float:
    """km by the spherical law of cosines in double precision: another formula than the code's."""
    lon1, lat1, lon2, lat2 = (math.radians(np.float32(degrees)) for degrees in trip)
    inner = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(lon2 - lon1)
    return 6371.0088 * math.acos(min(inner, 1.0))


@pytest.mark.parametrize(
    ("geography", "trip"),
    [
        (CHICAGO, (-87.9073, 41.9803, -87.7522, 41.7868)),  # O'Hare to Midway, 25.1 km
        (CHICAGO, (-87.63, 41.88, -87.62, 41.89)),  # within the Loop, 1.4 km
        (SYDNEY, (151.1772, -33.9461, 151.2153, -33.8568)),  # airport to Opera House, 10.5 km
        (WORLD, (-73.78, 40.64, 151.18, -33.95)),  # New York to Sydney, 16,013 km
    ],
)
def test_haversine_equals_the_law_of_cosines(geography, trip):
    assert haversine(trip, geography) == pytest.approx(by_cosines(trip), rel=1e-5)


def test_a_degree_of_latitude_and_the_poles():
    assert haversine((0, 0, 0, 1), SQUARE) == pytest.approx(DEGREE_KM, rel=1e-6)
    assert haversine((10, -90, -120, 90), WORLD) == pytest.approx(180 * DEGREE_KM, rel=1e-6)


@given(trip=trips)
def test_haversine_is_symmetric_and_at_most_half_the_circumference(trip):
    """To 5 m where degrees count from the ends of the world; the corner of a city is a thousand times nearer."""
    there, back = haversine(trip, WORLD), haversine((*trip[2:], *trip[:2]), WORLD)
    assert 0 <= there <= 180 * DEGREE_KM * (1 + 1e-6)
    assert there == pytest.approx(back, abs=5e-3, rel=1e-5)


def plane(trip: tuple[float, ...], geography: Geography, places=()) -> dict[str, np.ndarray]:
    names = ("angles", "scaled", "km", "moves", "middle", "easts", "norths", "pairs")
    pieces = features.on_plane(features.in_box(inputs(trip), geography), geography, places, [(name,) for name in names])
    return {name: values.numpy()[0] for name, values in zip(names, pieces, strict=True)}


def test_pieces_are_columns_side_by_side():
    shares = features.in_box(inputs((1, 1, 2, 3)), SQUARE)
    both, alone = features.on_plane(shares, SQUARE, (), [("scaled", "km"), ("angles",)])
    each = plane((1, 1, 2, 3), SQUARE)
    np.testing.assert_array_equal(both.numpy()[0], [*each["scaled"], *each["km"]])
    np.testing.assert_allclose(alone.numpy()[0], np.radians([0.5, 1.0, 92.0]), rtol=1e-6)


def test_places_lie_in_the_box_or_at_its_ends():
    """A box of 3 degrees: 1 east of its middle; far away; missing."""
    shares = features.in_box(inputs((2.5, 1.5, 99.0, -99.0), (math.nan, 0.0, 3.0, math.nan)), SQUARE).numpy()
    np.testing.assert_allclose(shares, [[2 / 3, 0, 1, -1], [0, -1, 1, 0]], rtol=1e-6)


def test_displacement_of_a_southern_city_points_north_and_east():
    """Airport to Opera House: 0.0893 degrees north; 0.0381 degrees east at the box's middle of 33.85 south."""
    trip = (151.1772, -33.9461, 151.2153, -33.8568)
    east, north = plane(trip, SYDNEY)["km"]
    assert north == pytest.approx(0.0893 * DEGREE_KM, abs=2e-3)  # float32 degrees at 151 are 1.5e-5 apart
    assert east == pytest.approx(0.0381 * DEGREE_KM * math.cos(math.radians(33.85)), abs=2e-3)
    assert np.all((plane(trip, SYDNEY)["scaled"] > 0) & (plane(trip, SYDNEY)["scaled"] < 1))


def test_bearing_by_hand():
    moved = tf.constant([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]])
    directions = features.bearing(moved, features.at_least_30_m(features.lengths(moved)))
    np.testing.assert_allclose(directions, [[0.6, 0.8], [0, -1], [0, 0]], atol=1e-6)


def test_lengths_of_pairs_of_columns():
    np.testing.assert_allclose(features.lengths(tf.constant([[3.0, 4.0, 5.0, 12.0]])), [[5, 13]])


@given(east=st.floats(-50, 50, width=32), north=st.floats(-50, 50, width=32))
def test_bearing_is_a_unit_vector_or_nothing(east, north):
    moved = tf.constant([[east, north]])
    length = np.linalg.norm(features.bearing(moved, features.at_least_30_m(features.lengths(moved))).numpy())
    if math.hypot(east, north) > 0.0301:
        assert length == pytest.approx(1, abs=1e-5)
    else:
        assert length <= 1 + 1e-5


def test_a_rounding_error_has_no_bearing():
    """What is left of 20 km less 20 km where a kernel fuses multiply and add."""
    moved = tf.constant([[np.spacing(np.float32(20)), -np.spacing(np.float32(20))]])
    assert np.abs(features.bearing(moved, features.at_least_30_m(features.lengths(moved)))).max() < 1e-3


def cycles(hour: int, weekday: int = 0) -> np.ndarray:
    return clock.cycles(inputs((0, 0, 0, 0), hour=hour, weekday=weekday), 0).numpy()[0]


@given(hour=st.integers(0, 23), weekday=st.integers(0, 6))
def test_cycles_lie_on_the_unit_circle_and_close(hour, weekday):
    here = cycles(hour, weekday)
    np.testing.assert_allclose(here[:2] ** 2 + here[2:] ** 2, 1, atol=4e-4)  # steps of 1/4096
    np.testing.assert_array_equal(here, cycles(hour + 24, weekday + 7))


def test_hour_23_is_as_near_to_midnight_as_hour_1():
    before, midnight, after = cycles(23), cycles(0), cycles(1)
    chord = 2 * math.sin(math.pi / 24)
    assert np.linalg.norm(before - midnight) == pytest.approx(chord, abs=2e-4)
    assert np.linalg.norm(after - midnight) == pytest.approx(chord, abs=2e-4)


def test_a_row_has_the_same_features_anywhere_in_a_batch():
    """Vector kernels take most of a batch, scalar ones its end: 200 trips of 0 to 20 km, together and each alone."""
    trips = np.tile([151.1772, -33.9461, 151.1772, -33.9461], (200, 1))
    trips[:, 2:] += np.linspace(0, 0.15, 200)[:, None] ** [1, 1.1]
    together = features.extended(inputs(*trips, hour=11, weekday=5), SYDNEY).numpy()
    alone = [features.extended(inputs(trip, hour=11, weekday=5), SYDNEY).numpy()[0] for trip in trips]
    np.testing.assert_array_equal(together[:, 12:17], np.array(alone)[:, 12:17])  # cycles and log(1 + km)


@pytest.mark.parametrize(
    ("longitude", "latitude", "cell"),
    [
        (0.5, 0.5, 0),
        (2.5, 0.5, 6),  # column 2 * 3 + row 0
        (1.01, 2.01, 5),
        (3.0, 3.0, 8),  # the far corner belongs to the last cell
        (9.0, -9.0, 6),  # outside: the nearest cell
        (np.nan, np.nan, 4),  # missing: the middle
    ],
)
def test_cells_by_hand(longitude, latitude, cell):
    crosses = features.crosses(inputs((longitude, latitude, 0.5, 0.5)), SQUARE, n_buckets=3)
    assert crosses[columns.PICKUP_CELL].numpy().item() == cell
    assert crosses[columns.DROPOFF_CELL].numpy().item() == 0
    assert crosses[columns.PAIR_CELL].numpy().item() == cell * 9


def test_every_pair_of_cells_has_an_id_of_its_own():
    centres = [(column + 0.5, row + 0.5) for column in range(3) for row in range(3)]
    crosses = features.crosses(inputs(*((*a, *b) for a in centres for b in centres)), SQUARE, n_buckets=3)
    assert crosses[columns.PAIR_CELL].numpy().reshape(-1).tolist() == list(range(81))
    assert columns.cardinalities(3)[columns.PAIR_CELL] == 81


def test_the_last_pair_of_64_buckets_is_exact():
    crosses = features.crosses(inputs((3, 3, 3, 3), (3, 3, 3, 2.94)), SQUARE, n_buckets=64)
    assert crosses[columns.PAIR_CELL].numpy().reshape(-1).tolist() == [2**24 - 1, 2**24 - 2]


def test_hour_of_week_by_hand():
    crosses = features.crosses(inputs((0, 0, 0, 0), hour=23, weekday=6), SQUARE, n_buckets=1)
    assert crosses[columns.HOUR_OF_WEEK].numpy().item() == 167 == columns.cardinalities(1)[columns.HOUR_OF_WEEK] - 1


@given(trip=st.tuples(anything, anything, anything, anything))
def test_any_coordinates_give_finite_features_of_a_trip_inside_the_box(trip):
    numeric = features.numeric(inputs(trip), CHICAGO).numpy()
    assert numeric.shape == (1, 16 + 2 * 2)
    assert np.isfinite(numeric).all()
    np.testing.assert_allclose(numeric[:, :4], np.clip(numeric[:, :4], 0, 1), atol=1e-6)


def test_numeric_without_airports_by_hand():
    """From (0, 0) to (3, 3) at hour 6, weekday 0, 2 passengers; the bearing is north-east, the middle latitude 1.5."""
    numeric = features.numeric(inputs((0, 0, 3, 3), passengers=2, hour=6), SQUARE).numpy()[0]
    north, east = 3 * DEGREE_KM, 3 * DEGREE_KM * math.cos(math.radians(1.5))
    direction = [east / math.hypot(east, north), north / math.hypot(east, north)]
    chord = 2 * 6371.0088 * math.sin(by_cosines((0, 0, 3, 3)) / (2 * 6371.0088))
    expected = [0, 0, 1, 1, math.sqrt(18), chord, east + north, east, north, *direction]
    np.testing.assert_allclose(numeric, [*expected, 1, 0, 0, 1, 2], rtol=1e-5, atol=1e-5)


def test_place_distances_are_pickups_then_dropoffs():
    city = Geography(0, 3, -1, 1)  # at the equator a degree is a degree
    pairs = plane((0, 0, 1, 0), city, ((0.0, 0.0), (2.0, 0.0)))["pairs"]
    km, others = features.straight_lines(pairs[np.newaxis])
    np.testing.assert_allclose(km, [[DEGREE_KM]], rtol=1e-6)
    np.testing.assert_allclose(others[:, 1:], np.array([[0, 2, 1, 1]]) * DEGREE_KM, rtol=1e-5, atol=1e-4)
    without_places = features.straight_lines(plane((0, 0, 1, 0), city)["pairs"][np.newaxis])[1]
    assert [others.numpy()[0, 0], without_places.numpy().item()] == pytest.approx([1, 1], rel=1e-5)
    both = plane((0, 0, 1, 0), city, ((0.0, 0.0), (2.0, 0.0)))
    np.testing.assert_array_equal(both["easts"], pairs[0::2])
    np.testing.assert_array_equal(both["norths"], pairs[1::2])


def test_the_street_grid_by_hand():
    """A grid turned by 30 degrees: what lies 30 degrees east of north is up the streets, with nothing across them."""
    city = Geography(0, 3, -1, 1, grid_angle=30.0)
    turned = plane((0, 0, 0.5, math.sqrt(0.75)), city)
    blocks, middle = turned["moves"][2:], turned["middle"]
    np.testing.assert_allclose(blocks, np.array([0, 1]) * DEGREE_KM, atol=1e-3)
    # The trip starts one and a half degrees west of the box's middle.
    west = 1.5 * np.array([math.cos(math.radians(30)), math.sin(math.radians(30))])
    np.testing.assert_allclose(middle, (np.array([0, 0.5]) - west) * DEGREE_KM, atol=1e-3)
    straight = plane((0, 0, 0.5, 0.25), Geography(0, 3, -1, 1))
    np.testing.assert_allclose(straight["moves"], np.array([0.5, 0.25] * 2) * DEGREE_KM, atol=1e-3)
    np.testing.assert_allclose(straight["middle"], np.array([-1.25, 0.125]) * DEGREE_KM, atol=1e-3)


def test_taxicab_by_hand():
    distances = features.taxicab(tf.constant([[3.0, -4.0, -1.0, 2.0]]))
    np.testing.assert_array_equal(distances, [[7, 1, 2, 3]])


@pytest.mark.parametrize(
    ("hour", "weekday", "flags"),
    [
        (7, 0, [0, 1, 0, 0, 1]),
        (9, 4, [0, 1, 0, 1, 1]),  # weekend, morning, evening, 9 to 18 h, day
        (16, 2, [0, 0, 1, 1, 1]),
        (19, 1, [0, 0, 1, 0, 1]),
        (20, 1, [0, 0, 0, 0, 0]),
        (5, 3, [0, 0, 0, 0, 0]),
        (6, 3, [0, 0, 0, 0, 1]),
        (9, 5, [1, 1, 0, 1, 1]),
        (23, 6, [1, 0, 0, 0, 0]),
    ],
)
def test_hour_flags_by_hand(hour, weekday, flags):
    numbers = clock.whole_numbers(inputs((0, 0, 0, 0), hour=hour, weekday=weekday), 0)
    *_, flag_columns = clock.clock_and_flags(numbers, 0)
    np.testing.assert_array_equal(flag_columns, [2 * np.array(flags) - 1])


def test_an_hour_that_is_none_is_held_in_the_week():
    for hour, weekday, held in ((-1, 0, 0), (0, 7, 167), (25, 6, 167)):
        assert clock.hour_of_week(inputs((0, 0, 0, 0), hour=hour, weekday=weekday)).numpy().item() == held


def era_of(era: int) -> dict[str, tf.Tensor]:
    return {columns.PICKUP_ERA: tf.constant([[era]], tf.int64)}


def test_an_era_is_a_flag_for_each_change_before_it():
    flags = clock.tariff_era(tf.constant([[0], [1], [2]], tf.int64), 2)
    np.testing.assert_array_equal(flags, [[0, 0], [1, 0], [1, 1]])


@pytest.mark.parametrize(("era", "before"), [(0, [1, 1]), (1, [0, 1]), (2, [0, 0]), (3, [0, 0]), (10**6, [0, 0])])
def test_extended_flags_the_changes_that_a_trip_starts_before(era, before):
    """A number above the last era is the last era: a device need not know how many there are."""
    extended = features.extended(inputs((0, 0, 3, 0)) | era_of(era), ERAS).numpy()[0]
    np.testing.assert_array_equal(extended[-2:], 2 * np.array(before) - 1)


@given(passengers=st.integers(-(2**31), 2**31 - 1), hour=st.integers(-99, 99), weekday=st.integers(-99, 99))
def test_any_whole_numbers_give_finite_features(passengers, hour, weekday):
    trip = inputs((0, 0, 3, 0), passengers=passengers, hour=hour, weekday=weekday)
    assert np.isfinite(features.extended(trip, SQUARE).numpy()).all()


@given(trip=trips)
def test_half_the_chord_is_the_great_circle_within_a_city(trip):
    """2R times it; 100 km are 1 m shorter on the chord at most."""
    west, south = CHICAGO.west, CHICAGO.south
    trip = tuple(low + (value % 1) * 0.4 for low, value in zip((west, south) * 2, trip, strict=True))
    angles = plane(trip, CHICAGO)["angles"][np.newaxis]
    chord_km = 2 * 6371.0088 * features.half_chord(tf.constant(angles)).numpy().item()
    assert chord_km == pytest.approx(haversine(trip, CHICAGO), abs=1e-3, rel=1e-5)


@pytest.mark.parametrize("numbers", [features.numeric, features.extended, features.brief])
@pytest.mark.parametrize("geography", [SYDNEY, ERAS, CHICAGO], ids=["bare", "eras", "places"])
def test_tflite_micro_computes_the_numbers_of_any_city(geography, numbers):
    """Also where a city has no places and no changes of its tariff: no part of a tensor is empty."""
    runtime = pytest.importorskip("tflite_micro").runtime
    middle = tuple(np.tile(geography.middle, 2) + 0.01 * np.arange(4))
    row = inputs(middle, passengers=2, hour=8, weekday=6)
    row |= {columns.PICKUP_ERA: tf.constant([[1]], tf.int64)} if geography.n_tariff_changes else {}
    row = {name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value for name, value in row.items()}
    specs = [tf.TensorSpec((1, 1), value.dtype, name) for name, value in row.items()]
    function = tf.function(lambda *given: numbers(dict(zip(row, given, strict=True)), geography))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(*specs)], function)
    micro = runtime.Interpreter.from_bytes(slim(converter.convert()))
    for place, value in enumerate(row.values()):
        micro.set_input(value.numpy(), place)
    micro.invoke()
    np.testing.assert_allclose(micro.get_output(0), numbers(row, geography), rtol=1e-4, atol=1e-4)


def test_extended_by_hand():
    """From (0, 0) 3 degrees east at the equator, at 8 h on a Monday after the change; a landmark at (1, 0)."""
    city = Geography(0, 4, -1, 1, landmarks=((1.0, 0.0),), n_tariff_changes=1)
    trip = inputs((0, 0, 3, 0), hour=8) | era_of(1)
    extended = features.extended(trip, city).numpy()[0]
    east = 3 * DEGREE_KM
    middle = [-DEGREE_KM / 2, 0]  # half a degree west of the box's
    lines = [east, 0, east, 3, DEGREE_KM, 2 * DEGREE_KM, east, east, 0, east, 1, 0]
    clock = [math.sin(math.pi * 2 / 3), 0, math.cos(math.pi * 2 / 3), 1]
    rest = [math.log(1 + east), 1, -1, 1, -1, -1, 1, -1]
    np.testing.assert_allclose(extended, [*middle, *lines, *clock, *rest], rtol=1e-5, atol=1e-3)
    assert len(extended) == 23 + 2 + 1
    here = inputs((1, 0.5, 1.0002, 0.5)) | era_of(0)
    extended = features.extended(here, city).numpy()[0]
    assert extended[-1] == 1  # before the change
    assert extended[12:14] == pytest.approx([0.0222 / 0.03, 0], abs=5e-3)  # a bearing of 30 m at least


@given(trip=st.tuples(anything, anything, anything, anything))
def test_any_coordinates_give_finite_extended_features(trip):
    assert np.isfinite(features.extended(inputs(trip), CHICAGO).numpy()).all()


@given(
    position=st.tuples(*[st.floats(-1, 2, width=32)] * 4),
    n_cells=st.integers(1, 64),
    n_zones=st.integers(1, 64),
    time=st.tuples(st.integers(-99, 99), st.integers(-99, 99), st.integers(0, 9)),
)
def test_crosses_are_integer_arithmetic(position, n_cells, n_zones, time):
    """In Python's integers; what lies outside of the box or the week counts to its outermost cell, hour or day."""

    def bucket(value, n):
        return min(max(math.floor(np.float32(value) * np.float32(n)), 0), n - 1)

    cells, zones = ([bucket(value, n) for value in position] for n in (n_cells, n_zones))
    pickup, dropoff = (cells[i] * n_cells + cells[i + 1] for i in (0, 2))
    pair = ((zones[0] * n_zones + zones[1]) * n_zones + zones[2]) * n_zones + zones[3]
    hour, weekday, era = time
    numbers = tf.constant([[1.0, hour, weekday, era]])
    place = tf.constant([position])
    ids = features.crosses_of(place, tf.ones(4), numbers, n_tariff_changes=1, n_cells=n_cells)
    hour_of_week = min(max(weekday, 0), 6) * 24 + min(max(hour, 0), 23)
    assert ids.numpy().astype(int).tolist() == [[pickup, dropoff, hour_of_week]]
    assert features.zone_pair_of(place, tf.ones(4), n_zones).numpy().astype(int).tolist() == [[pair]]


def test_raw_are_the_columns_in_the_models_order():
    trip = inputs((1, 2, 3, 4), passengers=5, hour=6, weekday=7)
    np.testing.assert_array_equal(features.raw(trip, SQUARE), [[1, 2, 3, 4, 5, 6, 7]])
    dated = trip | era_of(1)
    np.testing.assert_array_equal(features.raw(dated, ERAS), [[1, 2, 3, 4, 5, 6, 7, 1, 0]])


@given(era=st.integers(0, 3), trip=trips)
def test_inputs_of_raw_columns_give_the_same_raw_columns(era, trip):
    made = inputs(trip, passengers=2, hour=3, weekday=4) | era_of(era)
    there = features.raw(made, ERAS).numpy()
    back = features.inputs_of(there, ERAS)
    assert {name: values.dtype for name, values in back.items()} == {n: v.numpy().dtype for n, v in made.items()}
    np.testing.assert_array_equal(features.raw(back, ERAS), there)
