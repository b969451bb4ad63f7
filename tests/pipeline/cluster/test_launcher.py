"""A spec of three small nodes, executed as Kubeflow's launcher does: their commands write down what they were given."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.launcher import Launcher, NodeError, resolved
from farebox.pipeline.cluster.versions import NEWEST, READ, KfpVersion

NODE = """
import json, os, sys
given = json.loads(sys.argv[1])
outputs = given["outputs"]
for key, entry in outputs["artifacts"].items():
    uri = entry["artifacts"][0]["uri"]
    os.makedirs(uri)
    with open(uri + "/given.json", "w") as file:
        about = {"words": sys.argv[2:], "folder": os.listdir("."), "environment": dict(os.environ)}
        json.dump({"given": given, **about}, file)
    entry["artifacts"][0]["metadata"] = {"rows": 3.0}
artifacts = {key: {"artifacts": [{"uri": entry["artifacts"][0]["uri"], "metadata": {"rows": 3.0}}]}
             for key, entry in outputs["artifacts"].items()}
os.makedirs(os.path.dirname(outputs["outputFile"]), exist_ok=True)
with open(outputs["outputFile"], "w") as file:
    json.dump({"artifacts": artifacts}, file)
"""
FAILS = "import sys; print('halfway'); sys.exit('the mean fare is no number')"
TYPE = {"artifactType": {"instanceSchema": "title: tfx.Examples"}, "metadata": {"made": "by hand"}}


def task(name: str, inputs: dict | None = None, parameters: dict | None = None, after: tuple[str, ...] = ()) -> dict:
    artifacts = {
        key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": "rows"}}
        for key, producer in (inputs or {}).items()
    }
    return {
        "componentRef": {"name": name},
        "dependentTasks": list(after),
        "inputs": {"artifacts": artifacts, "parameters": parameters or {}},
    }


def spec(*, code: dict[str, str] | None = None, hook: bool = False) -> dict:
    """a and b write rows, c reads b's as `examples`; a comes after c."""
    tasks = {
        "a": task("a", after=("c",)),
        "b": task(
            "b", parameters={"epochs": {"componentInputParameter": "n"}, "seed": {"runtimeValue": {"constant": 7}}}
        ),
        "c": task("c", {"examples": "b"}),
    }
    words = {name: (code or {}).get(name, NODE) for name in tasks}
    env = [{"name": "FAREBOX_LANE", "value": "B"}]
    executors = {
        f"{name}_executor": {
            "container": {"command": ["python", "-c", text], "args": ["{{$}}", "--runner=x"], "env": env}
        }
        for name, text in words.items()
    }
    if hook:
        marks = "import json, sys; open(json.loads(sys.argv[1])['outputs']['outputFile'] + '.hook', 'w')"
        executors["b_executor"]["container"]["lifecycle"] = {
            "preCacheCheck": {"command": ["python", "-c", marks], "args": ["{{$}}"]}
        }
    components = {
        name: {"executorLabel": f"{name}_executor", "outputDefinitions": {"artifacts": {"rows": TYPE}}}
        for name in tasks
    }
    declared = {"epochs": {"parameterType": "NUMBER_INTEGER"}, "seed": {"parameterType": "NUMBER_DOUBLE"}}
    components["b"]["inputDefinitions"] = {"parameters": declared}
    return {"root": {"dag": {"tasks": tasks}}, "components": components, "deploymentSpec": {"executors": executors}}


@pytest.fixture
def launcher(tmp_path):
    def make(version: str = NEWEST, **options) -> Launcher:
        (tmp_path / "containers").mkdir()
        driver = Driver(spec(**options), "gs://bucket/toy/RUN", KfpVersion(version), {"n": 5}, "RUN")
        places = [("gs://bucket", str(tmp_path / "base"))]
        return Launcher(driver, places, Path(sys.executable).parent, tmp_path / "containers")

    return make


def written(launcher: Launcher, name: str) -> dict:
    ((_, base),) = launcher.places
    (file,) = Path(base).glob(f"toy/RUN/{name}/**/rows/given.json")
    return json.loads(file.read_text())


def test_nodes_come_after_those_that_they_depend_on(launcher):
    assert list(launcher().driver.tasks().static_order()) == ["b", "c", "a"]


def test_what_a_node_says_of_its_outputs_reaches_the_next_one(launcher, tmp_path):
    node_launcher = launcher()
    outputs = node_launcher.launch("b", tmp_path / "b.txt")
    assert Path(outputs["rows"].uri).match(f"{tmp_path}/base/toy/RUN/b/*/rows") and set(outputs) == {"rows"}
    assert outputs["rows"].get_int_custom_property("rows") == 3
    assert outputs["rows"].get_string_custom_property("made") == "by hand"
    node_launcher.launch("c", tmp_path / "c.txt")
    (examples,) = written(node_launcher, "c")["given"]["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples == {
        "name": "1", "uri": outputs["rows"].uri, "type": {"instanceSchema": ""},
        "metadata": {
            "made": "by hand", "rows": 3, "display_name": "rows",
            "store_session_info": '{"Provider":"gs","Params":{"fromEnv":"true"}}',
        },
    }  # fmt: skip


def test_parameters_are_the_runs_or_the_files_own(launcher, tmp_path):
    node_launcher = launcher()
    node_launcher.launch("b", tmp_path / "b.txt")
    given = written(node_launcher, "b")
    assert given["given"]["inputs"]["parameterValues"] == {"epochs": 5, "seed": 7} and given["words"] == ["--runner=x"]


def test_a_command_finds_nothing_of_the_caller(launcher, tmp_path, monkeypatch):
    """No checkout on its path, no folder with anything in it, no home, no variable but those of every machine."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", "secret")
    node_launcher = launcher()
    node_launcher.launch("b", tmp_path / "b.txt")
    given = written(node_launcher, "b")
    assert given["folder"] == []
    assert set(given["environment"]) <= {
        "HOME",
        "LANG",
        "TMPDIR",
        "PATH",
        "PYTHONUNBUFFERED",
        "KFP_POD_NAME",
        "KFP_POD_UID",
        "LC_CTYPE",  # Python sets it
        "FAREBOX_LANE",  # the spec
    }
    assert given["environment"]["FAREBOX_LANE"] == "B"
    assert Path(given["environment"]["HOME"]).is_relative_to(node_launcher.containers)
    assert given["environment"]["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_a_hook_runs_before_the_node(launcher, tmp_path):
    node_launcher = launcher(hook=True)
    node_launcher.launch("b", tmp_path / "b.txt")
    assert list(node_launcher.containers.glob("b-*/gcs/**/output_metadata.json.hook")) and written(node_launcher, "b")


@pytest.mark.parametrize("version", READ)
def test_the_output_file_is_where_the_release_puts_it(launcher, tmp_path, version):
    """Its folder stands for the container's root; what is written elsewhere is not read."""
    node_launcher = launcher(version)
    node_launcher.launch("b", tmp_path / "b.txt")
    (file,) = node_launcher.containers.glob("b-*/**/output_metadata.json")
    place = str(file.parent.relative_to(node_launcher.containers)).partition("/")[2]
    own = Path(written(node_launcher, "b")["given"]["outputs"]["artifacts"]["rows"]["artifacts"][0]["uri"]).parent
    beside = version in ("2.15.0", "2.16.0", "2.16.1", "2.17.0")
    assert place == (f"gcs/bucket/toy/RUN/b/{own.name}" if beside else "tmp/kfp_outputs")


def test_a_node_that_fails_says_why(launcher, tmp_path):
    with pytest.raises(
        NodeError, match=f"b ended with 1: the mean fare is no number .all of it in {tmp_path}/b.txt"
    ) as failure:
        launcher(code={"b": FAILS}).launch("b", tmp_path / "b.txt")
    assert failure.value.code == 1 and "halfway" in (tmp_path / "b.txt").read_text()


def test_a_node_that_writes_no_metadata_has_not_ended_well(launcher, tmp_path):
    with pytest.raises(NodeError, match="b wrote no .*output_metadata.json: see"):
        launcher(code={"b": "pass"}).launch("b", tmp_path / "b.txt")


def test_an_output_outside_of_the_runs_folder_is_refused(launcher, tmp_path):
    """KeyFromURI in objectstore/config.go: the launcher ends, as it cannot tell the place in its bucket."""
    elsewhere = NODE.replace('{"uri": entry["artifacts"][0]["uri"],', '{"uri": "/elsewhere",')
    with pytest.raises(NodeError, match=f"b: output rows must be below {tmp_path}/base/toy/RUN, got /elsewhere: see"):
        launcher(code={"b": elsewhere}).launch("b", tmp_path / "b.txt")


def test_what_kubeflow_cannot_run_is_refused(launcher, tmp_path):
    node_launcher = launcher()
    node_launcher.driver.spec["deploymentSpec"]["executors"]["b_executor"] = {"resolver": {}}
    with pytest.raises(InputError, match="task b must have a container, got resolver: Kubeflow runs nothing else"):
        node_launcher.launch("b", tmp_path / "b.txt")


def test_kubeflow_adds_an_output_for_logs_and_vertexs_hook_sees_none(launcher, tmp_path):
    """Since 2.5, for every container."""
    node_launcher = launcher(hook=True)
    hook = node_launcher.driver.spec["deploymentSpec"]["executors"]["b_executor"]["container"]["lifecycle"][
        "preCacheCheck"
    ]
    hook["command"][-1] = "import json, sys; assert list(json.loads(sys.argv[1])['outputs']['artifacts']) == ['rows']"
    node_launcher.launch("b", tmp_path / "b.txt")
    (logs,) = written(node_launcher, "b")["given"]["outputs"]["artifacts"]["executor-logs"]["artifacts"]
    assert logs["type"] == {"schemaTitle": "system.Artifact"} and logs["uri"].endswith("/executor-logs-0")


def test_a_placeholder_that_a_rehearsal_does_not_resolve_is_refused():
    with pytest.raises(InputError, match=r"x={{\$.pipeline_job_uuid}} must have no placeholder but {{\$}}:"):
        resolved({"command": ["a", "{{$}}"], "args": ["x={{$.pipeline_job_uuid}}"]}, {})
