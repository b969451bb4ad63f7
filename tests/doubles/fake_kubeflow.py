"""The part of Kubeflow Pipelines' API v2beta1 that runs and recurring runs need, on 127.0.0.1.

Read from the backend at 2.0.5 (c5658f09ec38) and 2.17.0 (4a3592cb2dd0): `backend/src/apiserver/` (server, resource,
storage, template, validation), `backend/src/common/util/error.go`, and `argocompiler/` for the tasks of a run; their
states are Argo's (`workflow/controller/dag.go` at f016ad89eb). Where both differ it does what 2.17.0 does, and with
`is_2_0` what 2.0.5 does. Stricter than either: two rows a page, and six fields of cron, of which the parser
(robfig/cron 1.2) also takes five, the first as seconds. Left out: who may do what, and the compilation for Argo.

The real clients talk to it: kfp 2.5.0 with kfp-server-api 2.0.5 (lane A), both 2.17.3 (lane B). They parse its
answers, and it parses uploads into kfp-pipeline-spec's proto.
"""

from __future__ import annotations

import base64
import email
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from fake_service import FakeService, ReceivedRequest, RefusedError, timestamp
from toy_spec import NODES

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14}  # gRPC's, by HTTP status
STOPPABLE = ("RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "PAUSED")
LONGEST = {"experiments": 128, "pipelines": 128, "versions": 127}  # bytes of a name
PARTS = {"experiments": ("namespace",), "pipelines": ("namespace",), "versions": ("pipeline_id",)}  # of a unique name
TYPES: dict[str, type | tuple[type, ...]] = {
    "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float), "STRING": str, "BOOLEAN": bool, "LIST": list,
    "STRUCT": dict,
}  # fmt: skip


class FakeKubeflow(FakeService):
    """Names of experiments, pipelines and versions are unique; those of runs are not, as in the real service."""

    WORDS = (
        "RUNNING",
        "SUCCEEDED",
        "SUCCEEDED",
        "FAILED",
    )  # a cached task has succeeded; its inner `executor` is skipped

    def __init__(self) -> None:
        super().__init__()
        self.tokens: tuple[str, ...] = ()  # accepted tokens; none: every request is accepted
        self.multi_user = False
        self.is_2_0 = False

    def error(self, status: int, message: str, is_upload: bool = False) -> Any:
        """Uploads are no gRPC: their errors have another body. 2.0 repeats the message as `error`."""
        if is_upload:
            return {"error_message": message, "error_details": message}
        code = {"code": CODES.get(status, 2), "message": message}
        detail = {"@type": "type.googleapis.com/google.rpc.Status", **code}
        return {**({"error": message} if self.is_2_0 else {}), **code, "details": [detail]}

    def answer(self, request: ReceivedRequest) -> Any:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens and token not in self.tokens:
            raise RefusedError(
                401, f"Unauthenticated: {request.headers.get('authorization')} is no valid token: {token}"
            )
        path = request.path.removeprefix("/apis/v2beta1/")
        method = f"{request.method} {re.sub('[^/:]*-[0-9]+', 'ID', path)}"
        key = next(iter(re.findall(r"[a-z]+-[0-9]+", path)), "")
        if self.multi_user and path in ("experiments", "pipelines"):
            given = request.query if request.method == "GET" else request.json
            if not given.get("namespace"):
                raise RefusedError(400, "Invalid input error: a namespace cannot be empty in multi-user mode")
        match method:
            case "GET experiments" | "GET pipelines" | "GET runs" | "GET recurringruns":
                return self._page(path, path if path != "recurringruns" else "recurringRuns", request)
            case "GET pipelines/ID/versions":
                self.row_of("pipelines", key)
                return self._page("versions", "pipeline_versions", request, pipeline_id=key)
            case "POST experiments":
                return self._named("experiments", "experiment_id", request.json)
            case "POST pipelines":
                return self._named("pipelines", "pipeline_id", request.json)
            case "POST pipelines/upload_version":
                return self._upload(request)
            case "GET pipelines/ID/versions/ID":
                return self.row_of("versions", path.rpartition("/")[2])
            case "POST runs":
                return self._new("runs", "run_id", {**self._checked_run(request.json), "state": "PENDING"})
            case "GET runs/ID":
                return self._at_this_look(self.row_of("runs", key))
            case "POST runs/ID:terminate":
                return self._terminate(self.row_of("runs", key))
            case "POST recurringruns":
                row = {**self._checked_run(check_recurring(request.json)), "status": f"{request.json['mode']}D"}
                return self._new("recurringruns", "recurring_run_id", row)
            case "DELETE recurringruns/ID":
                self.row_of("recurringruns", key)
                del self.rows["recurringruns"][key]
                return {}
        raise RefusedError(404, f"{method} is no path of this API")

    def _upload(self, request: ReceivedRequest) -> dict[str, Any]:
        """A new version. A name that exists is refused without a word of why; 2.0 calls that an internal error."""
        row = {"display_name": request.query["name"], "pipeline_id": request.query["pipelineid"]}
        try:
            self.row_of("pipelines", row["pipeline_id"])
            return self._named("versions", "pipeline_version_id", {**row, "pipeline_spec": parse_upload(request)})
        except RefusedError as refusal:
            status, message = refusal.args
            if status != 400 or self.is_2_0:
                status, message = 500 if self.is_2_0 else min(status, 409), "Failed to create a pipeline version"
            raise RefusedError(status, message, True) from refusal  # noqa: FBT003 - of an upload

    def _checked_run(self, body: dict[str, Any]) -> dict[str, Any]:
        """Refuses what the pipeline does not declare, and lets 500 hide that there is no such version.

        The pipeline is a version, or stands in the request.
        """
        self.row_of("experiments", body["experiment_id"])
        values = body.get("runtime_config", {}).get("parameters", {})
        if "pipeline_spec" in body:
            check_parameters(unwrapped(checked_spec(body["pipeline_spec"])), values)
            return body
        reference = body["pipeline_version_reference"]
        version = self.rows.get("versions", {}).get(reference["pipeline_version_id"])
        if version is None or version["pipeline_id"] != reference["pipeline_id"]:
            raise RefusedError(500, "Failed to create a run due to error fetching manifest")
        check_parameters(unwrapped(version["pipeline_spec"]), values)
        return body

    def _terminate(self, run: dict[str, Any]) -> dict[str, Any]:
        """Only begins to stop it. One that has ended, or is being stopped, cannot be stopped."""
        if run["state"] not in STOPPABLE:
            raise RefusedError(400, f"Invalid input error: Failed to terminate a run {run['run_id']}. Row not found")
        run["state"] = "CANCELING"
        return {}

    def _new(self, kind: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        number = sum(len(rows) for rows in self.rows.values()) + 1
        name = f"{kind.rstrip('s')}-{number}"
        return self.keep(kind, name, {"created_at": timestamp(number), **body, key: name})

    def _named(self, kind: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        parts = ("display_name", *PARTS[kind])
        if len(body["display_name"].encode()) > LONGEST[kind]:
            status = 400 if kind == "versions" else 500
            raise RefusedError(status, f"{kind}: the length of a name cannot exceed {LONGEST[kind]}")
        if any(all(row.get(part) == body.get(part) for part in parts) for row in self.kept(kind)):
            raise RefusedError(409, f"Already exist error: the name {body['display_name']} already exists")
        return self._new(kind, key, body)

    def _page(self, kind: str, answer: str, request: ReceivedRequest, **where: str) -> dict[str, Any]:
        """At most two rows a page, so that clients must ask for a second page. Empty fields are left out."""
        query = request.query
        if "experiment_id" in query:
            self.row_of("experiments", query["experiment_id"])
        where.update({key: query[key] for key in ("experiment_id", "namespace") if key in query})
        rows = [row for row in self.kept(kind) if all(row.get(key) == value for key, value in where.items())]
        for predicate in predicates(query.get("filter", "")):
            rows = [row for row in rows if row[predicate["key"]] == predicate["stringValue"]]
        begin = page_begin(query)
        end = begin + min(int(query.get("page_size") or 20), 2)
        token = base64.b64encode(json.dumps([end, query.get("filter", "")]).encode()).decode()
        page = {answer: rows[begin:end], "total_size": len(rows), "next_page_token": token if len(rows) > end else ""}
        return {key: value for key, value in page.items() if value}

    def _at_this_look(self, run: dict[str, Any]) -> dict[str, Any]:
        """Drivers and executors are among the tasks, and those that never start; no task says why it failed."""
        if run["state"] in ("CANCELING", "CANCELED"):
            run["state"] = "CANCELED"
            return run
        run["state"], nodes = self.states(run["run_id"], self.WORDS)
        tasks = [{"display_name": name, "state": state} for name, state in nodes]
        omitted = NODES[len(nodes) :] if run["state"] == "FAILED" else ()
        tasks += [{"display_name": name, "state": "RUNTIME_STATE_UNSPECIFIED"} for name in omitted]
        extra = [{"display_name": name, "state": "SUCCEEDED"} for name in ("root", "root-driver", "executor")]
        return {**run, "run_details": {"task_details": [*extra, *tasks]}}


def predicates(text: str) -> list[dict[str, Any]]:
    """The conditions of a filter. The service decodes it once more after HTTP has: a + is a space."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise RefusedError(400, f"Invalid input error: failed to parse valid filter from {text}")
    conditions: list[dict[str, Any]] = json.loads(unquote_plus(text) or "{}").get("predicates", [])
    assert all((each["operation"], each["key"]) == ("EQUALS", "display_name") for each in conditions)
    return conditions


def page_begin(query: Mapping[str, str]) -> int:
    """The first row of the page. Its token belongs to one filter."""
    if not query.get("page_token"):
        return 0
    try:
        begin, filter_ = json.loads(base64.b64decode(query["page_token"], validate=True))
    except ValueError:
        raise RefusedError(400, "InvalidInputError: Invalid page token") from None
    if query.get("filter") and query["filter"] != filter_:
        raise RefusedError(400, "Invalid input error: page token does not match the supplied filtering criteria")
    return int(begin)


def check_parameters(spec: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuses a missing, an unknown and a mistyped parameter."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, entry in declared.items():
        if name not in values:
            if not entry.get("isOptional") and "defaultValue" not in entry:
                raise RefusedError(400, f"parameter {name} is not optional, yet has no value")
        elif not is_of(values[name], entry["parameterType"]):
            raise RefusedError(400, f"input parameter {name} is not of type {entry['parameterType']}")
    if extra := set(values) - set(declared):
        raise RefusedError(400, f"parameter(s) provided are not required by pipeline: {', '.join(sorted(extra))}")


def is_of(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a parameter's type; true is no number."""
    return isinstance(value, TYPES[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))


def check_recurring(body: dict[str, Any]) -> dict[str, Any]:
    """Refuses a cron of other than six fields, 7 for Sunday, and more than 10 or no runs at once."""
    fields = body["trigger"]["cron_schedule"]["cron"].split()
    if len(fields) != 6 or "7" in fields[-1]:
        raise RefusedError(400, "Invalid input error: Schedule cron is not a supported format")
    if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
        raise RefusedError(400, "Invalid input error: Max concurrency must be at least 1 and at most 10")
    return body


def unwrapped(spec: dict[str, Any]) -> dict[str, Any]:
    """The PipelineSpec of a version."""
    return spec.get("pipeline_spec", spec)


def parse_upload(request: ReceivedRequest) -> dict[str, Any]:
    """The uploaded PipelineSpec, wrapped if a PlatformSpec follows it in another document (2.17.0, `NewV2SpecTemplate`
    in template/v2_template.go)."""
    import yaml

    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    part = email.message_from_bytes(head + request.body).get_payload()[0]
    assert part.get_filename().endswith(".yaml")
    content, *further = yaml.safe_load_all(part.get_payload(decode=True))
    return checked_spec({"pipeline_spec": content, "platform_spec": further[0]} if further else content)


def checked_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """The protos must accept pipeline and platform, MLMD the name; Kubeflow requires schema version 2.1.0."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    content = unwrapped(spec)
    json_format.ParseDict(spec.get("platform_spec", {}), pipeline_spec_pb2.PlatformSpec())
    json_format.ParseDict(content, pipeline_spec_pb2.PipelineSpec())
    if content["schemaVersion"] != "2.1.0":
        raise RefusedError(400, "KFP only supports schema version 2.1.0")
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,127}", content["pipelineInfo"]["name"]):
        raise RefusedError(400, "pipeline's name must contain only lowercase alphanumeric characters or '-'")
    return spec
