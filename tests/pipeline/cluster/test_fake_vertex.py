"""Refusals of Vertex AI that no command of ours meets, as its double makes them, through the real client."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from toy_spec import toy_job

from farebox.pipeline.cluster.service import ClusterTarget
from farebox.pipeline.cluster.vertex import Vertex

PARENT = "projects/acme/locations/us-central1"


@pytest.fixture
def service(vertex) -> Vertex:
    return Vertex(ClusterTarget("vertex", project="acme", region="us-central1", endpoint=vertex.url), print)


def sent(service: Vertex, job: dict[str, Any], key: str = "x") -> Any:
    from google.cloud import aiplatform_v1 as api

    request = {"parent": PARENT, "pipeline_job": api.PipelineJob.from_json(json.dumps(job)), "pipeline_job_id": key}
    return service.jobs.create_pipeline_job(request, **service._single_request)


@pytest.mark.parametrize("key", ["x" * 128, "1x", "X", "x_1"])
def test_an_id_of_other_characters(service, key):
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match="pipeline_job_id"):
        sent(service, toy_job(), key)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"displayName": "x" * 129}, "display_name must have at most 128 characters"),
        ({"labels": {"Upper": "x"}}, "label Upper is not valid"),
        ({"labels": {"x": "y" * 65}}, "label y+ is not valid"),
        ({"runtimeConfig": {"parameterValues": {}}}, "gcs_output_directory must be a path in a Cloud Storage bucket"),
        (
            {"runtimeConfig": {"gcsOutputDirectory": "gs://b", "parameters": {"rows": {"intValue": "5"}}}},
            "parameters of another schema version",
        ),
    ],
)
def test_a_job_that_the_comments_of_the_proto_exclude(service, change, complaint):
    from google.api_core.exceptions import BadRequest

    with pytest.raises(BadRequest, match=complaint):
        sent(service, {**toy_job(), **change})
    assert sent(service, toy_job()).state.name == "PIPELINE_STATE_PENDING"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"display_name": ""}, "display_name must have 1 to 128"),
        ({"max_concurrent_run_count": 0}, "max_concurrent_run_count are required"),
        ({"create_pipeline_job_request": {"pipeline_job_id": "x"}}, "takes no id"),
        ({"create_pipeline_job_request": {"parent": "projects/else/locations/x"}}, "needs the location as parent"),
    ],
)
def test_a_schedule_that_the_comments_of_the_proto_exclude(service, change, complaint):
    from google.api_core.exceptions import BadRequest
    from google.cloud import aiplatform_v1 as api

    job = api.PipelineJob.from_json(json.dumps(toy_job()))
    schedule: dict[str, Any] = {
        "display_name": "nightly", "cron": "0 3 * * *", "max_concurrent_run_count": 1,
        "create_pipeline_job_request": {"parent": PARENT, "pipeline_job": job},
    }  # fmt: skip
    wrong = copy.copy(schedule)
    for key, value in change.items():
        wrong[key] = {**schedule[key], **value} if isinstance(value, dict) else value
    with pytest.raises(BadRequest, match=complaint):
        service.schedules.create_schedule({"parent": PARENT, "schedule": wrong}, **service._single_request)
    request = {"parent": PARENT, "schedule": schedule}
    assert service.schedules.create_schedule(request, **service._single_request).state.name == "ACTIVE"


def test_a_cancellation_only_begins_and_a_cancelled_job_has_an_error(service):
    sent(service, toy_job())
    service.stop("x")
    run = service.run("x")
    assert (run.state, run.error) == ("cancelled", "The job was cancelled.")


def test_a_deletion_is_an_operation_that_is_not_done_at_once(service, vertex):
    from google.cloud import aiplatform_v1 as api

    name = f"{PARENT}/schedules/7"
    vertex.keep("schedules", "7", {"name": name, "displayName": "nightly"})
    operation = service.schedules.delete_schedule({"name": name}, **service._single_request)
    assert [row.display_name for row in service.schedules.list_schedules({"parent": PARENT})] == ["nightly"]
    assert isinstance(operation.metadata, api.DeleteOperationMetadata)
    operation.result(timeout=9)
    assert vertex.kept("schedules") == []
    assert vertex.requests[-1].path.startswith("/ui/projects/")
