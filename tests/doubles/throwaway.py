"""Environments of packages that are in no lock: a test installs them, uses them in a process of their own, and drops
them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def throwaway_python(folder: Path, *packages: str) -> Path:
    """The Python of a new environment with these packages. Skips the test, naming them, if they cannot be installed."""
    uv, python = Path(sys.prefix, "uv", "bin", "uv"), folder / "bin" / "python"
    for command in (("venv", "--python", sys.executable, folder), ("pip", "install", "--python", python, *packages)):
        try:
            subprocess.run([uv, *command, "--quiet"], check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
            pytest.skip(f"{', '.join(packages)} cannot be installed here: {lines[-1]}")
    return python
