"""Vertex AI Pipelines through google-cloud-aiplatform: pipeline jobs and schedules over REST, API v1."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from farebox.components.errors import InputError
from farebox.pipeline.cluster.attempts import NOT_FOUND, UNTRUSTED, Caller, quiet, status_of
from farebox.pipeline.cluster.service import ClusterTarget, Node, Run, Say, Schedule, Submission, plain_state
from farebox.pipeline.cluster.spec import ParameterValues, Spec, label

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CONSOLE = "https://console.cloud.google.com/vertex-ai/locations"
LOGIN = "log in (gcloud auth application-default login) or name a key file in GOOGLE_APPLICATION_CREDENTIALS"
HINTS = {
    401: LOGIN,
    403: "the account needs roles/aiplatform.user, and roles/iam.serviceAccountUser on the service account",
    404: "check project and region, and whether the Vertex AI API is enabled",
    429: "wait, or ask for more quota",
    UNTRUSTED: "set REQUESTS_CA_BUNDLE to a file of the authorities to trust",
    500: "see https://status.cloud.google.com; submit again, which looks for the run first",
    0: "check the region and the network; submit again, which looks for the run first",
}
SUBMISSION = "farebox_submission"


class Vertex:
    """`Service` of one project and region. A run's name is its id, so the service itself refuses a second one."""

    has_unique_names = True

    def __init__(self, target: ClusterTarget, say: Say) -> None:
        self.target = target
        self.endpoint = _endpoint(target)
        place = f"Vertex AI project={target.project} region={target.region} at {self.endpoint}"
        self.caller = Caller(place, HINTS, target.patience, say)
        self.parent = f"projects/{target.project}/locations/{target.region}"
        self.jobs, self.schedules = self.caller.patiently(self._clients)

    def _clients(self) -> tuple[Any, Any]:
        with quiet():
            import google.auth
            from google.cloud import aiplatform_v1 as api

            credentials, _ = google.auth.default(scopes=[SCOPE])
        options: dict[str, Any] = {
            "credentials": credentials,
            "transport": "rest",
            "client_options": {"api_endpoint": self.endpoint},
        }
        return api.PipelineServiceClient(**options), api.ScheduleServiceClient(**options)

    @property
    def _single_request(self) -> dict[str, Any]:
        """Options that switch off the library's own repetitions."""
        return {"retry": None, "timeout": self.target.request_timeout}

    def find(self, name: str) -> list[Run]:
        try:
            return [self.run(name)]
        except Exception as error:
            if status_of(error) == NOT_FOUND:
                return []
            raise

    def start(self, submission: Submission) -> Run:
        request = {"parent": self.parent, "pipeline_job": self._job(submission), "pipeline_job_id": submission.name}
        return self._as_run(self.jobs.create_pipeline_job(request, **self._single_request))

    def run(self, run_id: str) -> Run:
        """The run with this id or full name, projects/.../pipelineJobs/ID."""
        name = f"{self.parent}/pipelineJobs/{run_id.rpartition('/')[2]}"
        return self._as_run(self.jobs.get_pipeline_job({"name": name}, **self._single_request))

    def stop(self, run_id: str) -> None:
        self.jobs.cancel_pipeline_job({"name": f"{self.parent}/pipelineJobs/{run_id}"}, **self._single_request)

    def find_schedules(self, name: str | None) -> list[Schedule]:
        """The filter's language has wildcards, so the names of its results are compared again."""
        request = {"parent": self.parent, "filter": "" if name is None else f'display_name="{name}"'}
        rows = self.schedules.list_schedules(request, **self._single_request)
        matches = [row for row in rows if name is None or row.display_name == name]
        return [self._as_schedule(row) for row in sorted(matches, key=lambda row: (row.create_time, row.name))]

    def start_schedule(self, submission: Submission, cron: str, timezone: str) -> Schedule:
        from google.cloud import aiplatform_v1 as api

        schedule = api.Schedule(
            display_name=submission.name,
            cron=f"TZ={timezone} {cron}",
            max_concurrent_run_count=1,
            allow_queueing=False,
            create_pipeline_job_request={"parent": self.parent, "pipeline_job": self._job(submission)},
        )
        return self._as_schedule(
            self.schedules.create_schedule({"parent": self.parent, "schedule": schedule}, **self._single_request)
        )

    def stop_schedule(self, schedule_id: str) -> None:
        name = f"{self.parent}/schedules/{schedule_id}"
        self.schedules.delete_schedule({"name": name}, **self._single_request).result(timeout=self.target.patience)

    def _job(self, submission: Submission) -> Any:
        from google.cloud import aiplatform_v1 as api

        target = {"serviceAccount": self.target.service_account, "network": self.target.network}
        job = {
            "displayName": submission.name,
            "labels": labels(submission),
            "pipelineSpec": submission.spec.pipeline,
            "runtimeConfig": runtime_config(submission.spec, submission.parameters),
            **{key: value for key, value in target.items() if value},
        }
        return api.PipelineJob.from_json(json.dumps(job))

    def _as_run(self, job: Any) -> Run:
        run_id = job.name.rpartition("/")[2]
        pipeline = job.pipeline_spec.get("root", {}) if job.pipeline_spec else {}
        nodes = set(pipeline.get("dag", {}).get("tasks", {}))
        tasks = sorted(job.job_detail.task_details, key=lambda task: task.task_id)
        return Run(
            id=run_id,
            name=run_id,
            state=plain_state(job.state),
            url=f"{CONSOLE}/{self.target.region}/pipelines/runs/{run_id}?project={self.target.project}",
            nodes=tuple(_node(task) for task in tasks if task.task_name in nodes),
            error=_line(job.error.message),
        )

    def _as_schedule(self, row: Any) -> Schedule:
        schedule_id = row.name.rpartition("/")[2]
        when = row.next_run_time
        zone = re.match(r"(?:CRON_)?TZ=(\S+) +", row.cron)
        return Schedule(
            id=schedule_id,
            name=row.display_name,
            cron=row.cron[zone.end() :] if zone else row.cron,
            state=plain_state(row.state),
            url=f"{CONSOLE}/{self.target.region}/schedules/{schedule_id}?project={self.target.project}",
            timezone=zone[1] if zone else "UTC",
            digest=dict(row.create_pipeline_job_request.pipeline_job.labels).get(SUBMISSION, ""),
            next_run=when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else None,
        )


def _node(task: Any) -> Node:
    return Node(task.task_name, plain_state(task.state), _line(task.error.message))


def _line(text: str) -> str:
    return " ".join(text.split())


def labels(submission: Submission) -> dict[str, str]:
    """Labels of the spec, its commit, and the submission's digest, by which a schedule is recognized."""
    commit = {"commit": submission.spec.commit or ""}
    texts = {**commit, **submission.spec.job.get("labels", {}), SUBMISSION: submission.digest}
    return {label(name): label(value) for name, value in texts.items() if value}


def runtime_config(spec: Spec, parameters: ParameterValues) -> Mapping[str, Any]:
    """The values in `parameterValues`; for a spec of 2.0 in `parameters`, each with its type. Raises InputError."""
    if not (spec.root or "").startswith("gs://"):
        raise InputError(f"{spec.file}: pipeline root={spec.root} must be an address gs://... for Vertex AI")
    place = {"gcsOutputDirectory": spec.root}
    if spec.schema_version > "2.0.0":
        return {**place, "parameterValues": parameters}
    kinds = {int: "intValue", float: "doubleValue", str: "stringValue"}
    return {**place, "parameters": {name: {kinds[type(value)]: value} for name, value in parameters.items()}}


def _endpoint(target: ClusterTarget) -> str:
    """The target's endpoint, or Vertex's address of the region. Raises InputError if it is not https."""
    for name in ("project", "region"):
        if not getattr(target, name):
            raise InputError(f"{name} must be given for runner=vertex")
        if not re.fullmatch(r"[a-z][a-z0-9-]*(:[a-z0-9-]+)?|[0-9]+", getattr(target, name)):
            raise InputError(f"{name}={getattr(target, name)} must be a name as Google Cloud gives it, in lower case")
    if not target.endpoint:
        return f"https://{target.region}-aiplatform.googleapis.com"
    address = target.endpoint if "://" in target.endpoint else f"https://{target.endpoint}"
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise InputError(f"endpoint={target.endpoint} must be https: credentials go there")
    return address.rstrip("/")
