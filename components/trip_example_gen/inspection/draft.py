"""A profile in the making, and what a person says about it beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farebox.components.trip_example_gen.profile import Box
from farebox.components.trip_example_gen.values.times import Held

WORLD = Box(-180, 180, -90, 90)
WIDE: dict[str, Any] = {
    "box": dataclasses.asdict(WORLD), "fare": {"min": -1e9, "max": 1e9}, "passengers": {"min": 0, "max": 1e6},
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Answers:
    """The values of `city.times` and `city.time_zone`, and the file of `city.locations`.

    columns: names in the files of some of our columns. tables: files of zones to try if `locations` names none.
    folder: that of the profile, to which paths are relative.
    """

    times: Held | None = None
    time_zone: str | None = None
    locations: str | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tables: tuple[str, ...] = ()
    folder: Path = Path()


@dataclasses.dataclass
class Draft:
    """Section `city` so far, and what is to be said about its keys.

    notes: for people, by key. questions: doubts about guesses, by key. choices: by key that must be answered, its
    values, each with a note; the profile cannot be used before.
    """

    city: dict[str, Any]
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    questions: dict[str, str] = dataclasses.field(default_factory=dict)
    choices: dict[str, list[tuple[Any, str]]] = dataclasses.field(default_factory=dict)

    def usable(self, **others: Any) -> dict[str, Any]:
        """The section with the first of its choices and with `others`, to read the rows before it is settled."""
        first = {key: options[0][0] for key, options in self.choices.items() if "." not in key}
        return {**self.city, **first, **others}

    def names_of(self, ours: str) -> list[str]:
        """The source's columns or expressions for one of ours."""
        named = self.city["columns"].get(ours) or []
        return [named] if isinstance(named, str) else list(named)
