"""Ticks in the foreground: a process that waits, real children, real signals."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farebox.pipeline.schedule import crontab, firing, foreground

pytestmark = pytest.mark.timeout(150)  # what waits for words would wait for ever
LEAP_DAY = "0 0 29 2 *"  # no firing while a test runs
TICK = """
import json, os, sys, time
record, seconds, code = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
with open(record, "a") as file:
    file.write(json.dumps({"pid": os.getpid(), "group": os.getpgrp(), "arguments": sys.argv[1:]}) + "\\n")
print("the tick speaks", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end and not os.path.exists(record + ".done"):
    time.sleep(0.02)
sys.exit(code)
"""
FOREGROUND = """
import json, signal, sys
from farebox.pipeline.schedule import crontab, firing, foreground
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where these tests are run under nohup
options = json.loads(sys.argv[1])
foreground.KILL_TIMEOUT_S = 1.0
foreground.run(
    options["command"], crontab.parse(options["cron"]), firing.UTC,
    foreground.TimeLimits(options.get("misfire", 3600), options.get("grace")),
    options.get("now", True),
)
"""


class ForegroundScheduler:
    """`farebox schedule` with a tick of our own, and its output so far."""

    def __init__(self, process: subprocess.Popen[str], record: Path) -> None:
        self.process, self.record, self.output = process, record, ""

    def read_until(self, text: str) -> str:
        """Reads until a line has the text; the process must not end before."""
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came: {self.output}{self.process.stderr.read()}")

    def ticks(self) -> list[dict]:
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def send(self, signal_number: int) -> None:
        self.process.send_signal(signal_number)

    def wait(self) -> tuple[int, str]:
        """(exit code, all its output)"""
        rest, errors = self.process.communicate(timeout=30)
        assert errors == ""
        return self.process.returncode, self.output + rest


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., ForegroundScheduler]]:
    """Starts a scheduler whose tick takes some seconds and ends with a code."""
    schedulers = []

    def begin(seconds: float = 0.0, code: int = 0, cron: str = LEAP_DAY, **options) -> ForegroundScheduler:
        record = tmp_path / f"ticks-{len(schedulers)}"
        command = [sys.executable, "-c", TICK, str(record), str(seconds), str(code)]
        process = subprocess.Popen(
            [sys.executable, "-c", FOREGROUND, json.dumps({"command": command, "cron": cron, **options})],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        schedulers.append(ForegroundScheduler(process, record))
        return schedulers[-1]

    yield begin
    for scheduler in schedulers:
        Path(f"{scheduler.record}.done").touch()  # a tick outlives a scheduler that is killed, and holds its pipe
        scheduler.process.kill()
        scheduler.process.communicate()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_signal_wakes_who_waits_and_a_timeout_ends_the_wait():
    """With queue.SimpleQueue, a wait whose time had passed could go on for ever (CPython 3.10)."""
    events = foreground.EventPipe()
    handler = signal.getsignal(signal.SIGTERM)
    with foreground.queue_signals(events):
        for _ in range(2000):
            os.kill(os.getpid(), signal.SIGTERM)
            assert events.get() == signal.SIGTERM
            assert events.get(0) is None
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert events.get(timeout=30) == signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_first_tick_then_the_next_time_then_a_clean_end(start):
    scheduler = start()
    assert re.fullmatch(
        r"farebox: 0 0 29 2 \*: next tick 20\d\d-02-29 00:00 UTC \(00:00 UTC\)\n", scheduler.read_until("next tick")
    )
    line = scheduler.read_until("tick ended")
    assert re.fullmatch(r"farebox: tick ended after \d+\.\d s: done \(exit code 0\); next tick 20\d\d-02-29 .*\n", line)
    scheduler.send(signal.SIGTERM)
    code, output = scheduler.wait()
    assert (code, output.splitlines()[-1]) == (0, "farebox: stopped")
    assert "the tick speaks\n" in output and len(scheduler.ticks()) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "bad input (exit code 2)"),
        (3, "a gate refused (exit code 3)"),
        (1, "crashed (exit code 1), the next tick resumes it"),
    ],
)
def test_goes_on_after_a_tick_that_ended_badly(start, code, words):
    scheduler = start(code=code)
    assert f": {words}; next tick " in scheduler.read_until("tick ended")
    assert scheduler.process.poll() is None
    scheduler.send(signal.SIGINT)
    assert scheduler.wait()[0] == 0


def test_reports_a_tick_that_was_killed(start):
    scheduler = start(seconds=60)
    scheduler.read_until("the tick speaks")
    os.kill(scheduler.ticks()[0]["pid"], signal.SIGKILL)
    assert ": killed by SIGKILL, the next tick resumes it; next tick " in scheduler.read_until("tick ended")


def test_reports_a_command_that_is_not_there(tmp_path, start):
    start().read_until("tick ended")
    command = json.dumps({"command": [str(tmp_path / "gone"), "retrain"], "cron": LEAP_DAY, "now": True})
    process = subprocess.Popen([sys.executable, "-c", FOREGROUND, command], stdout=subprocess.PIPE, text=True)
    scheduler = ForegroundScheduler(process, tmp_path / "none")
    line = scheduler.read_until("no tick")
    scheduler.send(signal.SIGTERM)
    assert process.wait(30) == 0
    assert line.startswith(f"farebox: no tick: {tmp_path}/gone: No such file or directory; next tick ")


def test_a_signal_lets_the_tick_at_work_end(start):
    """Also Ctrl-C, which a terminal sends to the whole foreground group: the tick is not in it."""
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        scheduler = start(seconds=60)
        scheduler.read_until("the tick speaks")
        assert scheduler.ticks()[0]["group"] == scheduler.ticks()[0]["pid"] != os.getpgid(scheduler.process.pid)
        scheduler.send(stop)
        assert f"{stop.name}: the running tick goes on to its end; another" in scheduler.read_until(stop.name)
        assert scheduler.process.poll() is None
        Path(f"{scheduler.record}.done").touch()
        code, output = scheduler.wait()
        assert code == 0
        assert re.search(r"tick ended after .* done \(exit code 0\); next tick .*\nfarebox: stopped\n$", output)


def test_a_second_signal_ends_it_at_once(start):
    scheduler = start(seconds=60)
    scheduler.read_until("the tick speaks")
    scheduler.send(signal.SIGTERM)
    scheduler.read_until("SIGTERM")
    scheduler.send(signal.SIGTERM)
    code, output = scheduler.wait()
    assert (code, "killed by SIGTERM, the next tick resumes it" in output) == (0, True)
    assert not is_alive(scheduler.ticks()[0]["pid"])


def test_grace_bounds_the_wait(start):
    scheduler = start(seconds=60, grace=0.2)
    scheduler.read_until("the tick speaks")
    scheduler.send(signal.SIGTERM)
    assert "the running tick has 0.2 s to end" in scheduler.read_until("SIGTERM")
    code, output = scheduler.wait()
    assert (code, "killed by SIGTERM" in output) == (0, True)


def test_what_ignores_sigterm_is_killed_with_its_children(tmp_path):
    """The output ends only when the child, which holds it too and would live for a minute, is gone."""
    stubborn = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""
    options = json.dumps({"command": [sys.executable, "-c", stubborn], "cron": LEAP_DAY, "grace": 0})
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    scheduler = ForegroundScheduler(process, tmp_path / "none")
    scheduler.read_until("ready")
    scheduler.send(signal.SIGTERM)
    code, output = scheduler.wait()
    assert (code, "killed by SIGKILL" in output) == (0, True)


@pytest.mark.slow
def test_a_full_minute(start):
    """At the same minute: one fires, one still has a running tick, one was stopped and comes too late."""
    free = start(cron="* * * * *", now=False)
    busy = start(cron="* * * * *", seconds=600)
    stopped = start(cron="* * * * *", now=False, misfire=1)
    stopped.read_until("next tick")
    stopped.send(signal.SIGSTOP)
    busy.read_until("the tick speaks")
    line = free.read_until("next tick")
    due = datetime.datetime.fromisoformat(re.search(r"(\S+ \S+) UTC \(", line)[1]).replace(tzinfo=firing.UTC)
    free.read_until("the tick speaks")
    assert datetime.datetime.now(firing.UTC) >= due
    busy.read_until("the last tick is still running: no new one starts")
    while datetime.datetime.now(firing.UTC) < due + datetime.timedelta(seconds=2):
        time.sleep(0.1)
    stopped.send(signal.SIGCONT)
    assert f"the tick of {due:%Y-%m-%d %H:%M} UTC is too late by now (misfire)" in stopped.read_until("too late")
    assert [len(scheduler.ticks()) for scheduler in (free, busy, stopped)] == [1, 1, 0]


def test_wakes_every_minute_however_far_the_next_tick():
    """A sleeping machine's clock stands still for APScheduler: unbounded, its wait would be for hours too long."""
    scheduler = foreground.WakefulScheduler(timezone=firing.UTC)
    scheduler.add_job(print, firing.CrontabTrigger(crontab.parse(LEAP_DAY), firing.UTC))
    scheduler.start()
    assert scheduler._process_jobs() == foreground.MAX_SLEEP_S == 60
    scheduler.shutdown()


def test_meanings():
    assert foreground.describe_exit(-15) == "killed by SIGTERM, the next tick resumes it"
    assert foreground.describe_exit(139) == "crashed (exit code 139), the next tick resumes it"
