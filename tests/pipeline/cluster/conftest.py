"""Local servers that speak Kubeflow Pipelines' API v2beta1 and Vertex AI's v1 to the real client libraries.

Each keeps what arrives, can fail as a network or a service does, and lets a run's nodes advance with every look at it.
"""

from __future__ import annotations

import dataclasses
import datetime
import email
import http.server
import json
import re
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

NODES = ("TripExampleGen", "Trainer", "Pusher")


def job(schema_version: str = "2.1.0", image: str = "registry.example/farebox:abc1234") -> dict[str, Any]:
    """A PipelineJob of three nodes in a row with four runtime parameters, the last without a value."""
    old = schema_version == "2.0.0"
    types = {"epochs": "NUMBER_INTEGER", "budget": "NUMBER_DOUBLE", "span": "STRING", "rows": "NUMBER_INTEGER"}
    plain = {"NUMBER_INTEGER": "INT", "NUMBER_DOUBLE": "DOUBLE", "STRING": "STRING"}
    declared = {name: {"type": plain[kind]} if old else {"parameterType": kind} for name, kind in types.items()}
    values = {"epochs": 3, "budget": 0.5, "span": "1"}
    wrapped = {"epochs": {"intValue": "3"}, "budget": {"doubleValue": 0.5}, "span": {"stringValue": "1"}}
    tasks = {
        name: {
            "componentRef": {"name": name},
            "taskInfo": {"name": name},
            **({"dependentTasks": [NODES[at - 1]]} if at else {}),
        }
        for at, name in enumerate(NODES)
    }
    container = {"image": image, "command": ["python", "-m", "farebox"], "args": ["{{$}}"]}
    return {
        "displayName": "farebox-toy",
        "labels": {"tfx_version": "1-16-0"},
        "pipelineSpec": {
            "pipelineInfo": {"name": "farebox-toy"},
            "schemaVersion": schema_version,
            "sdkVersion": "tfx-1.16.0",
            "components": {name: {"executorLabel": f"{name}_executor"} for name in NODES},
            "deploymentSpec": {"executors": {f"{name}_executor": {"container": container} for name in NODES}},
            "root": {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": declared}},
        },
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://bucket/runs",
            **({"parameters": wrapped} if old else {"parameterValues": values}),
        },
    }


@pytest.fixture
def spec_file(tmp_path) -> Callable[..., str]:
    def write(schema_version: str = "2.1.0", **options: Any) -> str:
        file = tmp_path / f"spec-{schema_version}.json"
        aside = tmp_path / f"{uuid.uuid4()}.json"
        aside.write_text(json.dumps(job(schema_version, **options)))
        aside.replace(file)  # whole at any moment: some tests submit it twice at once
        return str(file)

    return write


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass
class Fault:
    """The next `times` requests of this method and path: refused with a status, or the answer is `lost` after the work
    is done, or the connection `drop`s before it."""

    method: str
    path: str
    what: int | str
    body: Any = ""
    times: int = 1


class RefusedError(Exception):
    """An error answer: status, message."""


def timestamp(order: int) -> str:
    return (datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=order)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Server:
    """`rows` holds what was created, by kind and id. `looks` counts looks at a run: its nodes advance with them."""

    NOT_FOUND = "not found"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.crashes: list[str] = []
        self.faults: list[Fault] = []
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.looks: dict[str, int] = {}
        self.failing_node: str | None = None
        self.frozen = False  # nodes do not advance
        self.gate: tuple[str, str, threading.Barrier] | None = None  # requests of a method and path wait for each other
        self.before: dict[str, Callable[[], Any]] = {}  # done once before the answer to `METHOD path`
        self.lock = threading.RLock()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.http.handle_error = self._crashed  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def _crashed(self, *where: Any) -> None:
        """A client may hang up; all else is a fault of these tests."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            self.crashes.append(traceback.format_exc())

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        assert self.crashes == []

    def fail(self, method: str, path: str, what: int | str, body: Any = "", times: int = 1) -> None:
        self.faults.append(Fault(method, path, what, body, times))

    def seen(self, method: str, path: str) -> list[Request]:
        return [each for each in self.requests if each.method == method and re.search(path, each.path)]

    def kept(self, kind: str) -> list[dict[str, Any]]:
        return list(self.rows.get(kind, {}).values())

    def keep(self, kind: str, key: str, row: dict[str, Any]) -> dict[str, Any]:
        return self.rows.setdefault(kind, {}).setdefault(key, row)

    def found(self, kind: str, key: str) -> dict[str, Any]:
        try:
            return self.rows[kind][key]
        except KeyError:
            raise RefusedError(404, f"{kind} {key} {self.NOT_FOUND}") from None

    def states(self, run_id: str, words: tuple[str, str, str, str]) -> tuple[str, list[tuple[str, str]]]:
        """(the run's state, (node, state) of those begun) at this look; words: running, succeeded, skipped, failed."""
        running, succeeded, skipped, failed = words
        look = self.looks[run_id] = 1 if self.frozen else self.looks.get(run_id, 0) + 1
        nodes = []
        for at, name in enumerate(NODES[:look]):
            done = at < look - 1
            state = (skipped if at == 0 else succeeded) if done else running
            if name == self.failing_node and done:
                return failed, [*nodes, (name, failed)]
            nodes.append((name, state))
        return (succeeded if look > len(NODES) else running), nodes

    def answer(self, request: Request) -> Any:
        raise NotImplementedError

    def error(self, status: int, message: str) -> Any:
        raise NotImplementedError

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == request.method and re.search(fault.path, request.path):
                fault.times -= 1
                return fault
        return None

    def _handler(server) -> type[http.server.BaseHTTPRequestHandler]:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

            def log_message(self, *arguments: Any) -> None:
                pass

            def serve(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, unquote(parts.path), query, headers, body)
                if server.gate and server.gate[0] == request.method and request.path.endswith(server.gate[1]):
                    server.gate[2].wait(20)
                with server.lock:
                    server.requests.append(request)
                    server.before.pop(f"{request.method} {request.path.rpartition('/')[2]}", lambda: None)()
                    fault = server._fault(request)
                    if fault and isinstance(fault.what, int):
                        body = fault.body or server.error(fault.what, "out of order")
                        return self.reply(fault.what, body)
                    if fault and fault.what == "drop":
                        self.close_connection = True
                        return self.connection.close()
                    try:
                        status, content = 200, server.answer(request)
                    except RefusedError as refusal:
                        status, content = refusal.args[0], server.error(*refusal.args)
                if fault and fault.what == "lost":
                    self.close_connection = True
                    return self.connection.close()
                if fault and fault.what == "late":
                    time.sleep(fault.body)
                return self.reply(status, content)

            def reply(self, status: int, content: Any) -> None:
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if text.startswith("<") else "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_DELETE = do_PATCH = serve

        return Handler


class KubeflowServer(Server):
    """The part of API v2beta1 that runs and recurring runs need. Names of pipelines and versions are unique, those of
    runs are not, as in the real one."""

    WORDS = "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED"

    def __init__(self) -> None:
        super().__init__()
        self.tokens: tuple[str, ...] = ()  # without any, none is asked for
        self.multi_user = False

    def error(self, status: int, message: str) -> Any:
        return {"error": message, "code": 2, "message": message, "details": []}

    def answer(self, request: Request) -> Any:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens and given not in self.tokens:
            raise RefusedError(
                401, f"Unauthenticated: {request.headers.get('authorization')} is no valid token: {given}"
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
                    "pipeline_spec": parsed(request),
                }
                return self._named("versions", "pipeline_version_id", row)
            case "GET pipelines/ID/versions/ID":
                return self.found("versions", path.rpartition("/")[2])
            case "POST runs":
                return self._new("runs", "run_id", self._of_a_version(request.json))
            case "GET runs/ID":
                return self._described(self.found("runs", key))
            case "POST runs/ID:terminate":
                self.found("runs", key)["state"] = "CANCELED"
                return {}
            case "POST recurringruns":
                if len(request.json["trigger"]["cron_schedule"]["cron"].split()) != 6:
                    raise RefusedError(400, "cron must have six fields")
                return self._new(
                    "recurringruns", "recurring_run_id", {**self._of_a_version(request.json), "status": "ENABLED"}
                )
            case "DELETE recurringruns/ID":
                self.found("recurringruns", key)
                del self.rows["recurringruns"][key]
                return {}
        raise RefusedError(404, f"{method} is no path of this API")

    def _of_a_version(self, body: dict[str, Any]) -> dict[str, Any]:
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

    def _page(self, kind: str, answer: str, request: Request, **where: str) -> dict[str, Any]:
        """At most two rows a page, so that a second one is asked for."""
        where.update({key: request.query[key] for key in ("experiment_id", "namespace") if key in request.query})
        rows = [row for row in self.kept(kind) if all(row.get(key) == value for key, value in where.items())]
        for predicate in json.loads(request.query.get("filter") or "{}").get("predicates", ()):
            assert predicate["operation"] == "EQUALS"
            rows = [row for row in rows if row[predicate["key"]] == predicate["stringValue"]]
        begin = int(request.query.get("page_token") or 0)
        more = {"next_page_token": str(begin + 2)} if len(rows) > begin + 2 else {}
        return {answer: rows[begin : begin + 2], **more}

    def _described(self, run: dict[str, Any]) -> dict[str, Any]:
        """Drivers and executors stand among the nodes, as in the real one."""
        if run.get("state") == "CANCELED":
            return run
        state, nodes = self.states(run["run_id"], self.WORDS)
        tasks = [{"display_name": name, "state": each, **_cause(each)} for name, each in nodes]
        extra = [{"display_name": name, "state": "SUCCEEDED"} for name in ("root", "root-driver", "executor")]
        run["state"] = state
        return {**run, "run_details": {"task_details": [*extra, *tasks]}}


def _cause(state: str) -> dict[str, Any]:
    return {"error": {"code": 9, "message": "the mean fare\n is no number"}} if state == "FAILED" else {}


def parsed(request: Request) -> dict[str, Any]:
    """The uploaded file, a PipelineSpec that the proto accepts and Kubeflow's own condition, schema version 2.1.0."""
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


class VertexServer(Server):
    """Pipeline jobs and schedules of one project and region; ids of jobs are unique. Tokens are JWTs signed with
    `public_key`'s private one."""

    PARENT = "/v1/projects/acme/locations/us-central1"
    WORDS = "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED"

    def __init__(self, public_key: bytes) -> None:
        super().__init__()
        self.public_key = public_key

    def error(self, status: int, message: str) -> Any:
        return {"error": {"code": status, "message": message, "status": "X"}}

    def answer(self, request: Request) -> Any:
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
                return self._described(self.found("jobs", key))
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

    def _job(self, request: Request) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        key = request.query["pipelineJobId"]
        if key in self.rows.get("jobs", {}):
            raise RefusedError(409, f"The PipelineJob {key} already exists.")
        aiplatform_v1.PipelineJob.from_json(request.body)
        name = f"{self.PARENT[4:]}/pipelineJobs/{key}"
        return self.keep("jobs", key, {**request.json, "name": name, "state": "PIPELINE_STATE_PENDING"})

    def _described(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["state"] == "PIPELINE_STATE_CANCELLED":
            return row
        key = row["name"].rpartition("/")[2]
        state, nodes = self.states(key, self.WORDS)
        begun = [("farebox-toy-run", "RUNNING"), *nodes]
        tasks = [
            {"taskId": str(at), "taskName": name, "state": each, **_cause(each)}
            for at, (name, each) in enumerate(begun)
        ]
        row["state"] = f"PIPELINE_STATE_{state}"
        return {**row, "jobDetail": {"taskDetails": tasks}}

    def _schedule(self, request: Request) -> dict[str, Any]:
        from google.cloud import aiplatform_v1

        aiplatform_v1.Schedule.from_json(request.body)
        number = len(self.rows.get("schedules", {})) + len(self.requests)
        name = f"{self.PARENT[4:]}/schedules/{number}"
        times = {"createTime": timestamp(number), "nextRunTime": timestamp(3600 * 3)}
        return self.keep("schedules", str(number), {**request.json, **times, "name": name, "state": "ACTIVE"})


@pytest.fixture
def clean_environment(monkeypatch, tmp_path) -> None:
    """No credentials of this machine, no place to keep any, and no name of a project."""
    names = (
        "KF_PIPELINES_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH", "KF_PIPELINES_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION",
    )  # fmt: skip
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "home"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # google-auth's question where it may go stays here, too
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def kubeflow(clean_environment) -> Iterator[KubeflowServer]:
    server = KubeflowServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def private_key():
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def key_file(private_key, tmp_path) -> Path:
    """A service account's key file, as Google Cloud's console writes it."""
    from cryptography.hazmat.primitives import serialization

    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account", "project_id": "acme", "private_key_id": "k1", "private_key": pem.decode(),
        "client_email": "robot@acme.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }  # fmt: skip
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def vertex(clean_environment, private_key, key_file, monkeypatch) -> Iterator[VertexServer]:
    from cryptography.hazmat.primitives import serialization

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    public = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server = VertexServer(public)
    yield server
    server.close()


@dataclasses.dataclass(frozen=True)
class Remote:
    """One of the two services: its server, `farebox submit` to it, its target; kind and path of what it runs."""

    server: Any
    submit: Callable[..., tuple[int, str, str]]
    target: Any
    kind: str
    path: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        return self.server.kept(self.kind)

    @staticmethod
    def id_of(row: dict[str, Any]) -> str:
        return row.get("run_id") or row["name"].rpartition("/")[2]


@pytest.fixture(params=["kubeflow", "vertex"])
def remote(request) -> Remote:
    from farebox.pipeline.cluster.service import Target

    server = request.getfixturevalue(request.param)
    submit = request.getfixturevalue(f"to_{request.param}")
    if request.param == "kubeflow":
        return Remote(server, submit, Target("kubeflow", host=server.url, patience=3), "runs", "/runs$")
    target = Target("vertex", project="acme", region="us-central1", endpoint=server.url, patience=3)
    return Remote(server, submit, target, "jobs", "/pipelineJobs$")


@pytest.fixture
def to_kubeflow(kubeflow, call):
    def run(*arguments: str) -> tuple[int, str, str]:
        return call("submit", "--runner=kubeflow", f"--host={kubeflow.url}", "--poll=0.01", "--patience=3", *arguments)

    return run


@pytest.fixture
def to_vertex(vertex, call):
    def run(*arguments: str) -> tuple[int, str, str]:
        place = "--runner=vertex", "--project=acme", "--region=us-central1", f"--endpoint={vertex.url}"
        return call("submit", *place, "--poll=0.01", "--patience=3", *arguments)

    return run
