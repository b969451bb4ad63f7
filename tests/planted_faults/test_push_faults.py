"""Faults planted between the gates and a reader: which gate refuses, and with which words."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore

pytestmark = pytest.mark.slow

GOOD, MODEL, OTHER = b"a good model" * 20, b"a model" * 20, b"another model" * 20
NAME = hashlib.sha256(MODEL).hexdigest()[:12]


@dataclasses.dataclass
class Place:
    """models/chicago, where GOOD is the latest version; `pusher` runs the node, `farebox` a command."""

    base: Path
    keys: dict[str, tuple[str, str]]
    pusher: Callable
    command: Callable

    def ship(self, content: bytes, key: str | None = None) -> Path:
        settings = PushSettings(signing_key=self.keys[key][0] if key else None)
        return self.base / push.push(content, LocalStore(self.base), {}, settings)

    def farebox(self, *arguments: str) -> list[str]:
        return self.command(*map(str, arguments))


@pytest.fixture
def place(tmp_path, run_pusher, monkeypatch, capsys, caplog) -> Place:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from farebox.pipeline import cli

    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    keys = {}
    for owner in ("ours", "theirs"):
        private, public = tmp_path / f"{owner}.pem", tmp_path / f"{owner}.pub.pem"
        key = Ed25519PrivateKey.generate()
        private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
        keys[owner] = str(private), str(public)

    def pusher(content: bytes, **plant) -> list[str]:
        """What the node logs; it must not push."""
        caplog.set_level("INFO", "absl")
        pushed = run_pusher(content, base, **plant)
        assert pushed.get_int_custom_property("pushed") == 0
        refusal = Path(pushed.uri, "refusal.json")
        hints = [check["hint"] for check in json.loads(refusal.read_text())] if refusal.exists() else []
        return [record.getMessage() for record in caplog.records] + hints

    def command(*arguments: str) -> list[str]:
        """What a command says on stderr; it must exit with 2."""
        monkeypatch.setattr(sys, "argv", ["farebox", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2
        return capsys.readouterr().err.splitlines()

    base = tmp_path / "models" / "chicago"
    place = Place(base, keys, pusher, command)
    place.ship(GOOD, "ours")
    return place


def predict(place: Place, model: Path) -> list[str]:
    trip = ["--pickup", "-87.63,41.88", "--dropoff", "-87.9,41.98", "--hour", "9", "--weekday", "3"]
    return place.farebox("predict", "--model", model, *trip, "--require-signature", place.keys["ours"][1])


def rolled_back(place: Place) -> list[str]:
    place.ship(MODEL)
    versions.rollback(place.base)
    return place.pusher(MODEL)


def damaged(place: Place) -> list[str]:
    (place.ship(MODEL) / "fare.tflite").write_bytes(OTHER)
    return place.farebox("verify", place.base)


def damaged_target(place: Place) -> list[str]:
    file = push.latest(place.base) / "fare.tflite"
    place.ship(MODEL)
    file.write_bytes(OTHER)
    return place.farebox("rollback", "--city", "chicago", "--out", place.base.parents[1])


def edited_manifest(place: Place) -> list[str]:
    file = place.ship(MODEL, "ours") / "manifest.json"
    file.write_text(file.read_text().replace('"metrics": {}', '"metrics": {"rmse": 0.1}'))
    return place.farebox("verify", place.base / NAME, "--key", place.keys["ours"][1])


def consistent_forgery(place: Place) -> list[str]:
    """Model and manifest agree with each other and with the folder's name: without a key nothing is wrong."""
    theirs = place.ship(MODEL, "theirs")
    assert versions.verify(theirs) == (1, [])
    return predict(place, theirs)


def unsigned(place: Place) -> list[str]:
    return predict(place, place.ship(MODEL))


def moved_signature(place: Place) -> list[str]:
    """A signature of ours, but of another version's manifest."""
    theirs, ours = place.ship(MODEL), place.base / hashlib.sha256(GOOD).hexdigest()[:12]
    (theirs / "manifest.sig").write_bytes((ours / "manifest.sig").read_bytes())
    return predict(place, place.base)


def latest_gone(place: Place) -> list[str]:
    (place.base / "LATEST").write_text("../../elsewhere\n")
    return place.farebox("verify", place.base)


def forgotten_rollback(place: Place) -> list[str]:
    (place.base / "HISTORY").write_text("{}")
    return place.farebox("models", "--out", place.base.parents[1])


# What is planted: (the plant, the gate that refuses, its words).
FAULTS = {
    "the file was changed after Evaluator": (
        lambda place: place.pusher(MODEL, judged={"model_blessing": OTHER}),
        "Pusher",
        "must be what model_blessing is about, got ",
    ),
    "the file was changed after the device check": (
        lambda place: place.pusher(MODEL, judged={"infra_blessing": OTHER}),
        "Pusher",
        "must be what infra_blessing is about, got ",
    ),
    "no word of the gate": (
        lambda place: place.pusher(MODEL, blessed={"model_blessing": None}),
        "Pusher",
        "was not blessed by model validation",
    ),
    "the gate's word is no": (
        lambda place: place.pusher(MODEL, blessed={"model_blessing": 0}),
        "Pusher",
        "was not blessed by model validation",
    ),
    "the device's word is no": (
        lambda place: place.pusher(MODEL, blessed={"infra_blessing": 0}),
        "Pusher",
        "was not blessed by infra validator",
    ),
    "a run brings back what was rolled back": (rolled_back, "Pusher", f"version {NAME} was rolled back in "),
    "a changed byte": (damaged, "verify", "fare.tflite: sha256="),
    "a rollback to a changed file": (damaged_target, "rollback", "must be intact: fare.tflite: sha256="),
    "better metrics written into the manifest": (
        edited_manifest,
        "verify --key",
        "manifest.sig must be a signature of manifest.json by the owner of ",
    ),
    "signed by another key": (
        consistent_forgery,
        "predict --require-signature",
        "manifest.sig must be a signature of manifest.json by the owner of ",
    ),
    "not signed": (unsigned, "predict --require-signature", "must have manifest.json and manifest.sig beside it"),
    "another version's signature": (
        moved_signature,
        "predict --require-signature",
        "manifest.sig must be a signature of manifest.json by the owner of ",
    ),
    "LATEST leads elsewhere": (latest_gone, "verify", "LATEST must name one of its versions, got None"),
    "HISTORY was emptied": (forgotten_rollback, "models", "must be JSON with the lists named and rolled_back"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refused(place, fault):
    plant, gate, words = FAULTS[fault]
    lines = plant(place)
    assert any(words in line for line in lines), (gate, lines)
    if gate == "Pusher":
        assert push.latest(place.base).name == hashlib.sha256(GOOD).hexdigest()[:12]
