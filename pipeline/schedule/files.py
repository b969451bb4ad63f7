"""Files with which systemd, cron or Kubernetes starts the ticks; airflow.py has Airflow's.

They name where a secret is kept, not its value.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import Any

import yaml

from farebox.components.errors import InputError
from farebox.pipeline.schedule.crontab import (
    DAY,
    EVERY_DAY,
    EVERY_WEEKDAY,
    HOUR,
    MINUTE,
    MONTH,
    WEEKDAYS,
    Crontab,
    Field,
    ranges,
)

MOUNT = "/farebox"  # where a container finds the claim with its data, runs/ and models/
USER_ID = 10001  # a number, or the kubelet cannot tell that it is not root
NO_RETRY_CODES = [2, 3]  # exit codes that a second try would only repeat: bad input, a gate refused
KUBERNETES_WEEKDAY = Field("day-of-week", 0, 6)  # Kubernetes refuses 7


@dataclasses.dataclass(frozen=True)
class Tick:
    """A tick as a scheduler runs it.

    city: its name. command: the program and its arguments, run in `folder`; its output goes to `log`. variables: names
    of the environment variables that a file or a Secret must set.
    """

    city: str
    command: tuple[str, ...]
    folder: str
    log: str
    variables: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of units and Kubernetes objects; a CronJob's has at most 52 characters."""
        return f"farebox-retrain-{re.sub('[^a-z0-9]+', '-', self.city.lower()).strip('-')}"[:52].rstrip("-")


@dataclasses.dataclass(frozen=True)
class Container:
    """Further input for Kubernetes: names of an image, of a claim, of a Secret, and seconds of lateness."""

    image: str
    claim: str
    secret: str | None
    misfire: int


def systemd(tick: Tick, crontab: Crontab, zone: str | None, user: str, env_file: str | None) -> dict[str, str]:
    """A .service and a .timer, by file name."""
    environment = [f"EnvironmentFile={_unit_path(env_file)}"] if env_file else []
    service = [
        *header(tick, env_file),
        "[Unit]",
        f"Description=Farebox: a retraining tick of {tick.city}",
        "",
        "[Service]",
        "Type=oneshot",
        f"User={user}",
        f"WorkingDirectory={_unit_path(tick.folder)}",
        *environment,
        f"ExecStart={' '.join(map(_exec_word, tick.command))}",
        "NoNewPrivileges=yes",
    ]
    timer = [
        f"# {crontab.text}",
        "[Unit]",
        f"Description=Farebox: when to retrain {tick.city}",
        "",
        "[Timer]",
        *(f"OnCalendar={event}" for event in calendar_events(crontab, zone)),
        "Persistent=yes",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return {f"{tick.name}.service": "\n".join(service) + "\n", f"{tick.name}.timer": "\n".join(timer) + "\n"}


def calendar_events(crontab: Crontab, zone: str | None) -> list[str]:
    """Events of systemd.time(7): one, or two if a day may be in either field."""
    time = f"{_format_field(crontab.hours, HOUR, 2)}:{_format_field(crontab.minutes, MINUTE, 2)}:00"
    month = _format_field(crontab.months, MONTH, 2)
    any_day, days = f"*-{month}-*", f"*-{month}-{_format_field(crontab.days, DAY, 2)}"
    weekdays = ",".join(WEEKDAYS[number].capitalize() for number in sorted(crontab.weekdays))
    if crontab.day_or:
        events = [f"{days} {time}", f"{weekdays} {any_day} {time}"]
    else:
        events = [f"{days} {time}" if crontab.weekdays == EVERY_WEEKDAY else f"{weekdays} {days} {time}"]
    return [f"{event} {zone}" if zone else event for event in events]


def cron(tick: Tick, crontab: Crontab, env_file: str | None) -> dict[str, str]:
    """A line for `crontab -e`; cron reads % as a new line unless it is escaped."""
    steps = [f"cd {shlex.quote(tick.folder)}"]
    if env_file:
        steps += ["set -a", f". {shlex.quote(env_file)}", "set +a"]
    steps.append(f"exec {shlex.join(tick.command)} >>{shlex.quote(tick.log)} 2>&1")
    line = f"{crontab.text} {' && '.join(steps)}".replace("%", r"\%")
    return {f"{tick.name}.crontab": "\n".join([*header(tick, env_file), line]) + "\n"}


def kubernetes(tick: Tick, crontab: Crontab, zone: str, container: Container) -> dict[str, str]:
    """A CronJob (batch/v1). Raises InputError for days that its fields cannot express."""
    comments = [f"# {crontab.text}", *header(tick, container.secret and f"Secret {container.secret}")]
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": tick.name, "labels": {"app.kubernetes.io/name": "farebox"}},
        "spec": {
            "schedule": kubernetes_schedule(crontab),
            "timeZone": zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": container.misfire,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": _job(tick, container)},
        },
    }
    return {f"{tick.name}.yaml": "\n".join(comments) + "\n" + yaml.safe_dump(manifest, sort_keys=False, width=120)}


def kubernetes_schedule(crontab: Crontab, reason: str = "Kubernetes would take the days of either") -> str:
    """The five fields for robfig/cron.

    Its `*/2` in a field of days does not mean `both fields`, as in cron: such a line raises InputError, with `reason`.
    """
    if not crontab.day_or and crontab.days != EVERY_DAY and crontab.weekdays != EVERY_WEEKDAY:
        raise InputError(
            f"cron={crontab.text}: day-of-month and day-of-week must not both be restricted with * and a step: {reason}"
        )
    fields = (
        (crontab.minutes, MINUTE),
        (crontab.hours, HOUR),
        (crontab.days, DAY),
        (crontab.months, MONTH),
        (crontab.weekdays, KUBERNETES_WEEKDAY),
    )
    return " ".join(_format_field(numbers, field, 1, "-") for numbers, field in fields)


def _job(tick: Tick, container: Container) -> dict[str, Any]:
    """The Job of a tick. It tries a crashed tick three times, because a tick resumes."""
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(tick, container)],
        "volumes": [{"name": "farebox", "persistentVolumeClaim": {"claimName": container.claim}}],
    }
    exit_codes = {"containerName": "retrain", "operator": "In", "values": NO_RETRY_CODES}
    return {
        "backoffLimit": 2,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": exit_codes}]},
        "template": {"metadata": {"labels": {"app.kubernetes.io/name": "farebox"}}, "spec": pod},
    }


def _container(tick: Tick, container: Container) -> dict[str, Any]:
    return {
        "name": "retrain",
        "image": container.image,
        "command": [word.replace("$(", "$$(") for word in tick.command],  # $(NAME) would be a variable
        "workingDir": tick.folder,
        **({"envFrom": [{"secretRef": {"name": container.secret}}]} if container.secret else {}),
        "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "farebox", "mountPath": MOUNT}],
    }


def header(tick: Tick, variables_source: str | None) -> list[str]:
    """A comment with the variables that `variables_source`, a file or a Secret, must set."""
    needs_variables = variables_source and tick.variables
    return [f"# {variables_source} must set {', '.join(tick.variables)}"] if needs_variables else []


def _format_field(numbers: frozenset[int], field: Field, digits: int, dash: str = "..") -> str:
    """A field as text: `*`, or numbers and ranges."""
    if len(numbers) == field.high - field.low + 1:
        return "*"
    return ",".join(
        f"{low:0{digits}}" if low == high else f"{low:0{digits}}{dash}{high:0{digits}}" for low, high in ranges(numbers)
    )


def _unit_path(path: str) -> str:
    """A path for a setting that is one path: systemd takes quotes there as part of the path."""
    return path.replace("%", "%%")


def _exec_word(word: str) -> str:
    """A word for ExecStart: % and $ doubled, quoted if needed (systemd.service(5), "Command lines")."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@/.,:=+%$-]+", word, re.ASCII):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
