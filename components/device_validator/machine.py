"""The machine on which a time was measured, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_FILE = Path("/proc/cpuinfo")  # Linux


def machine() -> str:
    """Processor, architecture and number of cores: `AMD EPYC 7B13, x86_64, 2 cores`."""
    cores = os.cpu_count() or 1
    return f"{processor()}, {platform.machine()}, {cores} core{'s' if cores > 1 else ''}"


def processor() -> str:
    """The processor's name; where the system does not tell it, the architecture."""
    lines = CPU_FILE.read_text().splitlines() if CPU_FILE.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
