"""`farebox submit --runner kubeflow` with kfp's client against a local server of its API: what arrives and is shown."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_run_arrives_with_spec_parameters_and_root_and_its_nodes_are_shown(to_kubeflow, kubeflow, spec_file):
    code, out, err = to_kubeflow(spec_file(), "--parameter=rows=5", "--parameter=epochs=7")
    assert (code, err) == (0, "")
    (run,) = kubeflow.kept("runs")
    assert run["runtime_config"] == {
        "parameters": {"epochs": 7, "budget": 0.5, "span": "1", "rows": 5},
        "pipeline_root": "gs://bucket/runs",
    }
    assert run["display_name"].startswith("farebox-toy-abc1234-") and "commit abc1234" in run["description"]
    (version,) = kubeflow.kept("versions of pipeline-2") or kubeflow.kept("versions of pipeline-1")
    assert version["pipeline_spec"] == json.loads(Path(spec_file()).read_text())["pipelineSpec"]
    shown = [line.split()[1:] for line in out.splitlines()[1:-1]]
    assert shown == [
        ["TripExampleGen", "running"],
        ["TripExampleGen", "skipped"],
        ["Trainer", "running"],
        ["Trainer", "succeeded"],
        ["Pusher", "running"],
        ["Pusher", "succeeded"],
    ]
    assert out.splitlines()[-1] == f"{run['run_id']} succeeded"
