"""The rules of the house, read from the sources: who imports whom, what stays out, how long a file may be."""

from __future__ import annotations

import ast
import functools
import graphlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.pipeline import cli

ROOT = Path(__file__).parents[1]
FLOORS = ("components", "modules", "pipeline")  # each may import itself and those before it
# The package `farebox` is on top: its files hand on what the floors below define.
FACE = ("farebox/__init__.py", "farebox/__main__.py")
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
ENTRIES = (
    "farebox", "farebox.__main__", "farebox.pipeline.cluster.container",
    "farebox.components.device_validator.validation", "farebox.components.device_validator.memory",
)  # fmt: skip
MAX_ROOMS = {"pipeline": 15, "components": 18}
LIGHT = (
    "farebox", "farebox.components.tflite.interpreter", "farebox.components.trip_example_gen.reader",
    "farebox.pipeline.cli", "farebox.pipeline.commands.doctor", "farebox.pipeline.commands.models",
    "farebox.pipeline.commands.predict", "farebox.pipeline.commands.explorer.site",
    "farebox.pipeline.commands.remote_schedule",
    "farebox.pipeline.commands.retrain", "farebox.pipeline.local.console", "farebox.pipeline.local.lean_imports",
    "farebox.pipeline.local.run", "farebox.pipeline.provenance", "farebox.pipeline.retraining.notify",
    "farebox.pipeline.schedule.foreground", "farebox.pipeline.commands.schedule_orders",
    "farebox.pipeline.settings.load",
)  # fmt: skip
MAX_LINES = 400


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """The dotted name of a source."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "farebox" else ("farebox", *parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in (*SOURCES, *(ROOT / name for name in FACE))}


@functools.cache
def syntax(path: Path) -> list[ast.AST]:
    """All nodes of a source, its module first."""
    return list(ast.walk(ast.parse(path.read_text())))


@functools.cache
def imports(path: Path) -> list[str]:
    """Dotted names that a file imports anywhere, `from a import b` as a.b too."""
    names: list[str] = []
    for node in syntax(path):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            names += (f"{node.module}.{alias.name}" for alias in node.names)
    return names


def names_in_strings(path: Path) -> Iterator[str]:
    """Dotted names of ours in string constants: TFX, Kubeflow and a child process import by such a name."""
    for node in syntax(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"farebox(?:\.\w+)+", node.value)


def known(name: str) -> str | None:
    """The module of ours that a dotted name is, or is a value of."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name if name.startswith("farebox.") else None


@functools.cache
def graph() -> dict[str, set[str]]:
    """Each module, and those of ours that it imports, late imports included."""
    return {
        module: {ours for name in imports(path) if (ours := known(name)) and ours != module}
        for module, path in MODULES.items()
    }


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """A circle in the graph, nothing if it has none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def rooms(floor: str) -> dict[str, set[str]]:
    """The files and folders directly in a floor, and which of them each imports."""
    prefix = f"farebox.{floor}."
    plan: dict[str, set[str]] = {}
    for module, others in graph().items():
        if module.startswith(prefix):
            room = module.removeprefix(prefix).partition(".")[0]
            inside = {name.removeprefix(prefix).partition(".")[0] for name in others if name.startswith(prefix)}
            plan.setdefault(room, set()).update(inside - {room})
    return plan


def test_there_are_sources():
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down(path):
    floor = path.relative_to(ROOT).parts[0]
    allowed = {f"farebox.{name}" for name in FLOORS[: FLOORS.index(floor) + 1]}
    ours = {".".join(name.split(".")[:2]) for name in imports(path) if name.split(".")[0] == "farebox"}
    assert ours <= allowed
    bare = {name.split(".")[0] for name in imports(path)} & {"data", "tests", *FLOORS}
    assert bare == set(), "a user's own package may have this name: import it from farebox"


def test_no_module_imports_itself_in_a_circle():
    assert cycle(graph()) == []


@pytest.mark.parametrize("floor", MAX_ROOMS)
def test_rooms_are_few_and_no_arrow_runs_back_up(floor):
    """A room is a file or folder directly in the floor; a circle of rooms has an arrow that runs back up."""
    plan = rooms(floor)
    assert len(plan) <= MAX_ROOMS[floor], sorted(plan)
    assert cycle(plan) == []


def test_every_module_is_reached():
    """From the command line, a container's command, a child process or the package's face; tests do not count."""
    reached: set[str] = set()
    waiting = [*ENTRIES, *(command.module for command in cli.COMMANDS.values())]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph()[module]
            waiting += [ours for name in names_in_strings(MODULES[module]) if (ours := known(name))]
    empty = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert set(MODULES) - reached - empty == set()


def test_one_keras():
    """TFMOT takes tf_keras only; what tf.keras is depends on who was imported first. Keras 3 has its own process."""
    forbidden = re.compile(
        r"\btf\.keras\b|\btensorflow\.keras\b|from tensorflow import .*\bkeras\b|^\s*(import|from) keras\b", re.M
    )
    users = [name_of(path) for path in SOURCES if forbidden.search(path.read_text())]
    assert users == ["components/networks/keras3_child.py"]


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of each docstring in a file."""
    for node in syntax(path):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", "module"), text


def test_a_docstring_opens_with_a_verb_or_a_noun():
    riddle = re.compile(r"(What|Of|By|Where|That|Whose|Those|So|As|From)\b")
    texts = ((name_of(path), *each) for path in SOURCES for each in docstrings(path))
    assert [f"{path} {name}: {text[:60]}" for path, name, text in texts if riddle.match(text)] == []


def test_messages_know_no_command_line():
    """The library's errors name key, value and bound; pipeline/commands adds flags and commands to type."""
    typed = re.compile(r"(^|[\s`(])--[a-z][a-z-]*[ =`]|`(farebox|make) [a-z]")
    messages: list[str] = []
    for path in SOURCES:
        if path.parent.name != "commands":
            raised = (node for node in syntax(path) if isinstance(node, ast.Raise))
            constants = (each.value for node in raised for each in ast.walk(node) if isinstance(each, ast.Constant))
            messages += [
                f"{name_of(path)}: {text}" for text in constants if isinstance(text, str) and typed.search(text)
            ]
    assert messages == []


def test_files_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_every_module_says_what_lives_in_it():
    bare = [name_of(path) for path in SOURCES if path.stat().st_size and not ast.get_docstring(syntax(path)[0])]
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
        ("export", "models/toy", "--to=c"),
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
from farebox.pipeline import cli
try:
    cli.main()
except SystemExit as end:
    print("code", end.code or 0, [name for name in {heavy} if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.stdout.splitlines()[-1] == "code 0 []", ended.stderr


def test_light_modules_import_neither_tfx_nor_tensorflow():
    """`farebox --help`, `predict` and `evaluate` start in a second; TFX alone takes twenty."""
    code = f"""
import importlib, json, sys
heavy = {{"tfx", "tensorflow", "tf_keras", "apache_beam", "ml_metadata"}}
loaded = {{}}
for name in {LIGHT}:
    importlib.import_module(name)
    if heavy & set(sys.modules):
        loaded[name] = sorted(heavy & set(sys.modules))
        break
print(json.dumps(loaded))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == {}
