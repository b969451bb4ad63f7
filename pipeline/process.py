"""Exit codes and output of a process. Bad input and refusals print one line; bugs print a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from farebox.components.errors import GateError, InputError

DONE, FAILED, BAD_INPUT, REFUSED = 0, 1, 2, 3


def code_of(work: Callable[[], object], explain: Callable[[str], str] = str) -> int:
    """Calls `work` and returns the exit code; for bad input and a refusal, prints one line on stderr.

    explain: adds to the line what only the caller knows. Other exceptions are bugs and pass through.
    """
    try:
        work()
    except InputError as error:
        print(f"farebox: {explain(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except GateError as error:
        print(f"farebox: refused: {error}", file=sys.stderr)
        return REFUSED
    return DONE


@contextlib.contextmanager
def output_to_log(log: Path) -> Iterator[IO[str]]:
    """Sends everything that this process and its libraries print to `log`; yields the former standard output.

    It redirects file descriptors, not sys.stdout alone: TensorFlow's C++ code writes to them directly.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with open(log, "ab", buffering=0) as file, os.fdopen(os.dup(1), "w") as before:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield before
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
