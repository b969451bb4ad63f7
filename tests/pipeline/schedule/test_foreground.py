"""Ticks in the foreground: a process that waits, real children, real signals."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farebox.pipeline.schedule import crontab, firing, foreground

pytestmark = pytest.mark.timeout(150)  # what waits for words would wait for ever
LATER = "0 0 29 2 *"  # no firing while a test runs
CHILD = """
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
WAITER = """
import json, signal, sys
from farebox.pipeline.schedule import crontab, firing, foreground
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where these tests are run under nohup
asked = json.loads(sys.argv[1])
foreground.KILL_S = 1.0
foreground.run(
    asked["command"], crontab.parse(asked["cron"]), firing.UTC,
    foreground.Patience(asked.get("misfire", 3600), asked.get("grace")),
    asked.get("now", True),
)
"""


class Waiting:
    """`farebox schedule` with a tick of our own, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], record: Path) -> None:
        self.process, self.record, self.said = process, record, ""

    def until(self, text: str) -> str:
        """Reads until a line has the text; the process must not end before."""
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came: {self.said}{self.process.stderr.read()}")

    def ticks(self) -> list[dict]:
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """(exit code, all it said)"""
        rest, errors = self.process.communicate(timeout=30)
        assert errors == ""
        return self.process.returncode, self.said + rest


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Waiting]]:
    """Starts a waiter whose tick takes some seconds and ends with a code."""
    begun = []

    def begin(seconds: float = 0.0, code: int = 0, cron: str = LATER, **asked) -> Waiting:
        record = tmp_path / f"ticks-{len(begun)}"
        command = [sys.executable, "-c", CHILD, str(record), str(seconds), str(code)]
        process = subprocess.Popen(
            [sys.executable, "-c", WAITER, json.dumps({"command": command, "cron": cron, **asked})],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        begun.append(Waiting(process, record))
        return begun[-1]

    yield begin
    for waiting in begun:
        Path(f"{waiting.record}.done").touch()  # a tick outlives a waiter that is killed, and holds its pipe
        waiting.process.kill()
        waiting.process.communicate()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_first_tick_then_the_next_time_then_a_clean_end(start):
    waiting = start()
    assert re.fullmatch(
        r"farebox: 0 0 29 2 \*: next tick 20\d\d-02-29 00:00 UTC \(00:00 UTC\)\n", waiting.until("next tick")
    )
    line = waiting.until("tick ended")
    assert re.fullmatch(r"farebox: tick ended after \d+\.\d s: done \(exit code 0\); next tick 20\d\d-02-29 .*\n", line)
    waiting.send(signal.SIGTERM)
    code, said = waiting.end()
    assert (code, said.splitlines()[-1]) == (0, "farebox: stopped")
    assert "the tick speaks\n" in said and len(waiting.ticks()) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, "bad input (exit code 2)"),
        (3, "a gate refused (exit code 3)"),
        (1, "crashed (exit code 1), the next tick resumes it"),
    ],
)
def test_goes_on_after_a_tick_that_ended_badly(start, code, words):
    waiting = start(code=code)
    assert f": {words}; next tick " in waiting.until("tick ended")
    assert waiting.process.poll() is None
    waiting.send(signal.SIGINT)
    assert waiting.end()[0] == 0


def test_reports_a_tick_that_was_killed(start):
    waiting = start(seconds=60)
    waiting.until("the tick speaks")
    os.kill(waiting.ticks()[0]["pid"], signal.SIGKILL)
    assert ": killed by SIGKILL, the next tick resumes it; next tick " in waiting.until("tick ended")


def test_reports_a_command_that_is_not_there(tmp_path, start):
    waiting = start()
    waiting.until("tick ended")
    command = json.dumps({"command": [str(tmp_path / "gone"), "retrain"], "cron": LATER, "now": True})
    result = subprocess.Popen([sys.executable, "-c", WAITER, command], stdout=subprocess.PIPE, text=True)
    lost = Waiting(result, tmp_path / "none")
    line = lost.until("no tick")
    lost.send(signal.SIGTERM)
    assert result.wait(30) == 0
    assert line.startswith(f"farebox: no tick: {tmp_path}/gone: No such file or directory; next tick ")


def test_a_signal_lets_the_tick_at_work_end(start):
    """Also Ctrl-C, which a terminal sends to the whole foreground group: the tick is not in it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        waiting = start(seconds=60)
        waiting.until("the tick speaks")
        assert waiting.ticks()[0]["group"] == waiting.ticks()[0]["pid"] != os.getpgid(waiting.process.pid)
        waiting.send(number)
        assert f"{number.name}: the running tick goes on to its end; another" in waiting.until(number.name)
        assert waiting.process.poll() is None
        Path(f"{waiting.record}.done").touch()
        code, said = waiting.end()
        assert code == 0
        assert re.search(r"tick ended after .* done \(exit code 0\); next tick .*\nfarebox: stopped\n$", said)


def test_a_second_signal_ends_it_at_once(start):
    waiting = start(seconds=60)
    waiting.until("the tick speaks")
    waiting.send(signal.SIGTERM)
    waiting.until("SIGTERM")
    waiting.send(signal.SIGTERM)
    code, said = waiting.end()
    assert (code, "killed by SIGTERM, the next tick resumes it" in said) == (0, True)
    assert not is_alive(waiting.ticks()[0]["pid"])


def test_grace_bounds_the_wait(start):
    waiting = start(seconds=60, grace=0.2)
    waiting.until("the tick speaks")
    waiting.send(signal.SIGTERM)
    assert "the running tick has 0.2 s to end" in waiting.until("SIGTERM")
    code, said = waiting.end()
    assert (code, "killed by SIGTERM" in said) == (0, True)


def test_what_ignores_sigterm_is_killed_with_its_children(tmp_path):
    """The output ends only when the child, which holds it too and would live for a minute, is gone."""
    stubborn = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""
    asked = json.dumps({"command": [sys.executable, "-c", stubborn], "cron": LATER, "grace": 0})
    process = subprocess.Popen(
        [sys.executable, "-c", WAITER, asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    waiting = Waiting(process, tmp_path / "none")
    waiting.until("ready")
    waiting.send(signal.SIGTERM)
    code, said = waiting.end()
    assert (code, "killed by SIGKILL" in said) == (0, True)


@pytest.mark.slow
def test_a_full_minute(start):
    """At the same minute: one fires, one still has a running tick, one was stopped and comes too late."""
    fires = start(cron="* * * * *", now=False)
    works = start(cron="* * * * *", seconds=600)
    sleeps = start(cron="* * * * *", now=False, misfire=1)
    sleeps.until("next tick")
    sleeps.send(signal.SIGSTOP)
    works.until("the tick speaks")
    said = fires.until("next tick")
    due = datetime.datetime.fromisoformat(re.search(r"(\S+ \S+) UTC \(", said)[1]).replace(tzinfo=firing.UTC)
    fires.until("the tick speaks")
    assert datetime.datetime.now(firing.UTC) >= due
    works.until("the last tick is still running: no new one starts")
    while datetime.datetime.now(firing.UTC) < due + datetime.timedelta(seconds=2):
        time.sleep(0.1)
    sleeps.send(signal.SIGCONT)
    assert f"the tick of {due:%Y-%m-%d %H:%M} UTC is too late by now (misfire)" in sleeps.until("too late")
    assert [len(waiting.ticks()) for waiting in (fires, works, sleeps)] == [1, 1, 0]


def test_wakes_every_minute_however_far_the_next_tick():
    """A sleeping machine's clock stands still for APScheduler: unbounded, its wait would be for hours too long."""
    scheduler = foreground.WakefulScheduler(timezone=firing.UTC)
    scheduler.add_job(print, firing.CrontabTrigger(crontab.parse(LATER), firing.UTC))
    scheduler.start()
    assert scheduler._process_jobs() == foreground.AWAKE_S == 60
    scheduler.shutdown()


def test_meanings():
    assert foreground.meaning(-15) == "killed by SIGTERM, the next tick resumes it"
    assert foreground.meaning(139) == "crashed (exit code 139), the next tick resumes it"
