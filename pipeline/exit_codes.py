"""What every command ends with, so that a monitor can act: bad input and refusals are one line, bugs keep theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable

from components.errors import GateError, InputError

DONE, FAILED, BAD_INPUT, REFUSED = 0, 1, 2, 3


def code_of(work: Callable[[], object]) -> int:
    """Does the work; the exit code, and a line on stderr where it is not done. Raises what is a bug."""
    try:
        work()
    except InputError as error:
        print(f"farebox: {error}", file=sys.stderr)
        return BAD_INPUT
    except GateError as error:
        print(f"farebox: refused: {error}", file=sys.stderr)
        return REFUSED
    return DONE
