"""A step at work: what passed and what is left of it, on a terminal and in a log."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import cast

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

SHOWN_AFTER_S = 2.0  # shorter steps need no time
HEARTBEAT_S = 30.0


@dataclasses.dataclass(frozen=True)
class Unit:
    """Epochs, trials, parts or trips: `done` of `total`; `first` of them were done at the time `begun`."""

    done: int
    total: int
    first: int
    begun: float

    def text(self, *, with_time: bool) -> str:
        """`12 of 40`, with the seconds that the others will take at the pace so far."""
        n_timed = self.done - self.first
        if not with_time or not n_timed:
            return f"{self.done:,} of {self.total:,}"
        left = (time.monotonic() - self.begun) / n_timed * (self.total - self.done)
        return f"{self.done:,} of {self.total:,} (about {left:.0f} s left)"


class Progress:
    """A live line on a terminal; elsewhere a line every half a minute, so that a log shows that the step lives.

    expected_s: what the step took the last time, None if that is not known.
    """

    def __init__(self, console: Console, text: str, expected_s: float | None = None) -> None:
        self.console, self.text, self.expected_s = console, text, expected_s
        self.started, self.ended = time.monotonic(), threading.Event()
        self.units: dict[str, Unit] = {}  # replaced, not changed: another thread reads it
        self.live: Live | None = None
        self.spinner = Spinner("dots")

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

    def step(self, unit: str, done: int, total: int) -> None:
        """Takes how far the step is. A unit that is complete is no longer shown; a trial drops the epochs within it."""
        if total < 2:
            return
        names = list(self.units)
        outer = {name: self.units[name] for name in (names[: names.index(unit)] if unit in names else names)}
        known = self.units.get(unit, Unit(done, total, done, time.monotonic()))
        self.units = outer if done >= total else {**outer, unit: dataclasses.replace(known, done=done, total=total)}

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
        units = [f"{name} {unit.text(with_time=self.expected_s is None)}" for name, unit in self.units.items()]
        return ": ".join(filter(None, (f"{self.text}, {elapsed:.0f} s{left}", ", ".join(units))))

    def _spinner(self) -> Text:
        frame = cast(Text, self.spinner.render(self.console.get_time()))
        return Text.assemble(frame, " ", self.line(), no_wrap=False, overflow="fold")  # a narrow terminal cuts nothing

    def _beat(self) -> None:
        while not self.ended.wait(HEARTBEAT_S):
            self.console.print(f"  … {self.line()}", markup=False)
