"""The files of trips in a bucket, by TFX's file systems; paths without a scheme are this machine's."""

from __future__ import annotations

import os
from collections.abc import Iterator

from farebox.components.files.buckets import fileio
from farebox.components.trip_example_gen.sources.file_lists import LOCAL_FILES, FileSystem


def file_system_of(path: str) -> FileSystem:
    """The file system that has the path."""
    return REMOTE_FILES if "://" in path else LOCAL_FILES


def _glob(pattern: str) -> list[str]:
    return [os.fsdecode(path) for path in fileio.glob(pattern)]


def _walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    yield from fileio.walk(top)


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = fileio.stat(path)
    except fileio.NotFoundError:
        return 0, 0
    return status.length, status.mtime_nsec


REMOTE_FILES = FileSystem(_glob, fileio.isdir, fileio.exists, _size_and_time, _walk)
