"""The push: whole or not at all, content-addressed, and only what was blessed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from components.atomic_pusher import push
from components.errors import InputError

OLD, NEW = b"an old model", b"a new model" * 100


@pytest.fixture
def base(tmp_path):
    return tmp_path / "models" / "chicago"


@pytest.fixture
def source(tmp_path):
    def write(content: bytes):
        path = tmp_path / "tflite"
        path.write_bytes(content)
        return path

    return write


def _tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_version_is_named_by_its_content_and_described(base, source):
    version = push.push(source(NEW), base, {"rmse": 3.2, "sha256": "a lie", "run_id": "r1"})
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
    }
    assert (base / "LATEST").read_text() == f"{version}\n"
    assert push.latest(base) == base / version


def test_the_same_bytes_again_change_nothing(base, source):
    push.push(source(NEW), base, {"run_id": "first"})
    before = _tree(base)
    push.push(source(NEW), base, {"run_id": "second"})
    assert _tree(base) == before


def test_a_new_version_stands_beside_the_old_and_an_old_one_comes_back(base, source):
    old, new = push.push(source(OLD), base, {}), push.push(source(NEW), base, {})
    assert push.latest(base).name == new
    assert (base / old / "fare.tflite").read_bytes() == OLD
    assert push.push(source(OLD), base, {}) == push.latest(base).name == old


@pytest.mark.parametrize("damaged", ["fare.tflite", "manifest.json"])
def test_a_damaged_version_is_mended(base, source, damaged):
    version = push.push(source(NEW), base, {})
    (base / version / damaged).write_bytes(b"{}")
    assert not push.is_intact(base / version)
    push.push(source(NEW), base, {})
    assert push.is_intact(base / version)
    assert [path.name for path in base.glob(".staging-*")] == []


def test_a_version_is_intact_only_under_its_own_name(base, source):
    version = push.push(source(NEW), base, {})
    (base / version).rename(base / "0123456789ab")
    assert not push.is_intact(base / "0123456789ab")


def test_other_users_may_read_a_version(base, source):
    version = push.push(source(NEW), base, {})
    assert (base / version).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("step", ["_publish", "_point_latest"])
def test_a_push_that_dies_leaves_the_old_version_and_the_next_one_cleans_up(base, source, step):
    old = push.push(source(OLD), base, {})
    code = (
        "import os, pathlib; from components.atomic_pusher import push; "
        f"push.{step} = lambda *_: os._exit(9); "
        f"push.push(pathlib.Path({str(source(NEW))!r}), pathlib.Path({str(base)!r}), {{}})"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert push.latest(base) == base / old and push.is_intact(base / old)
    assert len(list(base.glob(".staging-*"))) == (1 if step == "_publish" else 0)
    new = push.push(source(NEW), base, {})
    assert push.latest(base) == base / new and push.is_intact(base / new)
    assert list(base.glob(".staging-*")) == []


def test_pushes_at_once_wait_for_each_other(base, source, tmp_path):
    """Eight processes, four versions: none sweeps away what another is staging."""
    code = (
        "import sys, pathlib; from components.atomic_pusher import push; "
        "push.push(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), {})"
    )
    files = []
    for i in range(4):
        files.append(tmp_path / f"model-{i}")
        files[-1].write_bytes(bytes([i]) * 100_000)
    children = [subprocess.Popen([sys.executable, "-c", code, str(file), str(base)]) for file in files * 2]
    assert [child.wait() for child in children] == [0] * 8
    versions = [folder for folder in base.iterdir() if folder.is_dir()]
    assert len(versions) == 4 and all(map(push.is_intact, versions))
    assert push.latest(base) in versions


def test_resolve_model_takes_a_file_a_version_or_a_city(base, source):
    file = source(NEW)
    version = push.push(file, base, {})
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


def _run_pusher(folder, content: bytes, blessed=(1, 1), judged: bytes | None = None, base=None):
    """Runs the executor under TFX's own Pusher spec; returns the PushedModel."""
    from tfx.proto import pusher_pb2
    from tfx.types import standard_component_specs
    from tfx.utils import json_utils, proto_utils

    from components.atomic_pusher.executor import AtomicPusherExecutor

    spec = standard_component_specs.PusherSpec
    inputs = {key: [spec.INPUTS[key].type()] for key in ("model", "model_blessing", "infra_blessing")}
    outputs = {key: [parameter.type()] for key, parameter in spec.OUTPUTS.items()}
    for key, (artifact,) in (inputs | outputs).items():
        artifact.uri = str(folder / key)
    (folder / "model" / "Format-Serving").mkdir(parents=True)
    (folder / "model" / "Format-Serving" / "tflite").write_bytes(content)
    inputs["model_blessing"][0].set_int_custom_property("blessed", blessed[0])
    inputs["infra_blessing"][0].set_int_custom_property("blessed", blessed[1])
    sha256 = hashlib.sha256(content if judged is None else judged).hexdigest()
    inputs["infra_blessing"][0].set_string_custom_property("sha256", sha256)
    destination = pusher_pb2.PushDestination()
    destination.filesystem.base_directory = str(base or folder / "models" / "chicago")
    exec_properties = {
        "push_destination": proto_utils.proto_to_json(destination),
        "custom_config": json_utils.dumps({"manifest": {"rmse": 3.2}}),
    }
    context = AtomicPusherExecutor.Context(pipeline_run_id="run-7")
    AtomicPusherExecutor(context).Do(inputs, outputs, exec_properties)
    return outputs["pushed_model"][0]


@pytest.mark.slow
def test_executor_pushes_what_both_blessed(tmp_path, base):
    pushed = _run_pusher(tmp_path, NEW)
    version = hashlib.sha256(NEW).hexdigest()[:12]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_destination") == str(base / version)
    assert pushed.get_string_custom_property("pushed_version") == version
    manifest = json.loads((push.latest(base) / "manifest.json").read_text())
    assert (manifest["rmse"], manifest["run_id"]) == (3.2, "run-7")
    assert (tmp_path / "pushed_model" / "fare.tflite").read_bytes() == NEW


@pytest.mark.slow
@pytest.mark.parametrize(
    "refusal", [{"blessed": (0, 1)}, {"blessed": (1, 0)}, {"judged": OLD}], ids=["evaluator", "device", "other-bytes"]
)
def test_executor_pushes_nothing_else(tmp_path, base, refusal):
    pushed = _run_pusher(tmp_path, NEW, **refusal)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not base.exists()


@pytest.mark.slow
def test_executor_refuses_a_remote_destination(tmp_path):
    with pytest.raises(InputError, match=r"^push_destination='gs://bucket/models' must be a local folder"):
        _run_pusher(tmp_path, NEW, base="gs://bucket/models")


def test_a_model_is_offered_once_pushed_and_until_another_is(tmp_path):
    base, file, other = tmp_path / "models", tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"a model")
    other.write_bytes(b"another model")
    assert not push.is_offered(file, base)
    version = push.push(file, base, {})
    assert push.is_offered(file, base)
    push.push(other, base, {})
    assert not push.is_offered(file, base)  # its version is there still, but LATEST names the other's
    push.push(file, base, {})
    (base / version / "fare.tflite").write_bytes(b"damaged")
    assert not push.is_offered(file, base)
    (base / version / "fare.tflite").unlink()
    assert not push.is_offered(file, base)
