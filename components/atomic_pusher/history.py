"""The versions that LATEST has named, and those that a person rolled back. Reads and writes no files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection

from farebox.components.errors import InputError

HISTORY_FILE = "HISTORY"
MAX_NAMED = 1000


@dataclasses.dataclass(frozen=True)
class History:
    """named: versions in the order in which LATEST named them. rolled_back: versions that no push may bring back.

    HISTORY is written before LATEST, so a process that died may have recorded a push that did not happen: `at` drops
    it.
    """

    named: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: bytes, where: object) -> History:
        """Reads what `encode` writes. Raises InputError for anything else: a rollback must not be lost silently."""
        try:
            lists = json.loads(content)
            named, rolled_back = lists["named"], lists["rolled_back"]
            if not all(isinstance(name, str) for name in [*named, *rolled_back]):
                raise TypeError
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{HISTORY_FILE} in {where} must be JSON with the lists named and rolled_back; remove it to start anew"
            ) from error
        return cls(tuple(named), tuple(rolled_back))

    def encode(self) -> bytes:
        """The content of HISTORY, which `parse` reads."""
        return (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode()

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
        if target in self.rolled_back:
            left = tuple(name for name in self.rolled_back if name != target)
            return History(self.at(latest).pushed(target).named, left)
        if target not in self.named:
            others = tuple(name for name in self.at(latest).named if name != latest)
            return History((*others, target)).rolled_back_with((latest,), self)
        if latest in self.named and self.named.index(latest) < self.named.index(target):
            return self.at(latest).pushed(target)
        place = self.named.index(target) + 1
        after = self.named[place : self.named.index(latest) + 1] if latest in self.named else ()
        return History(self.named[:place]).rolled_back_with(after, self)

    def rolled_back_with(self, left: tuple[str, ...], earlier: History) -> History:
        """This history, with `left` added to the versions that `earlier` has as rolled back."""
        added = tuple(name for name in left if name not in earlier.rolled_back)
        return dataclasses.replace(self, rolled_back=earlier.rolled_back + added)
