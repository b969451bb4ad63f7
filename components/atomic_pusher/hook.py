"""The command that is called when LATEST or CANDIDATE names a version, for example to tell a model registry."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence

from absl import logging

from farebox.components.atomic_pusher.store import MANIFEST_FILE
from farebox.components.errors import Check

CITY, VERSION, ROLE = "FAREBOX_CITY", "FAREBOX_VERSION", "FAREBOX_ROLE"
FOLDER, MANIFEST = "FAREBOX_FOLDER", "FAREBOX_MANIFEST"
GRACE_S = 1.0
SHOWN = 200  # characters of its last line, in a warning


def call_hook(command: Sequence[str], folder: str, timeout_s: float, *, is_candidate: bool = False) -> Check:
    """Calls the command with the version's folder and its manifest as last arguments; returns whether it succeeded.

    The check only warns: the version stays, whatever the command does. The command gets this process's environment,
    with the city, the version, its role (`latest` or `candidate`), the folder and the manifest under the names above.
    What it prints goes to the log. When its time is over it is killed, with the processes that it started.
    """
    arguments = [*command, folder, f"{folder}/{MANIFEST_FILE}"]
    fault, output = _run(arguments, {**os.environ, **variables(folder, is_candidate)}, timeout_s)
    for line in output.splitlines():
        logging.info("push.hook: %s", line)
    detail = f"{fault}: {_last_line(output)}" if fault and output.strip() else fault
    hint = f"the version stays; call the hook again: {shlex.join(arguments)}" if fault else ""
    return Check("push.hook", float(bool(fault)), 0.0, not fault, detail, hint, severity="warn")


def variables(folder: str, is_candidate: bool) -> dict[str, str]:
    """The environment variables that tell a hook of a version's folder."""
    city, version = folder.rstrip("/").split("/")[-2:]
    role = "candidate" if is_candidate else "latest"
    return {CITY: city, VERSION: version, ROLE: role, FOLDER: folder, MANIFEST: f"{folder}/{MANIFEST_FILE}"}


def _run(arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> tuple[str, str]:
    """The fault, empty if there is none, and what the command printed."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL character
        return f"{arguments[0]} cannot be started: {getattr(error, 'strerror', None) or error}", ""
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return f"it took more than push.hook_timeout_s={timeout_s:g}", _rest_of(process)
    return f"exit code {process.returncode}" if process.returncode else "", output


def _rest_of(process: subprocess.Popen[str]) -> str:
    """The output of a killed process; nothing if a process that left its group still holds the pipe."""
    try:
        return process.communicate(timeout=GRACE_S)[0]
    except subprocess.TimeoutExpired:
        return ""


def _last_line(output: str) -> str:
    return output.strip().splitlines()[-1].strip()[:SHOWN]
