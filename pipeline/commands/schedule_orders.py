"""The options of `farebox schedule`: checked, and handed to the foreground or to the files."""

from __future__ import annotations

import dataclasses
import getpass
import os
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.schedule import airflow, crontab, files, firing
from farebox.pipeline.settings.load import Settings, load_settings

DEFAULT_MISFIRE_S = 3600
FILES, REMOTE = ("systemd", "cron", "kubernetes", "airflow"), ("kubeflow", "vertex")
COMPILED = ("--city", "--data", "--out", "--set")
TAKERS = {  # the targets that take each option
    **dict.fromkeys(COMPILED, ("foreground", *FILES)),
    "--emit": FILES,
    "--grace": ("foreground",),
    "--now": ("foreground",),
    "--misfire": ("foreground", "kubernetes"),
    "--to": FILES,
    "--env-file": ("systemd", "cron"),
    "--image": ("kubernetes",),
    "--claim": ("kubernetes",),
    "--secret": ("kubernetes",),
    **dict.fromkeys(("--host", "--namespace", "--experiment"), ("kubeflow",)),
    **dict.fromkeys(("--project", "--region", "--endpoint", "--network"), ("vertex",)),
    **dict.fromkeys(("--spec", "--parameter", "--name", "--replace", "--service-account"), REMOTE),
    **dict.fromkeys(("--list", "--delete", "--json", "--patience"), REMOTE),
}
OPTIONS_OF_A_NEW_SCHEDULE = (
    "--cron", "--timezone", "--spec", "--parameter", "--name", "--replace", "--service-account", "--network",
)  # fmt: skip
EXCLUDED = {
    "--list": (*OPTIONS_OF_A_NEW_SCHEDULE, "--delete"),
    "--delete": (*OPTIONS_OF_A_NEW_SCHEDULE, "--json"),
}


@dataclasses.dataclass(frozen=True)
class ScheduleOrder:
    """The arguments of `farebox retrain`, and the times at which it runs. misfire: in seconds."""

    city: str
    data: str | None
    out: str
    overrides: tuple[str, ...]
    cron: str
    timezone: str | None
    misfire: int | None

    def settings(self) -> Settings:
        """The settings that the tick will load. Raises InputError."""
        return load_settings(self.city, self.data, self.out, self.overrides)

    def command(self, program: str) -> tuple[str, ...]:
        """The command of a tick."""
        data = [] if self.data is None else ["--data", self.data]
        settings = [word for assignment in self.overrides for word in ("--set", assignment)]
        return program, "retrain", "--city", self.city, *data, "--out", self.out, *settings

    @property
    def is_city_file(self) -> bool:
        return self.city.endswith((".yaml", ".yml"))


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """Options that only some files need."""

    env_file: str | None = None
    image: str | None = None
    claim: str | None = None
    secret: str | None = None


def check_options(target: str, typed: Mapping[str, Any]) -> None:
    """Raises InputError for an option that would do nothing, one that is missing, or a number out of bounds.

    target: `foreground`, or the name after --emit or --runner. typed: the values on the command line, by option.
    """
    for option in typed:
        if target not in TAKERS.get(option, (target,)):
            raise InputError(_misplaced(option, target))
    for action, options in EXCLUDED.items():
        if action in typed and (others := [option for option in options if option in typed]):
            raise InputError(f"{others[0]} must be left out with {action}")
    if "--json" in typed and "--list" not in typed:
        raise InputError("--json must go with --list, got none")
    if not any(option in typed for option in ("--cron", *EXCLUDED)):
        raise InputError(f"--cron must be given{', or --list, or --delete NAME' * (target in REMOTE)}")
    if (misfire := typed.get("--misfire")) is not None and misfire < 1:
        raise InputError(f"--misfire={misfire} must be at least 1 second")
    if (grace := typed.get("--grace")) is not None and not 0 <= grace < float("inf"):
        raise InputError(f"--grace={grace} must be at least 0 seconds")


def _misplaced(option: str, target: str) -> str:
    """The message about an option that its target does not take."""
    takers = TAKERS[option]
    if target in REMOTE and not set(REMOTE) & set(takers):
        return f"{option} must be left out with {_named(target)}{': the spec has it' * (option in COMPILED)}"
    got = "none" if target == "foreground" else _named(target)
    return f"{option} must go with {' or '.join(map(_named, takers))}, got {got}"


def _named(target: str) -> str:
    if target == "foreground":
        return "no --emit"
    return f"--{'runner' if target in REMOTE else 'emit'} {target}"


def wait(order: ScheduleOrder, grace: float | None, now: bool) -> None:
    """Runs ticks in the foreground until a signal."""
    when, zone = crontab.parse(order.cron), firing.time_zone(order.timezone)
    check_data(order.settings())
    from farebox.pipeline.schedule import foreground

    limits = foreground.TimeLimits(order.misfire or DEFAULT_MISFIRE_S, grace)
    foreground.run(order.command(farebox()), when, zone, limits, now)


def files_of(emit: str, order: ScheduleOrder, options: FileOptions) -> dict[str, str]:
    """The text of each file by its name. Raises InputError."""
    when = crontab.parse(order.cron)
    if order.timezone:
        firing.time_zone(order.timezone)
    settings = order.settings()
    check_secrets(order)
    check_lines({"--data": order.data, "--out": order.out, "--env-file": options.env_file, "--image": options.image})
    if emit == "kubernetes":
        return _kubernetes(order, settings, when, options)
    check_data(settings)
    if emit != "airflow":  # its workers have an environment of their own
        check_holder(settings, "--env-file FILE", options.env_file)
    here = _absolute(order)
    tick = files.Tick(
        settings.city.name,
        here.command(farebox()),
        folder=os.getcwd(),
        log=os.path.join(here.out, f"farebox-{settings.city.name}.log"),
        variables=settings.notify.variables,
    )
    if emit == "airflow":
        return airflow.airflow(tick, when, order.timezone or "UTC")
    env_file = os.path.abspath(options.env_file) if options.env_file else None
    if emit == "systemd":
        return files.systemd(tick, when, order.timezone, getpass.getuser(), env_file)
    if order.timezone:
        raise InputError(f"--timezone={order.timezone} must be left out for --emit cron: it knows the machine's only")
    if not os.path.isdir(here.out):
        raise InputError(f"--out={order.out} must be a folder that exists: cron's log goes there")
    return files.cron(tick, when, env_file)


def _kubernetes(
    order: ScheduleOrder, settings: Settings, when: crontab.Crontab, options: FileOptions
) -> dict[str, str]:
    if options.image is None or options.claim is None:
        raise InputError("--image and --claim must be given for --emit kubernetes")
    check_holder(settings, "--secret NAME", options.secret)
    there = dataclasses.replace(
        order,
        city=f"{files.MOUNT}/{Path(order.city).name}" if order.is_city_file else order.city,
        out=files.MOUNT if order.out == "." else order.out,
    )
    for option, path in (("--data", there.data), ("--out", there.out)):
        if path is not None and not PurePosixPath(path).is_relative_to(files.MOUNT):
            raise InputError(f"{option}={path} must be below {files.MOUNT}, where the claim is mounted")
    tick = files.Tick(
        settings.city.name, there.command("farebox"), files.MOUNT, log="", variables=settings.notify.variables
    )
    container = files.Container(options.image, options.claim, options.secret, order.misfire or DEFAULT_MISFIRE_S)
    return files.kubernetes(tick, when, order.timezone or "Etc/UTC", container)


def hand_out(texts: Mapping[str, str], folder: str | None) -> None:
    """Prints files, each under its name if there are several, or writes them into a folder."""
    if folder is None:
        print("\n".join(f"# {name}\n{text}" if len(texts) > 1 else text for name, text in texts.items()), end="")
        return
    try:
        for name, text in texts.items():
            Path(folder, name).write_text(text)
            print(Path(folder, name))
    except OSError as error:
        raise InputError(f"--to={folder} cannot be written: {error.strerror}") from error


def check_data(settings: Settings) -> None:
    """Raises InputError if the folder does not exist: now, and not at the first tick."""
    if not os.path.exists(settings.data):
        raise InputError(f"--data={settings.data} must be a file or folder that exists")


def check_secrets(order: ScheduleOrder) -> None:
    """Raises InputError if a file would show a secret, or a setting does not fit on a line."""
    for assignment in order.overrides:
        key = assignment.partition("=")[0]
        if key.strip() == "notify.webhook":
            raise InputError("--set notify.webhook must not go into a file: name its variable, notify.webhook_env")
        if re.search(r"://[^/\s@]*:[^/\s@]+@", assignment):
            raise InputError(f"--set {key} must not hold a password, since it goes into a file")
    check_lines({"--set": " ".join(order.overrides)})


def check_lines(texts: Mapping[str, str | None]) -> None:
    """Raises InputError if a text has a line break, which would begin a new line of the file."""
    for option, text in texts.items():
        if text is not None and not text.isprintable():
            raise InputError(f"{option}={text!r} must be one line of printable characters")


def check_holder(settings: Settings, option: str, holder: str | None) -> None:
    """Raises InputError if nothing would set the variables that the settings name."""
    if settings.notify.variables and holder is None:
        raise InputError(f"{option} must be given: it sets {', '.join(settings.notify.variables)}")


def farebox() -> str:
    """The console command beside this Python. Raises InputError if it is not installed."""
    program = os.path.join(sysconfig.get_path("scripts"), "farebox")
    if not os.access(program, os.X_OK):
        raise InputError(f"{program} must be the installed command: make setup")
    return program


def _absolute(order: ScheduleOrder) -> ScheduleOrder:
    return dataclasses.replace(
        order,
        city=os.path.abspath(order.city) if order.is_city_file else order.city,
        data=os.path.abspath(order.data) if order.data else None,
        out=os.path.abspath(order.out),
    )
