"""Whether this machine can do the job: what was found, and whether it serves."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.metadata
import os
import platform
import shutil
import sys

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources import find_files, resolve_source
from farebox.pipeline.provenance import LIBRARIES, lane

OPENMP = "libgomp.so.1"
MIN_FREE_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    ok: bool
    found: str


def examine() -> list[Finding]:
    """Looks at everything that a run needs; imports neither TFX nor TensorFlow."""
    return [
        python(),
        glibc(),
        *map(library, (*LIBRARIES, "apache-beam", "tf-keras", "ai-edge-litert")),
        openmp(),
        disk(),
        trips(),
    ]


def python() -> Finding:
    """Python's version decides the lane."""
    ok = (3, 10) <= sys.version_info < (3, 14)
    return Finding(
        "Python",
        ok,
        f"{platform.python_version()}, lane {lane()}" if ok else f"{platform.python_version()}, needs 3.10-3.13",
    )


def glibc() -> Finding:
    """Lane B's wheels need a recent one."""
    _, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2]) if version else ()
    needed = (2, 39) if lane() == "B" else (2, 17)
    return Finding("glibc", numbers >= needed, f"{version or 'none'}, needs {needed[0]}.{needed[1]}")


def library(name: str) -> Finding:
    """An installed distribution."""
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed: make setup")


def openmp() -> Finding:
    """LightGBM's threads; its wheel brings no runtime of its own."""
    try:
        ctypes.CDLL(OPENMP)
    except OSError:
        return Finding("OpenMP", False, f"no {OPENMP} (Debian: libgomp1, Fedora: libgomp)")
    return Finding("OpenMP", True, OPENMP)


def disk() -> Finding:
    """Space for runs and models in the current folder."""
    free = shutil.disk_usage(os.getcwd()).free
    return Finding("disk", free >= MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free, needs {MIN_FREE_BYTES / 2**30:.0f}")


def trips() -> Finding:
    """The embedded Chicago trips inside the tfx package."""
    from farebox.pipeline.settings.load import city_file, read_yaml

    try:
        files = find_files(resolve_source(read_yaml(city_file("chicago"))["city"]["source"]))
    except InputError as error:
        return Finding("embedded trips", False, str(error))
    return Finding("embedded trips", True, files[0])
