"""Ticks by the clock in the foreground: each is a child process, one at a time, and a signal ends it cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from farebox.pipeline.schedule.crontab import Crontab
from farebox.pipeline.schedule.firing import UTC, CrontabTrigger, next_firing, shown

AWAKE_S = 60.0  # a clock that was set, or a machine that slept, is noticed within it
KILL_S = 10.0  # from SIGTERM to SIGKILL
LOOK_S = 1.0  # seconds between two looks at the queue of signals
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MEANINGS = {0: "done", 2: "bad input", 3: "a gate refused"}


@dataclasses.dataclass(frozen=True)
class Patience:
    """Waiting times in seconds.

    misfire: how late a tick may still begin (None: any time). grace: how long a running tick may go on after a signal
    (None: to its end).
    """

    misfire: int | None = 3600
    grace: float | None = None


class WakefulScheduler(BackgroundScheduler):
    """A scheduler that wakes up often: APScheduler waits by a clock that stops while the machine sleeps."""

    def _process_jobs(self) -> float | None:
        wait = super()._process_jobs()
        return AWAKE_S if wait is None else min(wait, AWAKE_S)


class Ticker:
    """Runs the command of a tick and can end it; calls `ended` after each."""

    def __init__(self, command: Sequence[str], ended: queue.SimpleQueue[int | None]) -> None:
        self.command, self.ended = tuple(command), ended
        self.process: subprocess.Popen[bytes] | None = None
        self.closed, self.lock = False, threading.Lock()

    def run(self) -> str:
        """Runs a tick in its own session, so that Ctrl-C in the terminal does not reach it, and prints how it ended."""
        started = time.monotonic()
        with self.lock:
            if self.closed:
                return "no tick: stopping"
            try:
                self.process = subprocess.Popen(self.command, start_new_session=True)
            except OSError as error:
                return f"no tick: {self.command[0]}: {error.strerror}"
        code = self.process.wait()
        self.process = None
        self.ended.put(None)
        return f"tick ended after {time.monotonic() - started:.1f} s: {meaning(code)}"

    def close(self) -> bool:
        """Starts no more ticks. Returns whether one is running."""
        with self.lock:
            self.closed = True
            return self.process is not None

    def end(self) -> None:
        """Ends the running tick and its children: SIGTERM, then SIGKILL."""
        if (process := self.process) is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILL_S)


def meaning(code: int) -> str:
    """The meaning of an exit code of `farebox retrain`; below 0, Popen's number of the signal that killed it."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}, the next tick resumes it"
    if code in MEANINGS:
        return f"{MEANINGS[code]} (exit code {code})"
    return f"crashed (exit code {code}), the next tick resumes it"


def run(
    command: Sequence[str],
    crontab: Crontab,
    zone: datetime.tzinfo,
    patience: Patience = Patience(),
    at_once: bool = False,
) -> None:
    """Runs ticks until SIGTERM, SIGINT or SIGHUP; a second signal ends a running tick at once.

    at_once: the first tick runs now, for spans that came before the start.
    """
    happened: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # signals, and None when a tick has ended
    ticker = Ticker(command, happened)
    scheduler = WakefulScheduler(timezone=UTC)
    scheduler.add_listener(report_skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
    scheduler.add_job(
        lambda: say(f"{ticker.run()}; {upcoming(crontab, zone)}"),
        CrontabTrigger(crontab, zone),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=patience.misfire,
        **({"next_run_time": datetime.datetime.now(UTC)} if at_once else {}),
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what it warns of is said in our own lines
    with heard(happened):
        scheduler.start(paused=True)
        say(f"{crontab.text}: {upcoming(crontab, zone)}")
        scheduler.resume()
        number = next(event for event in iter(lambda: next_event(happened), ()) if event is not None)
        scheduler.pause()
        if ticker.close():
            say(f"{signal.Signals(number).name}: {farewell(patience.grace)}; another signal ends it at once")
            await_end(ticker, happened, patience.grace)
            ticker.end()
        scheduler.shutdown()  # waits for the tick's last line
    say("stopped")


def next_event(events: queue.SimpleQueue[int | None], deadline: float = math.inf) -> int | None:
    """Waits for an event, and looks again each second: a waiting queue can miss what a handler puts.

    deadline: of time.monotonic(). Raises queue.Empty if it passes.
    """
    while True:
        left = deadline - time.monotonic()
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=min(max(left, 0.0), LOOK_S))
        if left <= 0:
            raise queue.Empty


@contextlib.contextmanager
def heard(signals: queue.SimpleQueue[int | None]) -> Iterator[None]:
    """Puts SIGTERM, SIGINT and SIGHUP into the queue (which is safe in a handler), unless they are ignored (nohup)."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda received, _: signals.put(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def await_end(ticker: Ticker, happened: queue.SimpleQueue[int | None], grace: float | None) -> None:
    """Waits until the running tick ends, for at most `grace` seconds or until another signal."""
    deadline = math.inf if grace is None else time.monotonic() + grace
    with contextlib.suppress(queue.Empty):
        while ticker.process is not None:
            if next_event(happened, deadline) is not None:
                return


def report_skipped(event: JobSubmissionEvent | JobExecutionEvent) -> None:
    """Prints a line about a firing that starts no tick."""
    if isinstance(event, JobSubmissionEvent):
        say("the last tick is still running: no new one starts")
    else:
        say(f"the tick of {event.scheduled_run_time:%Y-%m-%d %H:%M} UTC is too late by now (misfire)")


def farewell(grace: float | None) -> str:
    """Says what happens to the running tick."""
    return "the running tick goes on to its end" if grace is None else f"the running tick has {grace:g} s to end"


def upcoming(crontab: Crontab, zone: datetime.tzinfo) -> str:
    """A line with the next firing, in the zone and in UTC."""
    instant = next_firing(crontab, zone, datetime.datetime.now(UTC))
    return f"next tick {shown(instant, zone)}" if instant else "no next tick"


def say(text: str) -> None:
    """Prints a line and flushes it, so that a pipe has it at once."""
    print(f"farebox: {text}", flush=True)
