"""`farebox schedule`: ticks in the foreground, files for other schedulers, or schedules of a cluster's service."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from farebox.pipeline.commands.options import City, Data, Overrides
from farebox.pipeline.commands.submit import (
    Assignments,
    Endpoint,
    Experiment,
    Host,
    Namespace,
    Network,
    Patience,
    Project,
    Region,
    RunnerName,
    ServiceAccount,
    cluster_target,
)


class Emit(str, Enum):
    """The scheduler whose files `--emit` prints."""

    systemd = "systemd"
    cron = "cron"
    kubernetes = "kubernetes"
    airflow = "airflow"


def schedule(
    context: typer.Context,
    *,
    cron: Annotated[
        str | None, typer.Option(metavar="LINE", help='Five fields of crontab(5), e.g. "0 3 * * *", or @daily.')
    ] = None,
    city: City = "chicago",
    data: Data = None,
    out: Annotated[str, typer.Option(help="Where runs/ and models/ are kept.")] = ".",
    overrides: Overrides = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="E.g. Europe/London; without it the machine's or, elsewhere, UTC."),
    ] = None,
    misfire: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="How late a tick may begin; 3600 without it.")
    ] = None,
    grace: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="For a tick at work after SIGTERM; without it, to its end.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="A first tick at once.")] = False,
    emit: Annotated[Emit | None, typer.Option(help="Print files for this instead of waiting here.")] = None,
    to: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write the files there, do not print them.")] = None,
    env_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="systemd, cron: lines NAME=value with what is secret.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Kubernetes: the container's image.")] = None,
    claim: Annotated[
        str | None, typer.Option(metavar="NAME", help="Kubernetes: the PersistentVolumeClaim mounted at /farebox.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="NAME", help="Kubernetes: a Secret whose keys become variables.")
    ] = None,
    runner: RunnerName = "",
    spec: Annotated[
        str | None,
        typer.Option("--spec", metavar="SPEC", help="--runner: what it runs, a file that `farebox compile` wrote."),
    ] = None,
    parameters: Assignments = None,
    name: Annotated[str | None, typer.Option(help="--runner: the schedule's; without it the pipeline's.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="--runner: in place of one that differs.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="--runner: show the schedules there.")] = False,
    delete: Annotated[str | None, typer.Option(metavar="NAME", help="--runner: delete this schedule.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="--list: as JSON.")] = False,
    host: Host = None,
    namespace: Namespace = None,
    experiment: Experiment = "farebox",
    project: Project = None,
    region: Region = None,
    endpoint: Endpoint = None,
    service_account: ServiceAccount = None,
    network: Network = None,
    patience: Patience = 120,
) -> None:
    """Runs `farebox retrain` by the clock, here or elsewhere.

    Here in the foreground, or by systemd, cron, Kubernetes or Airflow (--emit). With --runner, Kubeflow or Vertex AI
    runs a compiled spec.
    """
    from farebox.pipeline.commands import schedule_orders

    typed = options_given(context)
    if "--runner" in typed:
        from farebox.pipeline.commands import remote_schedule

        target = cluster_target(context)
        schedule_orders.check_options(target.runner, typed)
        options = remote_schedule.RemoteScheduleOptions(
            cron=cron or "", spec=spec, parameters=parameters or (), timezone=timezone, name=name, replace=replace,
            listing=listing, delete=delete, as_json=as_json,
        )  # fmt: skip
        return remote_schedule.manage_schedules(target, options)
    schedule_orders.check_options(emit.value if emit else "foreground", typed)
    order = schedule_orders.ScheduleOrder(city, data, out, tuple(overrides or ()), cron or "", timezone, misfire)
    if emit is None:
        return schedule_orders.wait(order, grace, now)
    return schedule_orders.hand_out(
        schedule_orders.files_of(emit.value, order, schedule_orders.FileOptions(env_file, image, claim, secret)), to
    )


def options_given(context: typer.Context) -> dict[str, Any]:
    """The values that were typed, by option: no defaults, and no values of environment variables."""
    return {
        option.opts[0]: context.params[option.name]
        for option in context.command.params
        if option.name and getattr(context.get_parameter_source(option.name), "name", "") == "COMMANDLINE"
    }
