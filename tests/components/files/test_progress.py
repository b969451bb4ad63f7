"""Progress within a node: who hears it, and work that is done elsewhere."""

from __future__ import annotations

import threading

from farebox.components.files import progress


def test_a_step_is_heard_within_the_context_alone():
    heard = []
    with progress.heard_by(lambda *step: heard.append(step)):
        progress.step("epoch", 1, 2)
    progress.step("epoch", 2, 2)
    assert heard == [("epoch", 1, 2)]


def test_work_elsewhere_is_counted_while_somebody_listens(monkeypatch):
    """The first look finds a folder that is not there yet."""
    monkeypatch.setattr(progress, "WATCH_S", 0.001)
    heard, counts, enough = [], iter([None, 1, 2]), threading.Event()

    def done() -> int:
        if (count := next(counts, 3)) is None:
            raise FileNotFoundError
        return count

    def listen(*step: object) -> None:
        heard.append(step)
        if len(heard) == 3:
            enough.set()

    with progress.heard_by(listen), progress.watched("part", 3, done):
        assert enough.wait(10)
    assert heard[:3] == [("part", 1, 3), ("part", 2, 3), ("part", 3, 3)]
    with progress.watched("part", 3, lambda: heard.append("counted")):
        assert threading.active_count() >= 1
    assert "counted" not in heard


def test_what_is_added_is_counted_by_the_innermost_counter():
    """Nobody counts after the end; more than the total is not told."""
    heard = []
    with progress.heard_by(lambda *step: heard.append(step)):
        with progress.counted("trip", 10):
            progress.add(4)
            with progress.counted("row", 3):
                progress.add(2)
            progress.add(7)
        progress.add(1)
    assert heard == [("trip", 4, 10), ("row", 2, 3), ("trip", 10, 10)]
