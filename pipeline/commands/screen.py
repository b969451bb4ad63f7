"""The screen of a command: progress on the terminal, and all that libraries print in the log file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from farebox.pipeline.local.console import Output, RunConsole
from farebox.pipeline.local.libraries import configure_libraries
from farebox.pipeline.process import output_to_log


def logged(*, quiet: bool = False) -> Output:
    """An output that redirects this process to the log and configures its libraries; `quiet` shows no progress."""

    @contextlib.contextmanager
    def open_screen(log: Path) -> Iterator[RunConsole]:
        with output_to_log(log) as stream, RunConsole(stream, quiet) as screen:
            configure_libraries()
            yield screen

    return open_screen
