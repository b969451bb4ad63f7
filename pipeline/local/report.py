"""The page of a local run: `report.html` in its folder, and `report.json`, from which it can be written again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from farebox.components.atomic_pusher.commit import code_commit
from farebox.components.device_validator.machine import machine
from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.components.reporter.figures import CONTENT_FILE, FAULT, PAGE_FILE, Figures
from farebox.components.reporter.page.lineage import NodeRun, RunFacts
from farebox.components.reporter.page.over_time import RunPoint
from farebox.components.reporter.page.render import About, Page, point_of, render
from farebox.pipeline import provenance
from farebox.pipeline.local.folder import LATEST, SUMMARY_FILE
from farebox.pipeline.node_configs import about
from farebox.pipeline.settings.load import Settings

if TYPE_CHECKING:
    from farebox.pipeline.local.meter import Cost

FACTS_FILE = "report.json"
EARLIER_RUNS = 19  # that a page shows beside its own
LATEST_RUNS = 10  # in which a node's last time is looked for; the link `latest` is one more
# Artifacts of a run without a report, by the name that Reporter has for them; of a span if it stopped the run.
DATA_KEYS = {
    "raw_examples": ("examples",),
    "statistics": ("StatisticsGen.statistics", "SpanStatistics.statistics"),
    "baseline_statistics": ("LatestStatistics.statistics", "SpanBaseline.statistics"),
}
PRIVATE = ("notify", "metadata", "tracking", "out")  # may hold secrets, or tell nothing of the model


def write(
    settings: Settings, run_id: str, figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost]
) -> Path:
    """Writes both files into the run's folder and returns the page; produced: as `run_graph` returns it."""
    folder = settings.runs_dir / run_id
    content = {
        "sections": sections_of(produced),
        "about": {**json.loads(about(settings)), "run_id": run_id, "date": day(run_id)},
        "facts": dataclasses.asdict(facts_of(settings, run_id, costs)),
    }
    write_atomically(folder / FACTS_FILE, json.dumps(content))
    return write_page(folder, figures, content)


def write_again(folder: Path) -> Path:
    """Writes the page of a run from its files and returns it. Raises InputError if the run has none."""
    files = {name: folder / name for name in (SUMMARY_FILE, FACTS_FILE)}
    for path in files.values():
        if not path.is_file():
            raise InputError(f"run={folder} must have {path.name}, which a run writes at its end; run again")
    try:
        summary, content = (json.loads(path.read_text()) for path in files.values())
    except ValueError as error:
        raise InputError(f"run={folder} must have files of JSON, got {error}") from error
    return write_page(folder, Figures.from_json(summary), content)


def write_page(folder: Path, figures: Figures, content: Mapping[str, Any]) -> Path:
    """Writes the page from figures and the content of report.json."""
    facts, shown = RunFacts.from_json(content["facts"]), About(**content["about"])
    page = folder / PAGE_FILE
    write_atomically(page, render(Page(figures, content["sections"], shown, facts)))
    return page


def sections_of(produced: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The contents that Reporter gathered; without it, what the artifacts of a refused run tell of the data.

    Raises RuntimeError if Reporter could not gather them.
    """
    if produced.get("report"):
        path = Path(produced["report"][0].uri) / CONTENT_FILE
        sections: dict[str, Any] = json.loads(path.read_text())
        if FAULT in sections:
            raise RuntimeError(f"Reporter could not gather its contents: {sections[FAULT]}")
        return sections
    from farebox.components.reporter import content

    found = {name: next(filter(None, map(produced.get, keys)), None) for name, keys in DATA_KEYS.items()}
    return content.of_data({name: artifacts[0] for name, artifacts in found.items() if artifacts})


def facts_of(settings: Settings, run_id: str, costs: Mapping[str, Cost]) -> RunFacts:
    """Facts of the runner: costs, settings and how they differ from the run before, the command, the versions."""
    differences = list(differing(settings))
    nodes = [NodeRun(name, cost.cpu_s, cost.wall_s, cost.peak_mb, cost.is_cached) for name, cost in costs.items()]
    return RunFacts(
        nodes=tuple(nodes),
        settings={name: as_yaml(value) for name, value, _ in differences},
        changed=changed_since(settings_of(settings.runs_dir / LATEST), settings),
        command=command(),
        source=settings.data,
        lane=provenance.lane(),
        commit=code_commit() or "",
        libraries=provenance.versions(),
        earlier=earlier_runs(settings.runs_dir, run_id),
        defaults={name: text for name, _, default in differences if (text := text_of_default(default))},
        seeds=seeds_of(settings),
        python=platform.python_version(),
        machine=machine(),
    )


def changed_since(before: Mapping[str, str] | None, settings: Settings) -> dict[str, tuple[str, str]]:
    """Before and now of each setting that differs from a record of an earlier run; nothing without a record.

    Older versions recorded a value as Python writes it, so a text of either form is the same value.
    """
    now = {name: value for name, value, _ in differing(settings)}
    texts = {name: as_yaml(value) for name, value in now.items()}
    defaults = {name: f"{default}, the default" for name, default in all_defaults(settings)}
    return {
        name: (before.get(name, defaults.get(name, "none")), texts.get(name, defaults.get(name, "none")))
        for name in sorted({**before, **now})
        if name not in now or before.get(name) not in (texts[name], str(now[name]))
    } if before is not None else {}  # fmt: skip


def earlier_runs(runs_dir: Path, run_id: str) -> tuple[RunPoint, ...]:
    """The latest runs before this one, the oldest first; without those whose summary is damaged."""
    folders = [path.parent for path in runs_dir.glob(f"*/{SUMMARY_FILE}") if not path.parent.is_symlink()]
    names = sorted(folder.name for folder in folders if folder.name < run_id)
    points: list[RunPoint] = []
    for name in names[-EARLIER_RUNS:]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # half a file, or of another Farebox
            figures = Figures.from_json(json.loads((runs_dir / name / SUMMARY_FILE).read_text()))
            points.append(point_of(name, figures))
    return tuple(points)


def settings_of(folder: Path) -> dict[str, str] | None:
    """The settings that an earlier run's report names; None without such a report."""
    try:
        found: dict[str, str] = json.loads((folder / FACTS_FILE).read_text())["facts"]["settings"]
    except (OSError, ValueError, KeyError):
        return None
    return found


def seconds_by_node(runs_dir: Path) -> dict[str, float]:
    """Elapsed seconds of each node the last time that it did not come from the cache, in the latest runs; empty
    without any."""
    seconds: dict[str, float] = {}
    for path in sorted(runs_dir.glob(f"*/{FACTS_FILE}"), reverse=True)[: LATEST_RUNS + 1]:
        try:
            nodes = json.loads(path.read_text())["facts"]["nodes"]
            ran = {node["name"]: float(node["wall_s"]) for node in nodes if not node["is_cached"]}
        except (OSError, ValueError, KeyError, TypeError):  # half a file, or of another Farebox
            continue
        seconds = {**ran, **seconds}
    return seconds


def seeds_of(settings: Settings) -> dict[str, int]:
    """The seed of each section that has one, by its setting."""
    sections = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {f"{name}.seed": section.seed for name, section in sections.items() if hasattr(section, "seed")}


def differing(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key, value and default of each setting that differs from its default; the default MISSING without one."""
    for field in dataclasses.fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        if name in PRIVATE:
            continue
        if dataclasses.is_dataclass(value):
            yield from differing(value, f"{name}.")
        elif value != (default := default_of(field)):
            yield name, value, default


def all_defaults(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and default of each setting that has one, as text."""
    for field in dataclasses.fields(settings):
        name, value, default = prefix + field.name, getattr(settings, field.name), default_of(field)
        if dataclasses.is_dataclass(value):
            yield from all_defaults(value, f"{name}.")
        elif default is not dataclasses.MISSING:
            yield name, text_of_default(default)


def text_of_default(default: Any) -> str:
    """A default as text: `none` for one that is empty, nothing where there is no default."""
    if default is dataclasses.MISSING:
        return ""
    return "none" if default is None or default in ("", (), {}) else as_yaml(default)


def as_yaml(value: Any) -> str:
    """A setting's value in one line, as a city file has it."""
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(plain(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def plain(value: Any) -> Any:
    """Mappings and lists of a setting's value; of a dataclass the fields that differ from their defaults."""
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: plain(each) for field, each in fields if each != default_of(field)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass field; MISSING, which no value equals, without one."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def command() -> str:
    """The command that this process runs; for a call of the library, how to make it."""
    if Path(sys.argv[0]).name == "farebox":
        return shlex.join(["farebox", *sys.argv[1:]])
    return "farebox.run(settings), from Python"


def day(run_id: str) -> str:
    """The day in a run's id, ISO 8601."""
    return f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}"
