"""A run's surroundings: the lock, the pointer to the latest run, and the log of all output."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from components.errors import InputError
from pipeline import console, runs
from pipeline.console import output_to_log


@contextlib.contextmanager
def other_process(folder: Path):
    """Holds the lock of `folder`; yields the process."""
    code = (
        "import pathlib, pipeline.runs as r\n"
        f"with r.exclusive(pathlib.Path({str(folder)!r})): print(1, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_until_the_first_has_died(tmp_path):
    with other_process(tmp_path) as process:
        refusal = f"another run is going on in {tmp_path}: wait for it to end"
        with pytest.raises(InputError, match=refusal), runs.exclusive(tmp_path):
            pass
        process.kill()
        process.wait()
        with runs.exclusive(tmp_path):
            pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    refusal = f"{tmp_path}/file/runs cannot be written: Not a directory"
    with pytest.raises(InputError, match=refusal), runs.exclusive(tmp_path / "file" / "runs"):
        pass


def test_latest_is_swapped_and_never_missing(tmp_path):
    (tmp_path / f".latest.{os.getpid()}").symlink_to("left by a dead run")
    runs.point_latest(tmp_path, "r0")
    swaps = threading.Thread(target=lambda: [runs.point_latest(tmp_path, f"r{number}") for number in range(500)])
    swaps.start()
    while swaps.is_alive():
        assert os.readlink(tmp_path / "latest").startswith("r")
    assert os.readlink(tmp_path / "latest") == "r499"
    assert os.listdir(tmp_path) == ["latest"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        runs.write_atomically(path, "new \udc80")
    assert path.read_text() == "old"
    runs.write_atomically(path, "new")
    assert path.read_text() == "new"


def test_all_output_goes_to_the_log(tmp_path):
    """From Python, from C++ by file descriptor, and from children; the stream given is the output of before."""
    code = """
import os, pathlib, subprocess, sys
from pipeline.console import output_to_log
print("before")
with output_to_log(pathlib.Path("log.txt")) as stream:
    print("python")
    os.write(1, b"descriptor\\n")
    os.write(2, b"error\\n")
    subprocess.run(["echo", "child"], check=True)
    print("shown", file=stream, flush=True)
print("after")
"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == ("before\nshown\nafter\n", "")
    assert sorted((tmp_path / "log.txt").read_text().splitlines()) == ["child", "descriptor", "error", "python"]


def test_output_comes_back_after_an_error(tmp_path, capfd):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError), output_to_log(tmp_path / "log.txt"):
        os.write(1, b"lost\n")
        _ = 1 / 0
    os.write(1, b"found\n")
    assert capfd.readouterr().out == "found\n"
    assert len(os.listdir("/proc/self/fd")) == before


class Terminal(io.StringIO):
    """A stream that says it is a terminal: there, the spinner turns."""

    def isatty(self) -> bool:
        return True


def test_the_spinner_leaves_the_libraries_output_to_the_log(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, libraries = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", libraries)
    with console.RunConsole(terminal) as screen:
        screen.working("Trainer (7 of 15)")
        print("a warning of TensorFlow's", file=sys.stderr)
    assert "Trainer (7 of 15)" in terminal.getvalue()
    assert libraries.getvalue() == "a warning of TensorFlow's\n"
