"""`farebox schedule`: options in, ticks in the foreground or files for what begins them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from pipeline.options import City, Data, Overrides


class Emit(str, Enum):
    """Whose files `--emit` prints."""

    systemd = "systemd"
    cron = "cron"
    kubernetes = "kubernetes"


def schedule(
    cron: Annotated[str, typer.Option(metavar="LINE", help='Five fields of crontab(5), e.g. "0 3 * * *", or @daily.')],
    city: City = "chicago",
    data: Data = None,
    out: Annotated[str, typer.Option(help="Where runs/ and models/ are kept.")] = ".",
    overrides: Overrides = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="E.g. Europe/London; without it the machine's, Kubernetes: UTC.")
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
) -> None:
    """`farebox retrain` by the clock: here, or by systemd, cron or Kubernetes."""
    from pipeline.schedule import orders

    order = orders.Order(city, data, out, tuple(overrides or ()), cron, timezone, misfire)
    orders.check_options(
        emit.value if emit else None,
        {
            "--grace": grace, "--now": now or None, "--misfire": misfire, "--to": to, "--env-file": env_file,
            "--image": image, "--claim": claim, "--secret": secret,
        },
    )  # fmt: skip
    if emit is None:
        orders.wait(order, grace, now)
    else:
        orders.hand_out(orders.files_of(emit.value, order, orders.Extras(env_file, image, claim, secret)), to)
