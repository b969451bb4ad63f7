"""Measures what a piece of work costs this process: CPU, memory, time."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import time
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a node: CPU seconds (user and system, ended children included), this process's peak RSS in MB, elapsed
    seconds, and whether the result came from the cache."""

    cpu_s: float
    peak_mb: float
    wall_s: float = 0.0
    is_cached: bool = False


class Meter:
    """Measures the cost since its last start."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Starts anew."""
        self.cpu_s, self.started = cpu_seconds(), time.monotonic()
        reset_peak()

    def cost(self) -> Cost:
        """The cost up to now."""
        return Cost(cpu_seconds() - self.cpu_s, peak_mb(), time.monotonic() - self.started)


def reset_peak() -> None:
    """Resets the peak RSS of this process, if the system can do that (Linux: proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Peak RSS of this process in MB, since `reset_peak` if the system can tell."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
