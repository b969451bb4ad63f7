"""Progress within a node, for whoever shows it: `step` costs nothing if nobody listens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

Listener = Callable[[str, int, int], None]

WATCH_S = 1.0  # between two looks

_listeners: list[Listener] = []  # of this process: executors know no screen
_counters: list[Counter] = []  # the innermost last


def step(unit: str, done: int, total: int) -> None:
    """Tells that `done` of `total` units are done, such as epochs; a trial may contain epochs."""
    for listener in _listeners:
        listener(unit, done, total)


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Calls `listener(unit, done, total)` at each step within it, from whatever thread steps."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Counter:
    """Steps by what is added to it, from any thread."""

    def __init__(self, unit: str, total: int) -> None:
        self._unit, self._total, self._done, self._lock = unit, total, 0, threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether all units are done."""
        return self._done >= self._total

    def add(self, count: int) -> None:
        """Adds what is done, and steps."""
        with self._lock:
            self._done += count
            step(self._unit, min(self._done, self._total), self._total)


@contextlib.contextmanager
def counted(unit: str, total: int) -> Iterator[None]:
    """Steps by `add` within it, for code that is called by others and knows no total, such as Beam's functions."""
    counter = Counter(unit, total)
    _counters.append(counter)
    try:
        yield
    finally:
        _counters.remove(counter)


def add(count: int) -> None:
    """Adds to the innermost `counted`; nothing without one, as in a worker process."""
    if _counters:
        _counters[-1].add(count)


@contextlib.contextmanager
def watched(unit: str, total: int, done: Callable[[], int]) -> Iterator[None]:
    """Steps once a second to what `done()` counts: for work in other processes. Counts nothing if nobody listens."""
    if not _listeners:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(WATCH_S):
            with contextlib.suppress(OSError):  # a folder that is being written or removed
                step(unit, done(), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
