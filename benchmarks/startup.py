"""What commands cost before they work: processor seconds, elapsed seconds and peak memory, a process each.

    python benchmarks/startup.py [--out FOLDER] [--repeats 5] [--json FILE] [--picture FILE]

Peers in the same run: `import tensorflow`, without which stock code predicts nothing, and `import tfx.v1`, with which a
stock pipeline starts. 'imports of a run' is what `farebox run` imports before its first node; 'cached run' is the whole
command where nothing has changed. FOLDER has, or gets, a Chicago run: about two minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from processes import machine, measured, medians, python

FAREBOX = "from farebox.pipeline.cli import main; main()"
TENSORFLOW, TFX = "import tensorflow", "import tfx.v1"
IMPORTS_OF_A_RUN = (
    "from farebox.pipeline.local import libraries; libraries.configure_libraries(); "
    "import farebox.pipeline.local.launch, farebox.pipeline.graph"
)
TRIP = ("--pickup=-87.63,41.88", "--dropoff=-87.65,41.90", "--hour=9", "--weekday=1")


@dataclasses.dataclass(frozen=True)
class Case:
    """A command: Python code, its arguments, the peer that it is held against, and CPU seconds that it may take."""

    code: str
    arguments: tuple[str, ...] = ()
    peer: str | None = None
    bound: float | None = None


def main() -> None:
    """Measures every case, prints the table, writes what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a folder with runs/ and models/; left out, a temporary one")
    parser.add_argument("--repeats", type=int, default=5, help="medians of so many processes, after one that warms up")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--picture", type=Path, help="a PNG of the CPU seconds")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats={options.repeats} must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        prepare(out)
        asked = cases(out)
        results = {name: measure(case, options.repeats) for name, case in asked.items()}
    print(table(results, asked))
    if options.json:
        found = {"machine": machine(), "repeats": options.repeats, "results": results}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.picture:
        draw(results, asked, options.picture)


def prepare(out: Path) -> None:
    """A run of the code as it is, so that the next one finds every node in the cache."""
    print(f"running Chicago in {out}", file=sys.stderr)
    with tempfile.NamedTemporaryFile() as log:
        measured(command(farebox("run", "--out", str(out))), Path(log.name))


def cases(out: Path) -> dict[str, Case]:
    """By name; the peers last."""
    models = str(out / "models" / "chicago")
    return {
        "farebox --help": farebox("--help", bound=0.3),
        "farebox models": farebox("models", "--out", str(out), bound=0.3),
        "farebox verify": farebox("verify", models),
        "farebox predict": farebox("predict", "--model", models, *TRIP, bound=1.0),
        "imports of a run": Case(IMPORTS_OF_A_RUN, peer=TFX, bound=10.0),
        "cached run": dataclasses.replace(farebox("run", "--out", str(out), bound=12.0), peer=TFX),
        TENSORFLOW: Case(TENSORFLOW),
        TFX: Case(TFX),
    }


def farebox(*arguments: str, bound: float | None = None) -> Case:
    """The command `farebox`."""
    return Case(FAREBOX, arguments, TENSORFLOW, bound)


def command(case: Case) -> list[str | Path]:
    """What starts it."""
    return python("-c", case.code, *case.arguments)


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Medians of `repeats` processes, after one that fills the page cache and writes bytecode."""
    with tempfile.NamedTemporaryFile() as log:
        return medians([measured(command(case), Path(log.name)) for _ in range(repeats + 1)][1:])


def ratio(results: Mapping[str, Mapping[str, float]], name: str, case: Case) -> float | None:
    """How many times its CPU seconds the peer takes; None for a peer."""
    return results[case.peer]["cpu_s"] / results[name]["cpu_s"] if case.peer else None


def table(results: Mapping[str, Mapping[str, float]], asked: Mapping[str, Case]) -> str:
    """A Markdown line per case."""
    lines = ["| command | CPU s | bound | elapsed s | peak MB | peer's CPU s / ours |", "|---|---|---|---|---|---|"]
    for name, row in results.items():
        case, times = asked[name], ratio(results, name, asked[name])
        bound = "" if case.bound is None else f"{case.bound:g}{'' if row['cpu_s'] <= case.bound else ' (missed)'}"
        against = f"{times:.1f} ({case.peer})" if times else ""
        lines.append(
            f"| {name} | {row['cpu_s']:.2f} | {bound} | {row['wall_s']:.2f} | {row['peak_mb']:.0f} | {against} |"
        )
    return "\n".join(lines)


def draw(results: Mapping[str, Mapping[str, float]], asked: Mapping[str, Case], path: Path) -> None:
    """A bar per case, peers grey; what each may take is a mark."""
    from matplotlib.figure import Figure

    names = list(results)[::-1]
    figure = Figure((8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    seconds = [results[name]["cpu_s"] for name in names]
    bars = axes.barh(names, seconds, color=["tab:blue" if asked[name].peer else "silver" for name in names])
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    bounds = [(asked[name].bound, place) for place, name in enumerate(names) if asked[name].bound is not None]
    axes.plot(*zip(*bounds, strict=True), "|", color="crimson", markersize=16, label="bound")
    axes.set(xscale="log", xlabel="CPU seconds of the whole process", title="Start-up")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.15)
    axes.legend(fontsize=8)
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
