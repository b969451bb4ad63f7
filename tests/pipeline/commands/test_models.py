"""`farebox models`, `rollback`, `verify` and a signed `predict`; a signing key is looked at before a run begins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """A folder with models/chicago and models/nyc."""
    monkeypatch.chdir(tmp_path)
    for city, count in (("chicago", 3), ("nyc", 1)):
        for number in range(count):
            metrics = {"rmse": 3.5 - number, "mae": 1.25, "rmse_diff": 0.5, "note": "text"} if number else {}
            store = LocalStore(tmp_path / "models" / city)
            push.push(bytes([number]) * 1500, store, {"metrics": metrics}, PushSettings())
    return tmp_path


def versions(call, *arguments: str) -> list[dict]:
    return json.loads(call("models", "--json", *arguments)[1])


def test_models_lists_every_city_newest_first(out, call):
    listed = versions(call)
    assert [version["city"] for version in listed] == ["chicago"] * 3 + ["nyc"]
    assert [version["metrics"].get("rmse") for version in listed] == [1.5, 2.5, None, None]
    assert [version["latest"] for version in listed] == [True, False, False, True]
    assert [version["created"] for version in listed[:3]] == sorted((v["created"] for v in listed[:3]), reverse=True)
    assert [version["city"] for version in versions(call, "--city", "nyc")] == ["nyc"]


def test_a_city_file_stands_for_its_city(out, call):
    """As `farebox run --city FILE` takes it; its name may be another than the city's."""
    Path("trips.yaml").write_text("city: {name: nyc}\n")
    assert [version["city"] for version in versions(call, "--city", "trips.yaml")] == ["nyc"]
    code, _, error = call("history", "--city", "trips.yaml")
    assert (code, error) == (2, "farebox: --city=nyc must have a run in runs, got none\n")
    Path("other.yaml").write_text("gates: {max_rmse: 4}\n")
    code, _, error = call("report", "--city", "other.yaml")
    assert (code, error) == (2, "farebox: --city=other.yaml must be a city file with city.name\n")


def test_models_prints_a_table(out, call):
    newest, older, oldest, _ = versions(call)
    (out / "models/chicago" / oldest["version"] / "fare.tflite").write_bytes(b"damaged")
    call("rollback", "--city", "chicago")
    code, shown, _ = call("models", "--city", "chicago")
    header, *rows = [line.split() for line in shown.splitlines()]
    assert (code, header) == (0, ["city", "version", "created", "bytes", "RMSE", "mae", "state"])
    start = [["chicago", version["version"], version["created"][:19]] for version in (newest, older, oldest)]
    assert rows[0] == [*start[0], "rolled", "back", "1,500", "1.5", "1.25", "intact"]
    assert rows[1] == [*start[1], "LATEST", "1,500", "2.5", "1.25", "intact"]
    assert rows[2][:6] == [*start[2], "7", "fare.tflite:", rows[2][5]] and rows[2][5].startswith("sha256=")


def test_rollback_says_what_it_did_and_what_it_bars(out, call):
    newest, older, oldest, _ = [version["version"] for version in versions(call)]
    code, shown, _ = call("rollback", "--city", "chicago")
    assert (code, push.latest(out / "models/chicago").name) == (0, older)
    assert shown == (
        f"models/chicago: LATEST names {older}, before {newest}; no run pushes {newest} again until "
        "`farebox rollback` names it\n"
    )
    assert call("rollback", oldest[:6], "--city", "chicago")[1].startswith(
        f"models/chicago: LATEST names {oldest}, before {older}; no run pushes "
    )
    assert call("rollback", oldest, "--city", "chicago")[1] == f"models/chicago: LATEST names {oldest}, as before\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["models", "--city", "lisbon"], "--city=lisbon must be a folder in models, got chicago, nyc"),
        (["models", "--out", "gone"], "city=any must be a folder in gone/models, got none there"),
        (["rollback", "--city", "lisbon"], "--city=lisbon must be a folder in models, got chicago, nyc"),
        (["rollback", "--city", "nyc"], "version must be given: nothing in models/nyc was latest before "),
        (["rollback", "xyz", "--city", "nyc"], "version=xyz must be the beginning of one version in models/nyc, got "),
        (["verify", "models"], "models="),
        (
            ["verify", "models/nyc", "--key", "gone.pem"],
            "--key=gone.pem must be an Ed25519 public key in PEM format: No ",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(out, call, arguments, line):
    code, shown, error = call(*arguments)
    assert (code, shown, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"farebox: {line}")


def test_a_folder_that_cannot_be_written_is_one_line(out, call):
    lock = out / "models/chicago/.lock"
    lock.unlink()
    lock.mkdir()  # even root writes no folder
    error = "farebox: models/chicago cannot be written: Is a directory\n"
    assert call("rollback", "--city", "chicago") == (2, "", error)


def test_verify_counts_or_names_every_fault(out, call):
    assert call("verify", "models/chicago") == (0, "3 versions intact\n", "")
    folder = push.latest(out / "models/chicago")
    assert call("verify", folder) == (0, "1 version intact\n", "")
    (folder / "fare.tflite").write_bytes(b"")
    code, shown, error = call("verify", "models/chicago")
    assert (code, shown, error.count("\n")) == (2, "", 3)
    assert all(line.startswith(f"farebox: {folder}: fare.tflite: ") for line in error.splitlines())


def test_predict_asks_for_a_signature(out, call, fare_tflite):
    """A key from openssl's own kind of file, made by cryptography; the fare is the one of test_cli."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    private, public = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo
    (out / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    (out / "key.pub.pem").write_bytes(key.public_key().public_bytes(pem, public))
    trip = ["--pickup", "-70,40.7", "--dropoff", "-73.9,40.8", "--hour", "8", "--weekday", "2"]
    arguments = ["predict", "--model", "models/nyc", *trip, "--require-signature", "key.pub.pem"]
    push.push(fare_tflite, LocalStore(out / "models/nyc"), {}, PushSettings())
    code, shown, error = call(*arguments)
    assert (code, shown) == (2, "") and "must have manifest.json and manifest.sig beside it" in error
    push.push(fare_tflite, LocalStore(out / "models/nyc"), {}, PushSettings(signing_key="key.pem"))
    assert call(*arguments) == (0, "15.00\n", "")
    assert call("verify", push.latest(out / "models/nyc"), "--key", "key.pub.pem")[1] == "1 version intact and signed\n"


def test_nothing_but_a_signature_needs_cryptography(out):
    """`models`, `verify` and `predict` stay fast."""
    code = """
import sys
from farebox.pipeline import cli
from farebox.pipeline.commands import models
from farebox.pipeline.commands import predict
from farebox.pipeline.fare_model import FareModel
from farebox.components.atomic_pusher import versions
from pathlib import Path
models.models(); versions.verify(Path("models/nyc")); versions.rollback(Path("models/chicago"))
print('here', [name for name in ("cryptography", "tfx", "tensorflow") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("here []\n")


@pytest.mark.parametrize(
    ("key", "reason"), [("gone.pem", ": No such file or directory"), ("text", ", got something else")]
)
def test_a_signing_key_that_is_none_stops_a_run_before_it_begins(out, call, key, reason):
    Path("text").write_text("no key")
    code, shown, error = call("run", "--city", "chicago", "--out", "new", "--set", f"push.signing_key={key}")
    assert (code, shown) == (2, "")
    assert error == f"farebox: push.signing_key={key} must be an Ed25519 private key in PEM format{reason}\n"
    assert not Path("new").exists()


def test_push_settings_are_a_section(call, out):
    code, _, error = call("run", "--city", "chicago", "--set", "push.keep=1")
    assert code == 2 and error.endswith(
        "farebox: --set push.keep=1 must be at least 2: the latest version and one to roll back to\n"
    )
