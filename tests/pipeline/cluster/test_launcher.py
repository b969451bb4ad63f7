"""A spec of three small nodes, executed as Kubeflow's launcher does: their commands write down what they were given."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.cluster.launcher import Launcher, NodeError

NODE = """
import json, os, sys
given = json.loads(sys.argv[1])
outputs = given["outputs"]
for key, found in outputs["artifacts"].items():
    uri = found["artifacts"][0]["uri"]
    os.makedirs(uri)
    with open(uri + "/given.json", "w") as file:
        about = {"words": sys.argv[2:], "folder": os.listdir("."), "environment": dict(os.environ)}
        json.dump({"given": given, **about}, file)
    found["artifacts"][0]["metadata"] = {"rows": 3.0}
artifacts = {key: {"artifacts": [{"uri": found["artifacts"][0]["uri"], "metadata": {"rows": 3.0}}]}
             for key, found in outputs["artifacts"].items()}
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
    return {"root": {"dag": {"tasks": tasks}}, "components": components, "deploymentSpec": {"executors": executors}}


@pytest.fixture
def launcher(tmp_path):
    def make(**options) -> Launcher:
        (tmp_path / "root").mkdir()
        return Launcher(spec(**options), tmp_path / "root", Path(sys.executable).parent, {"n": 5})

    return make


def written(launcher: Launcher, name: str) -> dict:
    return json.loads((launcher.root / name / "rows" / "given.json").read_text())


def test_nodes_come_after_those_that_they_depend_on(launcher):
    assert list(launcher().tasks().static_order()) == ["b", "c", "a"]


def test_what_a_node_says_of_its_outputs_reaches_the_next_one(launcher, tmp_path):
    found = launcher()
    outputs = found.launch("b", tmp_path / "b.txt")
    assert outputs["rows"].uri == str(tmp_path / "root" / "b" / "rows")
    assert outputs["rows"].get_int_custom_property("rows") == 3
    assert outputs["rows"].get_string_custom_property("made") == "by hand"
    found.launch("c", tmp_path / "c.txt")
    (examples,) = written(found, "c")["given"]["inputs"]["artifacts"]["examples"]["artifacts"]
    assert examples == {
        "name": "1", "uri": outputs["rows"].uri, "type": TYPE["artifactType"],
        "metadata": {"made": "by hand", "rows": 3.0, "display_name": "rows", "store_session_info": "{}"},
    }  # fmt: skip


def test_parameters_are_the_runs_or_the_files_own(launcher, tmp_path):
    found = launcher()
    found.launch("b", tmp_path / "b.txt")
    given = written(found, "b")
    assert given["given"]["inputs"]["parameterValues"] == {"epochs": 5, "seed": 7} and given["words"] == ["--runner=x"]


def test_a_command_finds_nothing_of_the_caller(launcher, tmp_path, monkeypatch):
    """No checkout on its path, no folder with anything in it, no variable but those of every machine."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", "secret")
    found = launcher()
    found.launch("b", tmp_path / "b.txt")
    given = written(found, "b")
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
    found = launcher(hook=True)
    found.launch("b", tmp_path / "b.txt")
    assert (tmp_path / "root" / "b" / "output_metadata.json.hook").exists() and written(found, "b")


def test_a_node_that_fails_says_why(launcher, tmp_path):
    with pytest.raises(
        NodeError, match=f"b ended with 1: the mean fare is no number .all of it in {tmp_path}/b.txt"
    ) as found:
        launcher(code={"b": FAILS}).launch("b", tmp_path / "b.txt")
    assert found.value.code == 1 and "halfway" in (tmp_path / "b.txt").read_text()


def test_a_node_that_writes_no_metadata_has_not_ended_well(launcher, tmp_path):
    with pytest.raises(NodeError, match="b wrote no .*output_metadata.json: see"):
        launcher(code={"b": "pass"}).launch("b", tmp_path / "b.txt")


def test_what_kubeflow_cannot_run_is_refused(launcher, tmp_path):
    found = launcher()
    found.spec["deploymentSpec"]["executors"]["b_executor"] = {"resolver": {}}
    with pytest.raises(InputError, match="task b must have a container, got resolver: Kubeflow runs nothing else"):
        found.launch("b", tmp_path / "b.txt")
