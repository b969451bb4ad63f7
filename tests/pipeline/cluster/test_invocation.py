"""ExecutorInputs of Kubeflow made readable for TFX: its real entry point takes the result and refuses the original."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_spec import components

from farebox.pipeline.cluster.container import with_parameters
from farebox.pipeline.cluster.invocation import LOGS, for_tfx
from farebox.pipeline.cluster.versions import READ

GOLDEN = Path(__file__).parents[2] / "golden" / "executor_inputs"
NODES = tuple(components())


def golden(service: str, node: str) -> dict:
    return dict(json.loads((GOLDEN / f"{service}.json").read_text())["nodes"][node])


def inputs_spec(node: str) -> str:
    return json.dumps(components()[node].get("inputDefinitions", {}))


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("version", READ)
def test_types_come_from_the_nodes_own_spec_and_logs_are_left_out(version, node):
    given = golden(version, node)
    readable = json.loads(for_tfx(json.dumps(given), inputs_spec(node)))
    given["outputs"].get("artifacts", {}).pop(LOGS, None)
    for key, entry in given["inputs"].get("artifacts", {}).items():
        for artifact in entry["artifacts"]:
            artifact["type"] = components()[node]["inputDefinitions"]["artifacts"][key]["artifactType"]
    assert readable == given


@pytest.mark.parametrize("node", ["Source", "Trainer"])
def test_what_vertex_hands_over_is_left_as_it_is(node):
    """A type that is there, and no logs."""
    given = golden("vertex", node)
    assert json.loads(for_tfx(json.dumps(given), inputs_spec(node))) == given
    assert json.loads(for_tfx('{"outputs": {}}', "{}")) == {"outputs": {}}


@pytest.fixture
def enter(tmp_path):
    """Calls TFX's entry point on an ExecutorInput, with addresses and the container's files in a folder. Returns the
    output metadata."""

    def call(text: str, node: str) -> dict:
        from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as entry_point

        for place in ("gs://bucket", "/gcs/bucket", "/tmp/kfp_outputs"):
            text = text.replace(f'"{place}', f'"{tmp_path}')
        arguments = [
            "--executor_class_path=tfx.dsl.components.base.base_executor.EmptyExecutor",
            f"--json_serialized_invocation_args={text}",
            f"--json_serialized_inputs_spec_args={inputs_spec(node)}",
        ]
        entry_point.main(entry_point._parse_flags(arguments))
        return dict(json.loads(Path(json.loads(text)["outputs"]["outputFile"]).read_text()))

    return call


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("version", READ)
def test_tfx_takes_it_and_ends_on_the_original(enter, version, node):
    given = golden(version, node)
    written = enter(with_parameters(for_tfx(json.dumps(given), inputs_spec(node))), node)
    assert set(written.get("artifacts", {})) == set(
        components()[node].get("outputDefinitions", {}).get("artifacts", {})
    )
    if given["inputs"].get("artifacts"):
        with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'get'"):
            enter(json.dumps(given), node)
    elif LOGS in given["outputs"].get("artifacts", {}):
        with pytest.raises(ImportError, match="Could not import system.Artifact"):
            enter(json.dumps(given), node)


@pytest.mark.parametrize("node", ["Source", "Trainer"])
def test_tfx_takes_what_vertex_hands_over(enter, node):
    text = json.dumps(golden("vertex", node))
    assert enter(with_parameters(for_tfx(text, inputs_spec(node))), node) == enter(text, node)
