"""The push: whole or not at all, content-addressed, and only what was blessed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import described

OLD, NEW = b"an old model", b"a new model" * 100


@pytest.fixture
def base(tmp_path):
    return tmp_path / "models" / "chicago"


def ship(content: bytes, base, manifest=None, **settings) -> str:
    return push.push(content, LocalStore(base), manifest or {}, PushSettings(**settings))


def _tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_version_is_named_by_its_content_and_described(base):
    version = ship(NEW, base, {"rmse": 3.2, "sha256": "a lie", "run_id": "r1"})
    sha256 = hashlib.sha256(NEW).hexdigest()
    assert version == sha256[:12]
    assert (base / version / "fare.tflite").read_bytes() == NEW
    manifest = json.loads((base / version / "manifest.json").read_text())
    assert manifest.pop("created").endswith("+00:00")
    assert manifest.pop("gzip_bytes") < len(NEW)
    assert manifest == {
        "rmse": 3.2,
        "run_id": "r1",
        "format_version": 1,
        "city": "chicago",
        "sha256": sha256,
        "bytes": 1100,
        "metrics": {},
        "spans": [],
        "parents": [],
    }
    assert (base / "LATEST").read_text() == f"{version}\n"
    assert push.latest(base) == base / version


def test_the_manifest_repeats_what_the_bytes_say_of_themselves(base, fare_tflite):
    """Read from the pushed bytes, so that they cannot differ; a pusher's own claim is replaced."""
    hour = TensorDescription("pickup_hour", "local time", unit="h", minimum=0, maximum=23)
    said = Description("x", "Fares.", "1+a", (hour,), TensorDescription("", "fare", "USD"), {"days": ["a", "b"]})
    folder = base / ship(described(fare_tflite, said), base, {"inputs": "a lie"})
    manifest = json.loads((folder / "manifest.json").read_text())
    names = [each["name"] for each in manifest["inputs"]]
    assert names == list(TfliteModel(folder / "fare.tflite").input_names)
    assert manifest["inputs"][names.index("pickup_hour")] == {
        "name": "pickup_hour", "meaning": "local time", "unit": "h", "dtype": "int64", "minimum": 0, "maximum": 23,
    }  # fmt: skip
    assert (manifest["output"]["meaning"], manifest["output"]["unit"]) == ("fare", "USD")
    assert manifest["facts"] == {"description": "Fares.", "version": "1+a", "days": ["a", "b"]}


def test_the_same_bytes_again_change_nothing(base):
    ship(NEW, base, {"run_id": "first"})
    before = _tree(base)
    ship(NEW, base, {"run_id": "second"})
    assert _tree(base) == before


def test_a_new_version_stands_beside_the_old_and_an_old_one_comes_back(base):
    old, new = ship(OLD, base), ship(NEW, base)
    assert push.latest(base).name == new
    assert (base / old / "fare.tflite").read_bytes() == OLD
    assert ship(OLD, base) == push.latest(base).name == old


@pytest.mark.parametrize("damaged", ["fare.tflite", "manifest.json"])
def test_a_damaged_version_is_mended(base, damaged):
    version = ship(NEW, base)
    (base / version / damaged).write_bytes(b"{}")
    assert not push.is_intact(base / version)
    ship(NEW, base)
    assert push.is_intact(base / version)
    assert [path.name for path in base.glob(".staging-*")] == []


def test_a_version_is_intact_only_under_its_own_name(base):
    version = ship(NEW, base)
    (base / version).rename(base / "0123456789ab")
    assert not push.is_intact(base / "0123456789ab")


def test_other_users_may_read_a_version(base):
    version = ship(NEW, base)
    assert (base / version).stat().st_mode & 0o777 == 0o755


def test_resolve_model_takes_a_file_a_version_or_a_city(base):
    version = ship(NEW, base)
    file = base / version / "fare.tflite"
    assert push.resolve_model(file) == file
    assert push.resolve_model(str(base / version)) == push.resolve_model(base) == base / version / "fare.tflite"


def test_resolve_model_says_what_it_takes(base, tmp_path):
    takes = r"must be a \.tflite file, a version folder with fare\.tflite or a models/<city> folder with LATEST"
    with pytest.raises(InputError, match=rf"^model=.*absent {takes}, got nothing there$"):
        push.resolve_model(tmp_path / "absent")
    with pytest.raises(InputError, match=rf"^model=.* {takes}, got a folder with neither$"):
        push.resolve_model(tmp_path)


@pytest.mark.parametrize("text", ["", "../elsewhere", "0123456789ab"])
def test_a_latest_that_names_no_version_is_refused(base, text):
    base.mkdir(parents=True)
    (base.parent / "elsewhere").mkdir()
    (base.parent / "elsewhere" / "fare.tflite").write_bytes(OLD)
    (base / "LATEST").write_text(text)
    with pytest.raises(InputError, match=r"^LATEST='.*' must name a version with a fare\.tflite, in .*chicago$"):
        push.resolve_model(base)


def test_latest_of_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^models=.* must have a LATEST file: No such file or directory$"):
        push.latest(tmp_path)


@pytest.mark.slow
def test_executor_pushes_what_both_blessed(run_pusher, base, tmp_path):
    metrics = {"rmse": 3.1, "mae": 1.9}
    judgement = {"sha256": hashlib.sha256(NEW).hexdigest(), "metrics": metrics, "baseline": None, "checks": []}
    pushed = run_pusher(NEW, base, judgement=json.dumps(judgement), span=4, golden="{}")
    version = hashlib.sha256(NEW).hexdigest()[:12]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_destination") == str(base / version)
    assert pushed.get_string_custom_property("pushed_version") == version
    manifest = json.loads((push.latest(base) / "manifest.json").read_text())
    assert (manifest["lane"], manifest["run_id"], manifest["metrics"], manifest["spans"]) == (
        "A",
        "run-7",
        metrics,
        [4],
    )
    assert Path(pushed.uri, "fare.tflite").read_bytes() == NEW
    assert (push.latest(base) / "golden.json").read_text() == Path(pushed.uri, "golden.json").read_text() == "{}"
    assert manifest["golden_sha256"] == hashlib.sha256(b"{}").hexdigest()


def test_the_manifest_promises_what_the_judgement_measured(run_pusher, base):
    """With intervals, of all trips and of the slices that the graph names; a judgement without intervals has none."""
    errors = {"rmse": 3.0, "mae": 2.0, "bias": 0.5, "coverage": None, "p95_absolute_error": 6.0}
    intervals = {name: (errors[name] - 0.25, errors[name] + 0.25) for name in ("rmse", "mae", "bias")}
    slices = [
        {"slice": name, "rows": 40, **errors, "intervals": intervals} for name in ("airport=none", "pickup_hour=3")
    ]
    sha256 = {"sha256": hashlib.sha256(NEW).hexdigest()}
    judgement = {**sha256, "rows": 900, "metrics": errors, "intervals": intervals, "slices": slices}
    run_pusher(NEW, base, judgement=json.dumps(judgement))
    triples = {"rmse": [3.0, 2.75, 3.25], "mae": [2.0, 1.75, 2.25], "bias": [0.5, 0.25, 0.75]}
    manifest = json.loads((push.latest(base) / "manifest.json").read_text())
    assert manifest["promise"] == {"all trips": {"rows": 900, **triples}, "airport=none": {"rows": 40, **triples}}
    run_pusher(OLD, base, judgement=json.dumps({"sha256": hashlib.sha256(OLD).hexdigest(), "metrics": errors}))
    assert "promise" not in json.loads((push.latest(base) / "manifest.json").read_text())


def test_spans_of_a_window_come_from_the_judgement(run_pusher, base):
    """On a cluster nobody knows them before the run."""
    judgement = {"sha256": hashlib.sha256(NEW).hexdigest(), "metrics": {}, "spans": [3, 5]}
    run_pusher(NEW, base, judgement=json.dumps(judgement), span=5)
    assert json.loads((push.latest(base) / "manifest.json").read_text())["spans"] == [3, 5]


@pytest.mark.slow
def test_the_manifest_says_what_runs_the_file(run_pusher, base):
    """DeviceValidator's trials, from device.json; without that file there is no such key."""
    trials = [{"runtime": "tflite_micro", "title": "tflite-micro", "version": "0.1", "result": "runs"}]
    run_pusher(OLD, base)
    assert "runtimes" not in json.loads((push.latest(base) / "manifest.json").read_text())
    run_pusher(NEW, base, device=json.dumps({"blessed": True, "measurements": {"runtimes": trials}}))
    assert json.loads((push.latest(base) / "manifest.json").read_text())["runtimes"] == trials


@pytest.mark.parametrize(("settings", "pickups"), [({}, [[1], [10]]), ({"min_trips_per_cell": 5}, [[0, 1], [5, 15]])])
def test_the_map_of_trips_is_pushed_without_cells_of_few_trips(run_pusher, base, settings, pickups):
    grid = {"west": 0.0, "east": 2.0, "south": 0.0, "north": 1.0, "columns": 2, "rows": 1}
    trip_map = {"grid": grid, "pickups": [[0, 1], [9, 19]], "dropoffs": [[0], [4]]}
    run_pusher(NEW, base, device=json.dumps({"trip_map": trip_map}), **settings)
    density, manifest = (
        json.loads((push.latest(base) / f"{name}.json").read_text()) for name in ("density", "manifest")
    )
    least = settings.get("min_trips_per_cell", 10)
    assert density == {"min_trips": least, "grid": grid, "pickups": pickups, "dropoffs": [[], []]}
    assert manifest["density_sha256"] == hashlib.sha256((push.latest(base) / "density.json").read_bytes()).hexdigest()
    assert "9" not in str(manifest.get("trip_map", "")), "exact numbers stay in the pipeline's folder"


def test_no_map_of_trips_is_pushed_where_the_settings_want_none(run_pusher, base):
    run_pusher(NEW, base, device=json.dumps({"trip_map": {"not": "read"}}), min_trips_per_cell=None)
    assert not (push.latest(base) / "density.json").exists()


@pytest.mark.parametrize(
    "judgement", [None, '{"sha256": "of others", "metrics": {"rmse": 1}}', '{"metrics": 1}', "[]", "half a {"]
)
def test_metrics_that_are_not_of_these_bytes_are_left_out(run_pusher, base, judgement):
    run_pusher(NEW, base, judgement=judgement)
    assert json.loads((push.latest(base) / "manifest.json").read_text())["metrics"] == {}


@pytest.mark.slow
def test_a_refusal_is_left_as_a_check(run_pusher, base):
    """Reporter shows it among the gates."""
    ship(OLD, base)
    name = ship(NEW, base)
    versions.rollback(base)
    pushed = run_pusher(NEW, base)
    (check,) = json.loads(Path(pushed.uri, "refusal.json").read_text())
    assert pushed.get_int_custom_property("pushed") == 0
    assert (check["name"], check["value"], check["bound"], check["ok"]) == ("rolled_back", 1.0, 0.0, False)
    assert check["hint"] == f"roll back to version {name}: that points LATEST to it again"


@pytest.mark.slow
def test_executor_pushes_to_an_object_store(run_pusher):
    from farebox.components.atomic_pusher.object_store import ObjectStore

    place = "ram://executor/models/chicago"
    pushed = run_pusher(NEW, place)
    version = hashlib.sha256(NEW).hexdigest()[:12]
    assert pushed.get_string_custom_property("pushed_destination") == f"{place}/{version}"
    assert ObjectStore(place).version(version)["fare.tflite"] == Path(pushed.uri, "fare.tflite").read_bytes() == NEW


def test_a_model_is_offered_once_pushed_and_until_another_is(base, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(OLD)
    assert not push.is_offered(file, base)
    version = ship(OLD, base)
    assert push.is_offered(file, base)
    ship(NEW, base)
    assert not push.is_offered(file, base)  # its version is there still, but LATEST names the other's
    ship(OLD, base)
    (base / version / "fare.tflite").write_bytes(b"damaged")
    assert not push.is_offered(file, base)
    (base / version / "fare.tflite").unlink()
    assert not push.is_offered(file, base)


def test_the_oldest_versions_go_but_never_the_one_to_roll_back_to(base):
    """Five are pushed and three kept: the first, pushed again last, the one before it and the newest other stay."""
    models = [bytes([number]) * 50 for number in range(5)]
    names = [ship(content, base, keep=10) for content in models]
    ship(models[0], base, keep=3)
    assert LocalStore(base).versions() == sorted([names[0], names[4], names[3]])
    ship(models[1], base, keep=2)
    assert LocalStore(base).versions() == sorted([names[1], names[0]])
    assert all(push.is_intact(base / name) for name in LocalStore(base).versions())


def test_a_version_removed_before_it_was_open_is_looked_up_again(base):
    """A reader holds the path of a version; two pushes later it is gone, and the reader gets the latest."""
    ship(OLD, base)
    opened = []

    def open_file(file):
        if not opened:
            ship(NEW, base, keep=2)
            ship(b"newer", base, keep=2)
        opened.append(file)
        try:
            return file.read_bytes()
        except OSError as error:
            raise InputError("gone") from error

    assert push.open_model(base, open_file) == b"newer"
    assert len(opened) == 2


def test_a_version_that_is_gone_for_good_is_an_error(base):
    version = ship(OLD, base)
    (base / version / "fare.tflite").unlink()
    with pytest.raises(InputError, match=r"must name a version with a fare\.tflite"):
        push.latest(base)


def test_parents_are_what_latest_named_before(base):
    old, new = ship(OLD, base), ship(NEW, base)
    parents = [json.loads((base / name / "manifest.json").read_text())["parents"] for name in (old, new)]
    assert parents == [[], [old]]


def test_a_disk_that_keeps_other_bytes_is_found_out_before_the_rename(base, monkeypatch):
    """It writes m for n."""
    import os

    real = os.write

    def write(descriptor, content):
        return real(descriptor, bytes(content).replace(b"n", b"m"))

    old = ship(OLD, base)
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(RuntimeError, match=r"fare\.tflite must hold the 1100 B that were written, got others"):
        ship(NEW, base)
    monkeypatch.undo()
    assert push.latest(base).name == old and LocalStore(base).versions() == [old]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"keep": 1}, "push.keep=1 must be at least 2: the latest version and one to roll back to"),
        (
            {"min_trips_per_cell": 4},
            "push.min_trips_per_cell=4 must be at least 5, so that no trip stands alone, or null",
        ),
        ({"signing_key": ""}, "push.signing_key='' must be the path of a private key, or null"),
    ],
)
def test_settings_are_checked(settings, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        PushSettings(**settings)
