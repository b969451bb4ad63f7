"""The rules of the house, read from the sources: who imports whom, what stays out, how long a file may be."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.atomic_pusher import push
from components.atomic_pusher.settings import PushSettings
from components.atomic_pusher.store import LocalStore

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "pipeline": {"pipeline", "components", "modules"},
    "components": {"components"},
    "modules": {"modules"},
}
SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
LIGHT = (
    "components", "components.tflite", "components.trip_example_gen.reader", "pipeline.cli", "pipeline.code_digest",
    "pipeline.console", "pipeline.doctor", "pipeline.lean_imports", "pipeline.models", "pipeline.offline",
    "pipeline.notify", "pipeline.retraining.command", "pipeline.runs", "pipeline.schedule.foreground",
    "pipeline.schedule.orders", "pipeline.settings", "pipeline.submit.schedule_command",
)  # fmt: skip
MAX_LINES, MAX_RUNNER_LINES = 400, 60


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, `from a import b` as a.b too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down_never_sideways(path):
    package = path.relative_to(ROOT).parts[0]
    others = {name.partition(".")[0] for name in imports(path)} & {"data", "tests", *MAY_IMPORT}
    assert others <= MAY_IMPORT[package]


def test_one_keras():
    """TFMOT takes tf_keras only; what tf.keras is depends on who was imported first."""
    forbidden = re.compile(
        r"\btf\.keras\b|\btensorflow\.keras\b|from tensorflow import .*\bkeras\b|^\s*(import|from) keras\b", re.M
    )
    assert [name_of(path) for path in SOURCES if forbidden.search(path.read_text())] == []


def test_files_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    limits = dict.fromkeys(lines, MAX_LINES)
    for path in (ROOT / "pipeline").glob("*_runner.py"):
        if path.stem != "local_runner":  # which is an orchestrator itself: it launches node by node
            limits[name_of(path)] = MAX_RUNNER_LINES
    assert {name: count for name, count in lines.items() if count > limits[name]} == {}


def test_runners_only_run():
    """Settings in, pipeline built, orchestrator called: a runner knows no component, feature or command line."""
    forbidden = re.compile(r"components\.\w+\.(component|executor)\b|modules\b|argparse|click|typer")
    for path in (ROOT / "pipeline").glob("*_runner.py"):
        assert [name for name in imports(path) if forbidden.match(name)] == [], name_of(path)


def test_every_module_says_what_lives_in_it():
    bare = [
        name_of(path) for path in SOURCES if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert bare == []


def test_tests_are_no_package():
    """`tests/components/__init__.py` would hide `components`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("models",),
        ("verify", "models/toy"),
        ("predict", "--model=models/toy", "--pickup=-70,40.7", "--dropoff=-73.9,40.8", "--hour=8", "--weekday=2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_light_commands_import_no_heavy_library(tmp_path, fare_tflite, arguments):
    """`predict` runs a real file; LiteRT alone does it."""
    push.push(fare_tflite, LocalStore(tmp_path / "models/toy"), {}, PushSettings())
    heavy = (
        "tensorflow", "tfx", "tf_keras", "apache_beam", "ml_metadata", "pandas", "matplotlib", "sklearn", "scipy",
        "lightgbm", "pyarrow", "kfp", "google.api_core",
    )  # fmt: skip
    code = f"""
import sys
from pipeline import cli
try:
    cli.main()
except SystemExit as end:
    print("code", end.code or 0, [name for name in {heavy} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert ended.stdout.splitlines()[-1] == "code 0 []", ended.stderr


def test_light_modules_import_neither_tfx_nor_tensorflow():
    """`farebox --help`, `predict` and `evaluate` start in a second; TFX alone takes twenty."""
    code = f"""
import importlib, json, sys
heavy = {{"tfx", "tensorflow", "tf_keras", "apache_beam", "ml_metadata"}}
found = {{}}
for name in {LIGHT}:
    importlib.import_module(name)
    if heavy & set(sys.modules):
        found[name] = sorted(heavy & set(sys.modules))
        break
print(json.dumps(found))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == {}
