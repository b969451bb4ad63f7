"""Versions of a city's model, pushed whole or not at all, found through `LATEST`. No TFX here.

File structure:
  - {base}/LATEST: the name of the version that a reader should take
  - {base}/CANDIDATE: the name of a version that a tick may make the latest, if there is one
  - {base}/HISTORY: what LATEST named before, what was rolled back or dropped, and why
  - {base}/{sha256[:12]}/fare.tflite
  - {base}/{sha256[:12]}/golden.json: rows and what the file answers to them, from DeviceValidator
  - {base}/{sha256[:12]}/locations.json: coordinates of the city's zones or places by id, if it has such a table
  - {base}/{sha256[:12]}/statistics.pb: TFDV's statistics of train, if a cluster pushed it: the baseline of drift
  - {base}/{sha256[:12]}/density.json: numbers of trips by cell of a coarse grid, cells of few trips left out
  - {base}/{sha256[:12]}/model_card.json, model_card.md: for whom it is, how well it does, and where not
  - {base}/{sha256[:12]}/manifest.json: sha256, bytes, gzip_bytes, city, created, parents, inputs, output and facts from
    the file's own metadata, digests of the files beside it, candidate, and what the pusher adds
  - {base}/{sha256[:12]}/manifest.sig: an Ed25519 signature of manifest.json, where there is a key
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from farebox.components.atomic_pusher import manifest as manifests
from farebox.components.atomic_pusher.history import HISTORY_FILE, History
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    STATISTICS_FILE,
    LocalStore,
    Store,
    is_version,
)
from farebox.components.errors import Check, GateError, InputError
from farebox.components.tflite.files import FARE_FILE, GOLDEN_FILE, LOCATIONS_FILE

LATEST_FILE, CANDIDATE_FILE = "LATEST", "CANDIDATE"

Opened = TypeVar("Opened")


def push(
    content: bytes,
    store: Store,
    manifest: Mapping[str, Any],
    settings: PushSettings | None = None,
    *,
    golden: bytes | None = None,
    locations: bytes | None = None,
    statistics: bytes | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> str:
    """Ships the bytes as a version, points LATEST to it, removes what is beyond `keep`, returns the version's name.

    With `settings.canary`, points CANDIDATE to it instead, unless it is the first version or the latest one.

    Bytes that are there already, intact, are not written again. Whatever moment the process dies at, LATEST names a
    whole version, and the same push again ends as if nothing had happened. golden, locations, statistics: the content
    of golden.json, locations.json and statistics.pb, if there is one;
    beside: of other files by name.

    Raises:
        GateError: a person rolled exactly these bytes back.
        InputError: the signing key, or HISTORY, cannot be used.
    """
    settings = settings or PushSettings()
    name = manifests.version_name(content)
    with store.exclusive():
        latest = latest_name(store)
        history = read_history(store)
        refuse_rolled_back(name, history, store)
        is_candidate = settings.canary and latest not in (None, name)
        after = _with_note_on_candidate(history.at(latest), name, candidate_name(store), is_candidate=is_candidate)
        after = after if is_candidate else after.pushed(name)
        before = after.before(latest if is_candidate else name, store.versions())
        parents = [latest] if is_candidate else list(after.named[-2:-1])
        facts = {**manifest, "parents": parents, **({"candidate": True} if is_candidate else {})}
        optional = {GOLDEN_FILE: golden, LOCATIONS_FILE: locations, STATISTICS_FILE: statistics, **(beside or {})}
        there = {file: text for file, text in optional.items() if text is not None}
        described = manifests.describe(content, _city(store), facts, there)
        _ship(store, name, {FARE_FILE: content, **there}, described, settings.signing_key)
        write_history(store, after)
        if is_candidate:
            store.write(CANDIDATE_FILE, f"{name}\n".encode())
        else:
            store.discard(CANDIDATE_FILE)  # before LATEST: an older candidate must not replace this version
            point_latest(store, name, latest, after)
        for version in _beyond(
            settings.keep, store, [each for each in (name, before, is_candidate and latest) if each]
        ):
            store.remove(version)
    return name


def refuse_rolled_back(name: str, history: History, store: Store) -> None:
    """Raises GateError if this version was rolled back, or dropped as a candidate: a push must not undo that."""
    if name in history.barred:
        hint = f"roll back to version {name}: that points {LATEST_FILE} to it again"
        what = "rolled back" if name in history.rolled_back else "dropped as a candidate"
        detail = f"version {name} was {what} in {store.base}: {hint}"
        raise GateError(detail, [Check("rolled_back", 1.0, 0.0, ok=False, detail=detail, hint=hint)])


def latest_name(store: Store) -> str | None:
    """The version that LATEST names; None if it names none."""
    return _name_in(store, LATEST_FILE)


def candidate_name(store: Store) -> str | None:
    """The version that CANDIDATE names; None if it is the latest one or barred: a promotion or a drop that died."""
    name = _name_in(store, CANDIDATE_FILE)
    return None if name is None or name == latest_name(store) or name in read_history(store).barred else name


def discard_candidate(store: Store, version: str) -> None:
    """Removes CANDIDATE if it names this version."""
    if _name_in(store, CANDIDATE_FILE) == version:
        store.discard(CANDIDATE_FILE)


def _name_in(store: Store, file: str) -> str | None:
    try:
        name = store.read(file).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    return name if is_version(name) else None


def read_history(store: Store) -> History:
    """The history, empty without one. Raises InputError if it cannot be read."""
    try:
        return History.parse(store.read(HISTORY_FILE), store.base)
    except FileNotFoundError:
        return History()


def point_latest(store: Store, name: str, latest: str | None, history: History) -> None:
    """Writes HISTORY first, then LATEST, each only if it changes."""
    write_history(store, history)
    if latest != name:
        store.write(LATEST_FILE, f"{name}\n".encode())


def write_history(store: Store, history: History) -> None:
    """Writes HISTORY if it changes."""
    if read_history(store) != history:
        store.write(HISTORY_FILE, history.encode())


def is_intact(folder: Path) -> bool:
    """Whether the files of a version folder match its manifest and its name."""
    return not manifests.faults(folder.name, LocalStore(folder.parent).version(folder.name))


def is_offered(file: Path, base: Path, signing_key: str | None = None) -> bool:
    """Whether a push of these bytes would change nothing.

    LATEST or CANDIDATE names them, they are intact, and signed if there is a key.
    """
    store, content = LocalStore(base), file.read_bytes()
    name = manifests.version_name(content)
    files = store.version(name)
    return (
        name in (latest_name(store), candidate_name(store))
        and _holds(files, name, content)
        and (signing_key is None or _is_signed_with(signing_key, files))
    )


def is_rolled_back(file: Path, base: Path) -> bool:
    """Whether a push of these bytes would be refused because they were rolled back or dropped."""
    return manifests.version_name(file.read_bytes()) in read_history(LocalStore(base)).barred


def latest(base: Path) -> Path:
    """The version folder that LATEST names; reads LATEST again if that folder was removed meanwhile.

    Raises:
        InputError: no LATEST, or it names no version that is there.
    """
    previous = None
    while True:
        try:
            name = (base / LATEST_FILE).read_text(errors="replace").strip()
        except OSError as error:
            raise InputError(f"models={base} must have a {LATEST_FILE} file: {error.strerror}") from error
        if is_version(name) and (base / name / FARE_FILE).is_file():
            return base / name
        if name == previous:
            raise InputError(f"{LATEST_FILE}={name!r} must name a version with a {FARE_FILE}, in {base}")
        previous = name


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
    actual = "a folder with neither" if path.is_dir() else "nothing there"
    raise InputError(
        f"model={path} must be a .tflite file, a version folder with {FARE_FILE} or a models/<city> folder with "
        f"{LATEST_FILE}, got {actual}"
    )


def open_model(path: str | Path, open_file: Callable[[Path], Opened]) -> Opened:
    """The result of `open_file` on the file of `path`; tries again if its version was removed before it was open."""
    file = resolve_model(path)
    while True:
        try:
            return open_file(file)
        except InputError:
            now = resolve_model(path)
            if now == file:
                raise
            file = now


def _holds(files: Mapping[str, bytes], name: str, content: bytes) -> bool:
    """Whether a version is intact and holds these bytes, not others whose digest begins the same."""
    return files.get(FARE_FILE) == content and not manifests.faults(name, files)


def _ship(store: Store, name: str, files: Mapping[str, bytes], described: Mapping[str, Any], key: str | None) -> None:
    """Writes the version, or only the files that it lacks. files: the model, and what else the manifest names."""
    there = store.version(name)
    if not _holds(there, name, files[FARE_FILE]):
        encoded = manifests.encode(described)
        store.publish(name, {**files, MANIFEST_FILE: encoded, **_signature(encoded, key)})
    elif key and not _is_signed_with(key, there):
        store.write(f"{name}/{SIGNATURE_FILE}", _signature(there[MANIFEST_FILE], key)[SIGNATURE_FILE])


def _signature(manifest: bytes, key: str | None) -> dict[str, bytes]:
    if key is None:
        return {}
    from farebox.components.atomic_pusher import signature

    return {SIGNATURE_FILE: signature.signing_key(key).sign(manifest)}


def _is_signed_with(key: str, files: Mapping[str, bytes]) -> bool:
    from farebox.components.atomic_pusher import signature

    public = signature.signing_key(key).public_key()
    return signature.is_signed(files[MANIFEST_FILE], files.get(SIGNATURE_FILE), public)


def _with_note_on_candidate(history: History, name: str, waiting: str | None, *, is_candidate: bool) -> History:
    """The history with a note on the new candidate, and one on the candidate that the pushed version replaces."""
    if waiting not in (None, name):
        history = history.noted(str(waiting), f"candidate, replaced by {name} before it was judged")
    return history.noted(name, "candidate") if is_candidate else history


def _beyond(keep: int, store: Store, kept: Sequence[str]) -> list[str]:
    """The versions to remove: the latest stays, a candidate, the one to roll back to, and then the newest."""
    others = [name for name in store.versions() if name not in kept]
    others.sort(key=lambda name: str(manifests.facts(store.version(name)).get("created", "")), reverse=True)
    return others[max(0, keep - len(kept)) :]


def _city(store: Store) -> str:
    return str(store.base).rstrip("/").rpartition("/")[2]
