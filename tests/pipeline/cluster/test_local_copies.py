"""Artifacts of s3:// and minio:// stores: TFX's real entry point works on the launcher's copies on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farebox.pipeline.cluster.local_copies import local_artifacts

STATISTICS = {"instanceSchema": "title: tfx.ExampleStatistics\ntype: object\n"}
TYPE = {"instanceSchema": "title: tfx.Model\ntype: object\n"}


def invocation(folder: Path, scheme: str) -> dict:
    """An ExecutorInput of Kubeflow 2.17 for a root in a store; the launcher copied the input below `folder`."""
    model = {"name": "model", "uri": f"{scheme}://b/run/Trainer/model", "type": TYPE, "metadata": {}}
    pushed = {"name": "pushed", "uri": f"{scheme}://b/run/Pusher/pushed", "type": TYPE, "metadata": {}}
    return {
        "inputs": {"parameterValues": {"root": f"{scheme}://b"}, "artifacts": {"model": {"artifacts": [model]}}},
        "outputs": {
            "artifacts": {"pushed": {"artifacts": [pushed]}},
            "outputFile": str(folder / "output_metadata.json"),
        },
    }


@pytest.mark.parametrize("scheme", ["s3", "minio"])
def test_a_node_reads_and_writes_the_copies_and_reports_addresses(tmp_path, scheme):
    given = invocation(tmp_path, scheme)
    with local_artifacts(json.dumps(given), f"{tmp_path}/") as text:
        seen = json.loads(text)
        assert seen["inputs"]["artifacts"]["model"]["artifacts"][0]["uri"] == f"{tmp_path}/{scheme}/b/run/Trainer/model"
        assert seen["inputs"]["parameterValues"] == given["inputs"]["parameterValues"]
        written = seen["outputs"]["artifacts"]
        written["pushed"]["artifacts"][0]["metadata"] = {"source": f"{tmp_path}/{scheme}/b/x", "n": 3, "path": "/other"}
        Path(given["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": written}))
    reported = json.loads(Path(given["outputs"]["outputFile"]).read_text())["artifacts"]["pushed"]["artifacts"][0]
    assert reported["uri"] == f"{scheme}://b/run/Pusher/pushed"
    assert reported["metadata"] == {"source": f"{scheme}://b/x", "n": 3, "path": "/other"}


def test_addresses_that_tensorflow_reads_are_left_as_they_are(tmp_path):
    given = json.dumps(invocation(tmp_path, "gs"))
    with local_artifacts(given, f"{tmp_path}/") as text:
        assert json.loads(text) == json.loads(given)
    with local_artifacts('{"outputs": {}}') as text:
        assert text == '{"outputs": {}}'


def test_tfxs_entry_point_runs_a_node_of_ours_on_the_copies(tmp_path):
    """LatestPushed after a push; its artifact is beside the address that the launcher uploads."""
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as entry_point

    from farebox.components.atomic_pusher import push
    from farebox.components.atomic_pusher.store import LocalStore

    push.push(b"a model", LocalStore(tmp_path / "models"), {})
    given = invocation(tmp_path, "minio")
    given["inputs"] = {"parameterValues": {"models_dir": str(tmp_path / "models"), "code_digest": "0"}}
    statistics = {"name": "statistics", "uri": "minio://b/run/statistics", "type": STATISTICS, "metadata": {}}
    model = given["outputs"]["artifacts"]["pushed"]
    given["outputs"]["artifacts"] = {"model": model, "statistics": {"artifacts": [statistics]}}
    inputs_spec = {"parameters": {key: {"parameterType": "STRING"} for key in ("models_dir", "code_digest")}}
    with local_artifacts(json.dumps(given), f"{tmp_path}/") as text:
        words = [
            "node", "--executor_class_path", "farebox.components.baselines.latest_pushed.LatestPushedExecutor",
            "--json_serialized_invocation_args", text, "--json_serialized_inputs_spec_args", json.dumps(inputs_spec),
        ]  # fmt: skip
        entry_point.main(entry_point._parse_flags(words))
    reported = json.loads(Path(given["outputs"]["outputFile"]).read_text())["artifacts"]["model"]["artifacts"][0]
    assert reported["uri"] == "minio://b/run/Pusher/pushed"
    (file,) = (tmp_path / "minio/b/run/Pusher/pushed").rglob("*tflite")
    assert file.read_bytes() == b"a model"
