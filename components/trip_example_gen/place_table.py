"""locations.json: the places of a city by id, as a device and `farebox predict` look them up. Only NumPy here."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError

Place = tuple[float, float, str]  # longitude and latitude in degrees (WGS84), and the name, which may be empty
MAX_SIMILAR, LEAST_SIMILAR = 3, 0.4


def key_of(text: str) -> str:
    """An id or name as it is compared: case, spaces and zeros in front do not matter; `230.0`, as pandas writes it if
    the column has gaps, is 230."""
    key = " ".join(text.split()).casefold().removesuffix(".0")
    return key.lstrip("0") or "0" if key.isdigit() else key


def to_json(places: Mapping[str, Place]) -> str:
    """The content of locations.json, a place a line: `"230": [-73.9842, 40.75982, "Times Sq"]`."""
    lines = (
        f"{json.dumps(id_)}: {json.dumps([longitude, latitude, *[name] * bool(name)])}"
        for id_, (longitude, latitude, name) in places.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


class PlaceTable:
    """Places by id or by name."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.places = dict(places)
        self._ids: dict[str, list[str]] = {}
        for id_, (_, _, name) in places.items():
            if name:
                self._ids.setdefault(key_of(name), []).append(id_)
        self._ids |= {key_of(id_): [id_] for id_ in places}  # an id before a name

    @classmethod
    def parse(cls, content: bytes, origin: object) -> PlaceTable:
        """The table in a locations.json. Raises InputError naming `origin` if it is none."""
        try:
            rows = json.loads(content)
            return cls({id_: (float(x), float(y), str(*name)) for id_, (x, y, *name) in rows.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{origin} must hold [longitude, latitude, name] by id: {error}") from error

    def place(self, text: str, what: str) -> Place:
        """The place of an id or a name. Raises InputError, which begins with `what` and names similar ones."""
        ids = self._ids.get(key_of(text), [])
        if len(ids) == 1:
            return self.places[ids[0]]
        if ids:
            raise InputError(f"{what}={text} must be one place, got those of the ids {', '.join(ids)}: give the id")
        similar = ", ".join(self.similar(text))
        raise InputError(
            f"{what}={text} must be the id or name of one of the model's {len(self.places)} places"
            + (f"; similar: {similar}" if similar else "")
        )

    def similar(self, text: str) -> list[str]:
        """At most three ids or names like the text: those that hold it first."""
        key = key_of(text)
        spellings = {key_of(each): each for id_, (_, _, name) in self.places.items() for each in (id_, name) if each}
        holding = [each for each in spellings if key and key in each]
        near = difflib.get_close_matches(key, spellings, MAX_SIMILAR, LEAST_SIMILAR)
        return [spellings[each] for each in dict.fromkeys([*holding, *near])][:MAX_SIMILAR]

    def coordinates(self, values: npt.NDArray[Any], what: str) -> npt.NDArray[np.float64]:
        """Longitudes and latitudes of ids or names, shape (2, n); values: text or whole numbers, shape (n,).

        Raises InputError, which names the first unknown one, its row and similar ones.
        """
        if values.dtype.kind == "O":
            values = np.array([_text(each) for each in values.tolist()], dtype=str)
        distinct, inverse = np.unique(values, return_inverse=True)
        known: list[tuple[float, float]] = []
        for i, each in enumerate(distinct.tolist()):
            try:
                known.append(self.place(_text(each), what)[:2])
            except InputError as error:
                row = int(np.flatnonzero(inverse == i)[0])
                raise InputError(f"row {row}: {error}" if len(values) > 1 else str(error)) from error
        table = np.array(known, np.float64).reshape(-1, 2)
        return np.asarray(table[inverse.reshape(-1)].T)


def _text(value: Any) -> str:
    """A cell as text; a whole number has no decimals."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
