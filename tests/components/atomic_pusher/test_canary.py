"""A candidate beside LATEST: pushed, promoted, dropped, replaced, and as models, rollback and verify show it."""

from __future__ import annotations

import json

import pytest

from farebox.components.atomic_pusher import canary, push, versions
from farebox.components.atomic_pusher.history import History
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import GateError, InputError
from farebox.pipeline.commands import models

A, B, C, D = (bytes([number]) * 100 for number in range(4))


@pytest.fixture
def store(tmp_path) -> LocalStore:
    (tmp_path / "models").mkdir()
    return LocalStore(tmp_path / "models/chicago")


def ship(content: bytes, store, **settings) -> str:
    return push.push(content, store, {}, PushSettings(canary=True, **settings))


def test_a_candidate_leaves_latest_alone_and_the_first_version_needs_none(store, tmp_path):
    first = ship(A, store)
    assert (push.latest_name(store), push.candidate_name(store)) == (first, None)
    candidate = ship(B, store)
    assert (push.latest_name(store), push.candidate_name(store)) == (first, candidate)
    manifest = json.loads(store.version(candidate)["manifest.json"])
    assert (manifest["candidate"], manifest["parents"]) == (True, [first])
    assert push.read_history(store) == History((first,), notes={candidate: "candidate"})
    file = tmp_path / "file"
    file.write_bytes(B)
    assert push.is_offered(file, store.base)  # a push of it again changes nothing
    assert ship(B, store) == candidate and ship(A, store) == first
    assert push.candidate_name(store) is None  # the latest version was pushed again, and replaces the candidate


def test_a_promoted_candidate_is_the_latest_and_a_rollback_goes_back_to_the_one_before(store):
    first, candidate = ship(A, store), ship(B, store)
    canary.promote(store, candidate, "better on span 5")
    assert (push.latest_name(store), push.candidate_name(store)) == (candidate, None)
    assert push.read_history(store) == History((first, candidate), notes={candidate: "better on span 5"})
    canary.promote(store, candidate)  # again, as after a kill
    assert not (store.base / "CANDIDATE").exists()
    assert versions.rollback(store.base, note="errs") == (candidate, first)
    assert push.read_history(store) == History((first,), (candidate,), notes={candidate: "errs"})


def test_a_dropped_candidate_is_not_pushed_again_until_a_person_names_it(store):
    first, candidate = ship(A, store), ship(B, store)
    canary.drop(store, candidate, "worse on span 5")
    canary.drop(store, candidate, "again, as after a kill")
    assert (push.latest_name(store), push.candidate_name(store)) == (first, None)
    assert push.read_history(store) == History((first,), (), (candidate,), {candidate: "worse on span 5"})
    with pytest.raises(GateError, match=f"version {candidate} was dropped as a candidate in "):
        ship(B, store)
    versions.rollback(store.base, candidate)
    assert (push.latest_name(store), push.read_history(store).dropped) == (candidate, ())


def test_a_new_candidate_replaces_the_one_that_waits(store):
    first, waiting, newer = ship(A, store), ship(B, store), ship(C, store)
    assert (push.latest_name(store), push.candidate_name(store)) == (first, newer)
    assert push.read_history(store).notes[waiting] == f"candidate, replaced by {newer} before it was judged"
    push.push(D, store, {})  # without canary: the latest at once, and no candidate waits behind it
    assert push.candidate_name(store) is None


def test_a_candidate_and_what_to_roll_back_to_outlive_keep(store):
    first = ship(A, store)
    canary.promote(store, second := ship(B, store))
    third = ship(C, store, keep=2)
    assert store.versions() == sorted([first, second, third])
    canary.drop(store, third)
    fourth = ship(D, store, keep=2)
    assert store.versions() == sorted([first, second, fourth])


@pytest.mark.parametrize("change", [canary.promote, canary.drop])
def test_only_the_candidate_is_promoted_or_dropped(store, change):
    first, candidate = ship(A, store), ship(B, store)
    canary.drop(store, candidate)
    with pytest.raises(InputError, match=r"^CANDIDATE=none in .* must name 0123456789ab$"):
        change(store, "0123456789ab")
    assert push.latest_name(store) == first


def test_a_damaged_candidate_is_not_promoted(store):
    ship(A, store)
    candidate = ship(B, store)
    (store.base / candidate / "fare.tflite").write_bytes(C)
    with pytest.raises(InputError, match=f"version={candidate} in .* must be intact"):
        canary.promote(store, candidate)


def test_models_rollback_and_verify_know_the_candidate(store, capsys):
    first, candidate = ship(A, store), ship(B, store)
    listed = {version.version: version for version in versions.versions_of(store.base)}
    assert listed[candidate].candidate and not listed[candidate].latest and listed[first].latest
    assert "CANDIDATE" in models.table(list(listed.values()))
    assert versions.verify(store.base) == (2, [])
    assert versions.rollback(store.base, candidate) == (first, candidate)  # a person promotes it
    assert push.read_history(store) == History((first, candidate), notes={candidate: "candidate"})
    assert not (store.base / "CANDIDATE").exists()
    (store.base / "CANDIDATE").write_text("0123456789ab\n")
    assert versions.verify(store.base)[1] == [f"{store.base}/CANDIDATE must name one of its versions, got 0123456789ab"]
    canary_after = ship(C, store)
    canary.drop(store, canary_after)
    assert "dropped" in models.table(versions.versions_of(store.base))


def test_a_version_that_somebody_put_into_latest_is_rolled_back_for_good(store):
    """HISTORY does not know it: a person, or another program, wrote LATEST."""
    first = push.push(A, store, {})
    planted = push.push(B, LocalStore(store.base), {})
    (store.base / "HISTORY").write_bytes(History((first,)).encode())
    assert versions.rollback(store.base) == (planted, first)
    assert push.read_history(store) == History((first,), (planted,))
