"""The command after a push: what it is told, and that nothing it does undoes the push or is silent."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.hook import call_hook
from farebox.components.atomic_pusher.settings import PushSettings

RECORD = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open('told.json', 'w'))"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> str:
    """A version's folder; the hook runs in the folder above."""
    (tmp_path / "models/chicago/0123456789ab").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "models/chicago/0123456789ab")


def test_a_hook_is_told_the_version_by_arguments_and_environment(folder, monkeypatch):
    """Without a shell: words with blanks and wildcards arrive as they are; and with the environment of the run."""
    monkeypatch.setenv("REGISTRY_TOKEN", "secret")
    check = call_hook([sys.executable, "-c", RECORD, "two words", "*", "$HOME"], folder, 30)
    arguments, environment = json.loads(Path("told.json").read_text())
    assert arguments == ["two words", "*", "$HOME", folder, f"{folder}/manifest.json"]
    told = {name: environment[name] for name in environment if name.startswith("FAREBOX_")}
    assert told == {
        "FAREBOX_CITY": "chicago", "FAREBOX_VERSION": "0123456789ab", "FAREBOX_ROLE": "latest",
        "FAREBOX_FOLDER": folder, "FAREBOX_MANIFEST": f"{folder}/manifest.json",
    }  # fmt: skip
    assert environment["REGISTRY_TOKEN"] == "secret"
    assert (check.ok, check.refuses, check.detail, check.hint) == (True, False, "", "")


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("import sys; print('no such registry'); sys.exit(3)", "exit code 3: no such registry"),
        ("raise SystemExit('denied')", "exit code 1: denied"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "exit code -15"),
        ("input()", "exit code 1: EOFError: EOF when reading a line"),
    ],
)
def test_a_hook_that_fails_is_a_warning_with_its_last_line(folder, code, detail):
    check = call_hook([sys.executable, "-c", code], folder, 30)
    assert (check.ok, check.refuses, check.severity, check.detail) == (False, False, "warn", detail)
    assert check.hint.startswith(f"the version stays; call the hook again: {sys.executable} -c ")
    assert check.hint.endswith(f"{folder} {folder}/manifest.json")


def test_a_hook_that_cannot_be_started_is_a_warning(folder):
    assert call_hook(["no-such-program"], folder, 30).detail == (
        "no-such-program cannot be started: No such file or directory"
    )
    assert call_hook([str(Path(folder).parent)], folder, 30).detail.endswith("cannot be started: Permission denied")


def test_a_hook_that_takes_too_long_is_killed_with_its_children(folder):
    """A shell's child holds the pipe; it would write a file later."""
    started = time.monotonic()
    check = call_hook(["/bin/sh", "-c", "echo begun; (sleep 3; touch late) & wait"], folder, 0.5)
    assert check.detail == "it took more than push.hook_timeout_s=0.5: begun" and time.monotonic() - started < 2.5
    time.sleep(3 - (time.monotonic() - started) + 0.5)
    assert not os.path.exists("late")


@pytest.mark.parametrize(("code", "is_ok"), [("pass", True), ("raise SystemExit('denied')", False)])
def test_a_push_stands_whatever_its_hook_does(tmp_path, run_pusher, code, is_ok):
    """The hook finds LATEST on the version already, and how it ended is beside the PushedModel, for the report."""
    from farebox.components.reporter.executor import checks_of_push

    base = tmp_path / "models" / "chicago"
    looks = "import os, sys; assert open(sys.argv[1] + '/../LATEST').read().strip() == os.environ['FAREBOX_VERSION']; "
    pushed = run_pusher(b"a model", base, hook=[sys.executable, "-c", looks + code])
    assert pushed.get_int_custom_property("pushed") == 1
    assert push.latest(base).name == pushed.get_string_custom_property("pushed_version")
    (check,) = checks_of_push(pushed)
    assert (check.name, check.ok, check.detail) == ("push.hook", is_ok, "" if is_ok else "exit code 1: denied")


def test_a_hook_is_told_that_a_version_is_only_a_candidate(tmp_path, run_pusher):
    base = tmp_path / "models" / "chicago"
    hook = [sys.executable, "-c", f"import os; open({str(tmp_path / 'role')!r}, 'w').write(os.environ['FAREBOX_ROLE'])"]
    for content, role in ((b"first", "latest"), (b"second", "candidate")):
        run_pusher(content, base, hook=hook, canary=True)
        assert (tmp_path / "role").read_text() == role


def test_what_is_not_pushed_calls_no_hook(tmp_path, run_pusher):
    hook = [sys.executable, "-c", f"open({str(tmp_path / 'called')!r}, 'w')"]
    run_pusher(b"a model", tmp_path / "models", blessed={"model_blessing": 0}, hook=hook)
    assert not (tmp_path / "called").exists()
    run_pusher(b"a model", tmp_path / "models", hook=hook)
    assert (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("hook", "line"),
    [
        ((), r"push.hook=\[\] must begin with the name of a program, or be null"),
        (("",), r"push.hook=\[''\] must begin with the name of a program"),
        ("python register.py", "push.hook=python register.py must be a list, or null"),
        (("python", 3), "push.hook.1=3 must be text"),
    ],
)
def test_a_hook_that_is_no_command_is_refused(hook, line):
    with pytest.raises(ValueError, match=line):
        PushSettings(hook=hook)
