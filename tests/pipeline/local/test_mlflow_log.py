"""The log of a run on MLflow's own server, and on none."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from types import SimpleNamespace

import pytest
import report_page
from throwaway import throwaway_python

from farebox.components.errors import InputError
from farebox.pipeline.local import views
from farebox.pipeline.settings.load import load_settings

RUN = "20260102-030405-006"
COSTS = {"Trainer": SimpleNamespace(cpu_s=9.5, peak_mb=700.0, wall_s=12.5, is_cached=False)}
READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
(experiment,) = client.search_experiments(filter_string="name = 'farebox-lisbon'")
(run,) = client.search_runs([experiment.experiment_id], "tags.`farebox.outcome` = 'shipped'")
curve = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "network/eval_rmse")]
files = sorted(each.path for each in client.list_artifacts(run.info.run_id))
print(json.dumps([run.info.run_name, run.info.status, run.data.params, run.data.metrics, run.data.tags, curve, files]))
"""


@pytest.fixture
def logged(tmp_path):
    """logged(uri, kind="shipped") -> the faults of a run that left its summary in tmp_path/runs/lisbon."""
    (tmp_path / "artifact").mkdir()
    training = {"network": {"curve": [5.0, 3.9], "best_epoch": 2}}
    (tmp_path / "artifact/training.json").write_text(json.dumps(training))
    (tmp_path / "artifact/content.json").write_text(json.dumps(report_page.page().sections))
    artifact = SimpleNamespace(uri=str(tmp_path / "artifact"))

    def write(uri: str, kind: str = "shipped") -> tuple[str, ...]:
        overrides = ("tracking=mlflow", "training.seed=7") if not uri else (
            "tracking.to=mlflow", f"tracking.uri={uri}", "training.seed=7"
        )  # fmt: skip
        settings = load_settings("chicago", None, str(tmp_path), overrides)
        settings = dataclasses.replace(settings, city=dataclasses.replace(settings.city, name="lisbon", currency="EUR"))
        folder, figures = settings.runs_dir / RUN, report_page.page(kind).figures
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text("{}")
        produced = {"report": [artifact], "model_run": [artifact]} if figures.measured else {}
        return views.write_views(settings, RUN, figures, produced, COSTS)

    return write


@pytest.fixture
def server(tmp_path):
    """(address of MLflow's server, its Python)."""
    python = throwaway_python(tmp_path / "venv", "mlflow>=3.10,<4")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        python.with_name("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", tmp_path / "store",
    ]  # fmt: skip
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # jobs are four more processes
    with (
        open(tmp_path / "server.log", "wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True) as process,
    ):
        uri, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
                time.sleep(0.2)
        yield uri, python
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_is_on_the_server(logged, server):
    """Two runs, of which the data of one were refused; MLflow's own client reads them."""
    uri, python = server
    assert logged(uri) == () and logged(uri, "no model") == ()
    shown = subprocess.run([python, "-c", READ, uri], capture_output=True, text=True, check=True, timeout=120).stdout
    name, status, params, metrics, tags, curve, files = json.loads(shown.splitlines()[-1])
    assert (name, status, params["training.seed"], files) == (RUN, "FINISHED", "7", ["report.html", "summary.json"])
    assert metrics["test_rmse/shipped"] == 3.6 and metrics["cpu_s/Trainer"] == 9.5 and metrics["gates/max_rmse"] == 3.6
    assert curve == [[1, 5.0], [2, 3.9]]
    assert tags["mlflow.note.content"].startswith("Shipped.") and tags["farebox.version"] == "abc"
    (fault,) = logged(f"{uri}/other")
    assert f"tracking.uri={uri}/other answers HTTP 404" in fault


def test_without_a_server_the_run_ends_well_and_says_so(logged, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    (fault,) = logged(uri)
    assert fault.startswith(f"the run could not be logged to MLflow: tracking.uri={uri} must be an MLflow server, got ")
    assert "Connection refused" in fault and fault.endswith(f"see {tmp_path}/runs/lisbon/{RUN}/log.txt")
    assert (tmp_path / "runs/lisbon" / RUN / "report.html").is_file()


def test_the_address_may_be_in_mlflow_s_variable(logged, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "tracking.uri=null must be an http:// or https:// address" in logged("")[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert "tracking.uri=http://127.0.0.1:1 must be an MLflow server" in logged("")[0]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("tracking=wandb", "tracking.to=wandb must be one of none, mlflow"),
        ("tracking.uri=sqlite:///x.db", "tracking.uri=sqlite:///x.db must be an http:// or https:// address"),
    ],
)
def test_settings_that_name_no_server(override, line, tmp_path):
    with pytest.raises(InputError, match=line):
        load_settings("chicago", None, str(tmp_path), (override,))
