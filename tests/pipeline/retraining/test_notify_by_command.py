"""`farebox retrain` and `farebox schedule` as processes: both notify a real server and write the metrics file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from farebox.pipeline.retraining.journal import Journal

FAREBOX = str(Path(sys.executable).with_name("farebox"))


def options(city, *overrides: str) -> list[str]:
    """Those of a city whose only span was trained on: a tick keeps the model, without TFX."""
    settings = ("spans.pattern=span-{SPAN}/v-{VERSION}", "spans.window=3", "spans.quiet_s=0", *overrides)
    places = ("--data", str(city.folder / "data"), "--out", str(city.folder / "out"))
    return [*places, *[word for setting in settings for word in ("--set", setting)]]


@pytest.fixture
def trained(city):
    city.deliver(1)
    city.tick()
    return city


def farebox(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FAREBOX, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_retrain_notifies_of_a_model_that_stays(trained, listening):
    with listening() as hook:
        overrides = options(trained, "notify.webhook_env=HOOK", f"notify.metrics_file={trained.folder}/m.prom")
        ended = farebox("retrain", *overrides, HOOK=hook.url)
    assert (ended.returncode, ended.stderr) == (0, "")
    ((_, _, body),) = hook.taken
    assert json.loads(body) == json.loads(Journal(trained.settings().runs_dir).path.read_text().splitlines()[-1])
    metrics = (trained.folder / "m.prom").read_text()
    assert 'farebox_ticks_total{city="chicago",outcome="kept"} 1.0' in metrics
    assert 'farebox_ticks_total{city="chicago",outcome="pushed"} 1.0' in metrics


def test_retrain_notifies_of_bad_input(trained, listening):
    (trained.folder / "data").rename(trained.folder / "moved")
    with listening() as hook:
        overrides = (f"notify.webhook={hook.url}", f"notify.metrics_file={trained.folder}/m.prom")
        ended = farebox("retrain", *options(trained, *overrides))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    ((_, _, body),) = hook.taken
    record = json.loads(body)
    assert record["outcome"] == "failed"
    assert record["reasons"] == [f"data={trained.folder}/data must be a folder of spans"]
    metrics = (trained.folder / "m.prom").read_text()
    assert "farebox_last_tick_timestamp_seconds" in metrics
    assert 'farebox_ticks_total{city="chicago",outcome="failed"} 0.0' in metrics


def test_a_notification_that_fails_is_a_line_and_no_other_exit_code(trained, listening):
    with listening(404) as hook:
        overrides = (f"notify.webhook={hook.url}", f"notify.metrics_file={trained.folder}/gone/m.prom")
        ended = farebox("retrain", *options(trained, *overrides), "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["outcome"] == "kept"
    assert ended.stderr.splitlines() == [
        "farebox: warning: notify: the webhook at 127.0.0.1 did not take the record: HTTP 404",
        f"farebox: warning: notify.metrics_file={trained.folder}/gone/m.prom cannot be written: No such file or "
        "directory",
    ]


def test_a_tick_of_the_schedule_notifies(trained, listening):
    with listening() as hook:
        overrides = (f"notify.webhook={hook.url}", f"notify.metrics_file={trained.folder}/m.prom")
        command = [FAREBOX, "schedule", "--cron", "0 0 29 2 *", "--now", *options(trained, *overrides)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            lines = iter(process.stdout.readline, "")
            assert any("tick ended" in line and "done (exit code 0)" in line for line in lines)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    ((_, _, body),) = hook.taken
    assert json.loads(body)["outcome"] == "kept"
    assert 'farebox_ticks_total{city="chicago",outcome="kept"} 1.0' in (trained.folder / "m.prom").read_text()
