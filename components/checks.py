"""What a gate says about one thing it looked at; the same form in every verdict file and in summary.json."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Check:
    """value, compared with bound, is ok or not; no bound where there is nothing to compare with.

    detail says what was found, in words.
    """

    name: str
    value: float
    bound: float | None
    ok: bool
    detail: str = ""
