"""TFX's file operations on plain paths, done by Python itself: by TFX's default they would import TensorFlow."""

from __future__ import annotations

import stat
from typing import Any, NamedTuple

from tfx.dsl.io import filesystem_registry
from tfx.dsl.io.plugins.local import LocalFilesystem

FIRST = -1  # before TensorFlow's, whose priority is 10


class FileStatistics(NamedTuple):
    """What TensorFlow calls them, which TFX's fingerprints of data expect."""

    length: int
    mtime_nsec: int
    is_directory: bool


class LocalFiles(LocalFilesystem):
    """TFX's own, but for `stat`."""

    @staticmethod
    def stat(path: Any) -> FileStatistics:
        found = LocalFilesystem.stat(path)
        return FileStatistics(found.st_size, found.st_mtime_ns, stat.S_ISDIR(found.st_mode))


def prefer() -> None:
    """From now on in this process; paths with a scheme stay TensorFlow's."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(LocalFiles, FIRST)
