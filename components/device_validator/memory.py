"""Memory that loading a file and running one row needs, measured in a child process.

The child runs `python -m farebox.components.device_validator.memory MODEL ROWS.npz`; prints KiB.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farebox.components.tflite import interpreter

TIMEOUT_S = 60


def growth_kib(model: Path, rows: Path) -> float | None:
    """Growth of peak resident memory in KiB in a child process; None if the child gave no answer.

    The interpreter does not report its arena, which lacks XNNPACK's packed weights anyway. getrusage's ru_maxrss
    survives exec: a child would start with its parent's. VmHWM belongs to the process image, varies by 150 KiB from run
    to run, and includes 8.5 MiB of the runtime's own pages.
    """
    command = [sys.executable, "-I", "-m", __name__, str(model), str(rows)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return float(child.stdout) if child.returncode == 0 else None


def _peak_kib() -> float:
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    if not peak:
        raise RuntimeError("/proc/self/status has no VmHWM: DeviceValidator measures memory on Linux only")
    return float(peak.group(1))


def main(arguments: Sequence[str]) -> None:
    """The child process: prints KiB."""
    model, rows_path = arguments
    with np.load(rows_path) as rows:
        row = {name: column[:1] for name, column in rows.items()}
    interpreter.runtime()  # imports the runtime before the first measurement
    before = _peak_kib()
    interpreter.TfliteModel(model).predict(row)
    print(_peak_kib() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
