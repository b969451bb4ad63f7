"""`farebox schedule --emit`: files that systemd, sh and Kubernetes' own types take, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from farebox.pipeline.schedule import crontab, files
from farebox.pipeline.settings.load import CITIES

FAREBOX = Path(sys.executable).with_name("farebox")
SCHEDULE = ("schedule", "--cron", "30 3 1,15 * 1-5")
KUBERNETES = ("--emit", "kubernetes", "--image", "registry.example/farebox:0123abc", "--claim", "taxi")
# A command with characters that systemd or sh would read as their own.
COMMAND = ("/opt/fare box/farebox", "retrain", "--set", """city.name='50% of "$HOME" \\ $(id)'""")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with a space in its name, and trips."""
    folder = tmp_path / "my trips"
    folder.mkdir()
    (folder / "trips").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: systemd)")
def test_systemd_takes_its_units(place, call):
    (place / "env").write_text("HOOK=https://hooks.example/T0/secret\n")
    code, out, err = call(
        *SCHEDULE, "--data", "trips", "--timezone", "Europe/London", "--emit", "systemd", "--to", ".",
        "--env-file", "env", "--set", "notify.webhook_env=HOOK",
    )  # fmt: skip
    assert (code, out.split(), err) == (0, ["farebox-retrain-chicago.service", "farebox-retrain-chicago.timer"], "")
    verified = subprocess.run(["systemd-analyze", "verify", *out.split()], check=False, capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    service, timer = ((place / name).read_text() for name in out.split())
    command = f'ExecStart={FAREBOX} retrain --city chicago --data "{place}/trips" --out "{place}" --set '
    assert f"{command}notify.webhook_env=HOOK\n" in service
    assert f"# {place}/env must set HOOK\n" in service and f"EnvironmentFile={place}/env\n" in service
    assert "OnCalendar=*-*-01,15 03:30:00 Europe/London\nOnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 03:30:00 E" in timer
    assert "secret" not in service + timer


def test_a_unit_keeps_every_character(tmp_path):
    """The words read back as systemd.service(5) says: quotes, then \\\\, then %% and $$."""
    tick = files.Tick("chicago", COMMAND, "/srv", "/srv/log")
    text = files.systemd(tick, crontab.parse("@daily"), None, "farebox", None)["farebox-retrain-chicago.service"]
    line = re.search(r"^ExecStart=(.*)$", text, re.M)[1]
    assert re.findall(r"%+|\$+", line) == ["%%", "$$", "$$"]
    words = [quoted or plain for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)]
    assert tuple(re.sub(r"\\(.)", r"\1", word).replace("%%", "%").replace("$$", "$") for word in words) == COMMAND


def test_a_crontab_line_does_what_it_says(place, tmp_path, call):
    """As cron does: \\% is %, and the rest goes to /bin/sh. The command shows its words."""
    (place / "env").write_text("HOOK='https://hooks.example/?a=1&b=2'\n")
    words = ("/bin/sh", "-c", 'printf "%s|" "$@" "$HOOK"', "sh", *COMMAND)
    tick = files.Tick("chicago", words, str(place), str(place / "log"), ("HOOK",))
    text = files.cron(tick, crontab.parse("30 3 * * 1"), str(place / "env"))["farebox-retrain-chicago.crontab"]
    comment, line = text.splitlines()
    assert comment == f"# {place}/env must set HOOK"
    assert line.startswith("30 3 * * 1 cd ")
    command = line.split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    subprocess.run(["/bin/sh", "-c", command.replace(r"\%", "%")], check=True, cwd=tmp_path)
    assert (place / "log").read_text() == "|".join([*COMMAND, "https://hooks.example/?a=1&b=2"]) + "|"


def test_a_crontab_line_of_the_command(place, call):
    code, out, err = call(*SCHEDULE, "--data", "trips", "--emit", "cron")
    assert (code, err) == (0, "")
    command = shlex.split(out.split(" ", 5)[5])
    assert out.startswith("30 3 1,15 * 1-5 cd ")
    assert command == [
        "cd", str(place), "&&", "exec", str(FAREBOX), "retrain", "--city", "chicago", "--data", f"{place}/trips",
        "--out", str(place), f">>{place}/farebox-chicago.log", "2>&1",
    ]  # fmt: skip


def cron_job(text: str):
    """As Kubernetes' own client reads it; a field that its types do not know is an error, as with strict validation."""
    content = yaml.safe_load(text)
    for rule in content["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]:
        rule["onPodConditions"] = []  # client 26 demands it, beside onExitCodes; Kubernetes does not
    read = client.ApiClient().deserialize(types.SimpleNamespace(data=json.dumps(content)), "V1CronJob")
    assert client.ApiClient().sanitize_for_serialization(read) == content
    return read


def test_kubernetes_types_take_its_manifest(call):
    code, out, err = call(
        *SCHEDULE, *KUBERNETES, "--data", "/farebox/trips", "--timezone", "Europe/London", "--secret", "hooks",
        "--misfire", "600", "--set", "notify.webhook_env=HOOK",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.startswith("# 30 3 1,15 * 1-5\n# Secret hooks must set HOOK\n")
    spec = cron_job(out).spec
    assert (spec.schedule, spec.time_zone, spec.concurrency_policy) == ("30 3 1,15 * 1-5", "Europe/London", "Forbid")
    assert spec.starting_deadline_seconds == 600
    job = spec.job_template.spec
    pod = job.template.spec
    (container,) = pod.containers
    assert container.command == [
        "farebox", "retrain", "--city", "chicago", "--data", "/farebox/trips", "--out", "/farebox",
        "--set", "notify.webhook_env=HOOK",
    ]  # fmt: skip
    assert (pod.restart_policy, pod.security_context.run_as_non_root) == ("Never", True)
    assert pod.security_context.run_as_user == pod.security_context.fs_group > 0
    assert not container.security_context.allow_privilege_escalation
    (rule,) = job.pod_failure_policy.rules
    assert (rule.action, rule.on_exit_codes.values, rule.on_exit_codes.container_name) == ("FailJob", [2, 3], "retrain")
    assert container.env_from[0].secret_ref.name == "hooks"
    (volume,), (mount,) = pod.volumes, container.volume_mounts
    assert (volume.name, volume.persistent_volume_claim.claim_name) == (mount.name, "taxi")
    assert (mount.mount_path, container.working_dir) == ("/farebox", "/farebox")


def test_a_manifest_with_a_city_file(place, call):
    text = (CITIES / "chicago/city.yaml").read_text().replace("name: chicago", "name: Ch_2")
    text = re.sub(r"^schema: .*$", "", text, flags=re.M)
    (place / "ch.yaml").write_text(text)
    code, out, err = call(
        "schedule", "--cron", "0 3 * * 7", *KUBERNETES, "--city", "ch.yaml", "--set", "city.currency=$(X)"
    )
    assert (code, err) == (0, "")
    job = cron_job(out)
    assert (job.metadata.name, job.spec.schedule, job.spec.time_zone) == (
        "farebox-retrain-ch-2",
        "0 3 * * 0",
        "Etc/UTC",
    )
    (container,) = job.spec.job_template.spec.template.spec.containers
    assert container.command[3] == "/farebox/ch.yaml" and container.command[-1] == "city.currency=$$(X)"
    assert container.env_from is None


def test_a_long_name_still_names_a_cron_job():
    name = files.Tick("a" * 35 + "_" + "b" * 40, (), "/", "").name
    assert len(name) <= 52 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


SECRET_REFUSED = "--set notify.webhook must not go into a file: name its variable, notify.webhook_env"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--cron", "0 25 * * *"), "--cron=0 25 * * *: hour=25 must be between 0 and 23"),
        (("--timezone", "Mars/Base"), "--timezone=Mars/Base must be a time zone's name, such as Europe/London"),
        (("--data", "gone"), "--data=gone must be a file or folder that exists"),
        (("--city", "atlantis"), "city=atlantis must be one of chicago, "),
        (("--set", "gates.max_rsme=4"), "gates.max_rsme is not a setting"),
        (("--misfire", "0"), "--misfire=0 must be at least 1 second"),
        (("--grace", "-1"), "--grace=-1.0 must be at least 0 seconds"),
        (("--grace", "nan"), "--grace=nan must be at least 0 seconds"),
        (
            ("--to", "."),
            "--to must go with --emit systemd or --emit cron or --emit kubernetes or --emit air",
        ),
        (("--image", "x"), "--image must go with --emit kubernetes, got none"),
        (("--emit", "cron", "--now"), "--now must go with no --emit, got --emit cron"),
        (("--emit", "cron", "--grace", "5"), "--grace must go with no --emit, got --emit cron"),
        (("--emit", "systemd", "--misfire", "9"), "--misfire must go with no --emit or --emit kubernetes, got --emit"),
        (("--emit", "kubernetes", "--env-file", "e"), "--env-file must go with --emit systemd or --emit cron, got"),
        (("--emit", "kubernetes"), "--image and --claim must be given for --emit kubernetes"),
        ((*KUBERNETES, "--data", "trips"), "--data=trips must be below /farebox, where the claim is mounted"),
        ((*KUBERNETES, "--out", "/srv"), "--out=/srv must be below /farebox, where the claim is mounted"),
        (
            (*KUBERNETES, "--cron", "0 3 */2 * 1"),
            "--cron=0 3 */2 * 1: day-of-month and day-of-week must not both be",
        ),
        ((*KUBERNETES, "--set", "notify.webhook_env=HOOK"), "--secret NAME must be given: it sets HOOK"),
        (
            ("--emit", "cron", "--timezone", "Europe/London"),
            "--timezone=Europe/London must be left out for --emit cron",
        ),
        (("--emit", "cron", "--out", "gone"), "--out=gone must be a folder that exists: cron's log goes there"),
        (("--emit", "cron", "--set", "notify.webhook_env=HOOK"), "--env-file FILE must be given: it sets HOOK"),
        (("--emit", "cron", "--set", "notify.webhook=https://hooks.example/T0"), SECRET_REFUSED),
        (
            ("--emit", "cron", "--set", "beam.args=[mysql://farebox:hunter2@db/x]"),
            "--set beam.args must not hold a pass",
        ),
        (("--emit", "systemd", "--to", "gone"), "--to=gone cannot be written: No such file or directory"),
        (("--emit", "cron", "--env-file", "a\nb"), r"--env-file='a\nb' must be one line of printable characters"),
        (("--emit", "cron", "--set", "beam.args=[a,\nb]"), r"--set='beam.args=[a,\nb]' must be one line of printable"),
    ],
)
def test_refuses(place, call, arguments, line):
    code, out, err = call(*SCHEDULE, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert line in err and "hunter2" not in err and "T0" not in err
    assert err.startswith("farebox: ")
    assert os.listdir(place) == ["trips"]


def test_the_foreground_through_the_command(place):
    """Waits, and ends cleanly: no tick is due before the next leap day."""
    process = subprocess.Popen(
        [str(FAREBOX), "schedule", "--cron", "0 0 29 2 *", "--data", "trips", "--timezone", "Europe/London"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        process.terminate()
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert re.fullmatch(r"farebox: 0 0 29 2 \*: next tick 20\d\d-02-29 00:00 GMT \(00:00 UTC\)\n", line)
    assert (process.returncode, rest) == (0, "farebox: stopped\n")
