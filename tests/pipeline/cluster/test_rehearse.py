"""A spec rehearsed: its commands in the image's environment, away from the checkout, to the bytes of the local run."""

from __future__ import annotations

import graphlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline import process
from farebox.pipeline.cluster import invocation as invocations
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.launcher import Launcher, NodeError, OutputArtifact
from farebox.pipeline.cluster.places import parse_place, with_local_paths
from farebox.pipeline.cluster.rehearse import checked_python, launch_all, nearest
from farebox.pipeline.cluster.versions import NEWEST, OUTPUT_FILE, known_version
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.settings.load import load_settings

pytestmark = pytest.mark.timeout(1800)  # an environment, and a process for each of 16 nodes
CHECKOUT = Path(__file__).parents[3]
SMALL = (
    "training.epochs=3", "reducer.fine_tune_epochs=1", "pruner.ramp_epochs=1", "pruner.recover_epochs=1",
    "gates.max_ratio_to_yardstick=1.5",
)  # fmt: skip


def test_addresses_become_paths_the_longest_first(tmp_path):
    places = [parse_place("gs://b=here"), parse_place(f"gs://b/trips/={tmp_path}")]
    content = {"a": "gs://b/x", "b": 'text \\"gs://b/trips\\"', "c": "gs://b/trips/1.csv", "d": "gs://b"}
    assert with_local_paths(content, places) == {
        "a": f"{Path.cwd()}/here/x", "b": f'text \\"{tmp_path}\\"', "c": f"{tmp_path}/1.csv", "d": f"{Path.cwd()}/here",
    }  # fmt: skip


def test_an_address_without_a_place_is_one_line():
    with pytest.raises(InputError, match="place gs://bc/x=PATH must be given: the path on this machine"):
        with_local_paths({"a": "gs://bc/x"}, [parse_place("gs://b=/here")])  # gs://bc is another bucket


@pytest.mark.parametrize("text", ["gs://b", "gs://b=", "b=/here", 'gs://b=/a"b', "gs://b c=/here"])
def test_a_place_that_is_none_is_one_line(text):
    with pytest.raises(InputError, match=re.escape(f"place {text} must read gs://BUCKET/FOLDER=PATH")):
        parse_place(text)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("2.5", ""),
        ("2.5.0", ""),
        ("2.9.1", ", the nearest known one before 2.9.1"),
        ("2.1", ", the nearest known one before 2.1"),
    ],
)
def test_a_version_that_stands_for_another_is_said(wanted, said):
    assert nearest(wanted, known_version(wanted)) == said


def test_a_python_that_does_not_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match=f"python={tmp_path}/python must be a Python that runs"):
        checked_python(f"{tmp_path}/python")


@pytest.mark.parametrize("code", [1, 3])
def test_the_summary_outlives_a_refusal_and_no_other_failure(tmp_path, code):
    """Outcome fails after Reporter's report is there, which says why nothing was pushed."""
    report = {"report": OutputArtifact("gs://b/report", {})}

    class TwoNodes:
        """The last two nodes of a run."""

        driver = types.SimpleNamespace(tasks=lambda: graphlib.TopologicalSorter({"Outcome": ["Reporter"]}))

        def launch(self, name: str, log: Path) -> dict[str, OutputArtifact]:
            if name == "Outcome":
                raise NodeError(f"{name} ended with {code}: see {log}", code)
            return report

    screen = io.StringIO()
    console = RunConsole(screen, False)  # noqa: FBT003 - not quiet
    if code == process.REFUSED:
        assert launch_all(TwoNodes(), tmp_path, console) == report
        assert [line.split()[:2] for line in screen.getvalue().splitlines()] == [["✓", "Reporter"], ["✗", "Outcome"]]
    else:
        with pytest.raises(NodeError, match="Outcome ended with 1"):
            launch_all(TwoNodes(), tmp_path, console)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rehearse", "none.json"), "SPEC=none.json must be a compiled pipeline"),
        (
            ("rehearse", "none.json", "--kfp-version", "1.8.22"),
            "--kfp-version=1.8.22 must be a release of Kubeflow Pipelines 2; known are 2.0.5, 2.3.0, 2.5.0, 2.14.0, ",
        ),
        (("compile", "--runner", "airflow"), "--runner=airflow must be kubeflow or vertex"),
        (
            ("compile", "--data", "gs://b/trips", "--image", "i:1"),
            "cluster.root must be given, such as gs://BUCKET/farebox",
        ),
        (
            ("compile", "--data", "gs://b/trips", "--root", "gs://b"),
            "cluster.image must be given, such as REGISTRY/farebox",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(*arguments)
    assert code == 2 and out == "" and error.startswith(f"farebox: {message}") and "Traceback" not in error
    if "cluster." in message:  # the flag that sets it
        assert error.endswith(f"; set it with --{message.split()[0].removeprefix('cluster.')}\n")
    assert list(tmp_path.iterdir()) == []


def farebox(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("farebox")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, cwd=folder, timeout=1500, check=False
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with spec.json, for Vertex AI: its hook runs, too."""
    folder = tmp_path_factory.mktemp("rehearsal")
    overrides = [word for setting in SMALL for word in ("--set", setting)]
    where = ("--data", "gs://bucket/trips", "--root", "gs://bucket/farebox", "--image", "farebox:test")
    ended = farebox(folder, "compile", "--runner", "vertex", *where, "--out", "spec.json", *overrides)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "farebox-chicago for vertex, 17 nodes, image farebox:test" in ended.stdout
    assert "--parameter epochs=3" in ended.stdout
    return folder


def rehearse(place: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """With Chicago's trips as the bucket's."""
    trips = load_settings("chicago", None).data
    places = ("--at", f"gs://bucket/trips={trips}", "--at", "gs://bucket=bucket")
    return farebox(place, "rehearse", "spec.json", *places, *arguments)


@pytest.fixture(scope="module")
def rehearsed(place) -> subprocess.CompletedProcess[str]:
    """The whole rehearsal, which makes the environment."""
    return rehearse(place)


@pytest.mark.slow
def test_the_rehearsal_pushes_what_the_local_run_pushes(place, rehearsed):
    """The same bytes, and every figure that is not a time."""
    ended = rehearsed
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(re.findall("✓", ended.stdout)) == 18 and "✓ environment" in ended.stdout
    assert "no version was pushed with the statistics of its data" in ended.stdout
    (summary,) = place.glob("rehearsal/*/summary.json")
    figures = json.loads(summary.read_text())
    assert figures["pushed"].startswith(f"{place}/bucket/farebox/models/chicago/")
    overrides = [word for setting in SMALL for word in ("--set", setting)]
    local = json.loads(farebox(place, "run", "--out", "local", "--json", *overrides).stdout)
    for key in ("rmse", "mae", "bias", "yardsticks", "rows"):
        assert figures[key] == pytest.approx(local[key], rel=1e-9), key
    assert figures["model"]["sha256"] == local["model"]["sha256"]


@pytest.mark.slow
@pytest.mark.usefixtures("rehearsed")
def test_a_second_run_compares_its_data_with_those_of_the_version_that_was_pushed(place, tmp_path):
    """DataGate then looks for drift in each feature. What it needs besides the version, the rehearsal has written."""
    spec = specs.load(str(place / "spec.json"))
    places = [("gs://bucket/trips", load_settings("chicago").data), ("gs://bucket", str(place / "bucket"))]
    python = place / "rehearsal" / "venv" / "bin"
    driver = Driver(spec.pipeline, "gs://bucket/farebox/second", known_version(NEWEST), spec.defaults, "second")
    launcher = Launcher(driver, places, python, tmp_path)
    for task in ("CuratedSchema", "TripExampleGen", "StatisticsGen", "ExampleValidator"):
        outputs = invocations.without_logs(driver.executor_input(task))["outputs"]["artifacts"]
        (written,) = place.glob(f"rehearsal/*/containers/{task}-*/**/{OUTPUT_FILE}")
        driver.publish(task, outputs, json.loads(written.read_text())["artifacts"])
    for task in ("LatestPushed", "DataGate"):
        outputs = launcher.launch(task, tmp_path / f"{task}.txt")
    verdict = json.loads(Path(outputs["verdict"].uri, "verdict.json").read_text())
    distances = {check["name"]: check["value"] for check in verdict if check["name"].startswith("drift")}
    assert len(distances) > 5 and "drift" not in distances and set(distances.values()) == {0.0}


@pytest.mark.slow
@pytest.mark.usefixtures("rehearsed")
def test_a_module_that_the_wheel_lacks_fails_the_rehearsal(place, tmp_path):
    """The environment gets a wheel built from a copy of the sources without a module of one node."""
    python = place / "rehearsal" / "venv" / "bin" / "python"
    for name in ("farebox", "pipeline", "components", "modules", "data", "setup.py", "pyproject.toml"):
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, symlinks=True)
        else:
            shutil.copy(source, tmp_path)
    (tmp_path / "components/trip_example_gen/curated_schema.py").unlink()
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--force-reinstall", tmp_path)
    subprocess.run([*pip, *install], check=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    ended = rehearse(place, "--python", python)
    assert ended.returncode == 1 and "farebox.components.trip_example_gen.curated_schema" in ended.stderr
    assert "Traceback" not in ended.stderr
    (failed,) = re.findall(r"^farebox: (\w+) ended with 1", ended.stderr, re.MULTILINE)
    assert f"✓ {failed}" not in ended.stdout
