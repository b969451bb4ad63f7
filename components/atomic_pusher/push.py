"""Versions of a city's model in a local folder: pushed whole or not at all, found through `LATEST`. No TFX here.

File structure:
  - {base}/LATEST: the name of the version that a reader should take
  - {base}/{sha256[:12]}/fare.tflite
  - {base}/{sha256[:12]}/manifest.json: sha256, bytes, gzip_bytes, city, created, and what the pusher adds
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.tflite import FARE_FILE, gzip_bytes

FORMAT_VERSION = 1
MANIFEST_FILE, LATEST_FILE = "manifest.json", "LATEST"
STAGING_PREFIX = ".staging-"


def push(file: Path, base: Path, manifest: Mapping[str, Any]) -> str:
    """Ships the file as a version of `base`, points LATEST to it and returns the version's name.

    Bytes that are there already, intact, are not written again. Whatever moment the process dies at, LATEST names a
    whole version; what a dead push left is removed by the next one.
    """
    content = file.read_bytes()
    facts = describe(content, base.name, manifest)
    version = facts["sha256"][:12]
    base.mkdir(parents=True, exist_ok=True)
    with _exclusive(base):
        for leftover in base.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(leftover)
        if not is_intact(base / version):
            staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=base))
            _stage(staging, content, facts)
            _publish(staging, base / version)
        _point_latest(base, version)
    return version


def describe(content: bytes, city: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of these bytes; what is computed here wins over what the caller says."""
    return {
        **manifest,
        "format_version": FORMAT_VERSION,
        "city": city,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "gzip_bytes": gzip_bytes(content),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def is_intact(folder: Path) -> bool:
    """Whether a version folder holds exactly the bytes that its manifest and its name speak of."""
    try:
        sha256 = json.loads((folder / MANIFEST_FILE).read_text())["sha256"]
        content = (folder / FARE_FILE).read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return hashlib.sha256(content).hexdigest() == sha256 and sha256[:12] == folder.name


def is_offered(file: Path, base: Path) -> bool:
    """Whether readers of `base` get these bytes: LATEST names their version, and it is intact."""
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    try:
        return latest(base).name == version and is_intact(base / version)
    except InputError:
        return False


def latest(base: Path) -> Path:
    """The version folder that LATEST names.

    Raises:
        InputError: no LATEST, or it names no version that is there.
    """
    try:
        version = (base / LATEST_FILE).read_text().strip()
    except OSError as error:
        raise InputError(f"models={base} must have a {LATEST_FILE} file: {error.strerror}") from error
    if not re.fullmatch(r"[0-9a-f]{12}", version) or not (base / version / FARE_FILE).is_file():
        raise InputError(f"{LATEST_FILE}={version!r} must name a version with a {FARE_FILE}, in {base}")
    return base / version


def resolve_model(path: str | Path) -> Path:
    """The `.tflite` file meant by a file, by a version folder or by a `models/<city>` folder (its latest version).

    Raises:
        InputError: it is none of these.
    """
    path = Path(path)
    if path.is_file():
        return path
    if (path / FARE_FILE).is_file():
        return path / FARE_FILE
    if (path / LATEST_FILE).exists():
        return latest(path) / FARE_FILE
    found = "a folder with neither" if path.is_dir() else "nothing there"
    raise InputError(
        f"model={path} must be a .tflite file, a version folder with {FARE_FILE} or a models/<city> folder with "
        f"{LATEST_FILE}, got {found}"
    )


@contextlib.contextmanager
def _exclusive(base: Path) -> Iterator[None]:
    """One push at a time: with the lock held, every staging folder is a dead push's. The lock dies with its process."""
    with open(base / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stage(staging: Path, content: bytes, manifest: Mapping[str, Any]) -> None:
    _write_durably(staging / FARE_FILE, content)
    _write_durably(staging / MANIFEST_FILE, (json.dumps(manifest, indent=2) + "\n").encode())
    staging.chmod(0o755)  # mkdtemp's 0700 would keep other users from reading the model
    _sync_folder(staging)


def _publish(staging: Path, version: Path) -> None:
    """Renames the whole folder; a damaged version is mended file by file, so that it is never missing."""
    if version.is_dir():
        for name in (FARE_FILE, MANIFEST_FILE):
            os.replace(staging / name, version / name)
        _sync_folder(version)
        staging.rmdir()
    else:
        os.rename(staging, version)
    _sync_folder(version.parent)


def _point_latest(base: Path, version: str) -> None:
    temporary = base / f".{LATEST_FILE}.tmp"
    _write_durably(temporary, f"{version}\n".encode())
    os.replace(temporary, base / LATEST_FILE)
    _sync_folder(base)


def _write_durably(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes names durable: fsync of a file does not cover its entry in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
