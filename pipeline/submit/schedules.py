"""Schedules that the remote service keeps: Vertex schedules, Kubeflow's recurring runs. One per name."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence

from components.errors import InputError
from pipeline.submit import spec as specs
from pipeline.submit.attempts import NOT_FOUND, Caller, status_of
from pipeline.submit.remote import Order, Say, Schedule, Service, Target
from pipeline.submit.submission import connect


def create(
    target: Target,
    name: str,
    cron: str,
    spec_file: str,
    parameters: Sequence[str] = (),
    timezone: str = "UTC",
    replace: bool = False,
    say: Say = print,
) -> Schedule:
    """A schedule of that name: an equal one that is there already, or a new one.

    cron: minute, hour, day, month, weekday. timezone: an IANA name; Kubeflow knows UTC only.
    replace: puts it in the place of one that differs.
    Raises InputError: a cron or time zone that is none, an unlike one of that name, or an error of the service.
    """
    order = _order(name, cron, spec_file, parameters, timezone)
    service, caller = connect(target, say)
    made = caller.ensure(lambda: service.find_schedules(name), lambda: service.start_schedule(order, cron, timezone))
    if made.existed and made.item.digest != order.digest:
        if not replace:
            raise InputError(
                f"schedule={name} is there already (cron {made.item.cron}) with another spec, cron, time zone or "
                "parameters: delete it first, or replace it"
            )
        _delete(caller.patiently(service.find_schedules, name), service, caller)
        made = caller.ensure(
            lambda: service.find_schedules(name), lambda: service.start_schedule(order, cron, timezone)
        )
    return _eldest(made.item, service, caller) if made.sent else made.item


def listed(target: Target, say: Say = print) -> list[Schedule]:
    """All schedules there; on Kubeflow those of the target's experiment."""
    service, caller = connect(target, say)
    return list(caller.patiently(service.find_schedules, None))


def delete(target: Target, name: str, say: Say = print) -> list[Schedule]:
    """Deletes what has that name. Raises InputError where nothing has."""
    service, caller = connect(target, say)
    found = caller.patiently(service.find_schedules, name)
    if not found:
        others = ", ".join(each.name for each in caller.patiently(service.find_schedules, None)) or "none"
        raise InputError(f"schedule={name} must be one that is there: {others}")
    _delete(found, service, caller)
    return list(found)


def _order(name: str, cron: str, spec_file: str, parameters: Sequence[str], timezone: str) -> Order:
    if len(cron.split()) != 5:
        raise InputError(f"cron={cron} must have five fields: minute, hour, day, month, weekday")
    try:
        zoneinfo.ZoneInfo(timezone)
    except (KeyError, ValueError) as error:
        raise InputError(f"timezone={timezone} must be an IANA name, such as America/Chicago") from error
    spec = specs.load(spec_file)
    values = specs.parameters(spec, parameters)
    digest = specs.submission_digest(spec, values, f"{cron} {timezone}")
    return Order(name, spec, values, digest)


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
