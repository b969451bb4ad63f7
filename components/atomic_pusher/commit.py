"""The commit of the code that pushes, for the manifest."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 10.0
DIRTY = "-dirty"


def code_commit(folder: Path = CHECKOUT) -> str | None:
    """The commit of the checkout that this code runs from, followed by `-dirty` if tracked files have changed.

    None if it is no checkout, as in a wheel or an image, or git cannot tell.
    """
    if not (folder / ".git").exists():  # git would find a checkout that a virtual environment lies in
        return None
    try:
        commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "-uno")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + (DIRTY if changes else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout.strip()
