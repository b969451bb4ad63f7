"""TFX's file operations on plain paths, done by Python; TFX's default imports TensorFlow for them."""

from __future__ import annotations

import stat
from typing import Any, NamedTuple

from tfx.dsl.io import filesystem_registry
from tfx.dsl.io.plugins.local import LocalFilesystem

FIRST = -1  # TensorFlow's priority is 10


class FileStatistics(NamedTuple):
    """The names that TensorFlow gives to a file's statistics; TFX's fingerprints of data read them."""

    length: int
    mtime_nsec: int
    is_directory: bool


class LocalFiles(LocalFilesystem):
    """TFX's own local file system, with a `stat` that its fingerprints can read."""

    @staticmethod
    def stat(path: Any) -> FileStatistics:
        status = LocalFilesystem.stat(path)
        return FileStatistics(status.st_size, status.st_mtime_ns, stat.S_ISDIR(status.st_mode))


def register() -> None:
    """Makes TFX use it in this process for plain paths; paths with a scheme stay TensorFlow's."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(LocalFiles, FIRST)
