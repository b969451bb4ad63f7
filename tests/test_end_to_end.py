"""`farebox run` on real trips from the command line: killed, resumed, repeated, refused, restored. A small network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from farebox.pipeline.settings.load import load_settings

pytestmark = pytest.mark.slow

FAREBOX = Path(sys.executable).with_name("farebox")
SMALL = (
    "training.epochs=3", "reducer.fine_tune_epochs=1", "pruner.ramp_epochs=1", "pruner.recover_epochs=1",
    "model.embeddings={pair_cell: 16}",
    "gates.max_ratio_to_yardstick=1.5",  # after three epochs both networks are far from their best
)  # fmt: skip
BEFORE_TRAINER = ("TripExampleGen", "StatisticsGen", "CuratedSchema", "ExampleValidator", "DataGate", "Transform")
RESOLVERS = {"LatestStatistics", "LatestBlessed"}  # TFX never caches resolvers
NODES = {
    *BEFORE_TRAINER, *RESOLVERS, "Trainer", "PcaReducer", "Pruner", "Quantizer", "Evaluator", "ModelGate",
    "DeviceValidator", "Pusher", "Reporter",
}  # fmt: skip
KEYS = {
    "": {
        "city", "run_id", "rows", "rmse", "mae", "model", "unreduced", "latency_us", "gates", "blessed", "pushed",
        "cpu_s", "peak_mb", "lane", "currency", "slices", "tuned", "yardsticks", "bias", "p95_absolute_error",
        "intervals", "baseline", "ranges", "runtimes", "losses", "yardstick_intervals",
        "median_absolute_error", "yardstick_ratios", "machine",
    },
    "rows": {"read", "examples", "rejected", "left_out"},
    "rmse": {"predict_mean", "linear_on_distance", "baseline", "engineered", "reduced", "pruned", "shipped"},
    "yardsticks": {"predict_mean", "linear_on_distance", "raw_dnn", "no_embedding_dnn", "lightgbm"},
    "model": {"path", "sha256", "bytes", "gzip_bytes", "ops", "parameters", "sparsity", "k", "mode", "network",
              "steps"},
    "unreduced": {"bytes", "gzip_bytes"},
    "latency_us": {"p50", "p99"},
    "ranges": {"bands", "promised", "covered", "mean_width"},
}  # fmt: skip
GATE_KEYS = {"name", "value", "bound", "ok", "detail", "hint", "severity", "at_least", "lower", "upper"}
RUNNING, COMPLETE, CACHED = 2, 3, 4  # ml_metadata.proto.Execution.State


@dataclasses.dataclass(frozen=True)
class Ended:
    """A finished run; `cached` are the nodes whose line says so."""

    code: int
    stdout: str
    stderr: str
    summary: dict

    @property
    def cached(self) -> set[str]:
        return set(re.findall(r"✓ (\w+) +cached", self.stdout))


def command(out: Path, *more: str) -> list[str]:
    overrides = [part for setting in (*SMALL, *more) for part in ("--set", setting)]
    return [str(FAREBOX), "run", "--city", "chicago", "--out", str(out), *overrides]


def finish(out: Path, *more: str) -> Ended:
    result = subprocess.run(command(out, *more), capture_output=True, text=True, timeout=600, check=False)
    summary = json.loads((out / "runs/chicago/latest/summary.json").read_text())
    return Ended(result.returncode, result.stdout, result.stderr, summary)


def states(out: Path) -> dict[str, set[int]]:
    """Each node's execution states in MLMD, over all runs; no TFX needed to read them."""
    query = """SELECT Context.name, Execution.last_known_state FROM Execution
        JOIN Association ON Association.execution_id = Execution.id
        JOIN Context ON Context.id = Association.context_id
        JOIN Type ON Type.id = Context.type_id AND Type.name = 'node'"""
    by_node: dict[str, set[int]] = {}
    connection = sqlite3.connect(f"file:{out}/runs/chicago/metadata.sqlite?mode=ro", uri=True)
    for name, state in connection.execute(query):
        by_node.setdefault(name.rpartition(".")[2], set()).add(state)
    connection.close()
    return by_node


def listing(folder: Path) -> dict[str, tuple[int, str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("farebox")


@pytest.fixture(scope="module")
def killed(out) -> dict[str, set[int]]:
    """Node states after a first run was killed during Trainer."""
    with subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if "✓ Transform" in line:
                break
        deadline = time.monotonic() + 60
        while RUNNING not in states(out).get("Trainer", ()) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(2)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return states(out)


@pytest.fixture(scope="module")
def first(out, killed) -> Ended:
    """The same run again, to its end."""
    return finish(out)


@pytest.fixture(scope="module")
def repeated(out, first) -> Ended:
    return finish(out)


@pytest.fixture(scope="module")
def refused(out, repeated) -> tuple[Ended, bool]:
    """A run with a bound that no model holds, and whether models/ is unchanged."""
    before = listing(out / "models")
    ended = finish(out, "gates.max_rmse=0.01")
    return ended, before == listing(out / "models")


def test_a_run_killed_in_trainer_resumes_and_pushes(killed, first):
    assert killed["Trainer"] == {RUNNING} and "PcaReducer" not in killed
    assert (first.code, first.stderr) == (0, "")
    assert set(BEFORE_TRAINER) <= first.cached
    assert first.cached.isdisjoint(NODES - set(BEFORE_TRAINER))
    assert Path(first.summary["pushed"]).is_dir()


def test_every_node_is_complete(out, first):
    assert {node for node, of_node in states(out).items() if COMPLETE in of_node} == NODES
    assert set(first.summary["cpu_s"]) == set(first.summary["peak_mb"]) == NODES
    assert all(100 < peak < 10_000 for peak in first.summary["peak_mb"].values())


def test_summary_has_the_keys_that_are_promised(first):
    assert set(first.summary) == KEYS[""]
    assert {name: set(first.summary[name]) for name in KEYS if name} == {
        name: keys for name, keys in KEYS.items() if name
    }
    assert all(set(gate) == GATE_KEYS for gate in first.summary["gates"])
    assert all(gate["ok"] for gate in first.summary["gates"]) and first.summary["blessed"]
    rows = first.summary["rows"]
    assert rows["read"] == rows["examples"] + rows["rejected"] == 15002


def test_what_was_judged_is_what_was_pushed(out, first):
    pushed = Path(first.summary["pushed"])
    content = (pushed / "fare.tflite").read_bytes()
    manifest = json.loads((pushed / "manifest.json").read_text())
    assert hashlib.sha256(content).hexdigest() == first.summary["model"]["sha256"] == manifest["sha256"]
    assert len(content) == first.summary["model"]["bytes"]
    assert Path(first.summary["model"]["path"]).read_bytes() == content
    assert (out / "models/chicago/LATEST").read_text().strip() == pushed.name


def test_the_log_holds_what_the_executors_measured(out, first):
    log = (out / "runs/chicago/latest/log.txt").read_text()
    assert re.search(r"PcaReducer: preactivation pca of hidden_0 from 32 to k=\d+ .* parameters \d+ -> \d+", log)
    assert "PcaReducer: preactivation" not in first.stdout + first.stderr


def test_the_model_is_worth_its_bytes(first):
    """After three epochs: half the error of the mean, less than the line on distance, two thirds of its size."""
    from farebox.components.tflite.interpreter import TfliteModel

    rmse, model = first.summary["rmse"], first.summary["model"]
    assert rmse["shipped"] < 0.45 * rmse["predict_mean"]
    assert rmse["shipped"] < rmse["linear_on_distance"]
    assert rmse["shipped"] < 1.02 * rmse["pruned"]
    assert model["bytes"] < first.summary["unreduced"]["bytes"] * 2 / 3
    assert TfliteModel(Path(first.summary["pushed"], "fare.tflite")).is_builtin_only


def test_evaluate_agrees_with_the_run(out, first):
    """On all rows, including train, the error is near that on the test split."""
    call = [str(FAREBOX), "evaluate", "--model", str(out / "models/chicago"), "--city", "chicago", "--json"]
    metrics = json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    assert metrics["rows"] == {
        "read": 15002,
        "used": first.summary["rows"]["examples"],
        "rejected": first.summary["rows"]["rejected"],
        "left_out": 0,
    }
    assert metrics["rmse"] == pytest.approx(first.summary["rmse"]["shipped"], rel=0.15)


def test_the_same_run_again_comes_from_the_cache(first, repeated):
    assert repeated.code == 0
    assert repeated.cached >= NODES - RESOLVERS
    assert sum(repeated.summary["cpu_s"].values()) < sum(first.summary["cpu_s"].values()) / 4
    for key in ("rows", "yardsticks", "rmse", "model", "pushed", "gates"):
        assert repeated.summary[key] == first.summary[key]


@pytest.mark.usefixtures("repeated")
def test_the_same_run_again_imports_no_tensorflow(out):
    """Nor other imports of executors. The interpreter lists imports, in the log once that is open."""
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    subprocess.run(command(out), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    log = (out / "runs/chicago/latest/log.txt").read_text()
    imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", log, re.M))
    assert "tfx.orchestration.portable.launcher" in imported
    heavy = ("tensorflow.python", "tensorflow_transform", "tensorflow_model_analysis.api", "tf_keras", "lightgbm")
    assert not imported & {*heavy}


def test_a_refused_model_changes_nothing(refused):
    ended, untouched = refused
    assert ended.code == 3
    assert untouched
    (line,) = re.findall(r"refused by .*", ended.stdout)
    value = ended.summary["rmse"]["shipped"]
    assert f"max_rmse: {value:.4g}, bound 0.01" in line
    assert "nothing was pushed" in ended.stdout
    assert ended.summary["pushed"] is None and not ended.summary["blessed"]
    assert {"Trainer", "PcaReducer", "Pruner", "Quantizer"} <= ended.cached


@pytest.mark.usefixtures("refused")
def test_data_that_drifted_since_the_blessed_run_are_refused_before_transform(out, tmp_path):
    """Fares times 1.7, in the format of Chicago's source."""
    source = Path(load_settings("chicago", None).data) / "data.csv"
    trips = pd.read_csv(source)
    trips.assign(fare=(trips["fare"] * 1.7).round(2)).to_csv(tmp_path / "trips.csv", index=False)
    before = listing(out / "models")
    call = [*command(out), "--data", str(tmp_path / "trips.csv")]
    ended = subprocess.run(call, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 3
    assert before == listing(out / "models")
    (line,) = re.findall(r"refused by .*", ended.stdout)
    assert line.startswith("refused by drift.fare: 0.1") and ended.stderr == ""
    assert "of train against the last blessed run" in line and ", e.g. fare=" in line
    assert "if the change is real, run again with data_gate.drift=warn\n" in ended.stdout
    assert "Transform" not in ended.stdout


@pytest.mark.usefixtures("refused")
def test_a_lost_model_is_pushed_again(out, first):
    models, aside = out / "models", out / "aside"
    models.rename(aside)
    ended = finish(out)
    assert ended.code == 0
    assert "Pusher" not in ended.cached and "Trainer" in ended.cached
    content = Path(ended.summary["pushed"], "fare.tflite").read_bytes()
    assert hashlib.sha256(content).hexdigest() == first.summary["model"]["sha256"]
