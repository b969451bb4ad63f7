"""The wheel in a fresh environment, beside a user's own packages named pipeline, components, modules and data."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("pipeline", "components", "modules", "data")
Call = Callable[..., str]
EXAMPLES = """
import doctest, sys
failed, tried = doctest.testfile(sys.argv[1], module_relative=False, optionflags=doctest.ELLIPSIS)
print(tried, "examples")
sys.exit(failed)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does, from a copy: setuptools leaves a build folder beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("farebox", *FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    subprocess.run(build, cwd=folder, check=True)
    (wheel,) = (folder / "out").glob("farebox-*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel. Its libraries are this environment's; our checkout is not among them."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    packages = next((folder / "lib").glob("python3.*/site-packages"))
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    return python


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with packages that have our folders' names, and that must not be imported."""
    folder = tmp_path_factory.mktemp("own packages")
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the user\\'s own {name} was imported')\n")
    return folder


@pytest.fixture(scope="module")
def call(python: Path, place: Path) -> Call:
    """Runs the environment's Python in the folder, which is also on PYTHONPATH; returns standard output."""

    def run(*arguments: str, code: int = 0) -> str:
        ended = subprocess.run(
            [str(python), *arguments], check=False, capture_output=True, text=True, cwd=place,
            env=os.environ | {"PYTHONPATH": str(place)}, timeout=600,
        )  # fmt: skip
        assert ended.returncode == code, ended.stderr[-3000:]
        return ended.stdout

    return run


def test_the_wheel_has_one_package_with_all_sources_cities_and_schemas(wheel: Path) -> None:
    patterns = (
        *(f"{name}/**/*.py" for name in FOLDERS),
        "data/*/city.yaml",
        "data/*/schema.pbtxt",
        "data/*/*.csv",
        "pipeline/commands/explorer/page/*",
    )
    sources = {f"farebox/{path.relative_to(ROOT)}" for pattern in patterns for path in ROOT.glob(pattern)}
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped >= {*sources, "farebox/__init__.py", "farebox/__main__.py", "farebox/py.typed"}
    assert {name.partition("/")[0] for name in shipped} == {"farebox"}


def test_beside_own_packages_import_and_command_are_ours(call: Call, python: Path) -> None:
    where = call("-c", "import farebox, farebox.pipeline.cli; print(farebox.pipeline.cli.__file__)").strip()
    assert Path(where).is_relative_to(python.parents[1])
    assert "Trains, judges and pushes" in call("-m", "farebox", "--help")
    assert "Trains, judges and pushes" in call(str(python.with_name("farebox")), "--help")
    call("-m", "farebox", "models", code=2)  # no models yet; 1 would be a traceback


@pytest.mark.slow
def test_beside_own_packages_a_whole_run_and_its_children_are_ours(call: Call, place: Path) -> None:
    """DeviceValidator runs two children of its own; the pushed model then answers through the Python API."""
    summary = json.loads(call("-m", "farebox", "run", "--json", "--out", "work"))
    assert summary["pushed"]
    checks = {gate["name"]: gate["ok"] for gate in summary["gates"]}
    assert all(checks.values()), checks


@pytest.mark.slow
def test_the_examples_of_the_python_page_run(call: Call) -> None:
    """After the run above, which they find in the cache."""
    page = ROOT / "docs" / "python.md"
    assert call("-c", EXAMPLES, str(page)).splitlines()[-1] == f"{page.read_text().count('>>> ')} examples"


@pytest.mark.slow
def test_a_beam_worker_with_the_wheel_finds_what_is_sent_to_it(wheel: Path, tmp_path: Path) -> None:
    """Beam's pickles contain module names only: a worker elsewhere imports them from the wheel (beam.extra_package)."""
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(tmp_path / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    sent = (
        "farebox.components.trip_example_gen.executor:_write_chunk",
        "farebox.components.pca_reducer.beam_pass:SummaryFn",
        "farebox.components.evaluator.regression_errors:RegressionErrors",
        "farebox.modules.preprocessing:preprocessing_fn",
        "farebox.modules.slicing:_slice",
    )
    script = (
        "import importlib, sys\n"
        f"for module, name in (word.split(':') for word in {sent}):\n"
        "    imported = importlib.import_module(module)\n"
        "    getattr(imported, name)\n"
        "    print(imported.__file__)\n"
    )
    worker = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert worker.returncode == 0, worker.stderr[-2000:]
    files = worker.stdout.split()
    assert len(files) == len(sent) and all(file.startswith(str(tmp_path / "site")) for file in files)
