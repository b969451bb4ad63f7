"""Schedules that the remote service keeps: Vertex schedules, Kubeflow's recurring runs. There is one per name."""

from __future__ import annotations

import dataclasses
import functools
import zoneinfo
from collections.abc import Callable, Sequence

from farebox.components.errors import InputError
from farebox.pipeline.cluster import kubeflow
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.attempts import NOT_FOUND, Caller, Ensured, status_of
from farebox.pipeline.cluster.service import ClusterTarget, Say, Schedule, Service, Submission
from farebox.pipeline.cluster.submit import connect
from farebox.pipeline.schedule import crontab, files

MAX_NAME = 128  # Vertex's bound for a display name


@dataclasses.dataclass(frozen=True)
class ScheduleRequest:
    """spec: a compiled file. cron: five fields of crontab(5), or @daily and the like. timezone: an IANA name; Kubeflow
    has UTC only. name: the pipeline's name if None. replace: replaces a schedule of that name that differs."""

    spec: str
    cron: str
    parameters: Sequence[str] = ()
    timezone: str = "UTC"
    name: str | None = None
    replace: bool = False


def create(target: ClusterTarget, request: ScheduleRequest, say: Say = print) -> Schedule:
    """The schedule of that name: an equal one that exists already, or a new one; a line says which.

    Raises:
        InputError: cron, time zone or name cannot be used, a schedule of that name differs, or the service fails.
    """
    cron = portable_cron(request.cron)
    submission = _submission(target, request, cron)
    if target.runner == "kubeflow":  # before an old one is deleted for it
        kubeflow.check_schedule(submission, request.timezone)
    service, caller = connect(target, say)
    ensure = functools.partial(
        caller.ensure,
        lambda: service.find_schedules(submission.name),
        lambda: service.start_schedule(submission, cron, request.timezone),
    )
    ensured = ensure()
    event = "exists already" if ensured.is_found else "is scheduled"
    if ensured.is_found and ensured.item.digest != submission.digest:
        if not request.replace:
            raise InputError(
                f"schedule={submission.name} exists already ({describe(ensured.item)}) with another spec, cron, time "
                "zone, account or parameters: delete it first, or replace it"
            )
        ensured, event = _replace(ensured.item, ensure, service, caller), "is replaced"
    schedule = _keep_oldest(ensured.item, service, caller) if ensured.n_sent else ensured.item
    say(f"{schedule.name} ({schedule.id}) {event}: {describe(schedule)}; {schedule.url}")
    return schedule


def list_all(target: ClusterTarget, say: Say = print) -> list[Schedule]:
    """All schedules of the service; on Kubeflow those of the target's experiment."""
    service, caller = connect(target, say)
    return list(caller.patiently(service.find_schedules, None))


def delete(target: ClusterTarget, name: str, say: Say = print) -> list[Schedule]:
    """Deletes the schedules of that name, with a line for each. Raises InputError if there is none."""
    _check_name(name)
    service, caller = connect(target, say)
    schedules = caller.patiently(service.find_schedules, name)
    if not schedules:
        names = ", ".join(each.name for each in caller.patiently(service.find_schedules, None)) or "none"
        raise InputError(f"schedule={name} must be one that exists: {names}")
    _delete(schedules, service, caller)
    for schedule in schedules:
        say(f"{schedule.name} ({schedule.id}) is deleted: {schedule.when}")
    return list(schedules)


def describe(schedule: Schedule) -> str:
    """`active, 0 3 * * * UTC, next 2026-11-26T03:00:00Z`"""
    next_run = f", next {schedule.next_run}" if schedule.next_run else ""
    return f"{schedule.state}, {schedule.when}{next_run}"


def portable_cron(cron: str) -> str:
    """Five fields that the services' parsers read as cron(5) does: Kubeflow's (robfig/cron 1.2) refuses 7 for Sunday.

    Vertex AI does not document what its parser does with 7, or with `*/2` in a day's field.
    """
    when = crontab.parse(cron)
    numbers = files.kubernetes_schedule(when, "services differ in whether a day must then be in both")
    return numbers if "7" in when.text.split()[-1] else when.text


def _check_name(name: str) -> None:
    """Raises InputError for a name that would also match other schedules; an empty one would match all."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or set(name) & set('"\\'):
        raise InputError(f"schedule={name!r} must be 1 to {MAX_NAME} printable characters, no quotes and backslashes")


def _submission(target: ClusterTarget, request: ScheduleRequest, cron: str) -> Submission:
    """The digest covers everything that a schedule has, its account and network included."""
    try:
        zoneinfo.ZoneInfo(request.timezone)
    except (KeyError, ValueError) as error:
        raise InputError(f"timezone={request.timezone} must be an IANA name, such as America/Chicago") from error
    spec = specs.load(request.spec)
    name = spec.name if request.name is None else request.name
    _check_name(name)
    values = specs.parameter_values(spec, request.parameters)
    key = " ".join(filter(None, (cron, request.timezone, target.service_account, target.network)))
    return Submission(name, spec, values, specs.submission_digest(spec, values, key))


def _replace(
    old: Schedule, ensure: Callable[[], Ensured[Schedule]], service: Service, caller: Caller
) -> Ensured[Schedule]:
    """Deletes all schedules of the old one's name and creates the new one. Raises InputError; if the old one is
    deleted by then, the message says so."""
    _delete(caller.patiently(service.find_schedules, old.name), service, caller)
    try:
        return ensure()
    except InputError as error:
        raise InputError(f"{error}; the old schedule={old.name} ({old.when}) is deleted") from error


def _keep_oldest(schedule: Schedule, service: Service, caller: Caller) -> Schedule:
    """Keeps the oldest of several schedules that were created at once, or twice after a lost answer."""
    oldest, *younger = caller.patiently(service.find_schedules, schedule.name) or [schedule]
    _delete(younger, service, caller)
    return oldest


def _delete(schedules: Sequence[Schedule], service: Service, caller: Caller) -> None:
    """Deletes them; one that does not exist any more counts as deleted, as after a lost answer."""

    def stop(schedule_id: str) -> None:
        try:
            service.stop_schedule(schedule_id)
        except Exception as error:
            if status_of(error) != NOT_FOUND:
                raise

    for schedule in schedules:
        caller.patiently(stop, schedule.id)
