"""Settings of Pusher. No TFX here."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from farebox.components.errors import Condition, Positive, check_fields

KEEP = Condition("at least 2: the latest version and one to roll back to", lambda value: value >= 2)

CELL = Condition("at least 5, so that no trip stands alone", lambda value: value >= 5)


@dataclasses.dataclass(frozen=True)
class PushSettings:
    """How many versions of a model are kept, who signs them, whether a new one must prove itself, and who is told."""

    keep: Annotated[int, KEEP] = 10
    """Versions of a city that are kept, the latest and the one before it among them; a push removes older ones."""
    canary: bool = False
    """Name a new version in `CANDIDATE` beside `LATEST`. The next tick of `farebox retrain` with a new span promotes or
    drops it, by its errors on that span beside those of the latest version. The first version is the latest at once."""
    signing_key: str | None = None
    """Path of an Ed25519 private key (PEM, without a password) that signs each manifest; null for no signature."""
    hook: tuple[str, ...] | None = None
    """Command that is called after a push and when a tick changes LATEST, as a list of its words without a shell:
    `[python, register.py]`. It gets the version's folder and its manifest as last arguments. If it fails, that is a
    warning."""
    hook_timeout_s: Positive = 60.0
    """Seconds after which the hook is killed."""
    contact: str | None = None
    """Whom the model card names for questions: a team, a person, an address; null for nobody."""
    min_trips_per_cell: Annotated[int, CELL] | None = 10
    """Smallest number of trips of a cell in `density.json`, the map of trips beside the model: cells with fewer are
    left out, other numbers are rounded down to a multiple of it; null for no map."""

    def __post_init__(self) -> None:
        check_fields(self, "push")
        if self.hook is not None and not (self.hook and self.hook[0]):
            raise ValueError(f"push.hook={list(self.hook)} must begin with the name of a program, or be null")
        if self.signing_key == "":
            raise ValueError("push.signing_key='' must be the path of a private key, or null")
