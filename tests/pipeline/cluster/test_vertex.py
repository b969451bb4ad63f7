"""`farebox submit --runner vertex` with google-cloud-aiplatform against a local server of its REST API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest


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


def test_a_spec_of_2_0_has_values_with_their_types(to_vertex, vertex, spec_file):
    assert to_vertex(spec_file("2.0.0"), "--parameter=rows=5", "--no-wait")[0] == 0
    assert vertex.kept("jobs")[0]["runtimeConfig"]["parameters"] == {
        "epochs": {"intValue": "3"},
        "budget": {"doubleValue": 0.5},
        "span": {"stringValue": "1"},
        "rows": {"intValue": "5"},
    }


def test_the_id_is_one_that_vertex_takes_and_the_same_each_time(to_vertex, vertex, spec_file):
    file = spec_file(image="registry.example/Farebox:V1.2_RC")
    for _ in range(2):
        assert to_vertex(file, "--parameter=rows=5", "--no-wait")[0] == 0
    (post,) = vertex.seen("POST", "/pipelineJobs$")
    assert re.fullmatch("[a-z][-a-z0-9]{0,127}", post.query["pipelineJobId"])
    assert vertex.kept("jobs")[0]["labels"]["commit"] == "v1-2_rc"


def test_credentials_come_from_the_environments_file_and_are_signed_with_its_key(to_vertex, vertex, spec_file):
    """The server verifies each signature; here the key is another's."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    vertex.public_key = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    code, _, err = to_vertex(spec_file(), "--parameter=rows=5")
    assert code == 2 and "401" in err and "gcloud auth application-default login" in err
    assert vertex.rows == {}


def test_without_credentials_a_line_says_how_to_log_in(to_vertex, vertex, spec_file, monkeypatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    code, _, err = to_vertex(spec_file(), "--parameter=rows=5")
    assert code == 2 and err.count("\n") == 1 and "GOOGLE_APPLICATION_CREDENTIALS" in err
    assert vertex.requests == []


def test_a_project_that_is_not_ours_is_refused_in_one_line(to_vertex, spec_file):
    code, _, err = to_vertex(spec_file(), "--parameter=rows=5", "--project=else")
    assert code == 2 and "project=else" in err and "403 " in err and "roles/aiplatform.user" in err


def test_quota_is_named(to_vertex, vertex, spec_file):
    words = "Quota exceeded for quota metric 'Pipeline jobs' of service 'aiplatform.googleapis.com'"
    body = {"error": {"code": 429, "message": words, "status": "RESOURCE_EXHAUSTED"}}
    vertex.fail("POST", "/pipelineJobs$", 429, body, times=99)
    code, _, err = to_vertex(spec_file(), "--parameter=rows=5", "--patience=0.5")
    assert code == 2 and f"429 {words}, for 0.5 s; wait, or ask for more quota" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--project=", "--project must be given"),
        ("--region=", "--region must be given"),
        ("--region=us/../x", "--region=us/../x must be a name as Google Cloud gives it"),
        ("--endpoint=http://example.org", "--endpoint=http://example.org must be https: credentials go there"),
    ],
)
def test_a_wrong_place_is_one_line(to_vertex, vertex, spec_file, option, message):
    code, _, err = to_vertex(spec_file(), "--parameter=rows=5", option)
    assert code == 2 and err.startswith(f"farebox: {message}") and vertex.requests == []


@pytest.mark.parametrize("name", ["t" * 128, "2026-taxi", "-taxi"])
def test_an_id_is_short_enough_and_begins_with_a_letter(to_vertex, vertex, spec_file, name):
    file = with_pipeline(spec_file(image=f"farebox:{'a' * 40}"), pipelineInfo={"name": name})
    for more in ((), ("--again",)):
        code, _, err = to_vertex(file, "--parameter=rows=5", "--no-wait", *more)
        assert (code, err) == (0, ""), err
    first, second = (job["name"].rpartition("/")[2] for job in vertex.kept("jobs"))
    assert second == f"{first}-2" and re.search("-a{12}-[0-9a-f]{12}$", first)


@pytest.mark.parametrize("root", ["", "s3://bucket/runs"])
def test_artifacts_without_a_bucket_are_one_line(to_vertex, vertex, spec_file, root):
    """The service requires it."""
    file = with_pipeline(spec_file(), defaultPipelineRoot=root)
    job = json.loads(Path(file).read_text())
    del job["runtimeConfig"]["gcsOutputDirectory"]
    Path(file).write_text(json.dumps(job))
    code, _, err = to_vertex(file, "--parameter=rows=5")
    assert code == 2 and f"{file}: pipeline root={root} must be an address gs://... for Vertex AI" in err
    assert vertex.rows == {} and err.count("\n") == 1


def with_pipeline(file: str, **changes: Any) -> str:
    """The spec's file, changed."""
    job = json.loads(Path(file).read_text())
    job["pipelineSpec"] |= changes
    Path(file).write_text(json.dumps(job))
    return file
