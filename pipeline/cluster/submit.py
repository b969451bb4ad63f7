"""`farebox submit`: one run per submission, whatever the network does, and its nodes' states as they change."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.attempts import Caller, Ensured
from farebox.pipeline.cluster.service import Order, Run, Say, Service, Target

MAX_AGAIN = 1000


@dataclass(frozen=True)
class Request:
    """spec: a compiled file; with `attach`, the id of a run to watch, none is needed.

    key: makes a submission of the same spec and parameters another one (a day, say). again: a new run in any case.
    wait: watch it to its end, asking every `poll` s.
    """

    target: Target
    spec: str | None = None
    parameters: Sequence[str] = ()
    key: str | None = None
    again: bool = False
    attach: str | None = None
    wait: bool = True
    poll: float = 10.0


def connect(target: Target, say: Say) -> tuple[Service, Caller]:
    """The service of a target, asked with its own patience. Raises InputError."""
    from farebox.pipeline.cluster.kubeflow import Kubeflow
    from farebox.pipeline.cluster.vertex import Vertex

    for library in ("urllib3", "google"):  # of attempts that fail, our own lines tell
        logging.getLogger(library).setLevel(logging.ERROR)
    service = Kubeflow(target, say) if target.runner == "kubeflow" else Vertex(target, say)
    return service, service.caller


def submit(request: Request, say: Say) -> dict[str, Any]:
    """Sends, or finds, or with `attach` just finds a run, and watches it; {run, name, state, url, submitted, nodes}.

    Raises InputError. KeyboardInterrupt ends the watching, not the run, and a line says how to watch it again.
    """
    order = _order(request)  # the file's faults before any request
    service, caller = connect(request.target, say)
    if order is None:
        sent = Ensured(caller.patiently(service.run, request.attach), True, 0)
    else:
        try:
            sent = _sent(order, request.again, service, caller)
        except KeyboardInterrupt:
            say(f"interrupted, perhaps sent: the same command looks for {order.name} before it sends it again")
            raise
    run = settled(sent.item, service, caller, say) if sent.sent else sent.item
    _tell(run, sent.existed, request, say)
    if request.wait and not run.ended:
        try:
            late = sent.sent > 1  # a request whose answer was lost may still arrive
            run = watch(run, service, caller, request.poll, say, late)
        except (KeyboardInterrupt, InputError):
            say(f"no longer watched, and goes on: {how_to_attach(run.id, request.target)}")
            raise
    nodes = {node.name: node.state for node in run.nodes}
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "error": blame(run),
        "url": run.url,
        "submitted": not sent.existed,
        "nodes": nodes,
    }


def _order(request: Request) -> Order | None:
    """Nothing to run where a run is to be watched."""
    if request.attach:
        if request.spec:
            raise InputError(f"--attach {request.attach} watches a run and sends nothing: leave {request.spec} out")
        return None
    if not request.spec:
        raise InputError("SPEC must be given, a file that `farebox compile` wrote, or --attach RUN")
    spec = specs.load(request.spec)
    values = specs.parameters(spec, request.parameters)
    digest = specs.submission_digest(spec, values, request.key)
    commit = f"-{specs.label(spec.commit)[:12]}" if spec.commit else ""
    name = re.sub(r"[^a-z0-9-]+", "-", f"{spec.name}{commit}-{digest[:12]}".lower())
    return Order(name, spec, values, digest)


def _sent(order: Order, again: bool, service: Service, caller: Caller) -> Ensured[Run]:
    """The order's run. `again` takes the first name with a number behind it that is free."""
    name = order.name
    for number in range(2, MAX_AGAIN) if again else ():
        if not caller.patiently(service.find, name):
            break
        name = f"{order.name}-{number}"
    named = Order(name, order.spec, order.parameters, order.digest)
    return caller.ensure(lambda: service.find(name), lambda: service.start(named))


def settled(run: Run, service: Service, caller: Caller, say: Say) -> Run:
    """The eldest run of the name. Kubeflow lets two submitters at once make two; each then stops the younger ones."""
    if service.unique_names:
        return run
    eldest, *younger = caller.patiently(service.find, run.name) or [run]
    for extra in younger:
        if not extra.ended:
            caller.patiently(service.stop, extra.id)
            say(f"{extra.id} was a second run of {run.name} and is stopped; {eldest.id} goes on")
    return eldest


def watch(run: Run, service: Service, caller: Caller, poll: float, say: Say, late: bool = False) -> Run:
    """The run at its end; each change of a node's state is a line. late: look for a second one each time."""
    seen: dict[str, str] = {}
    while True:
        run_id = (settled(run, service, caller, say) if late else run).id
        run = caller.patiently(service.run, run_id)
        for node in run.nodes:
            if seen.get(node.name) != node.state:
                seen[node.name] = node.state
                say(
                    f"{time.strftime('%H:%M:%S')}  {node.name:<20} {node.state}{': ' if node.error else ''}{node.error}"
                )
        if run.ended:
            return run
        time.sleep(poll)


def blame(run: Run) -> str | None:
    """Why a run failed: its nodes that failed with what they said, or the service's own words."""
    failed = [f"{node.name}: {node.error or 'see its log'}" for node in run.nodes if node.state == "failed"]
    return "; ".join(failed) or run.error or None


def how_to_attach(run_id: str, target: Target) -> str:
    """The command that watches a run of this target."""
    if target.runner == "kubeflow":
        place = f"--host {target.host}" + (f" --namespace {target.namespace}" if target.namespace else "")
    else:
        place = f"--project {target.project} --region {target.region}"
        place += f" --endpoint {target.endpoint}" if target.endpoint else ""
    return f"farebox submit --attach {run_id} --runner {target.runner} {place}"


def _tell(run: Run, existed: bool, request: Request, say: Say) -> None:
    if request.attach:
        say(f"{run.name} ({run.id}): {run.state}; {run.url}")
    elif existed:
        ended = f"ended already: {run.state}; --again runs it anew" if run.ended else f"is there already: {run.state}"
        say(f"{run.name} ({run.id}) {ended}; {run.url}")
    else:
        say(f"{run.name} ({run.id}) is submitted; {run.url}")
