"""TFX's file operations on plain paths, done by Python; TFX's default imports TensorFlow for them."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from tfx.dsl.io import filesystem, filesystem_registry
from tfx.dsl.io.plugins.local import LocalFilesystem


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


class _PlainPathsFirst(filesystem_registry.FilesystemRegistry):
    """Answers for plain paths and asks the other registry for paths with a scheme."""

    def __init__(self, others: filesystem_registry.FilesystemRegistry) -> None:
        super().__init__()
        self._others = others

    def register(self, *args: Any, **options: Any) -> None:
        self._others.register(*args, **options)

    def get_filesystem_for_scheme(self, scheme: Any) -> type[filesystem.Filesystem]:
        return self._others.get_filesystem_for_scheme(scheme) if scheme else LocalFiles


@contextlib.contextmanager
def plain_paths_first() -> Iterator[None]:
    """Makes TFX use it for plain paths, and gives TFX its own registry back at the end: nodes of a cluster in the same
    process write text to binary files, which only TensorFlow takes."""
    theirs = filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY = _PlainPathsFirst(theirs)
    try:
        yield
    finally:
        filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY = theirs
