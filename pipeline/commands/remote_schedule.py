"""`farebox schedule --runner`: one call, and its lines. The work is in `schedules`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence

from farebox.components.errors import InputError
from farebox.pipeline.cluster import schedules
from farebox.pipeline.cluster.service import Schedule, Target
from farebox.pipeline.commands.tables import aligned

HEADER = ("name", "id", "cron", "zone", "state", "next run")


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a target: listing, else the deletion of a name, else a schedule, with cron and spec."""

    cron: str
    spec: str | None
    parameters: Sequence[str]
    timezone: str | None
    name: str | None
    replace: bool
    listing: bool
    delete: str | None
    as_json: bool


def run(target: Target, request: Request) -> None:
    """Creates, lists or deletes, and prints that. Raises InputError."""
    if request.listing:
        _show(schedules.listed(target, say_aside), request.as_json)
    elif request.delete is not None:
        schedules.delete(target, request.delete)
    elif request.spec is None:
        raise InputError("--spec must be given, a file that `farebox compile` wrote")
    else:
        schedules.create(
            target,
            request.name,
            request.cron,
            request.spec,
            request.parameters,
            request.timezone or "UTC",
            request.replace,
        )


def say_aside(line: str) -> None:
    """Attempts that fail are no part of a list."""
    print(line, file=sys.stderr, flush=True)


def _show(found: Sequence[Schedule], as_json: bool) -> None:
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        print(table(found) if found else "no schedules")


def table(found: Sequence[Schedule]) -> str:
    """A line per schedule; the addresses are in the JSON."""
    rows = [(each.name, each.id, each.cron, each.timezone, each.state, each.next_run or "") for each in found]
    return aligned([HEADER, *rows])
