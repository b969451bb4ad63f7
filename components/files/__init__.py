"""Files that no reader sees half-written, and locks that die with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from farebox.components.errors import InputError


def write_atomically(path: Path, content: str | bytes, *, durable: bool = False, aside: Path | None = None) -> None:
    """Writes `aside`, then renames it to `path`, so that a reader finds the old file or the new one.

    durable: the file survives a power failure once this returns. aside: by default `.NAME.PID` beside `path`.
    """
    aside = aside or path.with_name(f".{path.name}.{os.getpid()}")
    encoded = content.encode() if isinstance(content, str) else content
    if durable:
        write_durably(aside, encoded)
    else:
        aside.write_bytes(encoded)
    os.replace(aside, path)
    if durable:
        sync_folder(path.parent)


def write_all_atomically(folder: Path, contents: Mapping[str, str | bytes | Path]) -> list[Path]:
    """Writes texts, bytes or copies of files, by path below `folder`, which is made if needed.

    All are complete before any appears. Raises InputError if the folder cannot be written.
    """
    paths = {folder / name: content for name, content in contents.items()}
    asides = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in paths}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, aside in asides.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{path.name} in it is a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(_bytes_of(paths[path]))
        for path, aside in asides.items():
            os.replace(aside, path)
    except OSError as error:
        raise InputError(f"out={folder} must be a folder that can be written: {error.strerror}") from error
    finally:
        for aside in asides.values():
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
    return list(asides)


def _bytes_of(content: str | bytes | Path) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def write_durably(path: Path, content: bytes) -> None:
    """Writes a file and waits until the disk has it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: fsync of a file does not cover its entry in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock file `path`, whose folder is made if needed; the system frees it when the process dies.

    Raises:
        InputError: the lock file cannot be written.
        BlockingIOError: another process holds it, and `wait` is false.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "a")  # noqa: SIM115 - opening may fail, holding may not
    except OSError as error:
        raise InputError(f"{path.parent} cannot be written: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
