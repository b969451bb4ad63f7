"""The part of Vertex AI's REST API v1 that pipeline jobs and schedules need, for one project and region, on 127.0.0.1.

The real client talks to it: google-cloud-aiplatform 1.165.1, on both lanes. It parses the answers; the server parses
requests into the client's protos and verifies each token's signature. Which version of the service its other behaviour
was read from is not recorded.
"""

from __future__ import annotations

import re
from typing import Any

from fake_service import FakeService, ReceivedRequest, RefusedError, error_of, timestamp


class FakeVertex(FakeService):
    """Ids of jobs are unique. Tokens are JWTs that the private key of `public_key` has signed."""

    PARENT = "/v1/projects/acme/locations/us-central1"
    WORDS = "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED"

    def __init__(self, public_key: bytes) -> None:
        super().__init__()
        self.public_key = public_key

    def error(self, status: int, message: str) -> Any:
        return {"error": {"code": status, "message": message, "status": "X"}}

    def answer(self, request: ReceivedRequest) -> Any:
        from google.auth import jwt

        try:
            jwt.decode(request.headers.get("authorization", "").removeprefix("Bearer "), self.public_key)
        except ValueError as error:
            raise RefusedError(401, str(error)) from error
        path = request.path.removeprefix(self.PARENT)
        if path == request.path:
            raise RefusedError(403, f"Permission denied on {request.path}")
        key = path.rpartition("/")[2].partition(":")[0]
        match f"{request.method} {re.sub('(?<=.)/[^/:]+', '/ID', path)}":
            case "POST /pipelineJobs":
                return self._job(request)
            case "GET /pipelineJobs/ID":
                return self._at_this_look(self.found("jobs", key))
            case "POST /pipelineJobs/ID:cancel":
                self.found("jobs", key)["state"] = "PIPELINE_STATE_CANCELLED"
                return {}
            case "POST /schedules":
                return self._schedule(request)
            case "GET /schedules":
                wanted = re.fullmatch('display_name="(.*)"', request.query.get("filter", 'display_name=".*"'))[1]
                return {
                    "schedules": [row for row in self.kept("schedules") if re.fullmatch(wanted, row["displayName"])]
                }
            case "DELETE /schedules/ID":
                self.found("schedules", key)
                del self.rows["schedules"][key]
                empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
                return {"name": f"{path[1:]}/operations/1", "done": True, "response": empty}
        raise RefusedError(404, f"{request.method} {path} is no path of this API")

    def _job(self, request: ReceivedRequest) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        key = request.query["pipelineJobId"]
        if key in self.rows.get("jobs", {}):
            raise RefusedError(409, f"The PipelineJob {key} already exists.")
        aiplatform_v1.PipelineJob.from_json(request.body)
        name = f"{self.PARENT[4:]}/pipelineJobs/{key}"
        return self.keep("jobs", key, {**request.json, "name": name, "state": "PIPELINE_STATE_PENDING"})

    def _at_this_look(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["state"] == "PIPELINE_STATE_CANCELLED":
            return row
        key = row["name"].rpartition("/")[2]
        state, nodes = self.states(key, self.WORDS)
        begun = [("farebox-toy-run", "RUNNING"), *nodes]
        tasks = [
            {"taskId": str(at), "taskName": name, "state": each, **error_of(each)}
            for at, (name, each) in enumerate(begun)
        ]
        row["state"] = f"PIPELINE_STATE_{state}"
        return {**row, "jobDetail": {"taskDetails": tasks}}

    def _schedule(self, request: ReceivedRequest) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        aiplatform_v1.Schedule.from_json(request.body)
        number = len(self.rows.get("schedules", {})) + len(self.requests)
        name = f"{self.PARENT[4:]}/schedules/{number}"
        times = {"createTime": timestamp(number), "nextRunTime": timestamp(3600 * 3)}
        return self.keep("schedules", str(number), {**request.json, **times, "name": name, "state": "ACTIVE"})
