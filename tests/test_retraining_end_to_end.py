"""`farebox retrain` from the command line on simulated days: killed, resumed, two at once, repeated; unusable spans."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.trip_example_gen.profile import Bounds
from farebox.components.trip_example_gen.simulation import simulator
from farebox.pipeline.settings.load import load_settings

pytestmark = pytest.mark.slow

FAREBOX = Path(sys.executable).with_name("farebox")
SMALL = (
    "spans.pattern={YYYY}-{MM}-{DD}", "spans.marker=_SUCCESS", "spans.window=3", "spans.warm_start=true",
    "data_gate.min_rows=500", "data_gate.min_split_rows=30",
    "training.epochs=4", "training.pseudo_trips=0", "training.teacher_weight=0",
    "reducer.n_components=16", "pruner.final_sparsity=0",
    "quantizer.mode=int8_weights", "gates.max_rmse=30", "gates.max_bias=null", "gates.max_ratio_to_yardstick=null",
    "gates.slices.max_bias=null",
)  # fmt: skip
ROWS, FIRST = 700, datetime.date(2024, 3, 4)
BEFORE_TRAINER = {"CuratedSchema", "TripExampleGen", "SpanStatistics", "SpanValidator", "SpanGate", "SpanWindow",
                  "StatisticsGen", "ExampleValidator", "DataGate", "Transform"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Ended:
    """A finished tick."""

    code: int
    stdout: str
    stderr: str

    @property
    def cached(self) -> set[str]:
        """Nodes that came from the cache, by their lines in the last run, which is the whole graph."""
        return set(re.findall(r"✓ (\w+) +cached", self.stdout.rpartition("farebox: chicago, run")[2]))


@dataclasses.dataclass(frozen=True)
class Place:
    """The folder in which trips are delivered and ticks run."""

    folder: Path

    def deliver(self, day: int, rise: float | None = 1.0) -> Path:
        """Delivers the complete trips of a day; with `rise=None` the folder has no trips."""
        date = FIRST + datetime.timedelta(days=day - 1)
        path = self.folder / "data" / str(date)
        path.mkdir(parents=True)
        if rise:
            profile = load_settings("chicago", None).city
            profile = dataclasses.replace(profile, fare=Bounds(profile.fare.min, profile.fare.max * rise))
            order = simulator.Order(ROWS, day, since=str(date), days=1)
            simulator.simulate(profile, order, str(path / "trips.csv"))
        (path / "_SUCCESS").touch()
        return path

    def command(self) -> list[str]:
        settings = (*SMALL, f"notify.metrics_file={self.metrics_file}")
        overrides = [part for setting in settings for part in ("--set", setting)]
        places = ("--data", str(self.folder / "data"), "--out", str(self.folder))
        return [str(FAREBOX), "retrain", "--city", "chicago", *places, *overrides]

    @property
    def metrics_file(self) -> Path:
        return self.folder / "farebox.prom"

    def tick(self, *settings: str) -> Ended:
        command = [*self.command(), *(part for setting in settings for part in ("--set", setting))]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def records(self) -> list[dict]:
        path = self.folder / "runs/chicago/retraining.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ingests(self) -> Counter:
        """Number of artifacts per span; executions that come from the cache make none."""
        query = """SELECT span.int_value FROM ArtifactProperty span JOIN ArtifactProperty ingest
            ON span.artifact_id = ingest.artifact_id AND span.name = 'span' AND ingest.name = 'ingest'"""
        connection = sqlite3.connect(f"file:{self.folder}/runs/chicago/metadata.sqlite?mode=ro", uri=True)
        counts = Counter(span - (FIRST - datetime.date(1970, 1, 1)).days + 1 for (span,) in connection.execute(query))
        connection.close()
        return counts


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("retraining"))


@pytest.fixture(scope="module")
def first(place) -> Ended:
    """Two days at once, and one of 2062 that stays in the folder: nothing that comes may be held back by it."""
    place.deliver(1)
    place.deliver(2)
    shutil.copytree(place.folder / "data" / str(FIRST), place.folder / "data/2062-01-01")
    return place.tick()


@pytest.fixture(scope="module")
def killed(place, first) -> Ended:
    """A day on which fares double: its tick is killed after Transform; returns a tick started before the kill."""
    place.deliver(3, rise=2)
    second = None
    with subprocess.Popen(place.command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if "✓ SpanWindow" in line:
                second = place.tick()
            if "✓ Transform" in line:
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return second


@pytest.fixture(scope="module")
def resumed(place, killed) -> tuple[int, Ended]:
    """The number of records before the next tick, and that tick."""
    return len(place.records()), place.tick()


def test_days_at_once_are_one_run(place, first):
    assert (first.code, first.stderr) == (0, "")
    (record,) = place.records()[:1]
    days = [[FIRST.toordinal() - datetime.date(1970, 1, 1).toordinal() + day, 1] for day in (0, 1)]
    assert {name: spans for name, spans in record["spans"].items() if spans} == {
        "new": days, "window": days, "left": ["2062-01-01"],
    }  # fmt: skip
    assert "  2062-01-01 is left out: it is dated after tomorrow, " in first.stdout
    assert (record["decision"], record["causes"], record["outcome"]) == ("retrain", ["new_data"], "pushed")
    assert (place.folder / "models/chicago" / record["version"] / "fare.tflite").is_file()
    manifest = json.loads((place.folder / "models/chicago" / record["version"] / "manifest.json").read_text())
    assert manifest["spans"] == [span for span, _ in days] and manifest["run_id"] == record["run_id"]
    summary = json.loads((place.folder / "runs/chicago" / record["run_id"] / "summary.json").read_text())
    assert record["rmse"] == summary["rmse"]["shipped"]
    assert summary["rows"]["read"] == 2 * ROWS


def test_the_metrics_file_follows_the_ticks(place, resumed):
    """Two models were pushed; the killed tick left no record, and the one beside it did nothing."""
    metrics = place.metrics_file.read_text()
    assert 'farebox_ticks_total{city="chicago",outcome="pushed"} 2.0' in metrics
    assert f'farebox_model_rmse{{city="chicago"}} {place.records()[1]["rmse"]}' in metrics


def test_the_second_of_two_ticks_at_once_says_so(killed):
    assert (killed.code, killed.stdout, killed.stderr) == (0, "farebox: another tick of chicago is at work\n", "")


def test_the_tick_after_a_kill_finishes_the_job(place, resumed):
    """One record, of the killed tick's decision; finished nodes come from the cache."""
    before, ended = resumed
    assert (before, ended.code) == (1, 0), ended.stderr
    assert ended.cached >= BEFORE_TRAINER and "Trainer" not in ended.cached
    record = place.records()[1]
    assert (record["decision"], record["outcome"]) == ("retrain", "pushed")
    assert set(record["causes"]) == {"new_data", "drift", "live_error"} and record["drift"]["fare"] > 0.04
    (live,) = record["live"]
    assert live["version"] == place.records()[0]["version"] and live["errors"]["all trips"]["bias"][1] < -3
    assert "airport=none" in live["promise"] and record["deployment"] is None
    assert len(record["spans"]["window"]) == 3
    assert place.ingests() == {1: 1, 2: 1, 3: 1}
    assert not list((place.folder / "runs/chicago").glob(".retraining.pending*"))


@pytest.mark.usefixtures("resumed")
def test_the_run_began_with_the_weights_of_the_one_before(place):
    files = sorted((place.folder / "runs/chicago/artifacts/Trainer/model_run").glob("*/training.json"))
    networks = [
        json.loads(path.read_text())["network"] for path in sorted(files, key=lambda path: int(path.parent.name))
    ]
    assert [network.get("begun_with", 0) > 0 for network in networks] == [False, True]


@pytest.mark.usefixtures("resumed")
def test_the_lineage_of_a_version_is_that_of_its_run(place):
    """From the real database: the window with its digests, the base of the warm start, and the gates."""
    first, second = (record["version"] for record in place.records()[:2])
    arguments = ("--city", "chicago", "--out", str(place.folder), "--set", SMALL[0], "--json")
    ended = subprocess.run([str(FAREBOX), "lineage", second, *arguments], capture_output=True, text=True, check=True)
    shown = json.loads(ended.stdout)
    assert [span["name"] for span in shown["spans"]] == [str(FIRST + datetime.timedelta(days=day)) for day in range(3)]
    digests = {key: each["sha256"] for record in place.records() for key, each in record["contents"].items()}
    assert [span["sha256"] for span in shown["spans"]] == [digests[f"{span['span']}/1"] for span in shown["spans"]]
    assert (shown["parents"], shown["warm_start"]["version"], shown["state"]) == ([first], first, "latest")
    assert shown["gates"] and all(gate["ok"] or gate["severity"] == "warn" for gate in shown["gates"])


@pytest.mark.usefixtures("resumed")
def test_a_tick_without_new_spans_changes_nothing(place):
    latest = (place.folder / "models/chicago/LATEST").read_text()
    ended = place.tick()
    assert ended.code == 0 and "keep: the model stays" in ended.stdout
    assert place.records()[-1]["outcome"] == "kept"
    assert (place.folder / "models/chicago/LATEST").read_text() == latest


@pytest.mark.usefixtures("resumed")
def test_an_unusable_span_is_refused_and_reported(place):
    """One is empty, one unreadable: exit code 2, so that somebody looks; the next tick has nothing to do."""
    place.deliver(4, rise=None)
    (place.deliver(5, rise=None) / "trips.csv").symlink_to("nowhere")
    ended = place.tick()
    record = place.records()[-1]
    assert (ended.code, record["outcome"], len(record["spans"]["refused"])) == (2, "kept", 2)
    assert len([line for line in ended.stdout.splitlines() if line.startswith("  span 2024-03-0")]) == 2
    assert place.tick().code == 0
    assert place.ingests() == {1: 1, 2: 1, 3: 1}
    assert {tuple(record["spans"]["left"]) for record in place.records()} == {("2062-01-01",)}


@pytest.mark.usefixtures("resumed")
def test_a_planted_version_is_rolled_back_by_the_next_tick(place, convert_tflite):
    """On a span that no version knows; nothing is trained."""
    models = LocalStore(place.folder / "models/chicago")
    latest = push.latest_name(models)
    planted = push.push(convert_tflite(lambda fare: fare + 100), models, {})
    place.deliver(6, rise=2)
    ended = place.tick("spans.min_new_spans=null", "spans.drift=false", "spans.live_error=false")
    record = place.records()[-1]
    assert (ended.code, record["decision"]) == (0, "keep"), ended.stderr
    assert f"{planted} is rolled back to {latest}: it breaks its promise on span 2024-03-09" in ended.stdout
    assert [live["role"] for live in record["live"]] == ["latest", "before"]
    assert push.latest_name(models) == latest and planted in push.read_history(models).rolled_back
