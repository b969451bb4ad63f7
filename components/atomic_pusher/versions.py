"""What a person does with the versions of a local folder: list, verify, roll back. No TFX here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farebox.components.atomic_pusher import manifest as manifests
from farebox.components.atomic_pusher.push import LATEST_FILE, latest_name, open_model, point_latest, read_history
from farebox.components.atomic_pusher.store import MANIFEST_FILE, SIGNATURE_FILE, LocalStore, is_version
from farebox.components.errors import InputError
from farebox.components.tflite.files import FARE_FILE


@dataclasses.dataclass(frozen=True)
class Version:
    """One of a city's versions; `faults` is empty where it is intact, `metrics` as its manifest has them."""

    city: str
    version: str
    created: str
    latest: bool
    rolled_back: bool
    signed: bool
    bytes: int
    metrics: dict[str, Any]
    faults: list[str]


def cities(models: Path, city: str | None = None) -> list[Path]:
    """The folders of all cities in `models`, or of one. Raises InputError where there is none."""
    found = sorted(folder for folder in models.glob("*") if folder.is_dir())
    chosen = [folder for folder in found if city in (None, folder.name)]
    if not chosen:
        names = ", ".join(folder.name for folder in found)
        raise InputError(f"city={city or 'any'} must be a folder in {models}, got {names or 'none there'}")
    return chosen


def versions_of(base: Path) -> list[Version]:
    """The city's versions, newest first; one that is removed meanwhile is left out."""
    store = LocalStore(base)
    read = {name: store.version(name) for name in store.versions()}
    latest, rolled_back = latest_name(store), read_history(store).rolled_back
    found = [_version(base.name, name, files, latest, rolled_back) for name, files in read.items() if files]
    return sorted(found, key=lambda version: version.created, reverse=True)


def verify(folder: Path, key: str | None = None) -> tuple[int, list[str]]:
    """How many versions a version's folder or a city's holds, and a line per fault; `key` is a public key's PEM file.

    Raises InputError where it is neither, or the key is none.
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
    return len(names), lines


def version_faults(store: LocalStore, name: str, key: str | None = None) -> list[str]:
    """A line for each way in which the version is not what its manifest says, or not signed with this key's other."""
    files = store.version(name)
    found = manifests.faults(name, files)
    if key and MANIFEST_FILE in files:
        from farebox.components.atomic_pusher import signature

        public = signature.public_key(key)
        if SIGNATURE_FILE not in files:
            found.append(f"{SIGNATURE_FILE} must be there, to be checked with {key}")
        elif not signature.is_signed(files[MANIFEST_FILE], files[SIGNATURE_FILE], public):
            found.append(f"{SIGNATURE_FILE} must be a signature of {MANIFEST_FILE} by the owner of {key}")
    return found


def read_model(path: str | Path, key: str | None = None) -> tuple[Path, bytes]:
    """The file meant by `path` and its bytes, of which the manifest beside a version's file must speak.

    key: a public key's PEM file; then there must be a manifest, signed by its owner.

    Raises InputError where something does not match.
    """
    return open_model(path, lambda file: (file, _checked_content(file, key)))


def rollback(base: Path, wanted: str | None = None) -> tuple[str | None, str]:
    """Points LATEST to a version, or to the one that was latest before; returns what LATEST named, and names now.

    wanted: a version's name, or so much of it that no other begins so. Versions that were named after it are recorded
    as rolled back: no push brings them back.

    Raises:
        InputError: no such version, more than one, or a damaged one.
    """
    store = LocalStore(base)
    with store.exclusive():
        there, history, latest = store.versions(), read_history(store), latest_name(store)
        target = _named(wanted, there, base) if wanted else history.before(latest, there)
        if target is None:
            raise InputError(f"version must be given: nothing in {base} was latest before {latest}")
        faults = manifests.faults(target, store.version(target))
        if faults:
            raise InputError(f"version={target} in {base} must be intact: {faults[0]}")
        after = history.rolled_back_to(target, latest) if latest else history.pushed(target)
        point_latest(store, target, latest, after)
    return latest, target


def _named(wanted: str, there: list[str], base: Path) -> str:
    found = [name for name in there if name.startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(found or there) or "none"
        raise InputError(f"version={wanted} must be the beginning of one version in {base}, got {names}")
    return found[0]


def _version(
    city: str, name: str, files: dict[str, bytes], latest: str | None, rolled_back: tuple[str, ...]
) -> Version:
    said = manifests.facts(files)
    metrics = said.get("metrics")
    return Version(
        city=city,
        version=name,
        created=str(said.get("created", "")),
        latest=name == latest,
        rolled_back=name in rolled_back,
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
        return content  # a file of anybody's
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
