"""What Kubeflow Pipelines and Vertex AI have in common, as plain values: a run, its nodes, a schedule, a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from farebox.pipeline.cluster.spec import Parameters, Spec

Runner = Literal["kubeflow", "vertex"]
Say = Callable[[str], None]
ENDED = ("succeeded", "failed", "cancelled", "skipped")


@dataclass(frozen=True)
class Target:
    """Where to: `host` of Kubeflow, or `project` and `region` of Vertex AI. No credentials: those come from the
    environment's standard places.

    namespace: of a Kubeflow with users. experiment: to group runs under. endpoint: in place of Vertex's own address.
    service_account: that runs run as. network: that Vertex's runs are peered with.
    request_timeout, patience: of one request, and of a request with all its repetitions, s.
    """

    runner: Runner
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
    """`state` in lower case and one spelling: pending, running, succeeded, skipped (cached), failed, cancelled."""

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
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True)
class Order:
    """What is to be run under a name. `digest` is that of spec, parameters and key; it stays in the service."""

    name: str
    spec: Spec
    parameters: Parameters
    digest: str

    @property
    def description(self) -> str:
        commit = f"commit {self.spec.commit}, " if self.spec.commit else ""
        return f"farebox: {commit}submission {self.digest}"


@dataclass(frozen=True)
class Schedule:
    """cron: five fields, as they were sent. digest: of what it runs. next_run: ISO 8601 UTC, where it is known."""

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
    """One request a method, none of them repeated here: `farebox.pipeline.cluster.attempts` does that.

    unique_names: whether it refuses a second run of a name itself.
    """

    unique_names: bool

    def find(self, name: str) -> Sequence[Run]:
        """Runs of that name, the eldest first."""

    def start(self, order: Order) -> Run: ...

    def run(self, run_id: str) -> Run: ...

    def stop(self, run_id: str) -> None: ...

    def find_schedules(self, name: str | None) -> Sequence[Schedule]:
        """Schedules of that name, or all of them, the eldest first."""

    def start_schedule(self, order: Order, cron: str, timezone: str) -> Schedule: ...

    def stop_schedule(self, schedule_id: str) -> None: ...


def plain(state: object) -> str:
    """One spelling for the states of both services: PIPELINE_STATE_CANCELLED and CANCELED are `cancelled`."""
    text = str(getattr(state, "name", state) or "pending").lower().removeprefix("pipeline_state_")
    return {"canceled": "cancelled", "canceling": "cancelling", "runtime_state_unspecified": "pending"}.get(text, text)
