"""`farebox schedule --emit airflow`: a DAG file that a real Airflow loads, and what is refused."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from throwaway import throwaway_python

from farebox.components.errors import InputError
from farebox.pipeline.schedule import crontab
from farebox.pipeline.schedule.airflow import airflow
from farebox.pipeline.schedule.files import Tick

EMIT = ("schedule", "--emit", "airflow", "--cron", "0 3 * * mon-fri")


def constants(text: str) -> dict[str, object]:
    """The file's assignments of literals."""
    assigned = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def test_the_file_is_python_with_absolute_paths_and_no_secret(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    Path("it's trips").mkdir()
    words = ("--data", "it's trips", "--set", "notify.webhook_env=HOOK")
    code, out, error = call(*EMIT, *words, "--to", ".", "--timezone", "America/Chicago")
    assert (code, out, error) == (0, "farebox-retrain-chicago.py\n", "")
    text = Path("farebox-retrain-chicago.py").read_text()
    values = constants(text)
    command = ["retrain", "--city", "chicago", "--data", f"{tmp_path}/it's trips", "--out", str(tmp_path)]
    assert values["COMMAND"][1:] == [*command, "--set", "notify.webhook_env=HOOK"] and values["FOLDER"] == str(tmp_path)
    assert "# the worker's environment must set HOOK\n" in text and "schedule='0 3 * * 1-5'" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "notify.webhook=https://hooks.example/T0/s3cret"), "--set notify.webhook must not go into a file"),
        (("--timezone", "Mars/Base"), "--timezone=Mars/Base must be"),
        (("--misfire", "60"), "--misfire must go with no --emit or --emit kubernetes, got --emit airflow"),
        (("--secret", "s"), "--secret must go with --emit kubernetes, got --emit airflow"),
        (("--cron", "0 3 */2 * 1"), "cron=0 3 */2 * 1: day-of-month and day-of-week must not both be restricted with"),
        (("--data", "nowhere"), "--data=nowhere must be a file or folder that exists"),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_line(tmp_path, monkeypatch, call, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(*EMIT, "--data", ".", *words)
    assert (code, out) == (2, "") and message in error and error.count("\n") == 1 and "s3cret" not in error


def test_values_stay_values():
    """Quotes, braces and dollars of a command are no code and no template."""
    word = "a'b\"c {{ ds }} $HOME \\ {x}\n"
    text = airflow(Tick("x", ("farebox", word), "/a'b", ""), crontab.parse("@daily"), "UTC")["farebox-retrain-x.py"]
    assert constants(text) == {"COMMAND": ["farebox", word], "FOLDER": "/a'b"}
    with pytest.raises(InputError, match="Airflow would take the days of either"):
        airflow(Tick("x", ("farebox",), "/", ""), crontab.parse("0 0 */2 * 1"), "UTC")


LOADS = """
import json, runpy, sys
import pendulum
from airflow.timetables.base import DataInterval, TimeRestriction
try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 2
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

def loaded(file):
    names = runpy.run_path(file)
    return names["dag"], names["retrain"].function

def outcome(function):
    try:
        return repr(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

dag, _ = loaded(sys.argv[1])
plain = DagSerialization.from_dict(DagSerialization.to_dict(dag))  # as the scheduler sees it
last = DataInterval(pendulum.datetime(2026, 3, 5, 9), pendulum.datetime(2026, 3, 6, 9))
always = TimeRestriction(pendulum.datetime(2025, 1, 1), None, True)
following = plain.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=always)
task = dag.get_task("retrain")
print(json.dumps({
    "id": plain.dag_id, "catchup": plain.catchup, "active": plain.max_active_runs, "next": str(following.run_after),
    "retries": task.retries, "outcomes": [outcome(loaded(file)[1]) for file in sys.argv[2:]],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("release", [">=3.2,<4", ">=2.11,<3"])
def test_a_real_airflow_loads_the_file_and_ends_a_refusal_at_once(tmp_path, release):
    """After the run of the Friday before clocks change, the next one is on Monday at 3 by the new time."""
    python = throwaway_python(tmp_path / "venv", f"apache-airflow{release}")
    codes = (None, 0, 1, 2, 3)
    for code in codes:
        tick = Tick("chicago", ("/bin/sh", "-c", f"echo rows: {code}; exit {code or 0}"), str(tmp_path), "")
        (text,) = airflow(tick, crontab.parse("0 3 * * mon-fri"), "America/Chicago").values()
        (tmp_path / f"dag_{code}.py").write_text(text)
    ended = subprocess.run(
        [python, "-c", LOADS, *(tmp_path / f"dag_{code}.py" for code in codes)],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line for line in lines if line.startswith("rows")] == ["rows: 0", "rows: 1", "rows: 2", "rows: 3"]
    assert json.loads(lines[-1]) == {
        "id": "farebox-retrain-chicago", "catchup": False, "active": 1, "next": "2026-03-09 08:00:00+00:00",
        "retries": 2, "outcomes": [
            "None",
            "RuntimeError: the tick crashed: exit code 1",
            "AirflowFailException: exit code 2: bad input (2), or a gate refused (3)",
            "AirflowFailException: exit code 3: bad input (2), or a gate refused (3)",
        ],
    }  # fmt: skip
