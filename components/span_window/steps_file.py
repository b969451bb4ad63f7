"""steps.json of a window that is split by time: whose labels were moved, and by which version that was measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

STEPS_FILE = "steps.json"


@dataclasses.dataclass(frozen=True)
class MovedRows:
    """Rows of a span and an era of the tariff, whose labels became `base + rate * label`."""

    span: int
    version: int
    era: int
    base: float
    rate: float


@dataclasses.dataclass(frozen=True)
class WindowSteps:
    """Steps of a window. measured_by: name of the version, empty without one. why: nothing could be measured."""

    measured_by: str = ""
    steps: tuple[MovedRows, ...] = ()
    why: str = ""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> WindowSteps:
        """The inverse of `to_json`."""
        content = json.loads(text)
        return cls(**{**content, "steps": tuple(MovedRows(**each) for each in content["steps"])})

    def describe(self, newest: str, name: Callable[[int], str]) -> str:
        """A sentence; empty if there is nothing to tell. name: of a span; newest: of the one that judges."""
        if self.why:
            return f"steps of the fares cannot be measured: {self.why}" if self.measured_by else ""
        if not self.steps:
            return ""
        bases = [round(each.base, 2) + 0.0 for each in self.steps]  # no -0.00
        maps = ", ".join(
            f"span {name(each.span)} {each.rate:.3f} x {base:+.2f}"
            for each, base in zip(self.steps, bases, strict=True)
        )
        return f"older fares moved to the level of span {newest}, by version {self.measured_by}: {maps}"
