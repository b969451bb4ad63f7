"""Shared by benchmarks of whole pipeline runs: options, errors, conditions, a process per run, outputs of a run."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from farebox.components.errors import GateError, InputError

if TYPE_CHECKING:
    from farebox.components.reporter.figures import ModelFigures
    from farebox.pipeline.local.run import RunSummary
    from farebox.pipeline.settings.load import Settings

SEEDED = ("training.seed", "reducer.seed", "pruner.seed", "quantizer.seed")
CODE = (
    "farebox.pipeline.local.launch",
    "farebox.modules.preprocessing",
    "farebox.modules.training",
    "farebox.modules.slicing",
)


@contextlib.contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Turns errors into one line and Farebox's exit codes: 2 bad input, 3 the data were refused."""
    try:
        yield
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except GateError as error:
        print(f"{name}: refused: {error}", file=sys.stderr)
        sys.exit(3)


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition, the measured figures, and whether it holds."""

    name: str
    figures: str
    ok: bool

    def describe(self) -> str:
        """`one retrain per cause: 9 retrains: yes`."""
        return f"{self.name}: {self.figures}: {'yes' if self.ok else 'no'}"


def insist(name: str, conditions: Iterable[Condition]) -> None:
    """Ends the process with 1 if a condition does not hold; prints the failed ones."""
    failed = [condition for condition in conditions if not condition.ok]
    for condition in failed:
        print(f"{name}: does not hold: {condition.describe()}", file=sys.stderr)
    if failed:
        sys.exit(1)


class Parser(argparse.ArgumentParser):
    """Raises InputError for bad options, which become one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def add_run_options(parser: argparse.ArgumentParser, seeds: int) -> None:
    """Adds the options for city, trips, number of trainings, output folder and settings."""
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--data", help="a CSV or Parquet file, or a folder of them")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--out", type=Path, help="folder for runs and results; default runs/BENCHMARK-CITY")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")


def digest_of(settings: Settings) -> str:
    """SHA-256 over all that a run's figures depend on: settings, trips and schema (by size and time), and code."""
    from farebox.components.trip_example_gen.sources.reading import find_files
    from farebox.pipeline.provenance import code_digest

    files = [*find_files(settings.data, settings.city.ignore_files), *filter(None, [settings.schema])]
    stamps = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
    content = {
        **dataclasses.asdict(dataclasses.replace(settings, out=".")),
        "files": stamps,
        "code": code_digest(*CODE),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def start_one(script: str, options: argparse.Namespace, *one: int) -> None:
    """Runs the script with `--one` in a child process; ends this process with the child's exit code if it fails."""
    command = [sys.executable, script, "--city", options.city, "--out", str(options.out)]
    command += ["--one", *map(str, one)]
    command += ["--data", options.data] if options.data else []
    command += [part for override in options.overrides for part in ("--set", override)]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def measured_of(summary: RunSummary) -> ModelFigures:
    """The figures of a run's model. Raises InputError if a gate stopped the run before there was one."""
    if summary.figures.measured is None:
        raise InputError(f"run {summary.run_id} of {summary.city} must have a model: a gate stopped it before")
    return summary.figures.measured


def outputs_of(settings: Settings, run_id: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """First output artifact of a run by node and name, from MLMD, and the nodes that came from the cache."""
    from tfx.orchestration import metadata

    from farebox.pipeline.local import launch

    store = metadata.sqlite_metadata_connection_config(str(settings.runs_dir.resolve() / "metadata.sqlite"))
    nodes, cached = {}, set()
    with metadata.Metadata(store) as handle:
        context = handle.store.get_context_by_type_and_name("pipeline_run", run_id)
        node_type = handle.store.get_context_type("node").id
        for execution in handle.store.get_executions_by_context(context.id):
            contexts = handle.store.get_contexts_by_execution(execution.id)
            (node,) = (each.name.rpartition(".")[2] for each in contexts if each.type_id == node_type)
            outputs, from_cache = launch.outcome(handle, execution.id)
            nodes[node] = {name: artifacts[0] for name, artifacts in outputs.items() if artifacts}
            cached |= {node} if from_cache else set()
    return nodes, cached
