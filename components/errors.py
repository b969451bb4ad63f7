"""Errors that people, not developers, have to mend, and the checks that a gate refuses by.

    ValueError     InputError: input that cannot be used; names the value, the bound and the place (exit code 2)
    RuntimeError   GateError: a gate refused (exit code 3); carries what it checked

The command line prints them as one line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Literal

Severity = Literal["stop", "warn"]


@dataclasses.dataclass(frozen=True)
class Check:
    """value, at most bound (or at_least), is ok or not; no bound where there is nothing to compare with.

    ok where value is beyond bound: by no more than noise may be.

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
    at_least: bool = False

    @property
    def refuses(self) -> bool:
        return not self.ok and self.severity == "stop"


class InputError(ValueError):
    """Input that cannot be used: names the value, the bound and the place (exit code 2)."""


class GateError(RuntimeError):
    """A gate refused and the run cannot go on (exit code 3); `checks` is what it looked at."""

    def __init__(self, message: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)


def increase(text: float | str, of: float, name: str) -> float:
    """How much `text` allows on top of `of`: a number in its unit, or a share of it such as `0.2%`.

    Raises ValueError, which says `name`, where it is neither.
    """
    found = re.fullmatch(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(%?)\s*", str(text))
    try:
        number = float(found[1]) if found else None
    except ValueError:
        number = None
    if found is None or number is None:
        raise ValueError(f"{name}={text} must be a number or a percentage such as 0.2%")
    return of * number / 100 if found[2] else number
