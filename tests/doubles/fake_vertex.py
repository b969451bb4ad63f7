"""The part of Vertex AI's REST API v1 that pipeline jobs and schedules need, for one project and region, on 127.0.0.1.

The service's source is closed. Read from its protos and their comments, googleapis at f8291d2b89f0 (August 2026), in
`google/cloud/aiplatform/v1/`: pipeline_service, pipeline_job, pipeline_state, schedule_service, schedule, and
`aiplatform_v1.yaml` for the paths of operations; the pattern of a job's id also from google-cloud-aiplatform 1.165.1
(`constants/pipeline.py`). Stricter than they say: two schedules a page, and `*` in a filter matches any text
(https://google.aip.dev/160 allows that). Guesses: texts of errors, the status for a refused value, and what happens to
the cancellation of a job that has ended.

The real client talks to it: google-cloud-aiplatform 1.165.1, on both lanes. It parses the answers; the server parses
requests into the client's protos and verifies each token's signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fake_service import FakeService, ReceivedRequest, RefusedError, error_of, timestamp

MAX_NAME, MAX_LABEL = 128, 64  # characters
STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class FakeVertex(FakeService):
    """Ids of jobs are unique. Tokens are JWTs that the private key of `public_key` has signed."""

    PARENT = "/v1/projects/acme/locations/us-central1"
    WORDS = "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED"

    def __init__(self, public_key: bytes) -> None:
        super().__init__()
        self.public_key = public_key

    def error(self, status: int, message: str) -> Any:
        return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN")}}

    def answer(self, request: ReceivedRequest) -> Any:
        from google.auth import jwt

        try:
            jwt.decode(request.headers.get("authorization", "").removeprefix("Bearer "), self.public_key)
        except ValueError as error:
            raise RefusedError(401, str(error)) from error
        elsewhere = f"/ui{self.PARENT[3:]}/operations"  # the client's REST transport asks there
        path = request.path.replace(elsewhere, f"{self.PARENT}/operations").removeprefix(self.PARENT)
        if path == request.path:
            raise RefusedError(403, f"Permission denied on {request.path}")
        key = path.rpartition("/")[2].partition(":")[0]
        match f"{request.method} {re.sub('(?<=.)/[^/:]+', '/ID', path)}":
            case "POST /pipelineJobs":
                return self._job(request)
            case "GET /pipelineJobs/ID":
                return self._at_this_look(self.row_of("jobs", key))
            case "POST /pipelineJobs/ID:cancel":
                return self._cancel(self.row_of("jobs", key))
            case "POST /schedules":
                return self._schedule(request)
            case "GET /schedules":
                return self._page(request)
            case "DELETE /schedules/ID":
                self.row_of("schedules", key)
                return operation(f"{self.PARENT[4:]}/operations/{key}")
            case "GET /operations/ID":
                return self._finish_deletion(path, key)
        raise RefusedError(404, f"{request.method} {path} is no path of this API")

    def _job(self, request: ReceivedRequest) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        key = request.query["pipelineJobId"]
        if not re.fullmatch("[a-z][-a-z0-9]{0,126}", key):
            raise RefusedError(400, f"pipeline_job_id {key} is not valid")
        if key in self.rows.get("jobs", {}):
            raise RefusedError(409, f"The PipelineJob {key} already exists.")
        aiplatform_v1.PipelineJob.from_json(request.body)
        check_job(request.json)
        name = f"{self.PARENT[4:]}/pipelineJobs/{key}"
        return self.keep("jobs", key, {**request.json, "name": name, "state": "PIPELINE_STATE_PENDING"})

    def _cancel(self, row: dict[str, Any]) -> dict[str, Any]:
        """Only begins to cancel it."""
        if row["state"] in ("PIPELINE_STATE_PENDING", "PIPELINE_STATE_RUNNING"):
            row["state"] = "PIPELINE_STATE_CANCELLING"
        return {}

    def _finish_deletion(self, path: str, key: str) -> dict[str, Any]:
        """A schedule is there until its deletion has been asked for again."""
        self.rows["schedules"].pop(key, None)
        empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return {**operation(f"{self.PARENT[4:]}{path}"), "done": True, "response": empty}

    def _at_this_look(self, row: dict[str, Any]) -> dict[str, Any]:
        """A failed or cancelled job has an error of its own."""
        if row["state"] in ("PIPELINE_STATE_CANCELLING", "PIPELINE_STATE_CANCELLED"):
            row |= {"state": "PIPELINE_STATE_CANCELLED", "error": {"code": 1, "message": "The job was cancelled."}}
            return row
        key = row["name"].rpartition("/")[2]
        state, nodes = self.states(key, self.WORDS)
        begun = [("farebox-toy-run", "RUNNING"), *nodes]
        tasks = [
            {"taskId": str(at), "taskName": name, "state": each, **error_of(each)}
            for at, (name, each) in enumerate(begun)
        ]
        row["state"] = f"PIPELINE_STATE_{state}"
        if state == "FAILED":
            row["error"] = {"code": 9, "message": "The DAG failed because some tasks failed."}
        return {**row, "jobDetail": {"taskDetails": tasks}}

    def _page(self, request: ReceivedRequest) -> dict[str, Any]:
        """The newest first, at most two a page, so that clients must ask for a second page."""
        wanted = re.fullmatch('display_name="(.*)"', request.query.get("filter", 'display_name="*"'))[1]
        pattern = ".*".join(map(re.escape, wanted.split("*")))
        rows = [row for row in reversed(self.kept("schedules")) if re.fullmatch(pattern, row["displayName"])]
        begin = int(request.query.get("pageToken") or 0)
        more = {"nextPageToken": str(begin + 2)} if len(rows) > begin + 2 else {}
        return {"schedules": rows[begin : begin + 2], **more}

    def _schedule(self, request: ReceivedRequest) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        aiplatform_v1.Schedule.from_json(request.body)
        check_schedule(request.json, self.PARENT[4:])
        number = len(self.rows.get("schedules", {})) + len(self.requests)
        name = f"{self.PARENT[4:]}/schedules/{number}"
        times = {"createTime": timestamp(number), "nextRunTime": timestamp(3600 * 3)}
        return self.keep("schedules", str(number), {**request.json, **times, "name": name, "state": "ACTIVE"})


def operation(name: str) -> dict[str, Any]:
    """A deletion that goes on."""
    return {
        "name": name,
        "metadata": {"@type": "type.googleapis.com/google.cloud.aiplatform.v1.DeleteOperationMetadata"},
    }


def check_job(job: Mapping[str, Any]) -> None:
    """Refuses long names, labels of other characters, a missing root, and values in the other schema's field."""
    config = job.get("runtimeConfig", {})
    if len(job.get("displayName", "")) > MAX_NAME:
        raise RefusedError(400, f"display_name must have at most {MAX_NAME} characters")
    for text in [part for pair in job.get("labels", {}).items() for part in pair]:
        if not re.fullmatch(rf"[\w-]{{0,{MAX_LABEL}}}", text) or text != text.lower():
            raise RefusedError(400, f"label {text} is not valid")
    if not config.get("gcsOutputDirectory", "").startswith("gs://"):
        raise RefusedError(400, "runtime_config.gcs_output_directory must be a path in a Cloud Storage bucket")
    if ("parameters" if job["pipelineSpec"]["schemaVersion"] > "2.0.0" else "parameterValues") in config:
        raise RefusedError(400, "runtime_config has parameters of another schema version")


def check_schedule(schedule: Mapping[str, Any], parent: str) -> None:
    """Refuses a schedule without a required field, or with an id for its runs."""
    request = schedule.get("createPipelineJobRequest", {})
    if not 1 <= len(schedule.get("displayName", "")) <= MAX_NAME:
        raise RefusedError(400, f"display_name must have 1 to {MAX_NAME} characters")
    if int(schedule.get("maxConcurrentRunCount", 0)) < 1 or not schedule.get("cron"):
        raise RefusedError(400, "cron and max_concurrent_run_count are required")
    if request.get("parent") != parent or "pipelineJobId" in request:
        raise RefusedError(400, "create_pipeline_job_request needs the location as parent, and takes no id")
    check_job(request["pipelineJob"])
