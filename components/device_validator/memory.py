"""What memory a process needs that loads a file and runs one row: measured in a process of its own, by itself.

Run as `python -m farebox.components.device_validator.memory MODEL ROWS.npz`; prints KiB.
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
    """By how many KiB the peak of resident memory grows, in a fresh process; None where that process gave no answer.

    The interpreter tells no arena, and XNNPACK's packed weights are not in it. getrusage's ru_maxrss outlives exec: a
    child would start with its parent's. VmHWM belongs to the process image, moves by 150 KiB from run to run, and holds
    8.5 MiB of the runtime's own pages.
    """
    command = [sys.executable, "-I", "-m", __name__, str(model), str(rows)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return float(child.stdout) if child.returncode == 0 else None


def _peak_kib() -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    if not found:
        raise RuntimeError("/proc/self/status has no VmHWM: DeviceValidator measures memory on Linux only")
    return float(found.group(1))


def main(arguments: Sequence[str]) -> None:
    """The process that is measured."""
    model, rows_path = arguments
    with np.load(rows_path) as rows:
        row = {name: column[:1] for name, column in rows.items()}
    interpreter.runtime()  # imported before the first look
    before = _peak_kib()
    interpreter.TfliteModel(model).predict(row)
    print(_peak_kib() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
