"""`farebox submit` as a command: parse, one call, exit code. Light to import; the work is in `submission`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal, cast

import typer

Runner = Literal["kubeflow", "vertex"]

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130

RunnerName = Annotated[str, typer.Option("--runner", metavar="kubeflow|vertex", help="What runs it.")]
Host = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="KF_PIPELINES_ENDPOINT", help="Of Kubeflow Pipelines, as its UI is reached."),
]
Namespace = Annotated[str | None, typer.Option(help="Yours, in a Kubeflow with users.")]
Project = Annotated[str | None, typer.Option(envvar="GOOGLE_CLOUD_PROJECT", help="Of Vertex AI.")]
Region = Annotated[str | None, typer.Option(envvar="GOOGLE_CLOUD_REGION", help="Of Vertex AI, such as us-central1.")]
Endpoint = Annotated[
    str | None, typer.Option(metavar="URL", help="In place of REGION-aiplatform.googleapis.com (private connections).")
]


Experiment = Annotated[str, typer.Option(help="Kubeflow's group of runs.")]
ServiceAccount = Annotated[str | None, typer.Option(help="That the run runs as.")]
Network = Annotated[str | None, typer.Option(help="That Vertex's run is peered with, its full name.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="KEY=VALUE", help="A runtime parameter of the spec.")
]
Patience = Annotated[float, typer.Option(metavar="SECONDS", help="How long a failing request is repeated.")]


def submit(
    spec: Annotated[str | None, typer.Argument(metavar="SPEC", help="A file that `farebox compile` wrote.")] = None,
    runner: RunnerName = "kubeflow",
    host: Host = None,
    namespace: Namespace = None,
    project: Project = None,
    region: Region = None,
    parameters: Assignments = None,
    key: Annotated[str | None, typer.Option(help="Makes an equal submission another one, e.g. the day.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Run it anew even if it is there already.")] = False,
    attach: Annotated[str | None, typer.Option(metavar="RUN", help="Watch this run; submit nothing.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show nodes' states until the run's end.")] = True,
    experiment: Experiment = "farebox",
    service_account: ServiceAccount = None,
    network: Network = None,
    endpoint: Endpoint = None,
    patience: Patience = 120,
    poll: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks at a run.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; all else to stderr.")] = False,
) -> None:
    """A compiled pipeline to Kubeflow or Vertex AI, once; credentials from the environment's standard places."""
    from farebox.pipeline.cluster import submit as submission
    from farebox.pipeline.cluster.service import Target

    target = Target(
        runner=chosen(runner),
        host=host,
        namespace=namespace,
        experiment=experiment,
        project=project,
        region=region,
        endpoint=endpoint,
        service_account=service_account,
        network=network,
        patience=patience,
    )
    request = submission.Request(target, spec, parameters or (), key, again, attach, wait, poll)
    try:
        found = submission.submit(request, lambda line: print(line, file=sys.stderr if as_json else None, flush=True))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    if as_json:
        print(json.dumps(found, indent=2))
    if found["state"] in ("failed", "cancelled"):
        print(f"farebox: {found['run']} {found['state']}; {found['error'] or found['url']}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    if not as_json and wait:
        print(f"{found['run']} {found['state']}")


def chosen(runner: str) -> Runner:
    """One of the two, or InputError."""
    from farebox.components.errors import InputError

    if runner not in ("kubeflow", "vertex"):
        raise InputError(f"--runner={runner} must be kubeflow or vertex")
    return cast(Runner, runner)
