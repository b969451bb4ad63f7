"""The city profile: what a source calls our columns, and which rows are trips of this city.

Our columns stand in columns.py; a source's own names appear in its city file only.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import operator
import re
from typing import Any, get_args

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import (
    CURRENCY,
    DROPOFF_LATITUDE,
    DROPOFF_LOCATION,
    DROPOFF_LONGITUDE,
    DROPOFF_POINT,
    EXAMPLE_COLUMNS,
    FARE,
    PICKUP_LATITUDE,
    PICKUP_LOCATION,
    PICKUP_LONGITUDE,
    PICKUP_POINT,
    POLYLINE,
    SOURCE_COLUMNS,
    RawColumn,
)
from farebox.components.trip_example_gen.extra_features import Feature, check_feature, raw_column, sources_of
from farebox.components.trip_example_gen.values import clock, expressions, time_zones
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect
from farebox.components.trip_example_gen.values.times import Held, TimeSource, Weekdays, check_formats

Source = str | tuple[str, ...]
# The ways to say where an end of a trip is: columns that go together.
PLACES_OF = {
    "pickup": ((PICKUP_LONGITUDE, PICKUP_LATITUDE), (PICKUP_LOCATION,), (PICKUP_POINT,), (POLYLINE,)),
    "dropoff": ((DROPOFF_LONGITUDE, DROPOFF_LATITUDE), (DROPOFF_LOCATION,), (DROPOFF_POINT,), (POLYLINE,)),
}

_SourceNames: Any = dataclasses.make_dataclass(
    "_SourceNames",
    [(column.name, Source) if column.is_required else (column.name, Source | None, None) for column in SOURCE_COLUMNS],
    frozen=True,
)


@dataclasses.dataclass(frozen=True)
class Columns(_SourceNames):
    """The source of each of `SOURCE_COLUMNS`: None, a column's name, an expression over columns, or several of
    them, of which each file uses the first one that it has.

    Either `pickup_time`, or both `pickup_hour` and `pickup_weekday`. For each end coordinates, a point, a location or
    the polyline; each file uses the first of these ways that it has.
    """

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        by_time = self.pickup_time is not None
        by_parts = self.pickup_hour is not None and self.pickup_weekday is not None
        if by_time == by_parts or (by_time and (self.pickup_hour or self.pickup_weekday)):
            raise InputError(
                "city.columns must name either pickup_time, or both pickup_hour and pickup_weekday, got "
                f"pickup_time={self.pickup_time} pickup_hour={self.pickup_hour} pickup_weekday={self.pickup_weekday}"
            )
        self._check_places()
        self._check_names()

    def _check_places(self) -> None:
        for end, ways in PLACES_OF.items():
            named = [[name for name in way if getattr(self, name)] for way in ways]
            halves = [names for names, way in zip(named, ways, strict=True) if names and len(names) < len(way)]
            if halves or not any(named):
                raise InputError(
                    f"city.columns must say where the {end} is: {end}_longitude and {end}_latitude, {end}_point, "
                    f"{end}_location or polyline, got {', '.join(halves[0]) if halves else 'none of them'}"
                )

    def _check_names(self) -> None:
        owners: dict[str, str] = {}
        for ours, texts in self.sources().items():
            for text in texts:
                if not text.strip():
                    raise InputError(f"city.columns.{ours} must name a column, got blank text")
                if owner := owners.get(_bare(text)):
                    raise InputError(
                        f"city.columns.{ours}={text} must be another column than city.columns.{owner}={_bare(text)}"
                    )
            owners.update(dict.fromkeys(map(_bare, texts), ours))

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Our column: the source's, in the order in which they are tried; for the columns that the source has."""
        columns = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {ours: _several(text) for ours, text in columns if text}


def _bare(text: str) -> str:
    """A text without spaces around it, and without backquotes and brackets if it is a column in these."""
    match = re.fullmatch(r"[\s(]*(?:`([^`]*)`|(\w+))[\s)]*", text)
    return (match[1] or match[2]) if match else text.strip()


def _several(source: Source) -> tuple[str, ...]:
    return (source,) if isinstance(source, str) else tuple(source)


@dataclasses.dataclass(frozen=True)
class Interval:
    """A closed interval of valid values, of one value at least; infinite where it is open."""

    min: float
    max: float


@dataclasses.dataclass(frozen=True)
class Bounds(Interval):
    """A closed interval of plausible values."""

    def __post_init__(self) -> None:
        if not self.min < self.max:
            raise InputError(f"bounds: min={self.min} must be below max={self.max}")


@dataclasses.dataclass(frozen=True)
class Box:
    """The city's bounds in degrees (WGS84); trips that start or end outside are rejected."""

    west: float
    east: float
    south: float
    north: float

    def __post_init__(self) -> None:
        if not -180 <= self.west < self.east <= 180:
            raise InputError(
                f"city.box: west={self.west} must be below east={self.east}, both within -180..180: a box cannot cross "
                "the 180th meridian"
            )
        if not -90 <= self.south < self.north <= 90:
            raise InputError(f"city.box: south={self.south} must be below north={self.north}, both within -90..90")

    @property
    def longitudes(self) -> Bounds:
        return Bounds(self.west, self.east)

    @property
    def latitudes(self) -> Bounds:
        return Bounds(self.south, self.north)


@dataclasses.dataclass(frozen=True)
class Place:
    """An airport, a landmark or a location; degrees (WGS84)."""

    longitude: float
    latitude: float
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Days:
    """The first and the last day on which a pickup is plausible; trips of other days are rejected."""

    min: datetime.date = datetime.date(1990, 1, 1)
    """First day; an earlier one is a number read in the wrong unit."""
    max: datetime.date | None = None
    """Last day; null for tomorrow."""

    @property
    def seconds(self) -> tuple[int, int]:
        """The first moment, and the first one that is too late, in local seconds since 1970."""
        last = self.max or datetime.date.today() + datetime.timedelta(days=1)
        first, end = (clock.seconds_of(day) for day in (self.min, last + datetime.timedelta(days=1)))
        return first, end


@dataclasses.dataclass(frozen=True)
class Locations:
    """A table of zones or named places, for a source that has their ids or names instead of coordinates."""

    file: str | None = None
    """CSV or GeoJSON file with a row or polygon for each place, relative to the city file."""
    id: str = "LocationID"
    """Column or property with the id or name that the trips have; case and spaces around words do not matter."""
    name: str | None = None
    """Column or property with a name for people, which `farebox predict` takes, too; null for `zone` or `name`, if
    there is one."""
    longitude: str = "longitude"
    """Column with the longitude, in degrees (WGS84); for GeoJSON the polygon's centroid is taken."""
    latitude: str = "latitude"
    """Column with the latitude, in degrees (WGS84)."""
    places: dict[str, Place] = dataclasses.field(default_factory=dict)
    """The places by id, instead of a file; filled from the file when a run starts."""


@dataclasses.dataclass(frozen=True)
class CityProfile:
    """A city and the format of its source."""

    name: str
    """Name of the city: letters, digits, `-` and `_`."""
    columns: Columns
    """Name of each of our columns in the source: either `pickup_time`, or both `pickup_hour` and `pickup_weekday`."""
    box: Box
    """Bounds of the city in degrees (WGS84); trips that start or end outside are rejected."""
    fare: Bounds
    """Plausible fares, in the city's currency; other trips are rejected."""
    source: str | None = None
    """The city's own trips, used if no others are given: `package:NAME/FOLDER` in an installed package, or a path."""
    time_format: Source = "epoch"
    """Format of `pickup_time`: `epoch` (seconds), `epoch_ms`, `epoch_us`, `epoch_ns`, `excel` (days) or a strptime
    format; or several, which are tried in order."""
    times: Held | None = None
    """Meaning of the hours in `pickup_time`: `local` (the city's clocks, whatever the label says), `utc`, or `offset`
    (each time has an offset of its own).
    Must be given for a source that names moments: epochs, offsets, `Z`, Parquet's timestamps with a zone."""
    time_zone: str | None = None
    """IANA time zone of the city, such as `America/Chicago`; `utc` and `offset` need it."""
    days: Days = Days()
    """First and last plausible day of a pickup; other trips are rejected."""
    weekdays: Weekdays | None = None
    """Coding of `pickup_weekday`: `monday_0` (0 to 6), `monday_1` (1 to 7, ISO 8601), `sunday_0` (0 to 6), `sunday_1`
    (1 to 7) or `names` (English, or their beginnings)."""
    where: Source | None = None
    """Condition on the source's columns, such as `payment_type in (1, 2) and rate_code == 1`; other rows are left out.
    Or several, of which each file uses the first one whose columns it has."""
    csv: CsvDialect = PLAIN
    """Dialect of CSV files."""
    ignore_files: tuple[str, ...] = ()
    """Patterns of file names in a folder of trips that are no trips, such as `*_lookup.csv`."""
    locations: Locations | None = None
    """Zones or named places, for `pickup_location` and `dropoff_location`."""
    features: dict[str, Feature] | tuple[str, ...] = dataclasses.field(default_factory=dict)
    """Further inputs of the model by name, such as `{traffic: {min: 0}}`; or a list of columns of numbers."""
    passengers: Bounds = Bounds(1, 6)
    """Plausible numbers of passengers; other trips are rejected."""
    passengers_default: int = 1
    """Number of passengers if the source has no such column or no value."""
    airports: dict[str, Place] = dataclasses.field(default_factory=dict)
    """Airports, in degrees (WGS84), such as `{ohare: {longitude: -87.9, latitude: 42.0}}`: distances to them are
    features, and they may have a tariff of their own."""
    landmarks: dict[str, Place] = dataclasses.field(default_factory=dict)
    """Landmarks, like airports: distances to them are features."""
    grid_angle: float = 0.0
    """Degrees by which the street grid is turned from north, clockwise."""
    tariff_changes: tuple[datetime.date, ...] = ()
    """Days, in order, on which the tariff rose; the model then takes the time of a pickup as input."""
    currency: str = "USD"
    """Currency of the fares, such as an ISO 4217 code; the model file and `farebox predict` name it."""

    def __post_init__(self) -> None:
        if list(self.tariff_changes) != sorted(set(self.tariff_changes)):
            days = ", ".join(map(str, self.tariff_changes))
            raise InputError(f"city.tariff_changes={days} must be different days, in order")
        if not -90 < self.grid_angle < 90:
            raise InputError(f"city.grid_angle={self.grid_angle} must be between -90 and 90")
        if not isinstance(self.features, dict):
            object.__setattr__(self, "features", {name: Feature() for name in self.features})
        for name, feature in self.extra.items():
            check_feature(name, feature, self.columns.sources()[FARE])
        self._check_times()
        for condition in self.conditions:
            expressions.check_condition(condition, "city.where")
        for end in (PICKUP_LOCATION, DROPOFF_LOCATION):
            if getattr(self.columns, end) and self.locations is None:
                raise InputError(
                    f"city.columns.{end}={getattr(self.columns, end)} needs city.locations, the table of zones, such "
                    "as {file: taxi_zones.csv, id: LocationID}"
                )

    def _check_times(self) -> None:
        check_formats(self.time_source.formats, "city.time_format")
        if not self.time_source.formats:
            raise InputError("city.time_format must name at least one format, got none")
        if self.time_zone is not None:
            time_zones.check_zone(self.time_zone, "city.time_zone")
        if self.times in ("utc", "offset") and self.time_zone is None:
            raise InputError(
                f"city.times={self.times} needs city.time_zone, the IANA name of the city's, such as America/Chicago"
            )
        if self.columns.pickup_weekday is not None and self.weekdays is None:
            raise InputError(
                f"city.weekdays must tell how city.columns.pickup_weekday={self.columns.pickup_weekday} counts: "
                f"one of {', '.join(get_args(Weekdays))}"
            )

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Our column or feature: the source's columns or expressions, in the order in which they are tried."""
        return {**self.columns.sources(), **{name: sources_of(name, each) for name, each in self.extra.items()}}

    @property
    def extra(self) -> dict[str, Feature]:
        """The further inputs of the model by name."""
        assert isinstance(self.features, dict), "__post_init__ makes it one"
        return self.features

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions of `where`, in the order in which they are tried."""
        return () if self.where is None else _several(self.where)

    @property
    def time_source(self) -> TimeSource:
        """How the source writes the time of a pickup."""
        return TimeSource(_several(self.time_format), self.times, self.time_zone)

    @property
    def example_columns(self) -> dict[str, RawColumn]:
        """The columns of this city's examples by name, in the order in which they are written; the label is last."""
        if not self.extra:
            return EXAMPLE_COLUMNS
        plain = {name: column for name, column in EXAMPLE_COLUMNS.items() if name != FARE}
        own = dict(sorted(self.extra_columns.items()))  # JSON sorts them, and a split is a hash of columns in order
        return {**plain, **own, FARE: EXAMPLE_COLUMNS[FARE]}

    @property
    def extra_columns(self) -> dict[str, RawColumn]:
        """The further inputs of the model as columns of the examples, in the order of the model's inputs."""
        return {name: raw_column(name, feature) for name, feature in self.extra.items()}

    def bounds_of(self, column: RawColumn) -> Interval | None:
        """The column's valid values in this city; None if it has no bounds."""
        if isinstance(column.bounds, str):
            bounds: Bounds = operator.attrgetter(column.bounds)(self)
            return bounds
        return Interval(*column.bounds) if column.bounds else None

    def unit_of(self, column: RawColumn) -> str:
        """The column's unit in this city."""
        return self.currency if column.unit == CURRENCY else column.unit

    def default_of(self, column: RawColumn) -> float:
        """The value of an optional column if the source gives none."""
        default = getattr(self, column.default) if isinstance(column.default, str) else column.default
        if default is None:
            raise ValueError(f"{column.name}: default=None must be a number or a field of CityProfile")
        return float(default)


def profile_to_json(profile: CityProfile) -> str:
    """The profile as an execution property carries it; equal profiles give equal text."""
    return json.dumps(dataclasses.asdict(profile), sort_keys=True, default=str)


def profile_from_json(text: str) -> CityProfile:
    """The inverse of `profile_to_json`."""
    profile: CityProfile = adapter().validate_json(text)
    return profile


@functools.cache
def adapter() -> Any:
    """pydantic's reader of profiles, made once: that takes longer than to read one."""
    import pydantic  # 0.1 s, which `farebox predict` need not wait

    return pydantic.TypeAdapter(CityProfile)
