"""A step at work: what passed and what is left of it, on a terminal and in a log."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

SHOWN_AFTER_S = 2.0  # shorter steps need no time
HEARTBEAT_S = 30.0


class Progress:
    """A live line on a terminal; elsewhere a line every half a minute, so that a log shows that the step lives.

    expected_s: what the step took the last time, None if that is not known.
    """

    def __init__(self, console: Console, text: str, expected_s: float | None = None) -> None:
        self.console, self.text, self.expected_s = console, text, expected_s
        self.started, self.ended = time.monotonic(), threading.Event()
        self.live: Live | None = None
        self.spinner = Spinner("dots", text)

    def start(self) -> None:
        """Begins to show the step."""
        if self.console.is_terminal:
            self.live = Live(
                console=self.console,
                get_renderable=self._spinner,
                transient=True,
                refresh_per_second=4,
                redirect_stdout=False,  # rich would bring the libraries' logs back from the file to the screen
                redirect_stderr=False,
            )
            self.live.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()

    def stop(self) -> None:
        """Removes the live line; no heartbeat follows."""
        self.ended.set()
        if self.live:
            self.live.stop()

    def line(self) -> str:
        """The step's text with elapsed seconds and, if known, those that are left."""
        elapsed = time.monotonic() - self.started
        if elapsed < SHOWN_AFTER_S:
            return self.text
        left = ""
        if self.expected_s is not None:
            rest = self.expected_s - elapsed
            left = (
                f", about {rest:.0f} s left" if rest > 0 else f", longer than the {self.expected_s:.0f} s of last time"
            )
        return f"{self.text}, {elapsed:.0f} s{left}"

    def _spinner(self) -> Spinner:
        self.spinner.update(text=self.line())
        return self.spinner

    def _beat(self) -> None:
        while not self.ended.wait(HEARTBEAT_S):
            self.console.print(f"  … {self.line()}", markup=False)
