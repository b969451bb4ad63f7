"""CPU seconds that a search may take. No TensorFlow here."""

from __future__ import annotations

import time
from collections.abc import Callable

from absl import logging


class Allowance:
    """CPU seconds from now on. A plan that they cut short is a line of the log, once.

    elsewhere: the CPU seconds of other processes that work for the search.
    """

    def __init__(self, who: str, seconds: float, elsewhere: Callable[[], float] = lambda: 0.0) -> None:
        self._who, self._seconds, self._elsewhere = who, seconds, elsewhere
        self._start = self._now()
        self.is_cut = False

    def _now(self) -> float:
        return time.process_time() + self._elsewhere()

    def is_left(self, plan: str) -> bool:
        """Whether time is left to begin with `plan`; if not, the log says that it and what follows are left out."""
        if self._now() - self._start < self._seconds:
            return True
        if not self.is_cut:
            logging.warning(
                "%s: %g CPU seconds are over: not tried: %s, and what follows; more time may find a smaller file",
                self._who, self._seconds, plan,
            )  # fmt: skip
        self.is_cut = True
        return False
