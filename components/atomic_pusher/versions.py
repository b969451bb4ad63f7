"""Lists, verifies and rolls back the versions of a local folder. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farebox.components.atomic_pusher import manifest as manifests
from farebox.components.atomic_pusher.history import History
from farebox.components.atomic_pusher.push import (
    CANDIDATE_FILE,
    LATEST_FILE,
    candidate_name,
    discard_candidate,
    latest_name,
    open_model,
    point_latest,
    read_history,
)
from farebox.components.atomic_pusher.store import MANIFEST_FILE, SIGNATURE_FILE, LocalStore, is_version
from farebox.components.errors import InputError
from farebox.components.tflite.files import FARE_FILE


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of a city; faults: empty if it is intact; metrics: from its manifest."""

    city: str
    version: str
    created: str
    latest: bool
    candidate: bool
    rolled_back: bool
    dropped: bool
    signed: bool
    bytes: int
    metrics: dict[str, Any]
    faults: list[str]


def cities(models: Path, city: str | None = None) -> list[Path]:
    """The folders of all cities in `models`, or of one city. Raises InputError if there is none."""
    folders = sorted(folder for folder in models.glob("*") if folder.is_dir())
    chosen = [folder for folder in folders if city in (None, folder.name)]
    if not chosen:
        names = ", ".join(folder.name for folder in folders)
        raise InputError(f"city={city or 'any'} must be a folder in {models}, got {names or 'none there'}")
    return chosen


def versions_of(base: Path) -> list[Version]:
    """The city's versions, newest first, without those that are removed meanwhile."""
    store = LocalStore(base)
    read = {name: store.version(name) for name in store.versions()}
    pointers, history = (latest_name(store), candidate_name(store)), read_history(store)
    versions = [_version(base.name, name, files, pointers, history) for name, files in read.items() if files]
    return sorted(versions, key=lambda version: version.created, reverse=True)


def verify(folder: Path, key: str | None = None) -> tuple[int, list[str]]:
    """Number of versions in a version's or a city's folder, and a line per fault; key: PEM file of a public key.

    Raises InputError if the folder is neither, or the key cannot be used.
    """
    folder, names = folder.resolve(), []
    store = LocalStore(folder)
    if (folder / FARE_FILE).exists() or (folder / MANIFEST_FILE).exists() or is_version(folder.name):
        store, names = LocalStore(folder.parent), [folder.name] if folder.is_dir() else []
    elif folder.is_dir():
        names = store.versions()
    if not names:
        raise InputError(f"models={folder} must be a version's folder, or models/CITY with versions, got neither")
    lines = [f"{store.base / name}: {fault}" for name in names for fault in version_faults(store, name, key)]
    if store.base == folder:
        read_history(store)
    if store.base == folder and latest_name(store) not in names:
        lines.append(f"{folder / LATEST_FILE} must name one of its versions, got {latest_name(store)}")
    if store.base == folder and (candidate := candidate_name(store)) and candidate not in names:
        lines.append(f"{folder / CANDIDATE_FILE} must name one of its versions, got {candidate}")
    return len(names), lines


def version_faults(store: LocalStore, name: str, key: str | None = None) -> list[str]:
    """A line per fault: files that do not match the manifest, or a missing or wrong signature."""
    files = store.version(name)
    lines = manifests.faults(name, files)
    if key and MANIFEST_FILE in files:
        from farebox.components.atomic_pusher import signature

        public = signature.public_key(key)
        if SIGNATURE_FILE not in files:
            lines.append(f"{SIGNATURE_FILE} must be there, to be checked with {key}")
        elif not signature.is_signed(files[MANIFEST_FILE], files[SIGNATURE_FILE], public):
            lines.append(f"{SIGNATURE_FILE} must be a signature of {MANIFEST_FILE} by the owner of {key}")
    return lines


def read_model(path: str | Path, key: str | None = None) -> tuple[Path, bytes]:
    """The file of `path` and its bytes, which must match the manifest beside a version's file.

    key: PEM file of a public key; then there must be a manifest, signed by its owner.

    Raises InputError if something does not match.
    """
    return open_model(path, lambda file: (file, _checked_content(file, key)))


def read_beside(file: Path, name: str) -> bytes | None:
    """The content of a file of `manifest.BESIDE` beside a model's file; None if there is none.

    Raises InputError if a manifest is there and names other bytes, or none.
    """
    folder = file.resolve().parent
    files = LocalStore(folder.parent).version(folder.name)
    if MANIFEST_FILE in files and file.name == FARE_FILE:
        faults = manifests.faults_beside(name, manifests.facts(files), files.get(name))
        if faults:
            raise InputError(f"model={file}: {faults[0]}")
    return files.get(name)


def facts_beside(file: Path) -> dict[str, Any]:
    """The manifest beside a version's file; empty if there is none."""
    folder = file.resolve().parent
    return manifests.facts(LocalStore(folder.parent).version(folder.name)) if file.name == FARE_FILE else {}


def rollback(base: Path, wanted: str | None = None, note: str = "") -> tuple[str | None, str]:
    """Points LATEST to a version, by default to the previous one; returns what LATEST named before and names now.

    wanted: a version's name or an unambiguous beginning. Versions that were named after it are recorded as rolled back:
    no push brings them back. The candidate is promoted. note: why, for HISTORY, about the version that LATEST named.

    Raises:
        InputError: no such version, more than one, or a damaged one.
    """
    store = LocalStore(base)
    with store.exclusive():
        there, history, latest = store.versions(), read_history(store), latest_name(store)
        target = named(wanted, there, base) if wanted else history.before(latest, there)
        if target is None:
            raise InputError(f"version must be given: nothing in {base} was latest before {latest}")
        faults = manifests.faults(target, store.version(target))
        if faults:
            raise InputError(f"version={target} in {base} must be intact: {faults[0]}")
        if latest is None or target == candidate_name(store):
            after = history.at(latest).pushed(target)
        else:
            after = history.rolled_back_to(target, latest).noted(latest, note if latest != target else "")
        point_latest(store, target, latest, after)
        discard_candidate(store, target)
    return latest, target


def named(wanted: str, there: list[str], base: Path) -> str:
    """The version whose name begins so, among those that are there. Raises InputError unless there is exactly one."""
    matches = [name for name in there if name.startswith(wanted)]
    if len(matches) != 1:
        names = ", ".join(matches or there) or "none"
        raise InputError(f"version={wanted} must be the beginning of one version in {base}, got {names}")
    return matches[0]


def _version(
    city: str, name: str, files: dict[str, bytes], pointers: tuple[str | None, str | None], history: History
) -> Version:
    """pointers: what LATEST and CANDIDATE name."""
    manifest = manifests.facts(files)
    metrics = manifest.get("metrics")
    return Version(
        city=city,
        version=name,
        created=str(manifest.get("created", "")),
        latest=name == pointers[0],
        candidate=name == pointers[1],
        rolled_back=name in history.rolled_back,
        dropped=name in history.dropped,
        signed=SIGNATURE_FILE in files,
        bytes=len(files.get(FARE_FILE, b"")),
        metrics=metrics if isinstance(metrics, dict) else {},
        faults=manifests.faults(name, files),
    )


def _checked_content(file: Path, key: str | None) -> bytes:
    folder = file.resolve().parent
    files = LocalStore(folder.parent).version(folder.name)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"model={file} cannot be read: {error.strerror}") from error
    if key is not None:
        _must_be_signed(file, files, key)
    elif file.name != FARE_FILE or MANIFEST_FILE not in files:
        return content  # not a version: nothing to match
    if manifests.facts(files).get("sha256") != manifests.sha256(content):
        raise InputError(f"model={file} must be the file that {MANIFEST_FILE} speaks of, got other bytes")
    return content


def _must_be_signed(file: Path, files: Mapping[str, bytes], key: str) -> None:
    from farebox.components.atomic_pusher import signature

    public = signature.public_key(key)
    if MANIFEST_FILE not in files or SIGNATURE_FILE not in files:
        raise InputError(f"model={file} must have {MANIFEST_FILE} and {SIGNATURE_FILE} beside it")
    if not signature.is_signed(files[MANIFEST_FILE], files[SIGNATURE_FILE], public):
        raise InputError(f"model={file}: {SIGNATURE_FILE} must be a signature of {MANIFEST_FILE} by the owner of {key}")
