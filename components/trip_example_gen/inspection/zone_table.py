"""The table of zones for a draft whose trips have ids instead of coordinates."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import locations
from farebox.components.trip_example_gen.columns import DROPOFF_LOCATION, PICKUP_LOCATION
from farebox.components.trip_example_gen.inspection.column_names import tags
from farebox.components.trip_example_gen.inspection.draft import WORLD, Answers, Draft
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.place_table import key_of
from farebox.components.trip_example_gen.profile import Locations, Place
from farebox.components.trip_example_gen.values import cells

MIN_KNOWN = 0.8  # share of the trips' ends that a table must have: New York's has neither 264 nor 265, `unknown`
SHOWN = 3


def add_locations(draft: Draft, taken: Sequence[Sample], answers: Answers) -> bool:
    """Adds the table of zones if the trips have ids; asks for it, and returns False, if none has them.

    Raises InputError if the one that was given does not have them.
    """
    ids = _ids(draft, taken)
    if not ids:
        return True
    for table in [answers.locations] if answers.locations else answers.tables:
        if section := _section(table, ids):
            draft.city["locations"] = {**section, "file": _relative(table, answers.folder)}
            return True
    shown = ", ".join(id_ for id_, _ in ids.most_common(SHOWN))
    if answers.locations:
        raise InputError(f"locations={answers.locations} must have the ids of the trips, such as {shown}")
    nowhere = {"longitude": 0.0, "latitude": 0.0}
    draft.choices["locations"] = [
        ({"places": dict.fromkeys(ids, nowhere)}, ""),
        ({"file": "zones.csv", "id": "id"}, f"a table with id, longitude and latitude of {shown} and the others"),
    ]
    return False


def places_of(draft: Draft, folder: Path) -> list[Place]:
    """The places of the draft's table; none without one."""
    section = draft.city.get("locations")
    return list(locations.filled(Locations(**section), folder, WORLD).places.values()) if section else []


def _relative(table: str, folder: Path) -> str:
    """The path from the folder of the profile; an absolute one stays as it is, as do those of shipped tables."""
    return table if os.path.isabs(table) else os.path.relpath(table, folder)


def _ids(draft: Draft, taken: Sequence[Sample]) -> Counter[str]:
    """How often the trips have each id."""
    ids = Counter[str]()
    for ours in (PICKUP_LOCATION, DROPOFF_LOCATION):
        for name in draft.names_of(ours):
            for each in taken:
                if name in each.columns:
                    column = each.columns[name]
                    column = column.filter(pa.array(~cells.is_missing(column, each.dialect)))
                    ids.update(key_of(text) for text in cells.text(column).to_pylist())
    return ids


def _section(table: str, ids: Counter[str]) -> dict[str, Any] | None:
    """`city.locations` for a table that has the ids; None if it lacks them."""
    for section in _sections(table):
        try:
            read = locations.filled(Locations(**section), Path(), WORLD)
        except InputError:
            continue
        known = {key_of(id_) for id_ in read.places}
        if sum(n for id_, n in ids.items() if id_ in known) >= MIN_KNOWN * ids.total():
            return section
    return None


def _sections(table: str) -> Iterator[dict[str, Any]]:
    """The ways to read a table: each column or property may have the ids. Raises InputError if it cannot be read."""
    try:
        text = Path(table).read_text(encoding="utf-8-sig")
        if table.lower().endswith((".json", ".geojson")):
            for name in json.loads(text)["features"][0]["properties"]:
                yield {"file": table, "id": name}
            return
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"locations={table} cannot be read: {error}") from error
    header = text.partition("\n")[0].strip()
    names = next(csv.reader([header], delimiter=max(locations.SEPARATORS, key=header.count)), [])
    axes = {axis: [name.strip() for name in names if axis in tags(name)] for axis in ("longitude", "latitude")}
    if not all(axes.values()):
        raise InputError(f"locations={table} must have columns of longitudes and latitudes, found {', '.join(names)}")
    section = {axis: found[0] for axis, found in axes.items() if found[0] != axis}
    for name in names:
        if name.strip() not in (axes["longitude"][0], axes["latitude"][0]):
            yield {"file": table, "id": name.strip(), **section}
