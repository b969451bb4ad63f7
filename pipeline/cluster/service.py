"""The interface that Kubeflow Pipelines and Vertex AI share, as plain values: runs, nodes, schedules, targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from farebox.pipeline.cluster.spec import ParameterValues, Spec

ClusterRunner = Literal["kubeflow", "vertex"]
Say = Callable[[str], None]
END_STATES = ("succeeded", "failed", "cancelled", "skipped")


@dataclass(frozen=True)
class ClusterTarget:
    """The service to use: `host` of Kubeflow, or `project` and `region` of Vertex AI. It holds no credentials: those
    come from the environment's standard places.

    namespace: one in a Kubeflow with users. experiment: groups runs. endpoint: replaces Vertex's own address.
    service_account: the account that runs use. network: the one that Vertex's runs are peered with.
    request_timeout, patience: for one request, and for a request with all its repetitions, s.
    """

    runner: ClusterRunner
    host: str | None = None
    namespace: str | None = None
    experiment: str = "farebox"
    project: str | None = None
    region: str | None = None
    endpoint: str | None = None
    service_account: str | None = None
    network: str | None = None
    request_timeout: float = 30.0
    patience: float = 120.0


@dataclass(frozen=True)
class Node:
    """`state` in lower case and one spelling: pending, running, succeeded, skipped (cached), failed, cancelled.

    Kubeflow calls a cached node succeeded, and gives no error.
    """

    name: str
    state: str
    error: str = ""


@dataclass(frozen=True)
class Run:
    """A run as the service describes it at one moment."""

    id: str
    name: str
    state: str
    url: str
    nodes: tuple[Node, ...] = ()
    error: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in END_STATES

    @property
    def can_be_stopped(self) -> bool:
        return not self.has_ended and self.state != "cancelling"


@dataclass(frozen=True)
class Submission:
    """A spec to run under a name. `digest` is that of spec, parameters and key; the service stores it."""

    name: str
    spec: Spec
    parameters: ParameterValues
    digest: str

    @property
    def description(self) -> str:
        commit = f"commit {self.spec.commit}, " if self.spec.commit else ""
        return f"farebox: {commit}submission {self.digest}"


@dataclass(frozen=True)
class Schedule:
    """cron: five fields, as they were sent. digest: that of the submission. next_run: ISO 8601 UTC, if it is known."""

    id: str
    name: str
    cron: str
    state: str
    url: str
    timezone: str = "UTC"
    digest: str = ""
    next_run: str | None = None

    @property
    def when(self) -> str:
        return f"{self.cron} {self.timezone}"


class Service(Protocol):
    """A service; each method sends one request, and `farebox.pipeline.cluster.attempts` repeats it.

    has_unique_names: the service itself refuses a second run of a name.
    """

    has_unique_names: bool

    def find(self, name: str) -> Sequence[Run]:
        """Runs of that name, the oldest first."""

    def start(self, submission: Submission) -> Run: ...

    def run(self, run_id: str) -> Run: ...

    def stop(self, run_id: str) -> None: ...

    def find_schedules(self, name: str | None) -> Sequence[Schedule]:
        """Schedules of that name, or all of them, the oldest first."""

    def start_schedule(self, submission: Submission, cron: str, timezone: str) -> Schedule: ...

    def stop_schedule(self, schedule_id: str) -> None: ...


def plain_state(state: object) -> str:
    """One spelling for the states of both services: PIPELINE_STATE_CANCELLED and CANCELED are `cancelled`."""
    text = str(getattr(state, "name", state) or "pending").lower().removeprefix("pipeline_state_")
    return {"canceled": "cancelled", "canceling": "cancelling", "runtime_state_unspecified": "pending"}.get(text, text)
