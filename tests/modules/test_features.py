"""Geo features: numbers by hand or from double-precision formulas of another form, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from modules import columns, features
from modules.features import Geography

WORLD = Geography(-180, 180, -90, 90)
SQUARE = Geography(0, 3, 0, 3)
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
    return features.haversine_km(features.relative_degrees(inputs(trip), geography), geography).numpy().item()


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
    there, back = haversine(trip, WORLD), haversine((*trip[2:], *trip[:2]), WORLD)
    assert 0 <= there <= 180 * DEGREE_KM * (1 + 1e-6)
    assert there == back


def test_displacement_of_a_southern_city_points_north_and_east():
    """Airport to Opera House: 0.0893 degrees north; 0.0381 degrees east at the box's middle of 33.85 south."""
    degrees = features.relative_degrees(inputs((151.1772, -33.9461, 151.2153, -33.8568)), SYDNEY)
    east, north = features.displacement_km(degrees, SYDNEY).numpy()[0]
    assert north == pytest.approx(0.0893 * DEGREE_KM, abs=2e-3)  # float32 degrees at 151 are 1.5e-5 apart
    assert east == pytest.approx(0.0381 * DEGREE_KM * math.cos(math.radians(33.85)), abs=2e-3)
    assert np.all((features.scaled(degrees, SYDNEY) > 0) & (features.scaled(degrees, SYDNEY) < 1))


def test_bearing_by_hand():
    moved = tf.constant([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]])
    np.testing.assert_allclose(features.bearing(moved), [[0.6, 0.8], [0, -1], [0, 0]], atol=1e-6)


@given(east=st.floats(-50, 50, width=32), north=st.floats(-50, 50, width=32))
def test_bearing_is_a_unit_vector_or_nothing(east, north):
    length = np.linalg.norm(features.bearing(tf.constant([[east, north]])).numpy())
    if math.hypot(east, north) > 1e-4:
        assert length == pytest.approx(1, abs=1e-5)
    else:
        assert length <= 1 + 1e-5


@given(period=st.integers(2, 400), position=st.integers(0, 400))
def test_a_cycle_lies_on_the_unit_circle_and_closes(period, position):
    here, later = (
        features.cyclic(tf.constant([[p]]), period).numpy() for p in (position % period, position % period + period)
    )
    assert np.sum(here**2) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(here, later, atol=1e-5)


def test_hour_23_is_as_near_to_midnight_as_hour_1():
    before, midnight, after = features.cyclic(tf.constant([[23], [0], [1]]), 24).numpy()
    chord = 2 * math.sin(math.pi / 24)
    assert np.linalg.norm(before - midnight) == pytest.approx(chord, abs=1e-6)
    assert np.linalg.norm(after - midnight) == pytest.approx(chord, abs=1e-6)


@pytest.mark.parametrize(
    ("longitude", "latitude", "cell"),
    [
        (0.5, 0.5, 0),
        (2.5, 0.5, 6),  # column 2 * 3 + row 0
        (1.0, 2.0, 5),  # a border belongs to the cell east and north of it
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
    assert np.all((numeric[:, :4] >= 0) & (numeric[:, :4] <= 1))


def test_numeric_without_airports_by_hand():
    """From (0, 0) to (3, 3) at hour 6, weekday 0, 2 passengers; the bearing is north-east, the middle latitude 1.5."""
    numeric = features.numeric(inputs((0, 0, 3, 3), passengers=2, hour=6), SQUARE).numpy()[0]
    north, east = 3 * DEGREE_KM, 3 * DEGREE_KM * math.cos(math.radians(1.5))
    direction = [east / math.hypot(east, north), north / math.hypot(east, north)]
    expected = [0, 0, 1, 1, math.sqrt(18), by_cosines((0, 0, 3, 3)), east + north, east, north, *direction]
    np.testing.assert_allclose(numeric, [*expected, 1, 0, 0, 1, 2], rtol=1e-5, atol=1e-6)


def test_airport_distances_are_pickups_then_dropoffs():
    city = Geography(0, 3, -1, 1, ((0.0, 0.0), (2.0, 0.0)))  # at the equator a degree is a degree
    degrees = features.relative_degrees(inputs((0, 0, 1, 0)), city)
    np.testing.assert_allclose(features.airport_km(degrees, city), np.array([[0, 2, 1, 1]]) * DEGREE_KM, rtol=1e-5)


@given(west=st.floats(-180, 179), south=st.floats(-90, 89))
def test_the_corner_survives_float16_and_lies_outside_the_box(west, south):
    city = Geography(west, west + 1, south, south + 1)
    np.testing.assert_array_equal(city.corner.astype(np.float16).astype(np.float32), city.corner)
    assert np.all(city.corner <= np.array([west, south]))
    assert np.all(city.near <= 0.26)  # twice the gap between float16 numbers of 128 to 180


def test_raw_are_the_columns_in_the_models_order():
    raw = features.raw(inputs((1, 2, 3, 4), passengers=5, hour=6, weekday=7))
    np.testing.assert_array_equal(raw, [[1, 2, 3, 4, 5, 6, 7]])
