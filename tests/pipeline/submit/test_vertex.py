"""`farebox submit --runner vertex` with google-cloud-aiplatform against a local server of its REST API."""

from __future__ import annotations


def test_a_job_arrives_with_spec_parameters_and_labels_and_its_nodes_are_shown(to_vertex, vertex, spec_file):
    code, out, err = to_vertex(spec_file(), "--parameter=rows=5", "--service-account=robot@acme")
    assert (code, err) == (0, ""), err
    (job,) = vertex.kept("jobs")
    assert job["runtimeConfig"] == {
        "gcsOutputDirectory": "gs://bucket/runs",
        "parameterValues": {"epochs": 3, "budget": 0.5, "span": "1", "rows": 5},
    }
    assert job["labels"]["commit"] == "abc1234" and job["labels"]["tfx_version"] == "1-16-0"
    assert job["serviceAccount"] == "robot@acme"
    shown = [line.split()[1:] for line in out.splitlines()[1:-1]]
    assert shown[0] == ["TripExampleGen", "running"] and shown[-1] == ["Pusher", "succeeded"]
