"""The driver of each release of Kubeflow Pipelines: the golden ExecutorInputs, which that release's Go printed."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from toy_spec import spec_of_kinds

from farebox.components.errors import InputError
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.invocation import RUN_ID
from farebox.pipeline.cluster.versions import NEWEST, READ, KfpVersion, known_version, local_path

GOLDEN = Path(__file__).parents[2] / "golden" / "executor_inputs"
ROOT = "gs://bucket/farebox/toy/RUN"
WRITTEN = {
    "rows": 3.0, "share": 0.5, "blessed": True, "note": "by hand", "splits": ["train", "eval"], "bounds": {"low": 1.0},
}  # fmt: skip


def driver(version: str) -> Driver:
    return Driver(spec_of_kinds(), ROOT, KfpVersion(version), {}, "RUN", ids=itertools.count(7))


def without_random_folder(executor_input: dict) -> dict:
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "FOLDER", json.dumps(executor_input))
    return dict(json.loads(text))


def test_every_process_runs_the_nodes_in_the_same_order():
    """Python hashes text anew in each process, and a set of names has another order then."""
    dependencies = {"last": ["six", "five", "four", "three", "two", "one"]}
    tasks = {name: {"dependentTasks": needed} for name, needed in dependencies.items()} | {
        name: {} for name in dependencies["last"]
    }
    code = (
        "import json, sys; from farebox.pipeline.cluster.driver import Driver; "
        "from farebox.pipeline.cluster.versions import NEWEST, KfpVersion; "
        "print(*Driver(json.loads(sys.argv[1]), 'gs://b', KfpVersion(NEWEST), {}, 'RUN').tasks().static_order())"
    )
    orders = {
        subprocess.run(
            [sys.executable, "-c", code, json.dumps({"root": {"dag": {"tasks": tasks}}})],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert orders == {"five four one six three two last\n"}


@pytest.mark.parametrize("version", READ)
def test_inputs_are_those_of_the_releases_own_driver(version):
    golden = json.loads((GOLDEN / f"{version}.json").read_text())
    assert golden["kubeflow_pipelines"] == version and len(golden["commit"]) == 12 and golden["read_from"]
    nodes, made = golden["nodes"], driver(version)
    got = {name: without_random_folder(made.executor_input(name)) for name in ("Silent", "Source")}
    made.publish("Source", got["Source"]["outputs"]["artifacts"], {"examples": {"artifacts": [{"metadata": WRITTEN}]}})
    got["Trainer"] = without_random_folder(made.executor_input("Trainer"))
    (model,) = got["Trainer"]["outputs"]["artifacts"]["model"]["artifacts"]
    made.ids = itertools.count(7)
    two = [{**model, "uri": f"{model['uri']}-{number}"} for number in (1, 2)]  # as from the turns of a loop
    made.publish("Trainer", {"model": {"artifacts": two}}, {})
    got["Ensemble"] = without_random_folder(made.executor_input("Ensemble"))
    assert got == nodes


def test_every_release_that_changes_something_has_its_golden_file():
    files = {file.stem for file in GOLDEN.glob("*.json")}
    assert files == {*READ, "vertex"} and READ[-1] == NEWEST


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2.0.5", "2.0.5"), ("2.0", "2.0.5"), ("2.3", "2.3.0"), ("2.4.1", "2.3.0"), ("2.9.1", "2.5.0"),
        ("2.14.4", "2.14.0"), ("2.16", "2.16.1"), ("2.16.0", "2.16.0"), ("2.99", NEWEST),
    ],
)  # fmt: skip
def test_a_version_takes_the_nearest_known_one_before_it(text, name):
    assert known_version(text).name == name


@pytest.mark.parametrize("text", ["", "2", "2.x", "1.8.22", "2.0.4", "3.0", "v2.5.0", "2.5.0-rc.1", "newest", "2.5\n"])
def test_a_version_that_nobody_has_read_is_one_line(text):
    with pytest.raises(InputError, match=f"^kfp_version={re.escape(text)} must be a release .*; known are 2.0.5, 2.3"):
        known_version(text)


@pytest.mark.parametrize(("version", "value"), [("2.3.0", RUN_ID), ("2.5.0", "RUN"), (NEWEST, "RUN")])
def test_the_runs_id_replaces_its_placeholder_since_2_5(version, value):
    """driver.go of 2.5.0, resolveInputParameter: the whole value must be the placeholder."""
    made = driver(version)
    made.artifacts["Source"] = {"examples": []}
    inputs = made.spec["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"]
    inputs["digest"]["runtimeValue"]["constant"] = RUN_ID
    inputs["layers"]["runtimeValue"]["constant"] = [RUN_ID]
    values = made.executor_input("Trainer")["inputs"]["parameterValues"]
    assert values["digest"] == value and values["layers"] == [RUN_ID]


def test_a_second_launch_writes_elsewhere_since_2_5():
    """Between task and key, the driver puts a random folder."""
    for version, count in (("2.3.0", 1), ("2.5.0", 2)):
        made = driver(version)
        entries = [made.executor_input("Source")["outputs"]["artifacts"]["examples"] for _ in range(2)]
        assert len({entry["artifacts"][0]["uri"] for entry in entries}) == count


def test_a_store_that_the_launcher_does_not_know_is_one_line():
    assert [local_path(f"{scheme}://b/x") for scheme in ("gs", "s3", "minio")] == ["/gcs/b/x", "/s3/b/x", "/minio/b/x"]
    with pytest.raises(InputError, match="https://b/x must begin with gs://, s3://, minio://: Kubeflow's launcher"):
        local_path("https://b/x")


def with_parameter(kind: str, value: object, **entry: object) -> Driver:
    """A driver whose Trainer has the parameter `epochs` only."""
    made = driver(NEWEST)
    made.artifacts["Source"] = {"examples": []}
    made.spec["components"]["Trainer"]["inputDefinitions"]["parameters"] = {"epochs": {"parameterType": kind, **entry}}
    sources = made.spec["root"]["dag"]["tasks"]["Trainer"]["inputs"]
    sources["parameters"] = {"epochs": {"componentInputParameter": "n"}}
    made.parameters = {} if value is None else {"n": value}
    return made


@pytest.mark.parametrize(
    ("kind", "value", "given"),
    [
        ("NUMBER_DOUBLE", 2.0, "2"),
        ("NUMBER_DOUBLE", 0.5, "0.5"),
        ("STRING", 3.0, '"3"'),
        ("STRING", "3.0", '"3.0"'),
        ("STRING", [1, 2], '"[1,2]"'),
        ("BOOLEAN", True, "true"),
    ],
)
def test_values_arrive_as_protos_json_writes_them(kind, value, given):
    values = with_parameter(kind, value).executor_input("Trainer")["inputs"]["parameterValues"]
    assert json.dumps(values) == f'{{"epochs": {given}}}'


@pytest.mark.parametrize(("kind", "value"), [("NUMBER_INTEGER", "5"), ("NUMBER_DOUBLE", True), ("LIST", {}), ("X", 1)])
def test_a_value_of_another_type_is_refused(kind, value):
    with pytest.raises(InputError, match=f"parameter epochs={value!r} must be of type {kind}: Kubeflow's driver"):
        with_parameter(kind, value).executor_input("Trainer")


def test_a_value_that_the_run_lacks_is_the_components_default_or_left_out_or_refused():
    with pytest.raises(InputError, match="parameter epochs of task Trainer must have a value: it has no default"):
        with_parameter("NUMBER_INTEGER", None).executor_input("Trainer")
    optional = with_parameter("NUMBER_INTEGER", None, isOptional=True)
    assert "parameterValues" not in optional.executor_input("Trainer")["inputs"]
    optional = with_parameter("NUMBER_INTEGER", None, isOptional=True, defaultValue=9.0)
    assert optional.executor_input("Trainer")["inputs"]["parameterValues"] == {"epochs": 9}


def test_null_in_the_output_metadata_is_refused():
    made = driver(NEWEST)
    outputs = made.executor_input("Source")["outputs"]["artifacts"]
    with pytest.raises(InputError, match="metadata rows must not be null: Kubeflow's launcher refuses it"):
        made.publish("Source", outputs, {"examples": {"artifacts": [{"metadata": {"rows": None}}]}})


@pytest.mark.parametrize("schema", [{}, {"instanceSchema": "type: object"}, {"schemaUri": "gs://b/schema"}])
def test_an_output_without_a_title_is_refused(schema):
    with pytest.raises(InputError, match="output rows must have a type with a title, got {"):
        driver(NEWEST).publish("Source", {"rows": {"artifacts": [{"uri": "u", "type": schema}]}}, {})
