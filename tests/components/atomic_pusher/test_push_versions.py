"""What LATEST named before, rollback, verification and signatures of versions in a local folder."""

from __future__ import annotations

import json

import pytest

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.history import History
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import GateError, InputError

A, B, C = (bytes([number]) * 100 for number in range(3))


@pytest.fixture
def base(tmp_path):
    return tmp_path / "models" / "chicago"


@pytest.fixture
def three(base) -> list[str]:
    """A, B and C were pushed in this order."""
    return [ship(content, base) for content in (A, B, C)]


def ship(content: bytes, base, **settings) -> str:
    return push.push(content, LocalStore(base), {"metrics": {"rmse": 3.2}}, PushSettings(**settings))


def make_key(folder, name: str = "key", kind=None) -> tuple[str, str]:
    """PEM files of a private key and of its public one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = (kind or Ed25519PrivateKey.generate)()
    pem, public_format = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem, public_format))
    return str(private), str(public)


def test_rollback_goes_back_one_by_one_and_then_no_further(base, three):
    a, b, c = three
    assert versions.rollback(base) == (c, b)
    assert versions.rollback(base) == (b, a)
    assert push.latest(base).name == a
    with pytest.raises(InputError, match=f"nothing in .*chicago was latest before {a}"):
        versions.rollback(base)


def test_what_was_rolled_back_is_pushed_again_only_once_a_person_names_it(base, three):
    a, b, c = three
    versions.rollback(base, a[:5])
    for content, name in ((B, b), (C, c)):
        with pytest.raises(
            GateError,
            match=f"version {name} was rolled back in .*: roll back to version {name}: that points LATEST to it again$",
        ) as refusal:
            ship(content, base)
        (check,) = refusal.value.checks
        assert (check.name, check.ok) == ("rolled_back", False) and check.hint.startswith("roll back to version")
    assert push.latest(base).name == a
    versions.rollback(base, c)
    assert push.latest(base).name == c == ship(C, base)
    with pytest.raises(GateError):
        ship(B, base)
    assert versions.rollback(base) == (c, a)


def test_a_push_after_a_rollback_has_the_version_now_latest_before_it(base, three):
    a, b, _ = three
    versions.rollback(base)
    new = ship(b"new", base)
    assert json.loads((base / new / "manifest.json").read_text())["parents"] == [b]
    assert versions.rollback(base) == (new, b)
    assert versions.rollback(base) == (b, a)


def test_a_rollback_to_what_is_latest_changes_nothing(base, three):
    before = (base / "HISTORY").read_bytes()
    assert versions.rollback(base, three[2]) == (three[2], three[2])
    assert (base / "HISTORY").read_bytes() == before


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ("ffffffffffff", "version=ffffffffffff must be the beginning of one version in .*, got "),
        ("", "nothing in .* was latest before"),
    ],
)
def test_rollback_refuses_what_is_not_there(base, wanted, line):
    ship(A, base)
    with pytest.raises(InputError, match=line):
        versions.rollback(base, wanted)


def test_rollback_refuses_a_beginning_of_two_versions(base):
    """There are 16 first digits, so two of 17 versions share one."""
    name_by_first_digit: dict[str, str] = {}
    for number in range(17):
        name = ship(bytes([number]), base, keep=20)
        if name[0] in name_by_first_digit:
            break
        name_by_first_digit[name[0]] = name
    with pytest.raises(InputError, match=f"version={name[0]} must be the beginning of one version"):
        versions.rollback(base, name[0])


def test_rollback_refuses_a_damaged_version(base, three):
    (base / three[1] / "fare.tflite").write_bytes(b"damaged")
    with pytest.raises(InputError, match=f"version={three[1]} in .* must be intact: fare.tflite: sha256="):
        versions.rollback(base)
    assert push.latest(base).name == three[2]


def test_models_without_a_history_can_be_rolled_back_by_name(base, three):
    """So were models pushed before there was one."""
    (base / "HISTORY").unlink()
    with pytest.raises(InputError, match="version must be given: nothing in"):
        versions.rollback(base)
    assert versions.rollback(base, three[0]) == (three[2], three[0])
    with pytest.raises(GateError):
        ship(C, base)
    assert ship(B, base) == three[1]


def test_a_history_that_cannot_be_read_stops_a_push(base, three):
    """Else a person's rollback would be forgotten silently."""
    for text in ("", "[]", '{"named": [1], "rolled_back": []}'):
        (base / "HISTORY").write_text(text)
        with pytest.raises(InputError, match="^HISTORY in .* must be JSON with the lists named and rolled_back"):
            ship(A, base)


def test_a_history_is_true_only_up_to_latest():
    """A process died before it could swap LATEST: from a to b in the first case, back from c to b in the second."""
    assert History(("a", "b")).at("a") == History(("a",))
    assert History(("a", "b"), ("c",)).at("c") == History(("a", "b"), ("c",))
    assert History(("a",)).at("x") == History(("a", "x"))
    assert History().at(None) == History()
    assert History(("a", "b"), ("c",)).rolled_back_to("b", "c") == History(("a", "b"), ("c",))
    assert History(("a", "c")).rolled_back_to("c", "a") == History(("a", "c"))


def test_verify_says_how_many_are_intact_or_what_is_not(base, three):
    assert versions.verify(base) == (3, [])
    assert versions.verify(base / three[0]) == (1, [])
    (base / three[0] / "fare.tflite").write_bytes(b"short")
    (base / three[1] / "manifest.json").unlink()
    (base / "LATEST").write_text("ffffffffffff")
    count, lines = versions.verify(base)
    by_version, (latest,) = sorted(lines[:-1]), lines[-1:]
    assert count == 3 and len(by_version) == 4  # the digest differs from the manifest's, and from the folder's name
    assert f"{base / three[0]}: fare.tflite: bytes=5 must be 100, as manifest.json says" in by_version
    assert f"{base / three[1]}: manifest.json must be there" in by_version
    assert latest == f"{base}/LATEST must name one of its versions, got ffffffffffff"


def test_verify_refuses_what_is_no_folder_of_versions(tmp_path):
    with pytest.raises(InputError, match="must be a version's folder, or models/CITY with versions, got neither"):
        versions.verify(tmp_path)


def test_a_signature_covers_manifest_and_model(base, tmp_path):
    private, public = make_key(tmp_path)
    _, other = make_key(tmp_path, "other")
    folder = base / ship(A, base, signing_key=private)
    assert versions.verify(base, public) == (1, [])
    assert (
        versions.read_model(base, public)
        == versions.read_model(folder / "fare.tflite", public)
        == (folder / "fare.tflite", A)
    )
    assert versions.verify(base, other)[1] == [
        f"{folder}: manifest.sig must be a signature of manifest.json by the owner of {other}"
    ]
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace("3.2", "2.2"))
    assert versions.verify(base) == (1, [])  # nothing in the folder can tell
    assert len(versions.verify(base, public)[1]) == 1
    with pytest.raises(InputError, match="manifest.sig must be a signature of manifest.json by the owner"):
        versions.read_model(base, public)
    (folder / "manifest.json").write_text(manifest)
    (folder / "fare.tflite").write_bytes(B)
    with pytest.raises(InputError, match="must be the file that manifest.json speaks of, got other bytes"):
        versions.read_model(base, public)
    (folder / "manifest.sig").unlink()
    with pytest.raises(InputError, match="must have manifest.json and manifest.sig beside it"):
        versions.read_model(base, public)
    assert versions.verify(base, public)[1][-1] == f"{folder}: manifest.sig must be there, to be checked with {public}"


def test_golden_rows_stand_beside_the_model_and_the_manifest_names_their_bytes(base, tmp_path):
    """So that a signature covers them; a version without them is whole too, such as those of older Farebox."""
    private, public = make_key(tmp_path)
    old = base / ship(B, base, signing_key=private)
    name = push.push(A, LocalStore(base), {}, PushSettings(signing_key=private), golden=b"{}\n")
    folder = base / name
    assert (folder / "golden.json").read_bytes() == b"{}\n"
    assert versions.verify(base, public) == (2, [])
    (old / "golden.json").write_bytes(b"smuggled")
    (line,) = versions.verify(base, public)[1]
    assert line.startswith(f"{old}: golden.json: sha256=") and line.endswith(" must be None, as manifest.json says")
    (old / "golden.json").unlink()
    (folder / "golden.json").write_bytes(b"{ }")
    (line,) = versions.verify(base, public)[1]
    assert line.startswith(f"{folder}: golden.json: sha256=") and line.endswith(", as manifest.json says")
    (folder / "golden.json").unlink()
    assert versions.verify(base, public)[1] == [f"{folder}: golden.json must be there, as manifest.json says"]
    push.push(A, LocalStore(base), {}, PushSettings(signing_key=private), golden=b"{}\n")
    assert versions.verify(base, public) == (2, []), "the next push repairs it"


def test_the_table_of_places_stands_beside_the_model_and_the_manifest_names_its_bytes(base):
    folder = base / push.push(A, LocalStore(base), {}, golden=b"{}\n", locations=b'{"1": [2, 3]}')
    assert versions.verify(base) == (1, [])
    assert versions.read_beside(folder / "fare.tflite", "locations.json") == b'{"1": [2, 3]}'
    (folder / "locations.json").write_bytes(b'{"1": [3, 2]}')
    (line,) = versions.verify(base)[1]
    assert line.startswith(f"{folder}: locations.json: sha256=") and line.endswith(", as manifest.json says")
    with pytest.raises(InputError, match="fare.tflite: locations.json: sha256=.* must be .*, as manifest.json says"):
        versions.read_beside(folder / "fare.tflite", "locations.json")
    (folder / "locations.json").unlink()
    with pytest.raises(InputError, match=r"fare.tflite: locations.json must be there, as manifest.json says"):
        versions.read_beside(folder / "fare.tflite", "locations.json")


def test_a_version_without_a_table_of_places(base):
    folder = base / ship(A, base)
    assert versions.read_beside(folder / "fare.tflite", "locations.json") is None


def test_what_a_manifest_speaks_of_is_read_or_refused(base, tmp_path):
    """Without a key too; a file that no version's manifest speaks of is anybody's."""
    folder = base / ship(A, base)
    assert versions.read_model(folder) == (folder / "fare.tflite", A)
    (folder / "fare.tflite").write_bytes(B)
    for path in (base, folder, folder / "fare.tflite"):
        with pytest.raises(InputError, match="must be the file that manifest.json speaks of, got other bytes"):
            versions.read_model(path)
    for path in (folder / "other.tflite", tmp_path / "fare.tflite"):
        path.write_bytes(C)
        assert versions.read_model(path) == (path, C)


def test_another_file_beside_a_signed_model_is_not_signed(base, tmp_path):
    private, public = make_key(tmp_path)
    folder = base / ship(A, base, signing_key=private)
    (folder / "other.tflite").write_bytes(B)
    with pytest.raises(InputError, match="got other bytes"):
        versions.read_model(folder / "other.tflite", public)


def test_a_version_is_signed_later_and_by_another_key(base, tmp_path):
    """The bytes are there already: only the signature is written."""
    file = tmp_path / "file"
    file.write_bytes(A)
    name = ship(A, base)
    manifest = (base / name / "manifest.json").read_bytes()
    for number in range(2):
        private, public = make_key(tmp_path, f"key-{number}")
        assert push.is_offered(file, base) and not push.is_offered(file, base, private)
        ship(A, base, signing_key=private)
        assert push.is_offered(file, base, private)
        assert versions.verify(base, public) == (1, [])
    assert (base / name / "manifest.json").read_bytes() == manifest


def test_a_version_mended_without_a_key_has_no_stale_signature(base, tmp_path):
    name = ship(A, base, signing_key=make_key(tmp_path)[0])
    (base / name / "fare.tflite").write_bytes(b"damaged")
    ship(A, base)
    assert push.is_intact(base / name) and not (base / name / "manifest.sig").exists()


def elliptic():
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def test_a_signing_key_must_be_one(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from farebox.components.atomic_pusher import signature

    must = "push.signing_key=.* must be an Ed25519 private key in PEM format"
    locked = tmp_path / "locked.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    password = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, password))
    (tmp_path / "text").write_text("no key")
    for path, line in {
        str(tmp_path / "absent"): f"{must}: No such file or directory",
        str(tmp_path): f"{must}: Is a directory",
        str(tmp_path / "text"): f"{must}, got something else",
        make_key(tmp_path)[1]: f"{must}, got something else",
        make_key(tmp_path, "ec", elliptic)[0]: f"{must}, got ECPrivateKey",
        str(locked): f"{must} and without a password, got one with",
    }.items():
        with pytest.raises(InputError, match=f"^{line}$"):
            signature.signing_key(path)
    with pytest.raises(InputError, match="^key=.* must be an Ed25519 public key in PEM format, got something else$"):
        signature.public_key(make_key(tmp_path)[0])
