"""Measurements of a process, their medians, and a picture of the figures."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from farebox.components.device_validator.machine import processor

ROOT = Path(__file__).parents[1]


def measured(command: Sequence[str | Path], log: Path) -> dict[str, float]:
    """Runs a command to its end, with its output in `log`.

    Returns CPU seconds of the command and of the children that it waited for, wall seconds, and the peak RSS in MB of
    the largest of these processes. Raises RuntimeError if the command fails.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall_s, "peak_mb": usage.ru_maxrss / 1024}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of each figure over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def machine() -> dict[str, str | int]:
    """Facts on which the figures depend: processor, cores, versions."""
    from importlib.metadata import version

    packages = {name: version(name) for name in ("tfx", "tensorflow", "apache-beam")}
    return {"processor": processor(), "cores": os.cpu_count() or 1, "python": platform.python_version(), **packages}


def bars(figures: Mapping[str, float], what: str, path: Path) -> None:
    """Draws a PNG with a bar for each figure, the first on top."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.5 * len(figures)), layout="constrained")
    drawn = axes.barh(list(figures), list(figures.values()), color="#3b6ea5")
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(what)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def python(*arguments: str | Path) -> list[str | Path]:
    """Returns a command line that starts this interpreter."""
    return [sys.executable, *arguments]
