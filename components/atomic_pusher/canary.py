"""Promotes the version that CANDIDATE names, or drops it; a rollback is `versions.rollback`. No TFX here.

HISTORY is written first, then LATEST, and CANDIDATE is removed last: whatever moment the process dies at, `latest_name`
and `candidate_name` are the ones from before or from after, and the same call again ends alike.
"""

from __future__ import annotations

from farebox.components.atomic_pusher import manifest as manifests
from farebox.components.atomic_pusher.push import (
    CANDIDATE_FILE,
    candidate_name,
    discard_candidate,
    latest_name,
    point_latest,
    read_history,
    write_history,
)
from farebox.components.atomic_pusher.store import Store
from farebox.components.errors import InputError


def promote(store: Store, version: str, note: str = "") -> None:
    """Points LATEST to the candidate. note: why, for HISTORY.

    Raises InputError if CANDIDATE does not name this version (any more), or if it is damaged.
    """
    with store.exclusive():
        latest = latest_name(store)
        if latest != version:
            _must_be_candidate(store, version)
            if faults := manifests.faults(version, store.version(version)):
                raise InputError(f"version={version} in {store.base} must be intact: {faults[0]}")
            point_latest(store, version, latest, read_history(store).at(latest).pushed(version).noted(version, note))
        discard_candidate(store, version)


def drop(store: Store, version: str, note: str = "") -> None:
    """Removes CANDIDATE and bars the version from later pushes; its folder stays until `push.keep` removes it.

    Raises InputError if CANDIDATE does not name this version (any more).
    """
    with store.exclusive():
        if version not in read_history(store).dropped:
            _must_be_candidate(store, version)
            history = read_history(store).at(latest_name(store))
            write_history(store, history.without_candidate(version, note))
        discard_candidate(store, version)


def _must_be_candidate(store: Store, version: str) -> None:
    candidate = candidate_name(store)
    if candidate != version:
        raise InputError(f"{CANDIDATE_FILE}={candidate or 'none'} in {store.base} must name {version}")
