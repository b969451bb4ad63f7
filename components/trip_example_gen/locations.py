"""Reads the table of a city's zones or places: a CSV file with coordinates, or GeoJSON with polygons.

Only settings read it; from there the table travels in the profile.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.place_table import key_of
from farebox.components.trip_example_gen.profile import Box, Locations, Place

NAME_COLUMNS = ("zone", "name")  # compared without case, if `city.locations.name` names none
SEPARATORS = (",", ";", "\t")
MAX_SHOWN = 5

Part = tuple[float, float, float]  # area in square degrees, and the centroid's longitude and latitude


def filled(locations: Locations, folder: Path, box: Box) -> Locations:
    """The locations with their places, read from the file if there is one, relative to `folder`, and checked.

    Raises InputError, which names the file, if it cannot be read, if an id or a coordinate is wrong or if no place lies
    in the box.
    """
    if bool(locations.file) == bool(locations.places):
        raise InputError(
            "city.locations must have either file or places, got " + ("both" if locations.file else "neither")
        )
    where = "city.locations.places"
    if locations.file:
        path = folder / locations.file
        where = f"city.locations.file={locations.file}"
        if not path.is_file():
            raise InputError(f"{where} must be a file beside the city file, got nothing at {path}")
        read = _read_geojson if path.suffix.lower() in (".json", ".geojson") else _read_csv
        try:
            places = _by_id(read(path, locations, where), where)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{where}: cannot be read: {error}") from error
        locations = dataclasses.replace(locations, places=places)
    check(locations.places, box, where)
    return locations


def outside(locations: Locations, box: Box) -> list[str]:
    """The ids of the places that lie outside the box; trips there are rejected as outside_city."""
    return [id_ for id_, place in locations.places.items() if not _is_in(place.longitude, place.latitude, box)]


def told_outside(locations: Locations, box: Box) -> str | None:
    """A line about places outside the box, for the screen; None if all lie in it."""
    ids = outside(locations, box)
    if not ids:
        return None
    total = len(locations.places)
    return (
        f"{len(ids)} of {total} places lie outside city.box, trips there are rejected as outside_city: {_listed(ids)}"
    )


def check(places: dict[str, Place], box: Box, where: str) -> None:
    """Raises InputError for coordinates that are no degrees or that are swapped, and if no place lies in the box."""
    if not places:
        raise InputError(f"{where} must have at least one place, got none")
    swapped = [
        id_
        for id_, place in places.items()
        if not _is_in(place.longitude, place.latitude, box) and _is_in(place.latitude, place.longitude, box)
    ]
    if swapped:
        raise InputError(
            f"{where}: longitude and latitude of {_listed(swapped)} must be swapped: only then they lie in city.box"
        )
    for id_, place in places.items():
        if not (abs(place.longitude) <= 180 and abs(place.latitude) <= 90):
            raise InputError(
                f"{where}: longitude={place.longitude:g} and latitude={place.latitude:g} of {id_} must be degrees "
                "(WGS84): export the table in EPSG:4326"
            )
    if not any(_is_in(place.longitude, place.latitude, box) for place in places.values()):
        first, place = next(iter(places.items()))
        raise InputError(
            f"{where}: at least one of {len(places)} places must lie in city.box, got none: {first} is at "
            f"longitude={place.longitude:g} and latitude={place.latitude:g}"
        )


def _is_in(longitude: float, latitude: float, box: Box) -> bool:
    return box.west <= longitude <= box.east and box.south <= latitude <= box.north


def _listed(ids: Iterable[str]) -> str:
    ids = list(ids)
    return ", ".join(ids[:MAX_SHOWN]) + f" and {len(ids) - MAX_SHOWN} more" * (len(ids) > MAX_SHOWN)


def _by_id(rows: Iterable[tuple[str, Place]], where: str) -> dict[str, Place]:
    """Places by id. Raises InputError for an id that stands twice, with other coordinates or in another spelling."""
    places: dict[str, Place] = {}
    owners: dict[str, str] = {}
    for id_, place in rows:
        owner = owners.setdefault(key_of(id_), id_)
        known = places.setdefault(owner, place)
        if (known.longitude, known.latitude) != (place.longitude, place.latitude):
            also = f", also written {owner}," if owner != id_ else ""
            raise InputError(
                f"{where}: id {id_}{also} must have one place, got longitude={known.longitude:g} latitude="
                f"{known.latitude:g} and longitude={place.longitude:g} latitude={place.latitude:g}"
            )
    return places


def _read_csv(path: Path, locations: Locations, where: str) -> Iterator[tuple[str, Place]]:
    """Id and place of each row that has coordinates; TLC's own `264, Unknown` has none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        separator = max(SEPARATORS, key=header.count)
        names = [name.strip() for name in next(csv.reader([header.strip()], delimiter=separator), [])]
        used = {key: getattr(locations, key) for key in ("id", "longitude", "latitude")}
        if locations.name:
            used["name"] = locations.name
        for key, name in used.items():
            if name not in names:
                raise InputError(
                    f"{where}: column {name} (city.locations.{key}) is missing, found {', '.join(names) or 'none'}"
                )
        named = locations.name or _name_column(names, locations.id)
        for row in csv.DictReader(file, names, delimiter=separator):
            id_ = (row[locations.id] or "").strip()
            cells = [(row[name] or "").strip() for name in (locations.longitude, locations.latitude)]
            if not id_ and not any(cells):
                continue  # a blank line, or a line of separators
            if any(cells) or not id_:
                yield id_, _place(id_, cells, (row[named] or "").strip() if named else "", where)


def _place(id_: str, coordinates: Iterable[Any], name: str, where: str) -> Place:
    try:
        longitude, latitude = map(float, coordinates)
    except (TypeError, ValueError):
        longitude = latitude = np.nan
    if not id_ or not np.isfinite([longitude, latitude]).all():
        got = " and ".join(repr(each) for each in coordinates)
        raise InputError(
            f"{where}: each row must have an id, a longitude and a latitude, got {got} for {id_ or 'no id'}"
        )
    return Place(longitude, latitude, name)


def _name_column(names: Iterable[str], id_: str) -> str | None:
    """The column with the places' names, if there is a usual one."""
    return next((name for usual in NAME_COLUMNS for name in names if name.lower() == usual and name != id_), None)


def _read_geojson(path: Path, locations: Locations, where: str) -> Iterator[tuple[str, Place]]:
    """Id and centroid of each place; all polygons of one id are parts of one place."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        features = content["features"]
        if not all(isinstance(feature, dict) for feature in features):
            raise TypeError("a feature must be an object")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{where} must be a GeoJSON FeatureCollection: {error!r}") from error
    parts: dict[str, list[Part]] = {}
    names: dict[str, str] = {}
    for feature in features:
        properties = feature.get("properties") or {}
        if locations.id not in properties:
            raise InputError(
                f"{where}: property {locations.id} (city.locations.id) is missing, found "
                f"{', '.join(properties) or 'none'}"
            )
        id_ = str(properties[locations.id]).strip().removesuffix(".0")
        named = locations.name or _name_column(properties, locations.id)
        names.setdefault(id_, str(properties.get(named) or "") if named else "")
        parts.setdefault(id_, []).extend(_parts(feature.get("geometry") or {}, id_, where))
    for id_, shapes in parts.items():
        yield id_, _place(id_, centroid(shapes), names[id_], where)


def _parts(geometry: dict[str, Any], id_: str, where: str) -> Iterator[Part]:
    """Signed areas and centroids of the rings of a geometry: outlines positive, holes negative."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Point", "Polygon", "MultiPolygon") or not coordinates:
        raise InputError(f"{where}: {id_} must be a Point, Polygon or MultiPolygon, got {kind}")
    try:
        if kind == "Point":
            yield 0.0, float(coordinates[0]), float(coordinates[1])
            return
        for polygon in [coordinates] if kind == "Polygon" else coordinates:
            for number, ring in enumerate(polygon):
                area, longitude, latitude = ring_centroid(np.array([point[:2] for point in ring], np.float64))
                yield (-area if number else area), longitude, latitude
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"{where}: the coordinates of {id_} must be pairs of numbers: {error}") from error


def ring_centroid(ring: npt.NDArray[np.float64]) -> Part:
    """Area (not negative) and centroid of a ring of (longitude, latitude), shape (n, 2), by the shoelace formula.

    Relative to the first point, so that degrees like -74 cost no digits. A ring without an area has its mean as
    centroid.
    """
    x, y = (ring - ring[0]).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    twice = cross.sum()
    if abs(twice) < np.finfo(np.float64).tiny:
        return 0.0, float(ring[:, 0].mean()), float(ring[:, 1].mean())
    middle = [float(((axis + np.roll(axis, -1)) * cross).sum() / (3 * twice)) for axis in (x, y)]
    return abs(float(twice)) / 2, float(ring[0, 0]) + middle[0], float(ring[0, 1]) + middle[1]


def centroid(parts: Iterable[Part]) -> tuple[float, float]:
    """The area-weighted mean of centroids, (longitude, latitude); the plain mean if there is no area.

    A degree of longitude is as long everywhere in a zone, so areas in square degrees weigh as those in km² do.
    """
    table = np.array(list(parts), np.float64)
    weights = table[:, 0] if table[:, 0].sum() > 0 else np.ones(len(table))
    longitude, latitude = weights @ table[:, 1:] / weights.sum()
    return float(longitude), float(latitude)
