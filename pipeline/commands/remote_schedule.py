"""`farebox schedule --runner`: one call, and its lines. The work is in `pipeline.cluster.schedules`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from farebox.components.errors import InputError
from farebox.pipeline.cluster import schedules
from farebox.pipeline.cluster.service import ClusterTarget, Schedule
from farebox.pipeline.commands.hints import flags_in_errors
from farebox.pipeline.commands.submit import TARGET_FLAGS
from farebox.pipeline.commands.tables import aligned

HEADER = ("name", "id", "cron", "zone", "state", "next run")


@dataclasses.dataclass(frozen=True)
class RemoteScheduleOptions:
    """The command's options. `listing` and `delete` exclude the others; without them a schedule is created."""

    cron: str
    spec: str | None
    parameters: Sequence[str]
    timezone: str | None
    name: str | None
    replace: bool
    listing: bool
    delete: str | None
    as_json: bool


def manage_schedules(target: ClusterTarget, options: RemoteScheduleOptions) -> None:
    """Creates, lists or deletes schedules, and prints what it did. Raises InputError."""
    with flags_in_errors({**TARGET_FLAGS, "spec": "--spec", "cron": "--cron", "timezone": "--timezone"}):
        if options.listing:
            _print_schedules(schedules.list_all(target, say_aside), options.as_json)
        elif options.delete is not None:
            schedules.delete(target, options.delete)
        else:
            schedules.create(target, _request(options))


def _request(options: RemoteScheduleOptions) -> schedules.ScheduleRequest:
    """Raises InputError if there is no spec."""
    if options.spec is None:
        raise InputError("--spec must be given, a file that `farebox compile` wrote")
    return schedules.ScheduleRequest(
        spec=options.spec,
        cron=options.cron,
        parameters=options.parameters,
        timezone=options.timezone or "UTC",
        name=options.name,
        replace=options.replace,
    )


def say_aside(line: str) -> None:
    """Prints to stderr: failing attempts are not part of a list."""
    print(line, file=sys.stderr, flush=True)


def _print_schedules(rows: Sequence[Schedule], as_json: bool) -> None:
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in rows], indent=2))
    else:
        print(schedule_table(rows) if rows else "no schedules")


def schedule_table(rows: Sequence[Schedule]) -> str:
    """A line per schedule; their addresses are in the JSON only."""
    cells = [(row.name, row.id, row.cron, row.timezone, row.state, row.next_run or "") for row in rows]
    return aligned([HEADER, *cells])
