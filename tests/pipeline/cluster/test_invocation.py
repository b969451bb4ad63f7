"""ExecutorInputs of Kubeflow made readable for TFX: its real parser takes the result and refuses the original."""

from __future__ import annotations

import json

import pytest

from farebox.pipeline.cluster.invocation import for_tfx

EXAMPLES = {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}
PROJECTION = {"artifactType": {"instanceSchema": "title: farebox.components.PcaProjection\ntype: object\n"}}
SPEC = json.dumps({"artifacts": {"examples": EXAMPLES}})


@pytest.fixture
def invocation() -> dict:
    """An ExecutorInput of Kubeflow 2.5."""
    logs = {"uri": "gs://b/logs", "type": {"schemaTitle": "system.Artifact"}}
    model = {"name": "model", "uri": "gs://b/model", "type": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
    rows = {"name": "7", "uri": "gs://b/rows", "type": {"instanceSchema": ""}, "metadata": {"span": 3}}
    return {
        "inputs": {"parameterValues": {"epochs": 3}, "artifacts": {"examples": {"artifacts": [rows]}}},
        "outputs": {
            "artifacts": {"model": {"artifacts": [model]}, "executor-logs": {"artifacts": [logs]}},
            "outputFile": "/gcs/b/output_metadata.json",
        },
    }


def test_types_come_from_the_nodes_own_spec_and_logs_are_left_out(invocation):
    readable = json.loads(for_tfx(json.dumps(invocation), SPEC))
    del invocation["outputs"]["artifacts"]["executor-logs"]
    invocation["inputs"]["artifacts"]["examples"]["artifacts"][0]["type"] = EXAMPLES["artifactType"]
    assert readable == invocation


def test_what_vertex_hands_over_is_left_as_it_is(invocation):
    """A type that is there, and no logs."""
    del invocation["outputs"]["artifacts"]["executor-logs"]
    invocation["inputs"]["artifacts"]["examples"]["artifacts"][0]["type"] = PROJECTION["artifactType"]
    assert json.loads(for_tfx(json.dumps(invocation), SPEC)) == invocation
    assert json.loads(for_tfx('{"outputs": {}}', "{}")) == {"outputs": {}}


@pytest.mark.parametrize(("side", "refusal"), [("inputs", AttributeError), ("outputs", ImportError)])
def test_tfx_parses_it_and_refuses_the_original(invocation, side, refusal):
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils import parse_raw_artifact_dict

    def parsed(text: str):
        executor_input = json_format.Parse(text, pipeline_spec_pb2.ExecutorInput())
        return parse_raw_artifact_dict(getattr(executor_input, side).artifacts)

    with pytest.raises(refusal):
        parsed(json.dumps(invocation))
    channels = parsed(for_tfx(json.dumps(invocation), SPEC))
    assert {key: artifacts[0].type_name for key, artifacts in channels.items()} == (
        {"examples": "Examples"} if side == "inputs" else {"model": "Model"}
    )
