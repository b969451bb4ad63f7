"""Which versions LATEST has named, and which of them a person rolled back. Plain values: nothing is read or written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection

from farebox.components.errors import InputError

HISTORY_FILE = "HISTORY"
MAX_NAMED = 1000


@dataclasses.dataclass(frozen=True)
class History:
    """named: versions in the order in which LATEST came to name them. rolled_back: those that no push may bring back.

    It is written before LATEST, so a dead process may have announced what did not happen: `at` tells.
    """

    named: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()

    @classmethod
    def parse(cls, content: bytes, where: object) -> History:
        """Raises InputError where it is no history: what a person rolled back must not be forgotten silently."""
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
        """As `parse` reads it."""
        return (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode()

    def at(self, latest: str | None) -> History:
        """As things stand with this LATEST: what was announced after it is dropped, what is missing is added."""
        if latest in self.named:
            return dataclasses.replace(self, named=self.named[: self.named.index(latest) + 1])
        if latest is None or latest in self.rolled_back:
            return self
        return dataclasses.replace(self, named=(*self.named, latest))

    def pushed(self, version: str) -> History:
        """After a push."""
        others = tuple(name for name in self.named if name != version)
        return dataclasses.replace(self, named=(*others, version)[-MAX_NAMED:])

    def before(self, latest: str | None, there: Collection[str]) -> str | None:
        """The version that was the latest one before, of those that are there still."""
        named = self.named[: self.named.index(latest)] if latest in self.named else self.named
        return next((name for name in reversed(named) if name in there), None)

    def rolled_back_to(self, target: str, latest: str) -> History:
        """After LATEST was pointed from `latest` to `target`.

        Back to a version that was named before: those after it are rolled back. Forward to one that was rolled back,
        or announced only: nothing is. A version of which nothing is known counts as an earlier one.
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
        """These named versions, with `left` added to what was rolled back earlier."""
        added = tuple(name for name in left if name not in earlier.rolled_back)
        return dataclasses.replace(self, rolled_back=earlier.rolled_back + added)
