"""The folder of a city's runs: its lock, a run's id, and the link to the latest run."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path

from farebox.components.errors import InputError
from farebox.components.files import locked

SUMMARY_FILE, LOG_FILE, LATEST = "summary.json", "log.txt", "latest"


@contextlib.contextmanager
def exclusive(runs_dir: Path) -> Iterator[None]:
    """Holds the city's lock. Raises InputError if another run holds it, or the folder cannot be written."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(runs_dir / ".lock", wait=False))
        except BlockingIOError as error:
            raise InputError(f"another run is going on in {runs_dir}: wait for it to end") from error
        yield


def new_run_id() -> str:
    """An id made of the moment, to the millisecond; the process gets no second one within it."""
    moment = datetime.datetime.now()
    time.sleep(0.001)
    return moment.strftime("%Y%m%d-%H%M%S-%f")[:-3]


def make_folder(folder: Path) -> None:
    """Makes a folder with a log file. Raises InputError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG_FILE).touch()
    except OSError as error:
        raise InputError(f"out: {folder} cannot be written: {error.strerror}") from error


def point_latest(runs_dir: Path, run_id: str) -> None:
    """Points the link `latest` to this run."""
    aside = runs_dir / f".{LATEST}.{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(run_id)
    aside.replace(runs_dir / LATEST)
