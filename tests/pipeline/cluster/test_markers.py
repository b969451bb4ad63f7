"""A node's outputs in a bucket, which Kubeflow's launcher must be able to copy: written by TensorFlow's own file system
for gs://, through the command of a container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from fake_gcs import FakeGcs

from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.markers import POD
from farebox.pipeline.cluster.versions import NEWEST, KfpVersion

ROOT = "gs://bucket/runs/toy/RUN"


@pytest.fixture
def gcs(tmp_path) -> Iterator[FakeGcs]:
    server = FakeGcs(tmp_path)
    yield server
    server.close()


def copied(objects: dict[str, bytes], prefix: str) -> set[str]:
    """The files that the launcher's DownloadBlob makes (objectstore/object_store.go of 2.17.0): each object is a file,
    in the order of names. Raises NotADirectoryError."""
    files: set[str] = set()
    for name in sorted(name for name in objects if name == prefix or name.startswith(f"{prefix}/")):
        path = PurePosixPath(name)
        if below := files & {str(parent) for parent in path.parents}:
            raise NotADirectoryError(below)
        files.add(str(path))
    return files


def executed(gcs: FakeGcs, pod: dict[str, str], folder) -> str:
    """Runs CuratedSchema's container command on the fake bucket. Returns the name of its output."""
    declared = {"text": {"parameterType": "STRING"}}
    types = {"schema": {"artifactType": {"instanceSchema": "title: tfx.Schema\ntype: object\n"}}}
    component = {"inputDefinitions": {"parameters": declared}, "outputDefinitions": {"artifacts": types}}
    text = 'feature { name: "fare" type: FLOAT }'
    task = {"componentRef": {"name": "c"}, "inputs": {"parameters": {"text": {"runtimeValue": {"constant": text}}}}}
    spec = {"root": {"dag": {"tasks": {"CuratedSchema": task}}}, "components": {"c": component}}
    given = Driver(spec, ROOT, KfpVersion(NEWEST), {}, "RUN").executor_input("CuratedSchema")
    given["outputs"]["outputFile"] = str(folder / "output_metadata.json")
    executor = "farebox.components.trip_example_gen.curated_schema.CuratedSchemaExecutor"
    command = [
        sys.executable, "-m", "farebox.pipeline.cluster.container", "--executor_class_path", executor,
        "--json_serialized_invocation_args", json.dumps(given),
        "--json_serialized_inputs_spec_args", json.dumps({"parameters": declared}),
    ]  # fmt: skip
    ended = subprocess.run(
        command, env={**os.environ, **gcs.variables, **pod}, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return str(given["outputs"]["artifacts"]["schema"]["artifacts"][0]["uri"]).removeprefix("gs://bucket/")


@pytest.mark.slow
def test_kubeflow_can_copy_what_a_node_wrote(gcs, tmp_path):
    output = executed(gcs, {POD: "toy-1"}, tmp_path)
    assert copied(gcs.objects, output) == {f"{output}/schema.pbtxt"}
    assert b"fare" in gcs.objects[f"{output}/schema.pbtxt"]


def test_files_and_folders_stay(gcs, tmp_path, monkeypatch):
    from tfx.dsl.io import fileio

    from farebox.pipeline.cluster.markers import remove_markers

    for name, value in gcs.variables.items():
        monkeypatch.setenv(name, value)
    model = f"{ROOT}/Trainer/model"
    fileio.makedirs(f"{model}/Format-Serving/variables")
    for name in ("Format-Serving/saved_model.pb", "Format-Serving/variables/data"):
        with fileio.open(f"{model}/{name}", "wb") as file:
            file.write(name.encode())
    assert len([name for name in gcs.objects if name.endswith("/")]) == 7  # with the four folders above
    local = tmp_path / "empty"
    local.mkdir()
    prefix = model.removeprefix("gs://bucket/")
    with pytest.raises(NotADirectoryError):
        copied(gcs.objects, prefix)
    remove_markers([model, f"{ROOT}/none", str(local)])
    assert copied(gcs.objects, prefix) == {name for name in gcs.objects if name.startswith(f"{prefix}/")}
    assert local.is_dir() and fileio.isdir(f"{model}/Format-Serving/variables")
    with fileio.open(f"{model}/Format-Serving/variables/data", "rb") as file:
        assert file.read() == b"Format-Serving/variables/data"
