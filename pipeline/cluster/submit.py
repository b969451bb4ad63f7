"""Submits a spec once, whatever the network does, and reports its nodes' states as they change."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.attempts import Caller, Ensured
from farebox.pipeline.cluster.service import ClusterTarget, Run, Say, Service, Submission

MAX_AGAIN = 1000
MAX_NAME = 120  # of a run; --again appends a number


@dataclass(frozen=True)
class SubmitRequest:
    """spec: a compiled file; it is not needed with `attach`, the id of a run to watch.

    key: distinguishes submissions of the same spec and parameters (a day, say). again: submits a new run in any case.
    wait: watches the run to its end, with a request every `poll` s.
    """

    target: ClusterTarget
    spec: str | None = None
    parameters: Sequence[str] = ()
    key: str | None = None
    again: bool = False
    attach: str | None = None
    wait: bool = True
    poll: float = 10.0


def connect(target: ClusterTarget, say: Say) -> tuple[Service, Caller]:
    """The target's service, and the caller that repeats its requests. Raises InputError."""
    from farebox.pipeline.cluster.kubeflow import Kubeflow
    from farebox.pipeline.cluster.vertex import Vertex

    for library in ("urllib3", "google"):  # our own lines report failing attempts
        logging.getLogger(library).setLevel(logging.ERROR)
    service = Kubeflow(target, say) if target.runner == "kubeflow" else Vertex(target, say)
    return service, service.caller


def submit(request: SubmitRequest, say: Say, say_unwatched: Say) -> dict[str, Any]:
    """Submits a run, or finds an equal one or the one to attach to, and watches it.

    say_unwatched: called with the run's id if watching ends before the run does.
    Returns {run, name, state, error, url, submitted, nodes}. Raises InputError. KeyboardInterrupt ends the watching,
    not the run.
    """
    submission = _submission(request)  # errors of the file come before any request
    service, caller = connect(request.target, say)
    if submission is None:
        sent = Ensured(caller.patiently(service.run, request.attach), is_found=True, n_sent=0)
    else:
        sent = _send(submission, request, service, caller)
    run = keep_oldest(sent.item, service, caller) if sent.n_sent else sent.item
    say(_describe(run, sent.is_found, request))
    if request.wait and not run.has_ended:
        try:
            is_late = sent.n_sent > 1  # a request whose answer was lost may still arrive
            run = watch(run, service, caller, poll=request.poll, is_late=is_late)
        except (KeyboardInterrupt, InputError):
            say_unwatched(run.id)
            raise
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state,
        "error": failure_of(run),
        "url": run.url,
        "submitted": not sent.is_found,
        "nodes": {node.name: node.state for node in run.nodes},
    }


def _submission(request: SubmitRequest) -> Submission | None:
    """None if there is a run to attach to."""
    if request.attach:
        if request.spec:
            raise InputError(f"attach={request.attach} watches a run and submits nothing: leave {request.spec} out")
        return None
    if not request.spec:
        raise InputError("spec must be given, a compiled pipeline's file, unless there is a run to attach to")
    spec = specs.load(request.spec)
    values = specs.parameter_values(spec, request.parameters)
    digest = specs.submission_digest(spec, values, request.key)
    return Submission(run_name(spec, digest), spec, values, digest)


def run_name(spec: specs.Spec, digest: str) -> str:
    """`pipeline-commit-digest` as Vertex AI's ids must be: fewer than 128 of a-z, 0-9 and -, a letter first."""
    commit = f"-{specs.label(spec.commit)[:12]}" if spec.commit else ""
    pipeline, end = (re.sub(r"[^a-z0-9-]+", "-", text.lower()) for text in (spec.name, f"{commit}-{digest[:12]}"))
    pipeline = pipeline if pipeline[:1].isalpha() else f"run-{pipeline}"
    return f"{pipeline[: MAX_NAME - len(end)]}{end}"


def _send(submission: Submission, request: SubmitRequest, service: Service, caller: Caller) -> Ensured[Run]:
    """The submission's run. `again` takes the first free name with a number appended."""
    try:
        name = submission.name
        for number in range(2, MAX_AGAIN) if request.again else ():
            if not caller.patiently(service.find, name):
                break
            name = f"{submission.name}-{number}"
        named = dataclasses.replace(submission, name=name)
        return caller.ensure(lambda: service.find(name), lambda: service.start(named))
    except KeyboardInterrupt:
        caller.say(f"interrupted; {submission.name} may have been submitted: submit it again, which looks for it first")
        raise


def keep_oldest(run: Run, service: Service, caller: Caller) -> Run:
    """The oldest run of the name. Kubeflow lets two submitters at once start two; each then stops the younger ones."""
    if service.has_unique_names:
        return run
    oldest, *younger = caller.patiently(service.find, run.name) or [run]
    for extra in younger:
        if extra.can_be_stopped:
            caller.patiently(service.stop, extra.id)
            caller.say(f"{extra.id} was a second run of {run.name} and is stopped; {oldest.id} goes on")
    return oldest


def watch(run: Run, service: Service, caller: Caller, *, poll: float, is_late: bool = False) -> Run:
    """The run at its end; each change of a node's state is a line. is_late: looks for a second run each time."""
    states: dict[str, str] = {}
    while True:
        run_id = (keep_oldest(run, service, caller) if is_late else run).id
        run = caller.patiently(service.run, run_id)
        for node in run.nodes:
            if states.get(node.name) != node.state:
                states[node.name] = node.state
                error = f": {node.error}" if node.error else ""
                caller.say(f"{time.strftime('%H:%M:%S')}  {node.name:<20} {node.state}{error}")
        if run.has_ended:
            return run
        time.sleep(poll)


def failure_of(run: Run) -> str | None:
    """Why a run failed: its failed nodes with their messages, or the service's message."""
    failed = [f"{node.name}: {node.error or 'see its log'}" for node in run.nodes if node.state == "failed"]
    return "; ".join(failed) or run.error or None


def _describe(run: Run, is_found: bool, request: SubmitRequest) -> str:
    if request.attach:
        return f"{run.name} ({run.id}): {run.state}; {run.url}"
    if is_found:
        return f"{run.name} ({run.id}) {'has ended' if run.has_ended else 'exists'} already: {run.state}; {run.url}"
    return f"{run.name} ({run.id}) is submitted; {run.url}"
