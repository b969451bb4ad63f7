"""The part of Kubeflow Pipelines' API v2beta1 that runs and recurring runs need, on 127.0.0.1.

The real clients talk to it: kfp 2.5.0 with kfp-server-api 2.0.5 (lane A), both 2.17.3 (lane B). They parse its
answers, and it parses uploads into kfp-pipeline-spec's proto. Which version of the backend it was read from is not
recorded.
"""

from __future__ import annotations

import email
import json
import re
from typing import Any

from fake_service import FakeService, ReceivedRequest, RefusedError, error_of, timestamp


class FakeKubeflow(FakeService):
    """Names of pipelines and versions are unique; those of runs are not, as in the real service."""

    WORDS = "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED"

    def __init__(self) -> None:
        super().__init__()
        self.tokens: tuple[str, ...] = ()  # accepted tokens; none: every request is accepted
        self.multi_user = False

    def error(self, _status: int, message: str) -> Any:
        return {"error": message, "code": 2, "message": message, "details": []}

    def answer(self, request: ReceivedRequest) -> Any:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens and token not in self.tokens:
            raise RefusedError(
                401, f"Unauthenticated: {request.headers.get('authorization')} is no valid token: {token}"
            )
        path = request.path.removeprefix("/apis/v2beta1/")
        method = f"{request.method} {re.sub('[^/:]*-[0-9]+', 'ID', path)}"
        key = next(iter(re.findall(r"[a-z]+-[0-9]+", path)), "")
        if self.multi_user and request.method == "GET" and path == "experiments" and "namespace" not in request.query:
            raise RefusedError(400, "Invalid input error: a namespace cannot be empty in multi-user mode")
        match method:
            case "GET experiments" | "GET pipelines" | "GET runs" | "GET recurringruns":
                return self._page(path, path if path != "recurringruns" else "recurringRuns", request)
            case "GET pipelines/ID/versions":
                return self._page("versions", "pipeline_versions", request, pipeline_id=key)
            case "POST experiments":
                return self._named("experiments", "experiment_id", request.json)
            case "POST pipelines":
                return self._named("pipelines", "pipeline_id", request.json)
            case "POST pipelines/upload_version":
                pipeline_id = request.query["pipelineid"]
                row = {
                    "display_name": request.query["name"],
                    "pipeline_id": pipeline_id,
                    "pipeline_spec": parse_upload(request),
                }
                return self._named("versions", "pipeline_version_id", row)
            case "GET pipelines/ID/versions/ID":
                return self.found("versions", path.rpartition("/")[2])
            case "POST runs":
                return self._new("runs", "run_id", self._checked_run(request.json))
            case "GET runs/ID":
                return self._at_this_look(self.found("runs", key))
            case "POST runs/ID:terminate":
                self.found("runs", key)["state"] = "CANCELED"
                return {}
            case "POST recurringruns":
                if len(request.json["trigger"]["cron_schedule"]["cron"].split()) != 6:
                    raise RefusedError(400, "cron must have six fields")
                return self._new(
                    "recurringruns", "recurring_run_id", {**self._checked_run(request.json), "status": "ENABLED"}
                )
            case "DELETE recurringruns/ID":
                self.found("recurringruns", key)
                del self.rows["recurringruns"][key]
                return {}
        raise RefusedError(404, f"{method} is no path of this API")

    def _checked_run(self, body: dict[str, Any]) -> dict[str, Any]:
        reference = body["pipeline_version_reference"]
        self.found("experiments", body["experiment_id"])
        self.found("versions", reference["pipeline_version_id"])
        return body

    def _new(self, kind: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        number = sum(len(rows) for rows in self.rows.values()) + 1
        name = f"{kind.rstrip('s')}-{number}"
        return self.keep(kind, name, {"created_at": timestamp(number), **body, key: name})

    def _named(self, kind: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        if any(row["display_name"] == body["display_name"] for row in self.kept(kind)):
            raise RefusedError(409, f"{body['display_name']} already exists")
        return self._new(kind, key, body)

    def _page(self, kind: str, answer: str, request: ReceivedRequest, **where: str) -> dict[str, Any]:
        """At most two rows a page, so that clients must ask for a second page."""
        where.update({key: request.query[key] for key in ("experiment_id", "namespace") if key in request.query})
        rows = [row for row in self.kept(kind) if all(row.get(key) == value for key, value in where.items())]
        for predicate in json.loads(request.query.get("filter") or "{}").get("predicates", ()):
            assert predicate["operation"] == "EQUALS"
            rows = [row for row in rows if row[predicate["key"]] == predicate["stringValue"]]
        begin = int(request.query.get("page_token") or 0)
        more = {"next_page_token": str(begin + 2)} if len(rows) > begin + 2 else {}
        return {answer: rows[begin : begin + 2], **more}

    def _at_this_look(self, run: dict[str, Any]) -> dict[str, Any]:
        """Drivers and executors are among the tasks, as in the real service."""
        if run.get("state") == "CANCELED":
            return run
        state, nodes = self.states(run["run_id"], self.WORDS)
        tasks = [{"display_name": name, "state": each, **error_of(each)} for name, each in nodes]
        extra = [{"display_name": name, "state": "SUCCEEDED"} for name in ("root", "root-driver", "executor")]
        run["state"] = state
        return {**run, "run_details": {"task_details": [*extra, *tasks]}}


def parse_upload(request: ReceivedRequest) -> dict[str, Any]:
    """The uploaded PipelineSpec. The proto must accept it, and Kubeflow requires schema version 2.1.0."""
    import yaml
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    part = email.message_from_bytes(head + request.body).get_payload()[0]
    assert part.get_filename().endswith(".yaml")
    content = yaml.safe_load(part.get_payload(decode=True))
    json_format.ParseDict(content, pipeline_spec_pb2.PipelineSpec())
    if content["schemaVersion"] != "2.1.0":
        raise RefusedError(400, "KFP only supports schema version 2.1.0")
    return content
