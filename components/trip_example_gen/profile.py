"""The city profile: what a source calls our columns, and which rows are trips of this city.

Our columns stand in columns.py; a source's own names appear in its city file only.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import operator
from typing import Any

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import CURRENCY, SOURCE_COLUMNS, RawColumn

_SourceNames: Any = dataclasses.make_dataclass(
    "_SourceNames",
    [(column.name, str) if column.is_required else (column.name, str | None, None) for column in SOURCE_COLUMNS],
    frozen=True,
)


@dataclasses.dataclass(frozen=True)
class Columns(_SourceNames):
    """The source's name of each of `SOURCE_COLUMNS`: text if the source must have it, else text or None.

    Either `pickup_time`, or both `pickup_hour` and `pickup_weekday`.
    """

    def __post_init__(self) -> None:
        by_time = self.pickup_time is not None
        by_parts = self.pickup_hour is not None and self.pickup_weekday is not None
        if by_time == by_parts or (by_time and (self.pickup_hour or self.pickup_weekday)):
            raise InputError(
                "city.columns must name either pickup_time, or both pickup_hour and pickup_weekday, got "
                f"pickup_time={self.pickup_time} pickup_hour={self.pickup_hour} pickup_weekday={self.pickup_weekday}"
            )

    def sources(self) -> dict[str, str]:
        """Our column: the source's, for the columns that the source has."""
        return {ours: theirs for ours, theirs in dataclasses.asdict(self).items() if theirs is not None}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """A closed interval of plausible values."""

    min: float
    max: float

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
            raise InputError(f"city.box: west={self.west} must be below east={self.east}, both within -180..180")
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
    """An airport or a landmark; degrees (WGS84)."""

    longitude: float
    latitude: float


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
    time_format: str = "epoch"
    """Format of `pickup_time`: `epoch` (seconds) or a strptime format; times are taken as the city's local time."""
    weekday_of_monday: int = 0
    """Number of a Monday in the source's weekday column."""
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

    def bounds_of(self, column: RawColumn) -> Bounds | None:
        """The column's valid values in this city; None if it has no bounds."""
        if isinstance(column.bounds, str):
            bounds: Bounds = operator.attrgetter(column.bounds)(self)
            return bounds
        return Bounds(*column.bounds) if column.bounds else None

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
    fields = json.loads(text)
    fields["columns"] = Columns(**fields["columns"])
    fields["box"] = Box(**fields["box"])
    fields["fare"] = Bounds(**fields["fare"])
    fields["passengers"] = Bounds(**fields["passengers"])
    for kind in ("airports", "landmarks"):
        fields[kind] = {name: Place(**place) for name, place in fields[kind].items()}
    fields["tariff_changes"] = tuple(map(datetime.date.fromisoformat, fields["tariff_changes"]))
    return CityProfile(**fields)
