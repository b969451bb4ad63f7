"""Pushes to a file system without renames or locks: TensorFlow's own `ram://`, through TFX's fileio."""

from __future__ import annotations

import json

import pytest

from farebox.components.atomic_pusher import canary, manifest, push
from farebox.components.atomic_pusher.history import History
from farebox.components.atomic_pusher.manifest import version_name
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.errors import GateError

pytestmark = pytest.mark.slow  # TFX's import

A, B, C = (bytes([number]) * 100 for number in range(3))


@pytest.fixture
def store(request):
    from farebox.components.atomic_pusher.object_store import ObjectStore

    return ObjectStore(f"ram://{request.node.name}/models/chicago/")


def ship(content: bytes, store, **settings) -> str:
    return push.push(content, store, {}, PushSettings(**settings))


def test_a_version_is_written_and_described(store):
    a, b = ship(A, store), ship(B, store)
    assert store.versions() == sorted([a, b])
    assert push.latest_name(store) == b
    said = json.loads(store.version(b)["manifest.json"])
    assert (said["city"], said["sha256"][:12], said["parents"]) == ("chicago", b, [a])


def test_golden_rows_are_written_before_the_manifest(store, monkeypatch):
    real, written = type(store).write, []
    monkeypatch.setattr(type(store), "write", lambda *args: (written.append(args[1]), real(*args)))
    name = push.push(A, store, {}, golden=b"{}")
    assert written[:3] == [f"{name}/fare.tflite", f"{name}/golden.json", f"{name}/manifest.json"]
    assert not manifest.faults(name, store.version(name))
    store.remove(name)
    assert store.version(name) == {}


def test_the_same_bytes_again_write_nothing(store, monkeypatch):
    ship(A, store)
    monkeypatch.setattr(type(store), "write", lambda *_: pytest.fail("wrote"))
    ship(A, store)


def test_what_is_beyond_keep_is_removed(store):
    a, b, c = (ship(content, store, keep=2) for content in (A, B, C))
    assert store.versions() == sorted([b, c]) and store.version(a) == {}


def test_a_push_that_dies_at_any_object_leaves_the_old_version_and_is_completed_by_the_next(store, monkeypatch):
    """An exception stands for the death: whatever has been written stays."""
    old, new = ship(A, store), version_name(B)
    real, written = type(store).write, []
    for last in range(1, 6):

        def write(self, name, content, last=last):
            written.append(name)
            if len(written) == last:
                raise KeyboardInterrupt
            real(self, name, content)

        written.clear()
        monkeypatch.setattr(type(store), "write", write)
        if last < 5:
            with pytest.raises(KeyboardInterrupt):
                ship(B, store)
            assert push.latest_name(store) == old
            assert ("manifest.json" in store.version(new)) == (last > 2)
        else:
            ship(B, store)
        monkeypatch.undo()
        if last < 5:
            store.remove(new)
            store.write("HISTORY", b'{"named": ["%s"], "rolled_back": []}' % old.encode())
    assert written == [f"{new}/fare.tflite", f"{new}/manifest.json", "HISTORY", "LATEST"]
    assert push.latest_name(store) == new


def test_a_damaged_version_is_written_anew(store):
    name = ship(A, store)
    store.write(f"{name}/fare.tflite", b"damaged")
    ship(A, store)
    assert store.version(name)["fare.tflite"] == A


def test_what_was_rolled_back_is_refused(store):
    a, b = ship(A, store), ship(B, store)
    store.write("HISTORY", json.dumps({"named": [a], "rolled_back": [b]}).encode())
    store.write("LATEST", a.encode())
    with pytest.raises(GateError, match=f"version {b} was rolled back in ram://"):
        ship(B, store)


def test_a_candidate_is_promoted_or_dropped(store):
    a, b = ship(A, store, canary=True), ship(B, store, canary=True)
    assert (push.latest_name(store), push.candidate_name(store)) == (a, b)
    canary.promote(store, b, "better")
    c = ship(C, store, canary=True)
    canary.drop(store, c, "worse")
    assert (push.latest_name(store), push.candidate_name(store)) == (b, None)
    assert push.read_history(store) == History((a, b), (), (c,), {b: "better", c: "worse"})
    with pytest.raises(FileNotFoundError):
        store.read("CANDIDATE")
