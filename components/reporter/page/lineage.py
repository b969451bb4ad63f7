"""The section of lineage: from the data to the bytes, what each node cost, the settings, how to repeat the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.atomic_pusher.commit import DIRTY
from farebox.components.errors import number
from farebox.components.reporter.figures import Figures
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import bars
from farebox.components.reporter.page.over_time import RunPoint

LANES = {"A": "TFX 1.16, Python 3.10", "B": "TFX 1.21, Python 3.11 to 3.13"}
UNCOMMITTED = (
    "Warning: the code of this run had changes that are not committed. Commit {commit} alone does not repeat it: "
    "commit the changes and run again."
)


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """A node of the run: CPU and elapsed seconds, peak memory in MB, and whether its result came from the cache."""

    name: str
    cpu_s: float
    wall_s: float | None
    peak_mb: float
    is_cached: bool = False


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """Facts that only the runner knows; empty on a cluster.

    settings: those that differ from their defaults, as text by key; defaults: of these. changed: (before, now) of those
    that differ from the run before. command: repeats the run. source: of the trips. libraries: versions by name.
    earlier: runs, the oldest first. seeds: by setting. machine: that the nodes ran on. What is empty was not kept.
    """

    nodes: tuple[NodeRun, ...] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    command: str = ""
    source: str = ""
    lane: str = ""
    commit: str = ""
    libraries: Mapping[str, str] = dataclasses.field(default_factory=dict)
    earlier: tuple[RunPoint, ...] = ()
    defaults: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seeds: Mapping[str, int] = dataclasses.field(default_factory=dict)
    python: str = ""
    machine: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunFacts:
        """Reads what `dataclasses.asdict` gives."""
        return cls(**{
            **content,
            "nodes": tuple(NodeRun(**node) for node in content["nodes"]),
            "earlier": tuple(map(RunPoint.from_json, content.get("earlier", ()))),
            "changed": {key: (before, now) for key, (before, now) in content["changed"].items()},
        })  # fmt: skip


def section(figures: Figures, sections: Mapping[str, Any], facts: RunFacts) -> Section:
    """Tables of digests, costs and settings; sections: as `reporter.content` gathers them."""
    blocks: list[Block] = [digests(figures, sections.get("origin") or {}, facts)]
    nodes = facts.nodes or tuple(NodeRun(**node) for node in sections.get("costs", ()))
    if nodes:
        blocks.append(costs(nodes, facts.machine))
    else:
        blocks.append(missing("Costs by node: no node of this run left its cost."))
    if nodes and not facts.nodes:
        blocks.append(
            missing(
                "Nodes that only look things up have no cost here; Reporter's is what it took up to this page; "
                "a cached node has the cost of the run that it came from."
            )
        )
    if facts.settings:
        rows = [(key, value, facts.defaults.get(key, "–")) for key, value in facts.settings.items()]
        head, note = ("setting", "value", "default"), "A dash: the city file must set it, so it has no default."
        blocks.append(table("Settings that differ from the defaults", head, rows, 3, note))
    else:
        blocks.append(missing("Settings: none differs from its default, or the cluster's pipeline has them."))
    if facts.changed:
        rows3 = [(key, before, now) for key, (before, now) in facts.changed.items()]
        blocks.append(table("Settings that differ from the run before", ("setting", "before", "now"), rows3, 3))
    if facts.command:
        blocks += repeat(facts, sections.get("origin") or {})
    return Section("lineage", "Lineage", tuple(blocks))


def digests(figures: Figures, origin: Mapping[str, Any], facts: RunFacts) -> Block:
    """Origin of the bytes, with the digests that tell whether anything changed."""
    measured = figures.measured
    rows = [("trips", facts.source or "–"), ("spans", origin.get("spans") or "the trips come without spans")]
    if origin.get("fingerprint"):
        rows.append(("fingerprint of the files", origin["fingerprint"]))
    if measured:
        counts = measured.rows
        rows.append(("rows", f"{counts.read:,} read, {counts.examples:,} trips, {counts.rejected:,} rejected"))
        model = measured.model
        form = " + ".join((model.mode, *model.steps))
        rows.append(("file", f"{model.bytes:,} bytes, {form} of the {model.network} network"))
        rows.append(("SHA-256 of the file", model.sha256))
        if measured.baseline and measured.baseline.sha256:
            rows.append(("SHA-256 of the last accepted file", measured.baseline.sha256))
    rows.append(("pushed to", figures.pushed or "nothing was pushed"))
    return table("From the trips to the bytes", ("what", "value"), rows, 2)


def costs(nodes: Sequence[NodeRun], machine: str) -> Figure:
    """CPU seconds of each node in the order in which they ran; elapsed time and memory in the table."""
    rows = [
        (node.cpu_s, None, None, f"{node.name}: {number(node.cpu_s, 3)} CPU s, peak {node.peak_mb:,.0f} MB")
        for node in nodes
    ]
    title = "Cost of each node, in the order of the graph"
    svg = bars([node.name for node in nodes], "CPU seconds", rows, name=title)
    cells = [
        (node.name, number(node.cpu_s, 3), number(node.wall_s, 3), f"{node.peak_mb:,.0f}",
         "cached" if node.is_cached else "ran")
        for node in nodes
    ]  # fmt: skip
    head = ("node", "CPU s", "elapsed s", "peak MB", "")
    total, where = sum(node.cpu_s for node in nodes), f" on {machine}" if machine else ""
    note = f"{total:.1f} CPU seconds in all{where}. Elapsed time is longer if other work shares the machine."
    return Figure(title, "CPU seconds", svg, table(title, head, cells), note)


def repeat(facts: RunFacts, origin: Mapping[str, Any]) -> list[Block]:
    """The steps, from the code to the command, and the versions that it ran with; a warning if the code had changes."""
    commit = facts.commit.removesuffix(DIRTY)
    install = f"git checkout {commit} && make setup" if commit else "install the wheel or image that this run had"
    seeds = ", ".join(f"{name} {seed}" for name, seed in facts.seeds.items())
    rows = [
        ("1. the code", install),
        ("2. Python", f"{facts.python or 'version not recorded'}, lane {facts.lane}: {LANES.get(facts.lane, '')}"),
        ("3. the trips", f"{facts.source or '–'}, fingerprint {origin.get('fingerprint') or 'not recorded'}"),
        ("4. the command", facts.command),
        ("seeds", seeds or "not recorded"),
        ("machine", facts.machine or "not recorded"),
    ]
    rows += [(name, version) for name, version in facts.libraries.items()]
    note = "The same code, versions, trips, settings and seeds give the same file; times differ."
    blocks: list[Block] = [table("How to repeat this run", ("what", "value"), rows, 2, note)]
    if facts.commit.endswith(DIRTY):
        blocks.insert(0, missing(UNCOMMITTED.format(commit=commit)))
    return blocks
