"""The versions that LATEST has named, those that were rolled back or dropped, and why. Reads and writes no files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from farebox.components.errors import InputError

HISTORY_FILE = "HISTORY"
MAX_NAMED = 1000
BARRED = ("rolled_back", "dropped")


@dataclasses.dataclass(frozen=True)
class History:
    """named: versions in the order in which LATEST named them. rolled_back: versions that no push may bring back.

    dropped: candidates that did worse than LATEST; no push brings them back, either. notes: the last thing that was
    decided about a version on live errors, in words: promoted, dropped or rolled back.

    HISTORY is written before LATEST, so a process that died may have recorded a push that did not happen: `at` drops
    it.
    """

    named: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def barred(self) -> tuple[str, ...]:
        """Versions that no push may bring back."""
        return tuple(version for name in BARRED for version in getattr(self, name))

    def state_of(self, name: str, latest: str | None, candidate: str | None) -> str:
        """`latest`, `candidate`, `dropped`, `rolled back` or `earlier`. latest, candidate: what these files name."""
        if name in (latest, candidate):
            return "latest" if name == latest else "candidate"
        if name in self.dropped:
            return "dropped"
        return "rolled back" if name in self.rolled_back else "earlier"

    @classmethod
    def parse(cls, content: bytes, where: object) -> History:
        """Reads what `encode` writes. Raises InputError for anything else: a rollback must not be lost silently."""
        try:
            lists = json.loads(content)
            named, rolled_back, dropped = lists["named"], lists["rolled_back"], lists.get("dropped", [])
            notes = dict(lists.get("notes", {}))
            if not all(isinstance(name, str) for name in [*named, *rolled_back, *dropped, *notes.values()]):
                raise TypeError
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{HISTORY_FILE} in {where} must be JSON with the lists named and rolled_back; remove it to start anew"
            ) from error
        return cls(tuple(named), tuple(rolled_back), tuple(dropped), notes)

    def encode(self) -> bytes:
        """The content of HISTORY, which `parse` reads; without `dropped` and `notes` if there are none."""
        content = {name: value for name, value in vars(self).items() if value or name in ("named", "rolled_back")}
        return (json.dumps(content, indent=1) + "\n").encode()

    def noted(self, version: str, note: str) -> History:
        """The history with a note on a version; an empty note changes nothing. Keeps the newest MAX_NAMED notes."""
        if not note:
            return self
        notes = {**{name: text for name, text in self.notes.items() if name != version}, version: note}
        return dataclasses.replace(self, notes=dict(list(notes.items())[-MAX_NAMED:]))

    def without_candidate(self, version: str, note: str) -> History:
        """The history after a candidate was dropped."""
        others = tuple(name for name in self.dropped if name != version)
        return dataclasses.replace(self, dropped=(*others, version)[-MAX_NAMED:]).noted(version, note)

    def at(self, latest: str | None) -> History:
        """The history with `latest` as the last named version: drops later ones, adds it if it is missing."""
        if latest in self.named:
            return dataclasses.replace(self, named=self.named[: self.named.index(latest) + 1])
        if latest is None or latest in self.rolled_back:
            return self
        return dataclasses.replace(self, named=(*self.named, latest))

    def pushed(self, version: str) -> History:
        """The history after a push."""
        others = tuple(name for name in self.named if name != version)
        return dataclasses.replace(self, named=(*others, version)[-MAX_NAMED:])

    def before(self, latest: str | None, there: Collection[str]) -> str | None:
        """The version that LATEST named before `latest`, among those in `there`."""
        named = self.named[: self.named.index(latest)] if latest in self.named else self.named
        return next((name for name in reversed(named) if name in there), None)

    def rolled_back_to(self, target: str, latest: str) -> History:
        """The history after a person pointed LATEST from `latest` to `target`.

        Back to a version that was named before: the versions after it are rolled back. Forward to a rolled-back
        version, or to one that was only recorded: none is rolled back. An unknown version counts as an earlier one.
        """
        if target in self.barred:
            return self.at(latest).unbarred(target).pushed(target)
        if target not in self.named:
            others = tuple(name for name in self.at(latest).named if name != latest)
            return dataclasses.replace(self, named=(*others, target)).rolled_back_with((latest,))
        if latest in self.named and self.named.index(latest) < self.named.index(target):
            return self.at(latest).pushed(target)
        place = self.named.index(target) + 1
        after = self.named[place : self.named.index(latest) + 1] if latest in self.named else (latest,)
        return dataclasses.replace(self, named=self.named[:place]).rolled_back_with(after)

    def unbarred(self, version: str) -> History:
        """This history, with a version that pushes may bring back."""
        lists: dict[str, Any] = {
            name: tuple(each for each in getattr(self, name) if each != version) for name in BARRED
        }
        return dataclasses.replace(self, **lists)

    def rolled_back_with(self, left: tuple[str, ...]) -> History:
        """This history, with `left` added to the versions that were rolled back."""
        added = tuple(name for name in left if name not in self.rolled_back)
        return dataclasses.replace(self, rolled_back=self.rolled_back + added)
