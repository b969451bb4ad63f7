"""Errors that users, not developers, must fix, and the checks of a gate.

    ValueError     InputError: input that cannot be used; names the value, the bound and the place (exit code 2)
    RuntimeError   GateError: a gate refused (exit code 3); carries its checks

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
    """A value, its bound and whether it holds. bound: an upper one, or a lower one with at_least; None without one.

    ok is true for a value beyond the bound if noise can explain the excess. detail: the measurement in words. hint:
    what to do if the check fails. A check of severity `warn` never refuses.
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
        """Whether the check fails and its severity is `stop`."""
        return not self.ok and self.severity == "stop"


class InputError(ValueError):
    """Input that cannot be used: names the value, the bound and the place (exit code 2)."""


class GateError(RuntimeError):
    """A gate refused and the run cannot go on (exit code 3); checks: all of the gate."""

    def __init__(self, message: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)


def increase(text: float | str, of: float, name: str) -> float:
    """The increase that `text` allows over `of`: a number in its unit, or a percentage of it such as `0.2%`.

    Raises ValueError, which names `name`, for another text.
    """
    match = re.fullmatch(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(%?)\s*", str(text))
    try:
        number = float(match[1]) if match else None
    except ValueError:
        number = None
    if match is None or number is None:
        raise ValueError(f"{name}={text} must be a number or a percentage such as 0.2%")
    return of * number / 100 if match[2] else number
