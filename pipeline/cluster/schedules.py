"""Schedules that the remote service keeps: Vertex schedules, Kubeflow's recurring runs. One per name."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable, Sequence

from farebox.components.errors import InputError
from farebox.pipeline.cluster import kubeflow
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.attempts import NOT_FOUND, Caller, Ensured, status_of
from farebox.pipeline.cluster.service import Order, Say, Schedule, Service, Target
from farebox.pipeline.cluster.submit import connect
from farebox.pipeline.schedule import crontab, files

MAX_NAME = 128  # Vertex's bound for a display name


def create(
    target: Target,
    name: str | None,
    cron: str,
    spec_file: str,
    parameters: Sequence[str] = (),
    timezone: str = "UTC",
    replace: bool = False,
    say: Say = print,
) -> Schedule:
    """A schedule of that name: an equal one that is there already, or a new one; a line says which.

    name: the spec's pipeline's without one. cron: as `farebox schedule` takes it. timezone: an IANA name; Kubeflow
    knows UTC only. replace: puts it in the place of one that differs.
    Raises InputError: a cron, time zone or name that is none, an unlike one of that name, or an error of the service.
    """
    cron = _sent_as(cron)
    order = _order(target, name, cron, spec_file, parameters, timezone)
    if target.runner == "kubeflow":  # before an old one is deleted for it
        kubeflow.check_schedule(order, timezone)
    service, caller = connect(target, say)
    make = functools.partial(
        caller.ensure,
        lambda: service.find_schedules(order.name),
        lambda: service.start_schedule(order, cron, timezone),
    )
    made = make()
    what = "is there already" if made.existed else "is scheduled"
    if made.existed and made.item.digest != order.digest:
        if not replace:
            raise InputError(
                f"schedule={order.name} is there already ({shown(made.item)}) with another spec, cron, time zone, "
                "account or parameters: delete it first, or --replace it"
            )
        made, what = _replaced(made.item, make, service, caller), "is replaced"
    schedule = _eldest(made.item, service, caller) if made.sent else made.item
    say(f"{schedule.name} ({schedule.id}) {what}: {shown(schedule)}; {schedule.url}")
    return schedule


def listed(target: Target, say: Say = print) -> list[Schedule]:
    """All schedules there; on Kubeflow those of the target's experiment."""
    service, caller = connect(target, say)
    return list(caller.patiently(service.find_schedules, None))


def delete(target: Target, name: str, say: Say = print) -> list[Schedule]:
    """Deletes what has that name, a line for each. Raises InputError where nothing has."""
    _check_name(name)
    service, caller = connect(target, say)
    found = caller.patiently(service.find_schedules, name)
    if not found:
        others = ", ".join(each.name for each in caller.patiently(service.find_schedules, None)) or "none"
        raise InputError(f"schedule={name} must be one that is there: {others}")
    _delete(found, service, caller)
    for each in found:
        say(f"{each.name} ({each.id}) is deleted: {each.when}")
    return list(found)


def shown(schedule: Schedule) -> str:
    """`active, 0 3 * * * UTC, next 2026-11-26T03:00:00Z`"""
    following = f", next {schedule.next_run}" if schedule.next_run else ""
    return f"{schedule.state}, {schedule.when}{following}"


def _sent_as(cron: str) -> str:
    """Five fields that the services' parsers read as cron(5) does: Kubeflow's (robfig/cron 1.2) refuses 7 for Sunday.

    What Vertex's does with 7 and with `*/2` in a day's field is nowhere said.
    """
    when = crontab.parse(cron)
    numbers = files.kubernetes_schedule(when, "services differ in whether a day must then be in both")
    return numbers if "7" in when.text.split()[-1] else when.text


def _check_name(name: str) -> None:
    """Raises InputError for one that would find others, as none at all finds all."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or set(name) & set('"\\'):
        raise InputError(f"schedule={name!r} must be 1 to {MAX_NAME} printable characters, no quotes and backslashes")


def _order(
    target: Target, name: str | None, cron: str, spec_file: str, parameters: Sequence[str], timezone: str
) -> Order:
    """Its digest is of all that a schedule has, as whom and in which network it runs included."""
    try:
        zoneinfo.ZoneInfo(timezone)
    except (KeyError, ValueError) as error:
        raise InputError(f"timezone={timezone} must be an IANA name, such as America/Chicago") from error
    spec = specs.load(spec_file)
    name = spec.name if name is None else name
    _check_name(name)
    values = specs.parameters(spec, parameters)
    rest = (cron, timezone, target.service_account, target.network)
    digest = specs.submission_digest(spec, values, " ".join(filter(None, rest)))
    return Order(name, spec, values, digest)


def _replaced(
    old: Schedule, make: Callable[[], Ensured[Schedule]], service: Service, caller: Caller
) -> Ensured[Schedule]:
    """What is made in place of all of the old one's name. Raises InputError, which says so if the old one is gone."""
    _delete(caller.patiently(service.find_schedules, old.name), service, caller)
    try:
        return make()
    except InputError as error:
        raise InputError(f"{error}; the old schedule={old.name} ({old.when}) is deleted") from error


def _eldest(made: Schedule, service: Service, caller: Caller) -> Schedule:
    """Of several that were made at once, or twice after a lost answer, the eldest stays."""
    eldest, *younger = caller.patiently(service.find_schedules, made.name) or [made]
    _delete(younger, service, caller)
    return eldest


def _delete(found: Sequence[Schedule], service: Service, caller: Caller) -> None:
    """Also where the answer to an earlier attempt was lost: what is not there any more is deleted."""

    def gone(schedule_id: str) -> None:
        try:
            service.stop_schedule(schedule_id)
        except Exception as error:
            if status_of(error) != NOT_FOUND:
                raise

    for each in found:
        caller.patiently(gone, each.id)
