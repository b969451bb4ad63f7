"""Ticks by the clock in the foreground: each is a child process, one at a time, and a signal ends it cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from farebox.pipeline.schedule.crontab import Crontab
from farebox.pipeline.schedule.firing import UTC, CrontabTrigger, format_instant, next_firing

MAX_SLEEP_S = 60.0  # a clock that was set, or a machine that slept, is noticed within it
KILL_TIMEOUT_S = 10.0  # from SIGTERM to SIGKILL
TICK_ENDED = 0  # no signal has this number
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_MEANINGS = {0: "done", 2: "bad input", 3: "a gate refused"}


@dataclasses.dataclass(frozen=True)
class TimeLimits:
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
        return MAX_SLEEP_S if wait is None else min(wait, MAX_SLEEP_S)


class EventPipe:
    """Signal numbers and TICK_ENDED, in order, through a pipe: a signal handler may write to one, and select waits.

    A queue.SimpleQueue can wait for ever after its timeout (CPython 3.10).
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)

    def put(self, event: int) -> None:
        """Adds an event; drops it if thousands wait already."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.writer, bytes([event]))

    def get(self, timeout: float | None = None) -> int | None:
        """Waits for the next event; None if `timeout` seconds pass before."""
        readable, _, _ = select.select([self.reader], [], [], timeout)
        return os.read(self.reader, 1)[0] if readable else None


class TickRunner:
    """Runs the command of a tick and can end it; puts TICK_ENDED into `events` after each."""

    def __init__(self, command: Sequence[str], events: EventPipe) -> None:
        self.command, self.events = tuple(command), events
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
        self.events.put(TICK_ENDED)
        return f"tick ended after {time.monotonic() - started:.1f} s: {describe_exit(code)}"

    def close(self) -> bool:
        """Starts no more ticks. Returns whether one is running."""
        with self.lock:
            self.closed = True
            return self.process is not None

    def terminate(self) -> None:
        """Ends the running tick and its children: SIGTERM, then SIGKILL."""
        if (process := self.process) is None:
            return
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILL_TIMEOUT_S)


def describe_exit(code: int) -> str:
    """The meaning of an exit code of `farebox retrain`; below 0, Popen's number of the signal that killed it."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}, the next tick resumes it"
    if code in EXIT_MEANINGS:
        return f"{EXIT_MEANINGS[code]} (exit code {code})"
    return f"crashed (exit code {code}), the next tick resumes it"


def run(
    command: Sequence[str],
    crontab: Crontab,
    zone: datetime.tzinfo,
    limits: TimeLimits = TimeLimits(),
    run_now: bool = False,
) -> None:
    """Runs ticks until SIGTERM, SIGINT or SIGHUP; a second signal ends a running tick at once.

    run_now: the first tick runs now, for spans that came before the start.
    """
    events = EventPipe()
    tick_runner = TickRunner(command, events)
    scheduler = WakefulScheduler(timezone=UTC)
    scheduler.add_listener(report_skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
    scheduler.add_job(
        lambda: say(f"{tick_runner.run()}; {describe_next_firing(crontab, zone)}"),
        CrontabTrigger(crontab, zone),
        max_instances=1,
        coalesce=True,
        misfire_grace_time=limits.misfire,
        **({"next_run_time": datetime.datetime.now(UTC)} if run_now else {}),
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what it warns of is said in our own lines
    with queue_signals(events):
        scheduler.start(paused=True)
        say(f"{crontab.text}: {describe_next_firing(crontab, zone)}")
        scheduler.resume()
        signal_number = next_signal(events)
        scheduler.pause()
        if tick_runner.close():
            say(f"{signal.Signals(signal_number).name}: {describe_grace(limits.grace)}; another signal ends it at once")
            wait_for_tick(tick_runner, events, limits.grace)
            tick_runner.terminate()
        scheduler.shutdown()  # waits for the tick's last line
    say("stopped")


def next_signal(events: EventPipe) -> int:
    """Waits for a signal, whatever ticks end before."""
    while not (event := events.get()):
        pass
    return event


@contextlib.contextmanager
def queue_signals(events: EventPipe) -> Iterator[None]:
    """Puts SIGTERM, SIGINT and SIGHUP into the pipe, unless they are ignored (nohup)."""
    previous_handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in previous_handlers.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda number, _: events.put(number))
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def wait_for_tick(tick_runner: TickRunner, events: EventPipe, grace: float | None) -> None:
    """Waits until the running tick ends, for at most `grace` seconds or until another signal."""
    deadline = None if grace is None else time.monotonic() + grace
    while tick_runner.process is not None:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        if events.get(left) != TICK_ENDED:
            return


def report_skipped(event: JobSubmissionEvent | JobExecutionEvent) -> None:
    """Prints a line about a firing that starts no tick."""
    if isinstance(event, JobSubmissionEvent):
        say("the last tick is still running: no new one starts")
    else:
        say(f"the tick of {event.scheduled_run_time:%Y-%m-%d %H:%M} UTC is too late by now (misfire)")


def describe_grace(grace: float | None) -> str:
    """Says what happens to the running tick."""
    return "the running tick goes on to its end" if grace is None else f"the running tick has {grace:g} s to end"


def describe_next_firing(crontab: Crontab, zone: datetime.tzinfo) -> str:
    """A line with the next firing, in the zone and in UTC."""
    instant = next_firing(crontab, zone, datetime.datetime.now(UTC))
    return f"next tick {format_instant(instant, zone)}" if instant else "no next tick"


def say(text: str) -> None:
    """Prints a line and flushes it, so that a pipe has it at once."""
    print(f"farebox: {text}", flush=True)
