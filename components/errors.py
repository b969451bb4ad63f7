"""Errors that people, not developers, have to mend. The command line prints them as one line."""

from __future__ import annotations

from collections.abc import Sequence

from components.checks import Check


class InputError(ValueError):
    """Input that cannot be used: names the value, the bound and the place (exit code 2)."""


class GateError(RuntimeError):
    """A gate refused and the run cannot go on (exit code 3); `checks` is what it looked at."""

    def __init__(self, message: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)
