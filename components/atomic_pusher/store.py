"""Stores of a city's versions. A local folder changes completely or not at all, even if the process dies."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from farebox.components.errors import InputError
from farebox.components.files import locked, sync_folder, write_atomically, write_durably
from farebox.components.tflite.files import CARD_FILE, CARD_TEXT, DENSITY_FILE, FARE_FILE, GOLDEN_FILE, LOCATIONS_FILE

MANIFEST_FILE, SIGNATURE_FILE = "manifest.json", "manifest.sig"
STATISTICS_FILE = "statistics.pb"  # of the rows that the model was trained on
VERSION_FILES = (
    FARE_FILE,
    GOLDEN_FILE,
    LOCATIONS_FILE,
    DENSITY_FILE,
    CARD_FILE,
    CARD_TEXT,
    STATISTICS_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
)
STAGING, REMOVED, ASIDE, LOCK_FILE = ".staging-", ".removed-", ".aside-", ".lock"


class Store(Protocol):
    """A folder of versions, with a few files beside them."""

    @property
    def base(self) -> str | Path:
        """Path or address of the folder."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Admits one writer at a time, if the store has locks."""

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, or replaces it."""

    def discard(self, name: str) -> None:
        """Removes a file, if it is there."""

    def versions(self) -> list[str]:
        """The names of all versions, complete or not."""

    def version(self, name: str) -> dict[str, bytes]:
        """The files of this version, of those in VERSION_FILES."""

    def publish(self, name: str, files: Mapping[str, bytes]) -> None:
        """Writes a new version, or repairs a damaged one."""

    def remove(self, name: str) -> None:
        """Removes a version; no reader sees a part of it."""


def is_version(name: str) -> bool:
    """Whether this is the name of a version: the first 12 digits of a SHA-256."""
    return bool(re.fullmatch(r"[0-9a-f]{12}", name))


class LocalStore:
    """A folder of this machine, where renames are atomic. A writer removes what a dead writer left behind."""

    def __init__(self, base: Path) -> None:
        self.base = base

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for other writers. The lock ends with its process, so temporary files now belong to dead processes.

        Raises InputError if the folder cannot be written.
        """
        try:
            self._make_base()
        except OSError as error:
            raise InputError(f"{self.base} cannot be written: {error.strerror}") from error
        with locked(self.base / LOCK_FILE):
            for leftover in self.base.glob(f"{ASIDE}*"):
                os.unlink(leftover)
            for prefix in (STAGING, REMOVED):
                for leftover in self.base.glob(f"{prefix}*"):
                    shutil.rmtree(leftover)
            yield

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        return (self.base / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file by a rename; the new content is durable on return."""
        write_atomically(self.base / name, content, durable=True, aside=self.base / f"{ASIDE}{Path(name).name}")

    def discard(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.base / name)
            sync_folder(self.base)

    def versions(self) -> list[str]:
        """The names of all versions, complete or not."""
        return sorted(entry.name for entry in os.scandir(self.base) if is_version(entry.name) and entry.is_dir())

    def version(self, name: str) -> dict[str, bytes]:
        """The files of this version, of those in VERSION_FILES, all from one folder even if another replaces it."""
        try:
            folder = os.open(self.base / name, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        try:
            return {file: content for file in VERSION_FILES if (content := _read_in(folder, file)) is not None}
        finally:
            os.close(folder)

    def publish(self, name: str, files: Mapping[str, bytes]) -> None:
        """Renames the whole folder into place; repairs a damaged version file by file, so that it is never missing.

        Raises RuntimeError if the disk returns other bytes than were written.
        """
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.base))
        for file, content in files.items():
            write_durably(staging / file, content)
            must_read_back(staging / file, (staging / file).read_bytes(), content)
        os.chmod(staging, 0o755)  # mkdtemp's 0700 would keep other users from reading the model
        sync_folder(staging)
        if (self.base / name).is_dir():
            self._repair(staging, self.base / name, files)
        else:
            os.rename(staging, self.base / name)
        sync_folder(self.base)

    def remove(self, name: str) -> None:
        """Renames the folder first, so that no path leads to a part of it."""
        aside = self.base / f"{REMOVED}{name}"
        os.rename(self.base / name, aside)
        sync_folder(self.base)
        shutil.rmtree(aside)

    def _make_base(self) -> None:
        missing = [folder for folder in (self.base, *self.base.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
            sync_folder(folder.parent)

    def _repair(self, staging: Path, folder: Path, files: Mapping[str, bytes]) -> None:
        for file in files:
            os.replace(staging / file, folder / file)
        for file in set(VERSION_FILES) - set(files):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / file)
        sync_folder(folder)
        os.rmdir(staging)


def must_read_back(place: object, content: bytes, written: bytes) -> None:
    """Raises RuntimeError if the content read from a place differs from what was written."""
    if content != written:
        raise RuntimeError(
            f"{place} must hold the {len(written)} B that were written, got others: the disk is at fault"
        )


def _read_in(folder: int, file: str) -> bytes | None:
    try:
        with open(os.open(file, os.O_RDONLY, dir_fd=folder), "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        return None
