"""Versions in an object store (gs://, s3://, hdfs:// ...) through TFX's file systems, without renames or locks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from farebox.components.atomic_pusher.store import (
    MANIFEST_FILE,
    VERSION_FILES,
    LocalStore,
    Store,
    is_version,
    must_read_back,
)
from farebox.components.files.buckets import fileio


def store_at(base: str) -> Store:
    """The store of an address, or of a folder."""
    return ObjectStore(base) if "://" in base else LocalStore(Path(base))


class ObjectStore:
    """A version is complete once its manifest is there: written last, removed first. Allows one writer at a time."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Takes no lock, because there is none: the orchestrator must run one writer at a time."""
        fileio.makedirs(self.base)
        yield

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        path = f"{self.base}/{name}"
        if not fileio.exists(path):
            raise FileNotFoundError(path)
        with fileio.open(path, "rb") as file:
            content: bytes = file.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Writes one object and reads it back; removes and writes it again if it differs: TensorFlow's ram:// appends.

        Raises RuntimeError if the object still differs from what was written.
        """
        path = f"{self.base}/{name}"
        self._put(path, content)
        if self.read(name) != content:
            fileio.remove(path)
            self._put(path, content)
            must_read_back(path, self.read(name), content)

    def discard(self, name: str) -> None:
        """Removes an object, if it is there."""
        if fileio.exists(f"{self.base}/{name}"):
            fileio.remove(f"{self.base}/{name}")

    def versions(self) -> list[str]:
        """The names of all versions, complete or not."""
        return sorted({name for entry in fileio.listdir(self.base) if is_version(name := entry.strip("/"))})

    def version(self, name: str) -> dict[str, bytes]:
        """The files of this version, of those in VERSION_FILES."""
        files = {}
        for file in VERSION_FILES:
            with contextlib.suppress(FileNotFoundError):
                files[file] = self.read(f"{name}/{file}")
        return files

    def publish(self, name: str, files: Mapping[str, bytes]) -> None:
        """Removes damaged files, then writes all files, the manifest last."""
        self._remove_files(name)
        fileio.makedirs(f"{self.base}/{name}")
        for file in sorted(files, key=lambda file: file == MANIFEST_FILE):
            self.write(f"{name}/{file}", files[file])

    def remove(self, name: str) -> None:
        """Removes the manifest first, so that the version is incomplete at once."""
        self._remove_files(name)
        fileio.rmtree(f"{self.base}/{name}")

    def _put(self, path: str, content: bytes) -> None:
        with fileio.open(path, "wb") as file:
            file.write(content)

    def _remove_files(self, name: str) -> None:
        for file in sorted(VERSION_FILES, key=lambda file: file != MANIFEST_FILE):
            if fileio.exists(f"{self.base}/{name}/{file}"):
                fileio.remove(f"{self.base}/{name}/{file}")
