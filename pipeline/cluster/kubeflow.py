"""Kubeflow Pipelines' API v2beta1 through kfp's client: pipelines, runs, recurring runs. kfp 2.5 and 2.17 name its
methods differently; both are called."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from farebox.components.errors import InputError
from farebox.pipeline.cluster.attempts import BAD_REQUEST, UNTRUSTED, Caller, quiet, status_of
from farebox.pipeline.cluster.service import ClusterTarget, Node, Run, Say, Schedule, Submission, plain_state

TOKEN = "KF_PIPELINES_TOKEN"
TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH"  # kfp's own name for it
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
SCHEMA_VERSION = "2.1.0"
HINTS = {
    300: f"does it need a login? Put a token into {TOKEN}, or the name of its file into {TOKEN_FILE}",
    401: f"put a token into {TOKEN}, or the name of its file into {TOKEN_FILE}",
    403: "ask for the right to run pipelines there, or give your own namespace",
    404: "host must be the address of Kubeflow Pipelines 2, such as https://kubeflow.example.org/pipeline",
    429: "wait, or ask for more quota",
    UNTRUSTED: "set SSL_CERT_FILE to a file of the authorities to trust",
    500: "look at the logs of its ml-pipeline service; submit again, which looks for the run first",
    0: "check the host and the network; submit again, which looks for the run first",
}
PAGE = 100
MAX_EXPERIMENT = 128  # bytes, as the service counts them
MAX_COMMIT = 64  # of a version's name, which has room for 127
PIPELINE_NAME = "[a-z0-9][a-z0-9-]{0,127}"


class Kubeflow:
    """`Service` on one host. Each method sends one request, except `start`, which also creates what a run needs.

    `stop` looks at a run that the service refuses to stop.
    """

    has_unique_names = False

    def __init__(self, target: ClusterTarget, say: Say) -> None:
        self.target = target
        self.host = _host(target.host)
        if not 1 <= len(target.experiment.encode()) <= MAX_EXPERIMENT:
            raise InputError(f"experiment={target.experiment} must be 1 to {MAX_EXPERIMENT} bytes")
        self.created: dict[str, Any] = {}
        self.versions: dict[tuple[str, str], Any] = {}
        token = os.environ.get(TOKEN, "").strip()
        self.caller = Caller(f"host={self.host}", HINTS, target.patience, say, _secrets)
        with quiet():
            self.client = _client(self.host, token)
        self.apis = _apis(self.client)
        self.namespace = target.namespace or self.client.get_user_namespace() or _pod_namespace()
        self.caller.patiently(self._probe)

    def find(self, name: str) -> list[Run]:
        rows = self._list_in_experiment("run", "list_runs", "runs", named(name))
        return [self._as_run(row) for row in sorted(rows, key=_by_age("run_id"))]

    def start(self, submission: Submission) -> Run:
        _check_spec(submission)
        import kfp_server_api as api

        body = api.V2beta1Run(
            display_name=submission.name, description=submission.description, **self._contents(submission)
        )
        return self._as_run(self._call("run", "create_run", body))

    def run(self, run_id: str) -> Run:
        run = self._call("run", "get_run", run_id)
        return self._as_run(run, self._nodes_of(run))

    def stop(self, run_id: str) -> None:
        """Begins to stop a run. A refusal is no error if the run has ended or is being stopped already."""
        try:
            self._call("run", "terminate_run", run_id)
        except Exception as error:
            if status_of(error) != BAD_REQUEST or self.run(run_id).can_be_stopped:
                raise

    def find_schedules(self, name: str | None) -> list[Schedule]:
        filter_ = None if name is None else named(name)
        rows = self._list_in_experiment("recurring_run", "list_recurring_runs", "recurring_runs", filter_)
        return [self._as_schedule(row) for row in sorted(rows, key=_by_age("recurring_run_id"))]

    def start_schedule(self, submission: Submission, cron: str, timezone: str) -> Schedule:
        """Runs do not overlap; of missed ones only the latest runs. Kubeflow's cron begins with a field of seconds."""
        check_schedule(submission, timezone)
        import kfp_server_api as api

        body = api.V2beta1RecurringRun(
            display_name=submission.name,
            description=submission.description,
            trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=f"0 {cron}")),
            mode=api.RecurringRunMode.ENABLE,
            max_concurrency=1,
            no_catchup=True,
            **self._contents(submission),
        )
        return self._as_schedule(self._call("recurring_run", "create_recurring_run", body))

    def stop_schedule(self, schedule_id: str) -> None:
        self._call("recurring_run", "delete_recurring_run", schedule_id)

    def _contents(self, submission: Submission) -> dict[str, Any]:
        """The fields that a run and a recurring run share."""
        import kfp_server_api as api

        pipeline_id, version_id = self._version(submission)
        return {
            "experiment_id": self._once("experiment", self._experiments, self._create_experiment).experiment_id,
            "pipeline_version_reference": api.V2beta1PipelineVersionReference(pipeline_id, version_id),
            "runtime_config": api.V2beta1RuntimeConfig(
                parameters=submission.parameters, pipeline_root=submission.spec.root
            ),
            "service_account": self.target.service_account,
        }

    def _experiments(self) -> list[Any]:
        name = named(self.target.experiment)
        return self._list("experiment", "list_experiments", "experiments", name, namespace=self.namespace)

    def _create_experiment(self) -> Any:
        import kfp_server_api as api

        body = api.V2beta1Experiment(display_name=self.target.experiment, **self._in_namespace)
        return self._call("experiment", "create_experiment", body)

    def _list_in_experiment(self, api: str, method: str, rows: str, filter_: str | None) -> list[Any]:
        """Rows of the target's experiment; none if it does not exist."""
        experiments = [self.created["experiment"]] if "experiment" in self.created else self._experiments()
        if not experiments:
            return []
        return self._list(api, method, rows, filter_, experiment_id=experiments[0].experiment_id)

    def _version(self, submission: Submission) -> tuple[str, str]:
        """(pipeline id, version id) of the spec, uploaded unless it exists; a version is named by commit and digest."""
        import kfp_server_api as api

        pipeline, spec = submission.spec.name, submission.spec
        version = f"{(spec.commit or 'spec')[:MAX_COMMIT]}-{spec.digest[:12]}"

        def find_pipeline() -> list[Any]:
            return self._list("pipeline", "list_pipelines", "pipelines", named(pipeline), namespace=self.namespace)

        def create_pipeline() -> Any:
            names = {"display_name": pipeline, "name": pipeline}  # `name` exists since 2.5
            accepted = {key: names[key] for key in names if key in api.V2beta1Pipeline.openapi_types}
            return self._call("pipeline", "create_pipeline", api.V2beta1Pipeline(**accepted, **self._in_namespace))

        pipeline_id = self._once("pipeline", find_pipeline, create_pipeline).pipeline_id

        def find_version() -> list[Any]:
            rows = "pipeline_versions"
            return self._list("pipeline", "list_pipeline_versions", rows, named(version), pipeline_id=pipeline_id)

        def create_version() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"{pipeline}.yaml"  # JSON is YAML, and every version of the server takes .yaml
                file.write_text("\n---\n".join(map(json.dumps, spec.documents)))
                return self._call(
                    "upload", "upload_pipeline_version", str(file), name=version, pipelineid=pipeline_id
                )  # fmt: skip

        return pipeline_id, self._once("version", find_version, create_version).pipeline_version_id

    def _once(self, noun: str, find: Callable[[], Sequence[Any]], create: Callable[[], Any]) -> Any:
        """The item of this kind: found or created, once per connection."""
        if noun not in self.created:
            self.created[noun] = self.caller.ensure(find, create).item
        return self.created[noun]

    @property
    def _in_namespace(self) -> dict[str, str]:
        return {"namespace": self.namespace} if self.namespace else {}

    def _call(self, api: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Calls a method that kfp-server-api 2.0 names `create_run` and later versions `run_service_create_run`.

        The first argument has two names as well, so it goes by position.
        """
        service = self.apis[api]
        call = getattr(service, method, None) or getattr(service, f"{api}_service_{method}")
        with quiet():
            return call(*arguments, **options, _request_timeout=(self.target.request_timeout,) * 2)

    def _list(self, api: str, method: str, rows: str, filter_: str | None, **scope: str | None) -> list[Any]:
        """Rows of all pages."""
        items: list[Any] = []
        token = ""
        where = {key: value for key, value in scope.items() if value}
        if filter_:
            where["filter"] = filter_
        while True:
            page = self._call(api, method, page_size=PAGE, page_token=token, **where)
            items += getattr(page, rows) or []
            token = page.next_page_token or ""
            if not token:
                return items

    def _probe(self) -> None:
        """Raises InputError unless an API answers.

        A login or user interface answers with a web page and status 200, which kfp's client takes for an empty list.
        """
        try:
            answer = self._call(
                "experiment", "list_experiments", page_size=1, _preload_content=False, **self._in_namespace
            )
        except Exception as error:
            if status_of(error) == BAD_REQUEST and not self.namespace:
                raise InputError(f"{self.caller.place}: {self.caller.shown(error)}; give your namespace") from error
            raise
        try:
            json.loads(answer.data)
        except ValueError as error:
            raise InputError(f"host={self.host} answers with a web page, not with an API; {HINTS[300]}") from error

    def _nodes_of(self, run: Any) -> frozenset[str]:
        """The nodes of a run's pipeline, in lower case; the service lists drivers and executors among its tasks."""
        spec, reference = run.pipeline_spec, run.pipeline_version_reference
        if spec is None and reference is not None:
            place = reference.pipeline_id, reference.pipeline_version_id
            if place not in self.versions:
                self.versions[place] = self._call("pipeline", "get_pipeline_version", *place).pipeline_spec
            spec = self.versions[place]
        spec = (spec or {}).get("pipeline_spec", spec or {})  # wrapped if it has a platform's part
        tasks = spec.get("root", {}).get("dag", {}).get("tasks", {})
        return frozenset(name.lower() for name in tasks)

    def _as_run(self, run: Any, nodes: frozenset[str] = frozenset()) -> Run:
        if not run.run_id:
            raise InputError(f"host={self.host} names no run in its answer; {HINTS[404]}")
        details = (run.run_details and run.run_details.task_details) or []
        tasks = [task for task in details if (task.display_name or "").lower() in nodes]
        return Run(
            id=run.run_id,
            name=run.display_name,
            state=plain_state(run.state),
            url=f"{self.host}/#/runs/details/{run.run_id}",
            nodes=tuple(Node(task.display_name, plain_state(task.state), _message(task.error)) for task in tasks),
            error=_message(run.error),
        )

    def _as_schedule(self, row: Any) -> Schedule:
        trigger = row.trigger and row.trigger.cron_schedule
        return Schedule(
            id=row.recurring_run_id,
            name=row.display_name,
            cron=(trigger.cron if trigger else "").removeprefix("0 "),
            state=plain_state(row.status),
            url=f"{self.host}/#/recurringrun/details/{row.recurring_run_id}",
            digest=(row.description or "").rpartition("submission ")[2],
        )


def named(name: str) -> str:
    """The API's filter for a display name (backend/api/v2beta1/filter.proto), escaped: the service decodes it twice."""
    return quote(json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}))


def _by_age(key: str) -> Callable[[Any], tuple[str, str]]:
    """Sorts the oldest first; equal times by id, so that every client sees the same order."""
    return lambda row: (str(row.created_at or ""), getattr(row, key))


def _message(status: Any) -> str:
    return " ".join(str(getattr(status, "message", "") or "").split())


def _check_spec(submission: Submission) -> None:
    """Raises InputError if the service would refuse the spec."""
    version = submission.spec.schema_version
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{submission.spec.file}: schemaVersion={version} must be {SCHEMA_VERSION} for Kubeflow Pipelines; "
            "compile it for runner=kubeflow"
        )
    if not re.fullmatch(PIPELINE_NAME, submission.spec.name):
        raise InputError(
            f"{submission.spec.file}: pipelineInfo.name={submission.spec.name} must be 1 to 128 of a-z, 0-9 and -, "
            "with no - in front, for Kubeflow Pipelines"
        )


def check_schedule(submission: Submission, timezone: str) -> None:
    """Raises InputError if it cannot be a recurring run; sends no request."""
    _check_spec(submission)
    if timezone != "UTC":
        raise InputError(
            f"timezone={timezone} must be UTC: Kubeflow's controller has one time zone for all recurring runs"
        )


def _host(host: str | None) -> str:
    """The address with its scheme, without a slash at its end. Raises InputError, which never shows a password."""
    if not host:
        raise InputError("host must be given for runner=kubeflow: the address of Kubeflow Pipelines")
    address = (host if "://" in host else f"https://{host}").rstrip("/")
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query:
        raise InputError(f"host={parts.scheme}://{parts.hostname} must hold no user, password or query; use {TOKEN}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"host={host} must be an address such as https://kubeflow.example.org/pipeline")
    return address


def _pod_namespace() -> str | None:
    """The pod's namespace, inside a cluster."""
    with contextlib.suppress(OSError):
        return NAMESPACE_FILE.read_text().strip() or None
    return None


def _client(host: str, token: str) -> Any:
    """kfp's client, which knows the logins; the token comes from the environment, or a file read for each request."""
    import kfp.client
    from kfp.client import KF_PIPELINES_SA_TOKEN_PATH
    from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

    class Client(kfp.client.Client):
        """Skips kfp's health check, which takes 25 s to fail and logs five tracebacks."""

        def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:  # noqa: ARG002 - kfp's signature
            import kfp_server_api

            return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)

    file = os.environ.get(TOKEN_FILE) or KF_PIPELINES_SA_TOKEN_PATH
    credentials = ServiceAccountTokenVolumeCredentials() if not token and _readable(file) else None
    certificates = os.environ.get("SSL_CERT_FILE")
    return Client(host, existing_token=token or None, credentials=credentials, ssl_ca_cert=certificates)


def _secrets() -> list[str]:
    """The token in the environment, and the one in the file, which Kubernetes renews."""
    tokens = [os.environ.get(TOKEN, "").strip()]
    with contextlib.suppress(OSError):
        tokens.append(Path(os.environ.get(TOKEN_FILE, "")).read_text().strip())
    return [token for token in tokens if token]


def _readable(file: str) -> bool:
    """Whether the token file can be read. Raises InputError if the environment names one that cannot."""
    if os.access(file, os.R_OK):
        return True
    if os.environ.get(TOKEN_FILE):
        raise InputError(f"{TOKEN_FILE}={file} must be a file that can be read")
    return False


def _apis(client: Any) -> dict[str, Any]:
    import kfp_server_api as api

    connection = client._run_api.api_client
    return {
        "run": api.RunServiceApi(connection),
        "recurring_run": api.RecurringRunServiceApi(connection),
        "experiment": api.ExperimentServiceApi(connection),
        "pipeline": api.PipelineServiceApi(connection),
        "upload": api.PipelineUploadServiceApi(connection),
    }
