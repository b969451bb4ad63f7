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
from farebox.components.trip_example_gen.judging.suspects import without
from farebox.components.trip_example_gen.place_table import key_of
from farebox.components.trip_example_gen.profile import Locations, Place
from farebox.components.trip_example_gen.values import cells

MIN_KNOWN = 0.8  # share of the trips' ends that a table must have: New York's has neither 264 nor 265, `unknown`
SHOWN = 3
MAX_UNKNOWN = 0.01  # share of the ends that may have no place: DataGate stops a run that loses more rows


def add_locations(draft: Draft, taken: Sequence[Sample], answers: Answers) -> bool:
    """Adds the table of zones if the trips have ids; asks for it, and returns False, if none has them.

    Raises InputError if the one that was given does not have them.
    """
    ids = _ids(_ends(draft), taken)
    if not ids:
        return True
    for table in [answers.locations] if answers.locations else answers.tables:
        if found := _section(table, ids):
            section, unknown = found
            draft.city["locations"] = {**section, "file": _relative(table, answers.folder)}
            if table != answers.locations:
                city = os.path.basename(os.path.dirname(table))
                draft.questions["locations"] = f"the zones of {city} have the ids of the trips, as those of others may"
            _leave_out(unknown, draft, taken)
            return True
    shown = ", ".join(id_ for id_, _ in ids.most_common(SHOWN))
    if answers.locations:
        raise InputError(f"locations={answers.locations} must have the ids of the trips, such as {shown}")
    nowhere = {"longitude": 0.0, "latitude": 0.0}
    draft.choices["locations"] = [
        ({"places": dict.fromkeys(map(key_of, ids), nowhere)}, ""),
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


def _ends(draft: Draft) -> list[str]:
    """The source's columns of ids."""
    return [name for ours in (PICKUP_LOCATION, DROPOFF_LOCATION) for name in draft.names_of(ours)]


def _ids(names: Sequence[str], taken: Sequence[Sample]) -> Counter[str]:
    """How often the trips have each id in these columns, as the source writes it."""
    ids = Counter[str]()
    for each in taken:
        for name in each.columns.keys() & set(names):
            column = each.columns[name]
            column = column.filter(pa.array(~cells.is_missing(column, each.dialect)))
            ids.update(cells.text(column).to_pylist())
    return ids


def _leave_out(unknown: set[str], draft: Draft, taken: Sequence[Sample]) -> None:
    """Adds a `where` without the trips from and to ids that the table lacks, if these are many."""
    conditions, shares = [], [0.0]
    for name in _ends(draft):
        ids = _ids([name], taken)
        lacking = {id_: n for id_, n in ids.items() if key_of(id_) in unknown}
        if lacking:
            conditions.append(without(name, sorted(lacking, key=lambda id_: (len(id_), id_))))
            shares.append(sum(lacking.values()) / ids.total())
    if max(shares) > MAX_UNKNOWN:
        draft.city["where"] = " and ".join(conditions)
        lost = f"{max(shares):.1%} of the rows have ids that city.locations lacks"
        draft.questions["where"] = f"{lost}: leave them out, or add them to its file"


def _section(table: str, ids: Counter[str]) -> tuple[dict[str, Any], set[str]] | None:
    """`city.locations` for a table that has the ids, and those that it lacks; None if it lacks too many.

    Raises InputError if none of its columns can be the ids, because of its places or of the columns.
    """
    faults: list[InputError] = []
    n_read = 0
    keys = Counter[str]()
    for id_, n in ids.items():
        keys[key_of(id_)] += n
    for section in _sections(table):
        try:
            read = locations.filled(Locations(**section), Path(), WORLD)
        except InputError as error:
            faults.append(error)
            continue
        n_read += 1
        unknown = keys.keys() - {key_of(id_) for id_ in read.places}
        if sum(keys[id_] for id_ in unknown) <= (1 - MIN_KNOWN) * keys.total():
            return section, unknown
    if faults and not n_read:
        raise faults[0]
    return None


def _sections(table: str) -> Iterator[dict[str, Any]]:
    """The ways to read a table: each column or property may have the ids. Raises InputError if it cannot be read."""
    try:
        text = Path(table).read_text(encoding="utf-8-sig")
        if table.lower().endswith((".json", ".geojson")):
            for name in json.loads(text)["features"][0]["properties"]:
                yield {"file": table, "id": name}
            return
        header = text.partition("\n")[0].strip()
        names = next(csv.reader([header], delimiter=max(locations.SEPARATORS, key=header.count)), [])
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        raise InputError(f"locations={table} cannot be read: {error}") from error
    axes = {axis: [name.strip() for name in names if axis in tags(name)] for axis in ("longitude", "latitude")}
    if not all(axes.values()):
        raise InputError(
            f"locations={table} must have columns of longitudes and latitudes, found {', '.join(names) or 'none'}"
        )
    section = {axis: found[0] for axis, found in axes.items() if found[0] != axis}
    for name in names:
        if name.strip() not in (axes["longitude"][0], axes["latitude"][0]):
            yield {"file": table, "id": name.strip(), **section}
