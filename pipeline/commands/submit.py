"""`farebox submit`: parse, one call, exit code. Light to import; the work is in `pipeline.cluster.submit`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from farebox.components.errors import InputError
from farebox.pipeline.commands.hints import flags_in_errors

if TYPE_CHECKING:
    from farebox.pipeline.cluster.service import ClusterRunner, ClusterTarget

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
TARGET_FLAGS = {
    **{key: f"--{key}" for key in ("runner", "host", "namespace", "project", "region", "endpoint")},
    "parameter": "--parameter",
}
TARGET_OPTIONS = (
    "runner", "host", "namespace", "experiment", "project", "region", "endpoint", "service_account", "network",
    "patience",
)  # fmt: skip
SUBMIT_FLAGS = {**TARGET_FLAGS, "spec": "SPEC", "attach": "--attach"}

RunnerName = Annotated[str, typer.Option("--runner", metavar="kubeflow|vertex", help="The service that runs it.")]
Host = Annotated[
    str | None,
    typer.Option(
        metavar="URL", envvar="KF_PIPELINES_ENDPOINT", help="Address of Kubeflow Pipelines, the one its web page has."
    ),
]
Namespace = Annotated[str | None, typer.Option(help="Your namespace, if Kubeflow has users.")]
Project = Annotated[str | None, typer.Option(envvar="GOOGLE_CLOUD_PROJECT", help="Vertex AI's project.")]
Region = Annotated[
    str | None, typer.Option(envvar="GOOGLE_CLOUD_REGION", help="Vertex AI's region, such as us-central1.")
]
Endpoint = Annotated[
    str | None, typer.Option(metavar="URL", help="Replaces REGION-aiplatform.googleapis.com (private connections).")
]
Experiment = Annotated[str, typer.Option(help="Kubeflow's group of runs.")]
ServiceAccount = Annotated[str | None, typer.Option(help="The account that the run uses.")]
Network = Annotated[str | None, typer.Option(help="Full name of the network that Vertex AI's run is peered with.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="KEY=VALUE", help="A runtime parameter of the spec.")
]
Patience = Annotated[float, typer.Option(metavar="SECONDS", help="How long a failing request is repeated.")]


def submit(
    context: typer.Context,
    *,
    spec: Annotated[str | None, typer.Argument(metavar="SPEC", help="A file that `farebox compile` wrote.")] = None,
    runner: RunnerName = "kubeflow",
    host: Host = None,
    namespace: Namespace = None,
    project: Project = None,
    region: Region = None,
    parameters: Assignments = None,
    key: Annotated[
        str | None, typer.Option(help="Distinguishes submissions that are otherwise equal, e.g. the day.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Submit a new run even if an equal one exists.")] = False,
    attach: Annotated[str | None, typer.Option(metavar="RUN", help="Watch this run; submit nothing.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show nodes' states until the run's end.")] = True,
    experiment: Experiment = "farebox",
    service_account: ServiceAccount = None,
    network: Network = None,
    endpoint: Endpoint = None,
    patience: Patience = 120,
    poll: Annotated[float, typer.Option(metavar="SECONDS", help="Pause between two looks at a run.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; everything else goes to stderr.")
    ] = False,
) -> None:
    """Sends a compiled pipeline to Kubeflow or Vertex AI, once.

    Credentials come from the standard places of the environment.
    """
    from farebox.pipeline.cluster import submit as submission

    target = cluster_target(context)
    request = submission.SubmitRequest(
        target=target, spec=spec, parameters=parameters or (), key=key, again=again, attach=attach, wait=wait, poll=poll
    )

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else None, flush=True)

    def say_unwatched(run: str) -> None:
        say(f"{run} is no longer watched, and goes on: {attach_command(run, target)}")

    try:
        with flags_in_errors(SUBMIT_FLAGS):
            result = submission.submit(request, say, say_unwatched)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    if attach is None and not result["submitted"]:
        say(f"{result['name']} was submitted before; --again submits a new run")
    if as_json:
        print(json.dumps(result, indent=2))
    exit_as_ended(result)
    if not as_json and wait:
        print(f"{result['run']} {result['state']}")


def cluster_target(context: typer.Context) -> ClusterTarget:
    """The service that TARGET_OPTIONS of a command's call name. Raises InputError if --runner is unknown."""
    from farebox.pipeline.cluster.service import ClusterTarget

    checked_runner(context.params["runner"])
    return ClusterTarget(**{name: context.params[name] for name in TARGET_OPTIONS})


def exit_as_ended(result: dict[str, Any]) -> None:
    """Ends the command with a line and exit code 1 if the run failed or was cancelled."""
    if result["state"] in ("failed", "cancelled"):
        print(f"farebox: {result['run']} {result['state']}; {result['error'] or result['url']}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


def attach_command(run: str, target: ClusterTarget) -> str:
    """The command that watches a run of this target."""
    if target.runner == "kubeflow":
        place = f"--host {target.host}" + (f" --namespace {target.namespace}" if target.namespace else "")
    else:
        place = f"--project {target.project} --region {target.region}"
        place += f" --endpoint {target.endpoint}" if target.endpoint else ""
    return f"farebox submit --attach {run} --runner {target.runner} {place}"


def checked_runner(runner: str) -> ClusterRunner:
    """The value of --runner. Raises InputError."""
    if runner not in ("kubeflow", "vertex"):
        raise InputError(f"--runner={runner} must be kubeflow or vertex")
    return cast("ClusterRunner", runner)
