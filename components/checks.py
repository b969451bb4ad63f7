"""What a gate says about one thing it looked at; the same form in every verdict file and in summary.json."""

from __future__ import annotations

import dataclasses
from typing import Literal

Severity = Literal["stop", "warn"]


@dataclasses.dataclass(frozen=True)
class Check:
    """value, compared with bound, is ok or not; no bound where there is nothing to compare with.

    detail says what was found, in words; hint what to do where it is not ok. A check of severity `warn` refuses
    nothing.
    """

    name: str
    value: float
    bound: float | None
    ok: bool
    detail: str = ""
    hint: str = ""
    severity: Severity = "stop"

    @property
    def refuses(self) -> bool:
        return not self.ok and self.severity == "stop"
