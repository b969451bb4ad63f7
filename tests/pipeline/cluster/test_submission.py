"""What must hold on both services: one run per submission whatever the network does, clear errors, no secrets."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.cluster.submit import SubmitRequest, submit

FAREBOX = [sys.executable, "-I", "-m", "farebox"]
ROWS = "--parameter=rows=5"


def test_an_equal_submission_is_found_and_not_sent(remote, spec_file):
    assert remote.submit(spec_file(), ROWS)[0] == 0
    code, out, _ = remote.submit(spec_file(), ROWS)
    assert (
        code == 0
        and "has ended already: succeeded; " in out
        and "was submitted before; --again submits a new run" in out
    )
    assert len(remote.runs) == 1 and len(remote.server.seen("POST", remote.path)) == 1


def test_again_key_and_other_parameters_are_new_runs(remote, spec_file):
    for more in ([], ["--again"], ["--again"], ["--key=2026-01-02"], ["--parameter=epochs=4"]):
        assert remote.submit(spec_file(), ROWS, *more, "--no-wait")[0] == 0
    assert len(remote.runs) == 5
    names = [row.get("display_name") or remote.id_of(row) for row in remote.runs]
    assert names[1:3] == [f"{names[0]}-2", f"{names[0]}-3"] and len(set(names)) == 5


def test_json_is_the_result_and_nothing_else(remote, spec_file):
    _, out, err = remote.submit(spec_file(), ROWS, "--json")
    result = json.loads(out)
    assert result["submitted"] and result["state"] == "succeeded" and result["error"] is None
    cached = "skipped" if remote.target.runner == "vertex" else "succeeded"
    assert result["nodes"] == {"TripExampleGen": cached, "Trainer": "succeeded", "Pusher": "succeeded"}
    assert "Trainer" in err and result["run"] in result["url"]
    again = json.loads(remote.submit(spec_file(), ROWS, "--json")[1])
    assert not again["submitted"] and again["run"] == result["run"]


@pytest.mark.parametrize("what", ["lost", "drop", 503, 500, 429])
def test_a_failing_send_is_repeated_and_there_is_one_run(remote, spec_file, what):
    remote.server.fail("POST", remote.path, what)
    code, out, err = remote.submit(spec_file(), ROWS)
    assert (code, err) == (0, ""), err
    assert len(remote.runs) == 1 and out.count("trying again") == 1
    assert len(remote.server.seen("POST", remote.path)) == (1 if what == "lost" else 2)


def test_an_answer_too_late_is_looked_for(remote, spec_file):
    remote.server.fail("POST", remote.path, "late", 2.0)
    target = dataclasses.replace(remote.target, request_timeout=0.5)
    lines: list[str] = []
    result = submit(SubmitRequest(target, spec_file(), ["rows=5"], poll=0.01), lines.append, lines.append)
    assert result["state"] == "succeeded" and result["submitted"]
    assert len(remote.runs) == len(remote.server.seen("POST", remote.path)) == 1
    assert any("no answer in time; trying again" in line for line in lines)


def test_two_at_once_make_one_run(remote, spec_file):
    """Both look before either sends."""
    remote.server.frozen = True
    remote.server.gate = ("POST", remote.path.strip("$"), threading.Barrier(2))
    request = SubmitRequest(remote.target, spec_file(), ["rows=5"], wait=False)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: submit(request, lambda _: None, lambda _: None), range(2)))
    assert len(remote.server.seen("POST", remote.path)) == 2
    going = [row for row in remote.runs if not row["state"].removeprefix("PIPELINE_STATE_").startswith("CANCEL")]
    assert [remote.id_of(row) for row in going] == list({each["run"] for each in results})


PLACE = r"^farebox: (--host=http://127.0.0.1:\d+|Vertex AI project=acme region=us-central1 at http://127.0.0.1:\d+): "


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "KF_PIPELINES_TOKEN|GOOGLE_APPLICATION_CREDENTIALS"),
        (403, "ask for the right|roles/aiplatform.user"),
        (404, "host must be the address of Kubeflow Pipelines 2|check project and region"),
        (429, "quota"),
        (500, "logs of its ml-pipeline|status.cloud.google.com"),
        (400, ""),
    ],
)
def test_a_refusal_is_one_line(remote, spec_file, status, hint):
    remote.server.fail("POST", remote.path, status, times=99)
    code, _, err = remote.submit(spec_file(), ROWS, "--patience=0.5")
    assert code == 2 and err.count("\n") == 1
    assert re.search(f"{PLACE}{status} .*out of order.*({hint})", err), err
    assert remote.runs == []


@pytest.mark.parametrize("runner", ["kubeflow", "vertex"])
def test_nobody_at_the_address_is_one_line(runner, request, spec_file):
    request.getfixturevalue(runner).close()
    code, out, err = request.getfixturevalue(f"to_{runner}")(spec_file(), ROWS, "--patience=0.5")
    assert code == 2 and err.count("\n") == 1 and "trying again" in out
    assert re.search(f"{PLACE}.*Connection refused, for 0.5 s; check the (host|region) and", err), err


def test_a_wrong_parameter_sends_nothing(remote, spec_file):
    code, _, err = remote.submit(spec_file(), ROWS, "--parameter=epochs=many")
    assert (code, err) == (2, "farebox: --parameter epochs=many must be an integer\n")
    assert remote.server.requests == []


def test_a_failed_node_is_named_with_its_words(remote, spec_file):
    """Kubeflow's service has none."""
    remote.server.failing_node = "Trainer"
    code, out, err = remote.submit(spec_file(), ROWS)
    shown, reason = ": the mean fare is no number", "the mean fare is no number"
    if remote.target.runner == "kubeflow":
        shown, reason = "", "see its log"
    assert code == 1 and f"Trainer              failed{shown}\n" in out
    assert err.endswith(f"failed; Trainer: {reason}\n") and err.count("\n") == 1
    code, out, _ = remote.submit(spec_file(), ROWS)
    assert (
        code == 1 and "has ended already: failed; " in out and "was submitted before; --again submits a new run" in out
    )


def test_no_wait_returns_at_once_and_attach_watches_and_sends_nothing(remote, spec_file):
    result = json.loads(remote.submit(spec_file(), ROWS, "--no-wait", "--json")[1])
    assert result["state"] == "pending" and result["nodes"] == {}
    code, out, _ = remote.submit("--attach", result["run"])
    assert code == 0 and "Pusher               succeeded" in out and len(remote.runs) == 1
    code, _, err = remote.submit("--attach", "run-99", "--patience=0.5")
    assert code == 2 and "404" in err


def test_a_lost_connection_while_watching_is_repeated_or_says_how_to_go_on(remote, spec_file):
    one = "/runs/|/pipelineJobs/"
    remote.server.before[f"POST {remote.path.strip('/$')}"] = lambda: remote.server.fail("GET", one, 503, times=2)
    code, out, _ = remote.submit(spec_file(), ROWS)
    assert code == 0 and out.count("trying again") == 1  # errors that are alike are told once
    assert [fault.times for fault in remote.server.faults] == [0]  # both requests failed
    remote.server.before[f"POST {remote.path.strip('/$')}"] = lambda: remote.server.fail("GET", one, 403, times=9)
    code, out, err = remote.submit(spec_file(), ROWS, "--again")
    assert code == 2 and "403" in err
    assert "goes on: farebox submit --attach " in out.splitlines()[-1]


@pytest.mark.slow
def test_ctrl_c_ends_the_watching_and_not_the_run(remote, spec_file):
    """A real SIGINT to a real process; the command that it prints goes on watching."""
    remote.server.frozen = True
    place = {"kubeflow": ["--host", remote.server.url]}.get(
        remote.target.runner, ["--project=acme", "--region=us-central1", "--endpoint", remote.server.url]
    )
    arguments = ["submit", spec_file(), ROWS, "--runner", remote.target.runner, *place, "--poll=600"]
    with subprocess.Popen([*FAREBOX, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert any("TripExampleGen" in line for line in lines)
        process.send_signal(signal.SIGINT)
        last, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert not any(request.path.endswith((":terminate", ":cancel")) for request in remote.server.requests)
    remote.server.frozen = False
    attach = shlex.split(last.strip().partition("goes on: farebox ")[2])
    code, out, _ = remote.submit(*[part for part in attach[1:] if part])
    assert attach[0] == "submit" and code == 0 and "Pusher               succeeded" in out


def test_ctrl_c_while_it_is_sent_leaves_a_run_that_the_same_command_finds(remote, spec_file):
    """The signal comes when the service has the request and has not answered."""
    remote.server.before[f"POST {remote.path.strip('/$')}"] = lambda: os.kill(os.getpid(), signal.SIGINT)
    code, out, _ = remote.submit(spec_file(), ROWS)
    assert code == 130 and re.search(
        "interrupted; farebox-toy-abc1234-.* may have been submitted: submit it again, which looks for it first", out
    )
    code, out, _ = remote.submit(spec_file(), ROWS)
    assert code == 0 and len(remote.runs) == 1


def test_a_run_to_watch_or_a_spec_to_run_must_be_given(remote, spec_file):
    assert remote.submit()[2].startswith("farebox: SPEC must be given")
    code, _, err = remote.submit(spec_file(), "--attach=run-1")
    assert code == 2 and "leave " in err and remote.server.requests == []


def test_no_secret_is_shown_logged_or_written(*, remote, spec_file, tmp_path, monkeypatch, caplog, key_file):
    """Nor logged by the libraries at their most talkative."""
    caplog.set_level(logging.DEBUG)
    secrets = [json.loads(key_file.read_text())["private_key"].splitlines()[1]]
    if remote.target.runner == "kubeflow":
        monkeypatch.setenv("KF_PIPELINES_TOKEN", "tiger-77")
        secrets, remote.server.tokens = ["tiger-77"], ("tiger-77",)
    code, out, err = remote.submit(spec_file(), ROWS)
    assert code == 0
    tokens = {request.headers["authorization"].removeprefix("Bearer ") for request in remote.server.requests}
    shown = out + err + caplog.text
    for secret in [*secrets, *tokens]:
        assert secret not in shown
        for folder, _, names in os.walk(tmp_path):
            for name in names:
                path = os.path.join(folder, name)
                if path != str(key_file):
                    with open(path, errors="replace") as file:
                        assert secret not in file.read(), path


def test_an_unknown_runner_is_one_line(call, spec_file):
    assert call("submit", spec_file(), "--runner=airflow") == (
        2,
        "",
        "farebox: --runner=airflow must be kubeflow or vertex\n",
    )


def test_a_bug_keeps_its_traceback():
    """Only the service's errors become a line."""
    from farebox.pipeline.cluster.attempts import Caller

    def bug() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Caller("place", {}, 1).patiently(bug)
    with pytest.raises(InputError, match="^place: .*refused, for 0.2 s$"):
        Caller("place", {}, 0.2).patiently(unreachable)


def unreachable() -> None:
    raise ConnectionRefusedError("refused")
