"""`farebox doctor`: what this machine has and what it lacks."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import sys

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources.reading import find_files, resolve_source
from farebox.pipeline import process
from farebox.pipeline.commands.options import AsJson
from farebox.pipeline.provenance import LIBRARIES, OPTIONAL_LIBRARIES, lane

OPENMP = "libgomp.so.1"
MIN_FREE_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class Finding:
    """A part of the machine that a run needs."""

    name: str
    ok: bool
    value: str


def doctor(as_json: AsJson = False) -> None:
    """Says what this machine has and what it lacks."""
    findings = examine()
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'MISS'} {finding.name:<20} {finding.value}")
    if not all(finding.ok for finding in findings):
        sys.exit(process.BAD_INPUT)


def examine() -> list[Finding]:
    """Looks at everything that a run needs. Imports neither TFX nor TensorFlow."""
    return [
        python(),
        glibc(),
        *map(library, (*LIBRARIES, "apache-beam", "tf-keras")),
        *map(optional_library, OPTIONAL_LIBRARIES),
        openmp(),
        disk(),
        trips(),
    ]


def python() -> Finding:
    """The version of Python, which decides the lane."""
    ok = (3, 10) <= sys.version_info < (3, 14)
    return Finding(
        "Python",
        ok,
        f"{platform.python_version()}, lane {lane()}" if ok else f"{platform.python_version()}, needs 3.10-3.13",
    )


def glibc() -> Finding:
    """The C library; lane B's wheels need a recent one."""
    _, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2]) if version else ()
    needed = (2, 39) if lane() == "B" else (2, 28)
    return Finding("glibc", numbers >= needed, f"{version or 'none'}, needs {needed[0]}.{needed[1]}")


def library(name: str) -> Finding:
    """An installed distribution."""
    try:
        return Finding(name, ok=True, value=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, ok=False, value="not installed: make setup")


def optional_library(name: str) -> Finding:
    """A distribution that a run does without."""
    finding = library(name)
    return finding if finding.ok else Finding(name, ok=True, value="not installed: a run does without it")


def openmp() -> Finding:
    """The OpenMP runtime, which LightGBM's wheel does not bring."""
    try:
        ctypes.CDLL(OPENMP)
    except OSError:
        return Finding("OpenMP", ok=False, value=f"no {OPENMP} (Debian: libgomp1, Fedora: libgomp)")
    return Finding("OpenMP", ok=True, value=OPENMP)


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
        return Finding("embedded trips", ok=False, value=str(error))
    return Finding("embedded trips", ok=True, value=files[0])
