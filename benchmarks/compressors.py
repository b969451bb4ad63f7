"""Small float networks through several compressors: bytes, gzip, error on rows that none of them saw, and time.

    python benchmarks/compressors.py [--networks mlp,digits] [--tools farebox,...] [--out FOLDER] [--quantizer PYTHON]
        [--picture FILE]

Each network and each tool is a process of its own, and leaves its file in --out: what is there is not made again. Rows
are split 3 : 1 : 1 into those that fit, those that choose (Farebox's) and those that only measure. --quantizer: the
Python of an environment with ai-edge-quantizer, which needs Python 3.11: `uv venv -p 3.12 DIR; uv pip install -p
DIR/bin/python ai-edge-quantizer==0.10.0`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from compressor_networks import CLASSES_LOSS, NETWORKS
from compressor_tools import FLOAT32, OURS, RECIPES, TOOLS
from whole_runs import Parser, one_line_errors

from farebox.components.errors import InputError

Array = npt.NDArray[Any]
TIMEOUT_S = 1500  # of a tool
EQUAL = 1.01  # of the float32 file's error: a file up to here has an equal error
QUANTIZER_SCRIPT = Path(__file__).with_name("compressor_recipes.py")


@dataclasses.dataclass(frozen=True)
class Line:
    """A file's figures. error: on rows that chose nothing, over the float32 file's; us: one row, p50."""

    tool: str
    bytes: int
    gzip_bytes: int
    error: float
    us: float

    @property
    def is_equal(self) -> bool:
        return self.error <= EQUAL


def main() -> None:
    """Runs the command."""
    with one_line_errors("compressors"):
        options = parse()
        found = {}
        for network in options.networks:
            folder = options.out / network
            made(folder / "rows.npz", "--make", network, folder)
            failed = {tool: failure for tool in options.tools if (failure := file_of(options, folder, tool))}
            made(folder / "lines.json", "--measure", folder, anew=True)
            found[network] = [Line(**line) for line in json.loads((folder / "lines.json").read_text())]
            print(table(network, found[network], failed), flush=True)
        if options.picture:
            draw(found, options.picture)


def parse() -> argparse.Namespace:
    """Reads and checks the options. Raises InputError."""
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS), help="some of these, separated by commas")
    parser.add_argument("--tools", default=",".join(TOOLS), help="some of these, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/compressors"))
    parser.add_argument("--quantizer", help="Python of an environment with ai-edge-quantizer; without it, not tried")
    parser.add_argument("--picture", type=Path, help="also draw the result: a PNG")
    options: argparse.Namespace = parser.parse_args()
    for name, known in (("networks", NETWORKS), ("tools", TOOLS)):
        chosen = getattr(options, name).split(",")
        if unknown := [each for each in chosen if each not in known]:
            raise InputError(f"--{name}={unknown[0]} must be one of {', '.join(known)}")
        setattr(options, name, chosen)
    options.tools = [FLOAT32, *(tool for tool in options.tools if tool != FLOAT32)]
    return options


def file_of(options: argparse.Namespace, folder: Path, tool: str) -> str:
    """Makes a tool's file if it is not there; returns in words why there is none."""
    target = folder / f"{tool}.tflite"
    if target.exists():
        return ""
    if tool in RECIPES and not options.quantizer:
        return "not tried: no --quantizer"
    python = options.quantizer if tool in RECIPES else sys.executable
    script = QUANTIZER_SCRIPT if tool in RECIPES else Path(__file__).with_name("compressor_tools.py")
    return run([python, script, RECIPES.get(tool, tool), folder, target], folder / f"{tool}.log")


def made(target: Path, *arguments: object, anew: bool = False) -> None:
    """Makes a file in a child process if it is not there. Raises InputError if it cannot be made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if anew or not target.exists():
        log = target.with_suffix(".log")
        script = Path(__file__).with_name("compressor_tools.py")
        if failure := run([sys.executable, script, *arguments], log):
            raise InputError(f"{target} cannot be made: {failure}; see {log}")


def run(command: Sequence[object], log: Path) -> str:
    """Runs a process; returns in words how it failed, empty if it did not."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": path} if str(command[0]) == sys.executable else {}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1", **own}
    with log.open("w") as words:
        try:
            ended = subprocess.run(
                [str(each) for each in command], env=environment, stdout=words, stderr=words, check=False,
                timeout=TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no file within {TIMEOUT_S} s"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return (lines[-1].strip()[:120] if lines else f"exit code {ended.returncode}") if ended.returncode else ""


def table(network: str, lines: Sequence[Line], failed: Mapping[str, str]) -> str:
    """A network's table in Markdown; the smallest of the files with an equal error are bold."""
    equal = [line for line in lines if line.is_equal]
    raw, packed = (min((getattr(line, key) for line in equal), default=0) for key in ("bytes", "gzip_bytes"))
    rows = [f"| {network} | bytes | gzip | error / float32 | one row, µs |", "|---|--:|--:|--:|--:|"]
    for line in lines:
        sizes = [
            f"**{size:,}**" if line.is_equal and size == best else f"{size:,}"
            for size, best in ((line.bytes, raw), (line.gzip_bytes, packed))
        ]
        rows.append(f"| {line.tool} | {sizes[0]} | {sizes[1]} | {line.error:.4f} | {line.us:.1f} |")
    rows += [f"| {tool} | | | {reason} | |" for tool, reason in failed.items()]
    return "\n".join([*rows, ""])


def measure(folder: Path) -> list[Line]:
    """The figures of the folder's files, in the order of TOOLS, timed in turns."""
    from farebox.components.networks.objective import Objective
    from farebox.components.quantizer.child import Child, ChildError
    from farebox.components.quantizer.native import latencies_us, predictions
    from farebox.components.tflite.files import gzip_bytes

    columns, labels, loss = rows_of(folder, "test")
    n_classes = int(labels.max()) + 1
    objective = Objective("classes", "log_loss", n_classes) if loss == CLASSES_LOSS else Objective()
    files = {tool: path.read_bytes() for tool in TOOLS if (path := folder / f"{tool}.tflite").exists()}
    errors: dict[str, float] = {}
    with Child() as call:
        for tool, content in files.items():
            try:
                (answers,) = call(predictions, content, [columns], 1)
            except (ChildError, InputError) as refusal:
                print(f"{folder.name}, {tool}: {refusal}", file=sys.stderr)
                continue
            running = objective.running()
            running.update(answers, labels)
            errors[tool] = running.error
        times = call(latencies_us, [files[tool] for tool in errors], {name: each[:1] for name, each in columns.items()})
    return [
        Line(tool, len(files[tool]), gzip_bytes(files[tool]), error / errors[FLOAT32], p50)
        for (tool, error), (p50, _) in zip(errors.items(), times, strict=True)
    ]


def rows_of(folder: Path, part: str) -> tuple[dict[str, Array], Array, str]:
    """Columns, labels and loss of a network's rows. part: train, evaluation or test."""
    stored = dict(np.load(folder / "rows.npz"))
    labels, loss = stored.pop("label"), str(stored.pop("loss"))
    fifth = len(labels) // 5
    rows = {"train": slice(None, -2 * fifth), "evaluation": slice(-2 * fifth, -fifth), "test": slice(-fifth, None)}
    return {name: values[rows[part]] for name, values in stored.items()}, labels[rows[part]], loss


def draw(found: Mapping[str, Sequence[Line]], path: Path) -> None:
    """A panel for each network: a bar of each file's bytes after gzip, pale if its error is not equal; ours are red."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(len(found), 4)
    rows = -(-len(found) // columns)
    size = 4.5 * columns, 3 * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(found) :]:
        axis.set_axis_off()
    for axis, (network, lines) in zip(axes.flat, found.items(), strict=False):
        for place, line in enumerate(reversed(lines)):
            colour = "tab:red" if line.tool in OURS else "tab:blue"
            size_kb = line.gzip_bytes / 1000
            axis.barh(place, size_kb, color=colour, alpha=1.0 if line.is_equal else 0.25)
            axis.text(size_kb, place, f" {size_kb:.1f} KB, error {line.error:.3f}", va="center", fontsize=7)
        axis.set_yticks(range(len(lines)), [line.tool for line in reversed(lines)], fontsize=7)
        axis.set_xlim(0, 1.6 * max(line.gzip_bytes for line in lines) / 1000)
        axis.set(title=network, xlabel="KB after gzip")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
