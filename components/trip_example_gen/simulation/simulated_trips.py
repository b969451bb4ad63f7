"""The traffic of an invented city: where and when people ride, and the fares. simulator.py writes it to files.

No TensorFlow. Lengths are in km on the plane that touches the box's centre; a box is the size of a city.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.earth import KM_PER_DEGREE
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.values.clock import DAY_S, hour_of, weekday_of

CENTRE_KM, AIRPORT_KM = 4.0, 0.3  # standard deviation of places around the centre, and around an airport
SHORTEST_KM, TRIP_KM = 0.5, 3.5  # the shortest trip, and the mean of the length beyond it
AIRPORT_SHARE, DETOUR = 0.08, 1.3  # of the trips; road over straight line

# The tariff, in units of its base. With a base of 3 USD that is 1.80 per km and 0.36 per minute, near New York's.
BASE_SHARE = 1 / 64  # of the greatest plausible fare: the base, unless the least fare is higher
PER_KM, PER_MINUTE, NIGHT, FLAT_PER_KM = 0.6, 0.12, 0.3, 1.0
ERA_RISE, NOISE = 1.15, 0.06  # at each change of tariff; standard deviation of the logarithm of a metered fare

# By hour, from Monday to Friday and at the weekend: demand, in any unit, and speed in km/h.
DEMAND = np.array([
    [3, 2, 1, 1, 1, 2, 4, 8, 10, 8, 6, 6, 7, 7, 7, 7, 8, 10, 11, 10, 8, 7, 6, 4],
    [9, 8, 6, 4, 2, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8, 9, 10, 10, 9, 9, 10, 10],
])  # fmt: skip
SPEED = np.array([
    [34, 36, 37, 37, 36, 32, 25, 17, 14, 17, 21, 22, 22, 22, 21, 19, 15, 13, 14, 18, 24, 27, 30, 32],
    [30, 31, 33, 35, 36, 36, 35, 33, 31, 29, 27, 25, 24, 24, 24, 24, 24, 23, 23, 24, 25, 27, 28, 29],
])  # fmt: skip


Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]


@dataclasses.dataclass(frozen=True)
class Trips:
    """n valid trips.

    places: pickup and dropoff, longitude and latitude in degrees, within the box, shape (2, n, 2).
    epoch: local time in s, int64; passengers: int64; fare: within the profile's bounds; all of shape (n,).
    """

    places: Floats
    epoch: Integers
    passengers: Integers
    fare: Floats

    def hour(self) -> Integers:
        return hour_of(self.epoch)

    def weekday(self) -> Integers:
        """Monday is 0."""
        return weekday_of(self.epoch // DAY_S)


def draw_trips(profile: CityProfile, n: int, first_day: np.datetime64, days: int, random: np.random.Generator) -> Trips:
    """`n` trips that start on one of the `days` from `first_day`. Raises InputError if no fare may be positive."""
    middle, scale, half = _plane(profile)
    airports = np.array([[a.longitude, a.latitude] for a in profile.airports.values()]).reshape(-1, 2)
    airports = (airports - middle) * scale
    airports = airports[(np.abs(airports) <= half).all(axis=1)]
    ends, airport = _ends(half, airports, n, random)
    epoch = _pickups(first_day, days, n, random)
    fare = _fares(profile, ends, np.append(np.hypot(*airports.T), np.nan)[airport], epoch, random)
    box = profile.box
    degrees = np.round(ends / scale + middle, 6)  # 0.1 m, as sources give them
    places = np.clip(degrees, (box.west, box.south), (box.east, box.north))
    return Trips(places, epoch, _passengers(profile, n, random), fare)


def tariff_changes(profile: CityProfile) -> Days:
    """The days on which the tariff rose, datetime64[D]; none if the source has no date."""
    changes = profile.tariff_changes if profile.columns.pickup_time else ()
    return np.array(list(changes), "datetime64[D]")


def _plane(profile: CityProfile) -> tuple[Floats, Floats, Floats]:
    """East and north, shape (2,) each: the box's centre in degrees, km per degree there, half of the box in km."""
    box = profile.box
    middle = np.array([box.west + box.east, box.south + box.north]) / 2
    scale = KM_PER_DEGREE * np.array([math.cos(math.radians(middle[1])), 1.0])
    return middle, scale, scale * (box.east - box.west, box.north - box.south) / 2


def _ends(half: Floats, airports: Floats, n: int, random: np.random.Generator) -> tuple[Floats, Integers]:
    """Pickups and dropoffs in km from the centre, shape (2, n, 2); the airport that a trip touches, or -1, shape (n,).

    Places are normal around the centre, lengths exponential; ends outside the box are mirrored into it.
    """
    start = random.normal(size=(n, 2)) * np.minimum(CENTRE_KM, half / 2)
    length, angle = SHORTEST_KM + random.exponential(TRIP_KM, n), random.uniform(0, 2 * np.pi, n)
    ends = np.stack([start, start + length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    airport = np.full(n, -1)
    if len(airports):
        airport = np.where(random.random(n) < AIRPORT_SHARE, random.integers(len(airports), size=n), -1)
        rows = np.flatnonzero(airport >= 0)
        side = random.integers(2, size=len(rows))  # 0: from the airport, 1: to it
        ends[1 - side, rows] = start[rows]
        ends[side, rows] = airports[airport[rows]] + random.normal(0, AIRPORT_KM, (len(rows), 2))
    return np.abs((ends - half) % (4 * half) - 2 * half) - half, airport


def _pickups(first_day: np.datetime64, days: int, n: int, random: np.random.Generator) -> Integers:
    """Local times in s since 1970, shape (n,): days are uniform, hours follow `DEMAND`."""
    day = first_day.astype("datetime64[D]").astype(np.int64) + random.integers(days, size=n)
    shares = np.cumsum(DEMAND, axis=1) / DEMAND.sum(axis=1, keepdims=True)
    chance = random.random(n)
    hours = np.stack([np.searchsorted(share, chance, side="right") for share in shares])
    hour = np.where(weekday_of(day) >= 5, hours[1], hours[0])
    epoch: Integers = day * DAY_S + hour * 3600 + random.integers(3600, size=n)
    return epoch


def _fares(
    profile: CityProfile, ends: Floats, airport_km: Floats, epoch: Integers, random: np.random.Generator
) -> Floats:
    """Fares, shape (n,).

    airport_km: from the centre to the trip's airport, which sets a flat fare; NaN if a trip touches no airport.
    Half of the fares are in coins of about a sixth of the base (0.50 if it is 3), the others to the cent.
    """
    if profile.fare.max <= 0:
        raise InputError(f"city.fare.max={profile.fare.max} must be above 0 to simulate trips")
    base = max(profile.fare.min, profile.fare.max * BASE_SHARE)
    hour, weekend = hour_of(epoch), (weekday_of(epoch // DAY_S) >= 5).astype(int)
    km = DETOUR * np.hypot(*(ends[1] - ends[0]).T)
    minutes, night = 60 * km / SPEED[weekend, hour], (hour < 6) | (hour > 21)
    metered = base * (1 + PER_KM * km + PER_MINUTE * minutes + NIGHT * night)
    metered *= random.lognormal(0, NOISE, len(km))
    fare = np.where(np.isnan(airport_km), metered, base * (1 + FLAT_PER_KM * airport_km))
    days = epoch // DAY_S
    fare *= ERA_RISE ** (tariff_changes(profile).astype(np.int64)[:, None] <= days).sum(axis=0)
    magnitude = math.floor(math.log10(base))
    coin, digits = 10.0**magnitude / 2, max(0, 2 - magnitude)
    by_coin = ~np.isnan(airport_km) | (random.random(len(km)) < 0.5)
    fare = np.round(np.where(by_coin, np.round(fare / coin) * coin, fare), digits)
    return np.clip(fare, profile.fare.min, profile.fare.max)


def _passengers(profile: CityProfile, n: int, random: np.random.Generator) -> Integers:
    """Passengers, shape (n,), within the profile's bounds: most people ride without company."""
    least, most = math.ceil(profile.passengers.min), math.floor(profile.passengers.max)
    return np.clip(random.geometric(0.6, n), least, max(least, most))
