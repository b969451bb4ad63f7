"""`farebox schedule --runner`: what the command says, and that a wrong one sends nothing."""

from __future__ import annotations

import json
import re

import pytest

from farebox.pipeline import cli
from farebox.pipeline.commands import schedule_orders

pytestmark = pytest.mark.timeout(120)  # what were taken for the foreground would wait for ever
CRON, ROWS = ("--cron", "0 3 * * *"), "--parameter=rows=5"
PLACE = {
    "kubeflow": ("--runner=kubeflow", "--host={url}"),
    "vertex": ("--runner=vertex", "--project=acme", "--region=us-central1", "--endpoint={url}"),
}


@pytest.fixture
def kept(remote):
    """What the service's server keeps."""
    return lambda: remote.server.kept("recurringruns" if remote.target.runner == "kubeflow" else "schedules")


@pytest.fixture
def schedule(remote, call):
    def run(*arguments: str) -> tuple[int, str, str]:
        place = [part.format(url=remote.server.url) for part in PLACE[remote.target.runner]]
        return call("schedule", *place, "--patience=3", *arguments)

    return run


@pytest.fixture
def nightly(schedule, spec_file):
    """A schedule of the spec, with the options given."""
    return lambda *more: schedule("--spec", spec_file(), *CRON, ROWS, *more)


NEXT = {"kubeflow": "enabled, 0 3 * * * UTC", "vertex": "active, 0 3 * * * UTC, next 2026-01-01T03:00:00Z"}


def test_a_new_one_is_one_line_and_found_again(remote, nightly, kept):
    code, out, err = nightly()
    (row,) = kept()
    key = row.get("recurring_run_id") or row["name"].rpartition("/")[2]
    url = f"{remote.server.url}/#/recurringrun/details/{key}"
    if remote.target.runner == "vertex":
        url = f"https://console.cloud.google.com/vertex-ai/locations/us-central1/schedules/{key}?project=acme"
    shown = f"{NEXT[remote.target.runner]}; {url}\n"
    assert (code, out, err) == (0, f"farebox-toy ({key}) is scheduled: {shown}", "")
    assert nightly() == (0, f"farebox-toy ({key}) exists already: {shown}", "")
    assert kept() == [row]


def test_one_that_differs_is_refused_or_replaced(nightly, kept):
    assert nightly("--name", "nightly")[0] == 0
    before = kept()
    code, out, err = nightly("--name", "nightly", "--parameter=epochs=4")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("farebox: schedule=nightly exists already (") and "delete it first, or replace it" in err
    assert kept() == before
    code, out, err = nightly("--name", "nightly", "--parameter=epochs=4", "--replace")
    assert (code, err) == (0, "") and re.match(r"nightly \(\S+\) is replaced: \w+, 0 3 \* \* \* UTC", out)
    (row,) = kept()
    assert '"epochs": 4' in json.dumps(row) and row != before[0]


def test_list_and_delete(schedule, nightly, kept):
    assert schedule("--list") == (0, "no schedules\n", "") and schedule("--list", "--json") == (0, "[]\n", "")
    for name in ("nightly", "a much longer name", "weekly"):  # Kubeflow's server lists two a page
        assert nightly("--name", name)[0] == 0
    code, out, err = schedule("--list")
    head, *lines = out.splitlines()
    assert (code, err, head.split()) == (0, "", ["name", "id", "cron", "zone", "state", "next", "run"])
    assert [line[: head.index("id")].strip() for line in lines] == ["nightly", "a much longer name", "weekly"]
    assert {line[head.index("cron") : head.index("state")] for line in lines} == {"0 3 * * *  UTC   "}
    listed = json.loads(schedule("--list", "--json")[1])
    assert [each["name"] for each in listed] == ["nightly", "a much longer name", "weekly"]
    assert {each["timezone"] for each in listed} == {"UTC"} and listed[0]["id"] in listed[0]["url"]
    code, out, err = schedule("--delete", "a much longer name")
    assert (code, err) == (0, "") and len(kept()) == 2
    assert out == f"a much longer name ({listed[1]['id']}) is deleted: 0 3 * * * UTC\n"
    code, out, err = schedule("--delete", "a much longer name")
    assert (code, out) == (2, "")
    assert err == "farebox: schedule=a much longer name must be one that exists: nightly, weekly\n"
    line = "schedule='' must be 1 to 128 printable characters, no quotes and backslashes"
    assert schedule("--delete", "") == (2, "", f"farebox: {line}\n") and len(kept()) == 2


def test_json_is_all_of_stdout(remote, schedule):
    remote.server.fail("GET", "recurringruns|experiments|schedules", 503)
    code, out, err = schedule("--list", "--json")
    assert (code, out) == (0, "[]\n") and err.endswith("503 out of order; trying again\n")


def test_a_time_zone(remote, schedule, nightly, kept):
    code, out, err = nightly("--timezone=Europe/London", "--service-account=robot@acme.example")
    if remote.target.runner == "vertex":
        assert code == 0 and ", 0 3 * * * Europe/London, next " in out
        assert kept()[0]["createPipelineJobRequest"]["pipelineJob"]["serviceAccount"] == "robot@acme.example"
        assert "Europe/London" in schedule("--list")[1]
    else:
        line = "--timezone=Europe/London must be UTC: Kubeflow's controller has one time zone for all recurring runs"
        assert (code, out, err) == (2, "", f"farebox: {line}\n") and remote.server.requests == []
        assert nightly("--service-account=robot@acme.example")[0] == 0
        assert kept()[0]["service_account"] == "robot@acme.example"


WITH = "--runner (kubeflow|vertex)"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "--cron must be given, or --list, or --delete NAME"),
        (("--spec={spec}",), "--cron must be given, or --list, or --delete NAME"),
        (CRON, "--spec must be given, a file that `farebox compile` wrote"),
        (("--cron=61 * * * *", "--spec={spec}"), r"--cron=61 \* \* \* \*: minute=61 must be between 0 and 59"),
        (("--cron=0 3 * *", "--spec={spec}"), r"--cron=0 3 \* \* must have the five fields .*, got 4"),
        ((*CRON, "--spec={spec}", "--timezone=Mars/Base"), "--timezone=Mars/Base must be an IANA name, .*"),
        ((*CRON, "--spec=gone.json"), "--spec=gone.json must be a compiled pipeline: .*"),
        ((*CRON, "--spec={spec}", "--parameter=rows=many"), "--parameter rows=many must be an integer"),
        ((*CRON, "--spec={spec}", ROWS, "--name="), "schedule='' must be 1 to 128 printable characters, .*"),
        ((*CRON, "--spec={spec}", "--city=chicago"), f"--city must be left out with {WITH}: the spec has it"),
        ((*CRON, "--spec={spec}", "--data=trips"), f"--data must be left out with {WITH}: the spec has it"),
        ((*CRON, "--spec={spec}", "--out=."), f"--out must be left out with {WITH}: the spec has it"),
        ((*CRON, "--spec={spec}", "--set=pca.n=4"), f"--set must be left out with {WITH}: the spec has it"),
        ((*CRON, "--spec={spec}", "--emit=cron"), f"--emit must be left out with {WITH}"),
        ((*CRON, "--spec={spec}", "--now"), f"--now must be left out with {WITH}"),
        ((*CRON, "--spec={spec}", "--image=x"), f"--image must be left out with {WITH}"),
        ((*CRON, "--spec={spec}", "--json"), "--json must go with --list, got none"),
        (("--delete=nightly", "--json"), "--json must be left out with --delete"),
        (("--list", "--delete=nightly"), "--delete must be left out with --list"),
        (("--list", *CRON), "--cron must be left out with --list"),
        (("--list", "--spec={spec}"), "--spec must be left out with --list"),
        (("--list", "--service-account=robot"), "--service-account must be left out with --list"),
        (("--delete=nightly", "--name=nightly"), "--name must be left out with --delete"),
        (("--delete=nightly", "--replace"), "--replace must be left out with --delete"),
        (("--delete=nightly", ROWS), "--parameter must be left out with --delete"),
        (("--delete=nightly", "--timezone=UTC"), "--timezone must be left out with --delete"),
    ],
)
def test_refuses(remote, schedule, spec_file, arguments, line):
    file = spec_file()
    code, out, err = schedule(*(argument.replace("{spec}", file) for argument in arguments))
    assert (code, out) == (2, "") and re.fullmatch(f"farebox: {line}\n", err), err
    assert remote.server.requests == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "--cron must be given"),
        (("--list",), "--list must go with --runner kubeflow or --runner vertex, got none"),
        (("--delete=nightly",), "--delete must go with --runner kubeflow or --runner vertex, got none"),
        ((*CRON, "--spec=s.json"), "--spec must go with --runner kubeflow or --runner vertex, got none"),
        ((*CRON, "--emit=cron", "--host=h"), "--host must go with --runner kubeflow, got --emit cron"),
        ((*CRON, "--runner=vertex", "--host=h"), "--host must go with --runner kubeflow, got --runner vertex"),
        ((*CRON, "--runner=kubeflow", "--network=n"), "--network must go with --runner vertex, got --runner kubeflow"),
        ((*CRON, "--runner=airflow"), "--runner=airflow must be kubeflow or vertex"),
        ((*CRON, "--runner="), "--runner= must be kubeflow or vertex"),
        (("--list", "--runner=vertex"), "--project must be given for runner=vertex"),
        (
            ("--list", "--runner=kubeflow"),
            "--host must be given for runner=kubeflow: the address of Kubeflow Pipelines",
        ),
    ],
)
@pytest.mark.usefixtures("clean_environment")
def test_refuses_what_contradicts_itself(call, arguments, line):
    assert call("schedule", *arguments) == (2, "", f"farebox: {line}\n")


def test_every_option_has_its_takers():
    command = cli.click_command("schedule", cli.COMMANDS["schedule"])
    options = {option.opts[0] for option in command.params}
    assert (
        options - set(schedule_orders.TAKERS) == {"--cron", "--timezone", "--runner"}
        and set(schedule_orders.TAKERS) < options
    )


def test_the_place_may_come_from_the_environment(vertex, call, monkeypatch):
    """Where it names the other service, too, that is no option given."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-central1")
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "https://kubeflow.example.org")
    code, out, err = call("schedule", "--runner=vertex", f"--endpoint={vertex.url}", "--list")
    assert (code, out, err) == (0, "no schedules\n", "")
    code, out, err = call("schedule", *CRON, "--emit=cron", "--data=gone")
    assert (code, err) == (2, "farebox: --data=gone must be a file or folder that exists\n")
