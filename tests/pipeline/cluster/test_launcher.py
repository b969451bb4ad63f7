"""A spec of three small nodes, executed as Kubeflow's launcher does: their commands write down what they were given."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.cluster.launcher import Launcher, NodeError, recorded, resolved

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
    executors = {
        f"{name}_executor": {"container": {"command": ["python", "-c", text], "args": ["{{$}}", "--runner=x"]}}
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
    def make(**options) -> Launcher:
        (tmp_path / "base").mkdir()
        return Launcher(spec(**options), tmp_path / "base", Path(sys.executable).parent, {"n": 5})

    return make


def written(launcher: Launcher, name: str) -> dict:
    (file,) = launcher.root.glob(f"{name}/*/rows/given.json")
    return json.loads(file.read_text())


def test_nodes_come_after_those_that_they_depend_on(launcher):
    assert list(launcher().tasks().static_order()) == ["b", "c", "a"]


def test_what_a_node_says_of_its_outputs_reaches_the_next_one(launcher, tmp_path):
    node_launcher = launcher()
    outputs = node_launcher.launch("b", tmp_path / "b.txt")
    assert Path(outputs["rows"].uri).match(f"{tmp_path}/base/b/*/rows") and set(outputs) == {"rows"}
    assert outputs["rows"].get_int_custom_property("rows") == 3
    assert outputs["rows"].get_string_custom_property("made") == "by hand"
    node_launcher.launch("c", tmp_path / "c.txt")
    (examples,) = written(node_launcher, "c")["given"]["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples == {
        "name": "1", "uri": outputs["rows"].uri, "type": {"instanceSchema": ""},
        "metadata": {"made": "by hand", "rows": 3, "display_name": "rows", "store_session_info": "{}"},
    }  # fmt: skip


def test_parameters_are_the_runs_or_the_files_own(launcher, tmp_path):
    node_launcher = launcher()
    node_launcher.launch("b", tmp_path / "b.txt")
    given = written(node_launcher, "b")
    assert given["given"]["inputs"]["parameterValues"] == {"epochs": 5, "seed": 7} and given["words"] == ["--runner=x"]


def test_a_command_finds_nothing_of_the_caller(launcher, tmp_path, monkeypatch):
    """No checkout on its path, no folder with anything in it, no variable but those of every machine."""
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
        "LC_CTYPE",
    }  # Python sets it
    assert given["environment"]["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_a_hook_runs_before_the_node(launcher, tmp_path):
    node_launcher = launcher(hook=True)
    node_launcher.launch("b", tmp_path / "b.txt")
    assert list(tmp_path.glob("base/b/*/output_metadata.json.hook")) and written(node_launcher, "b")


def test_a_node_that_fails_says_why(launcher, tmp_path):
    with pytest.raises(
        NodeError, match=f"b ended with 1: the mean fare is no number .all of it in {tmp_path}/b.txt"
    ) as failure:
        launcher(code={"b": FAILS}).launch("b", tmp_path / "b.txt")
    assert failure.value.code == 1 and "halfway" in (tmp_path / "b.txt").read_text()


def test_a_node_that_writes_no_metadata_has_not_ended_well(launcher, tmp_path):
    with pytest.raises(NodeError, match="b wrote no .*output_metadata.json: see"):
        launcher(code={"b": "pass"}).launch("b", tmp_path / "b.txt")


def test_what_kubeflow_cannot_run_is_refused(launcher, tmp_path):
    node_launcher = launcher()
    node_launcher.spec["deploymentSpec"]["executors"]["b_executor"] = {"resolver": {}}
    with pytest.raises(InputError, match="task b must have a container, got resolver: Kubeflow runs nothing else"):
        node_launcher.launch("b", tmp_path / "b.txt")


def test_kubeflow_adds_an_output_for_logs_and_vertexs_hook_sees_none(launcher, tmp_path):
    """Since 2.5, for every container."""
    node_launcher = launcher(hook=True)
    hook = node_launcher.spec["deploymentSpec"]["executors"]["b_executor"]["container"]["lifecycle"]["preCacheCheck"]
    hook["command"][-1] = "import json, sys; assert list(json.loads(sys.argv[1])['outputs']['artifacts']) == ['rows']"
    node_launcher.launch("b", tmp_path / "b.txt")
    (logs,) = written(node_launcher, "b")["given"]["outputs"]["artifacts"]["executor-logs"]["artifacts"]
    assert logs["type"] == {"schemaTitle": "system.Artifact"} and logs["uri"].endswith("/executor-logs")


def test_a_second_launch_writes_elsewhere(launcher):
    """The driver puts a random folder between task and key."""
    node_launcher = launcher()
    files = {node_launcher.executor_input("b")["outputs"]["outputFile"] for _ in range(2)}
    assert len(files) == 2 and {Path(file).parents[1] for file in files} == {node_launcher.root / "b"}


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
def test_values_arrive_as_protos_json_writes_them(launcher, kind, value, given):
    node_launcher = launcher()
    node_launcher.spec["components"]["b"]["inputDefinitions"]["parameters"]["epochs"] = {"parameterType": kind}
    node_launcher.parameters = {"n": value}
    assert json.dumps(node_launcher.executor_input("b")["inputs"]["parameterValues"]["epochs"]) == given


@pytest.mark.parametrize(("kind", "value"), [("NUMBER_INTEGER", "5"), ("NUMBER_DOUBLE", True), ("LIST", {}), ("X", 1)])
def test_a_value_of_another_type_is_refused(launcher, kind, value):
    node_launcher = launcher()
    node_launcher.spec["components"]["b"]["inputDefinitions"]["parameters"]["epochs"] = {"parameterType": kind}
    node_launcher.parameters = {"n": value}
    with pytest.raises(InputError, match=f"parameter epochs={value!r} must be of type {kind}: Kubeflow's driver"):
        node_launcher.executor_input("b")


def test_a_value_that_the_run_lacks_is_the_components_default_or_left_out_or_refused(launcher):
    node_launcher = launcher()
    node_launcher.parameters = {}
    with pytest.raises(InputError, match="parameter epochs of task b must have a value: it has no default"):
        node_launcher.executor_input("b")
    epochs = node_launcher.spec["components"]["b"]["inputDefinitions"]["parameters"]["epochs"]
    epochs["isOptional"] = True
    assert node_launcher.executor_input("b")["inputs"]["parameterValues"] == {"seed": 7}
    epochs["defaultValue"] = 9.0
    assert node_launcher.executor_input("b")["inputs"]["parameterValues"] == {"seed": 7, "epochs": 9}


def test_metadata_comes_back_as_mlmd_stores_it():
    metadata = {"blessed": True, "rows": 3.0, "share": 0.5, "splits": ["a"], "bounds": {"a": 1}}
    artifact = {"uri": "u", "type": {"schemaTitle": "tfx.Examples"}, "metadata": metadata}
    kept = recorded("rows", artifact, 7)["metadata"]
    assert kept.items() > {"rows": 3, "share": 0.5, "splits": {"list": ["a"]}, "bounds": {"struct": {"a": 1}}}.items()
    assert kept["blessed"] == 1 and type(kept["blessed"]) is int
    metadata["rows"] = None
    with pytest.raises(InputError, match="metadata rows must not be null: Kubeflow's launcher refuses it"):
        recorded("rows", artifact, 7)


@pytest.mark.parametrize("schema", [{}, {"instanceSchema": "type: object"}, {"schemaUri": "gs://b/schema"}])
def test_an_output_without_a_title_is_refused(schema):
    with pytest.raises(InputError, match="output rows must have a type with a title, got {"):
        recorded("rows", {"uri": "u", "type": schema, "metadata": {}}, 7)


def test_a_placeholder_that_a_rehearsal_does_not_resolve_is_refused():
    with pytest.raises(InputError, match=r"x={{\$.pipeline_job_uuid}} must have no placeholder but {{\$}}:"):
        resolved({"command": ["a", "{{$}}"], "args": ["x={{$.pipeline_job_uuid}}"]}, {})
