"""Runs a pushed file in every LiteRT runtime, in web pages and on microcontrollers, and its exported source code.

    python benchmarks/devices.py MODEL... [--npm DIR] [--kotlin DIR] [--python PYTHON] [--older PYTHON] [--json FILE]

MODEL is a version's folder or models/CITY, with golden.json beside the file. Prints a Markdown table for each: whether
a runtime gives the golden rows' fares to 1e-4, the largest difference, the bytes that a device carries, and the time of
a row. What is not installed is "not tried". browser.py says how to fill the folder of npm, tools/kotlin.sh that of
Kotlin's compiler; --python is one with ai-edge-litert 2.3, which brings `litert-benchmark`, --older one with
tflite-runtime 2.14. Times are medians of rows or of loops.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import browser
import numpy as np
from processes import machine
from whole_runs import one_line_errors

EQUAL = 1e-4  # of the output's unit
ROWS, ROUNDS = 20_000, 5  # of a timing loop, and loops of which the median counts
OLDER = "tflite-runtime"
# Files of each runtime that a program carries, of the packages as installed here, as a glob.
LIBRARIES = {
    "interpreter": "ai_edge_litert/libpywrap_litert_common.so",
    "compiled_model": "ai_edge_litert/libLiteRt[.R]*so",  # libLiteRtRuntimeCApi.so, since 2.0 libLiteRt.so
    "tflite_micro": "tflite_micro/python/tflite_micro/_runtime.so",
    "@litertjs/core": "wasm/litert_wasm_internal.wasm",
    "@tensorflow/tfjs-tflite": "wasm/tflite_web_api_cc_simd.wasm",
}
TIMED = {
    "c": """#include "fare.h"
#include <stdio.h>
#include <time.h>
int main(void) {{
    float sum = 0;
    for (int round = 0; round < {rounds}; round++) {{
        clock_t start = clock();
        for (int i = 0; i < {rows}; i++) sum += farebox_fare({arguments});
        printf("%g us\\n", 1e6 * (clock() - start) / CLOCKS_PER_SEC / {rows});
    }}
    return sum == 0.5f;
}}
""",
    "js": """import {{ fare }} from "./fare.mjs";
let sum = 0;
for (let round = 0; round < {rounds}; round++) {{
  const start = performance.now();
  for (let i = 0; i < {rows}; i++) sum += fare({arguments});
  console.log(`${{1000 * (performance.now() - start) / {rows}}} us`);
}}
globalThis.sum = sum;
""",
    "rust": """mod fare;
use std::{{hint::black_box, time::Instant}};
fn main() {{
    for _ in 0..{rounds} {{
        let start = Instant::now();
        for _ in 0..{rows} {{ black_box(fare::fare({arguments})); }}
        println!("{{}} us", 1e6 * start.elapsed().as_secs_f64() / {rows}.0);
    }}
}}
""",
    "python": """import math, time
from fare import fare
nan = math.nan
for round in range({rounds}):
    start = time.perf_counter()
    for i in range({rows} // 100):
        fare({arguments})
    print(1e8 * (time.perf_counter() - start) / {rows}, "us")
""",
}
SUFFIXES = {"c": "c", "js": "mjs", "rust": "rs", "python": "py"}
ARGUMENTS = {"c": "{}f", "rust": "black_box({})"}  # of a float; an int in Rust gets the same
TIMERS = {
    "c": "cc -std=c99 -O2 -ffp-contract=off fare.c timed.c -lm -o timed && ./timed",
    "js": "node timed.mjs",
    "rust": "rustc -O timed.rs -o timed && ./timed",
    "python": f"{shlex.quote(sys.executable)} timed.py",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A runtime's line in the table; difference in the fare's unit, None without an answer."""

    name: str
    verdict: str
    difference: float | None = None
    runtime_bytes: int | None = None
    us: float | None = None
    arena_bytes: int | None = None


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="+", help="a version's folder, or models/CITY")
    parser.add_argument("--npm", type=Path, default=Path("npm"), help="folder of `npm install --prefix`")
    parser.add_argument("--kotlin", type=Path, help="folder of tools/kotlin.sh")
    parser.add_argument("--python", help="a Python with ai-edge-litert 2.3, for litert-benchmark")
    parser.add_argument("--older", help=f"a Python with {OLDER} 2.14")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    add_older(options.older)
    results = {}
    with one_line_errors("devices"):
        for model in options.model:
            rows = list(measure(model, options))
            results[model] = [dataclasses.asdict(row) for row in rows]
            print(table(model, rows), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")


def add_older(python: str | None) -> None:
    """Adds the predecessor of ai-edge-litert to the runtimes that are tried, in another environment's Python."""
    from farebox.components.device_validator.runtimes import child
    from farebox.components.device_validator.runtimes.table import RUNTIMES, Runtime

    command = (python, "-I", child.__file__) if python else ()
    RUNTIMES["tflite_runtime"] = Runtime(OLDER, OLDER, "interpreter", "", command=command)


def measure(place: str, options: argparse.Namespace) -> Iterator[Row]:
    """The lines of one model."""
    from farebox import FareModel

    model = FareModel.load(place)
    golden = json.loads(model.path.with_name("golden.json").read_text())
    types = {each.name: each.dtype for each in model.description.inputs}
    columns = {
        name: np.array([np.nan if value is None else value for value in golden["inputs"][name]], types[name])
        for name in types
    }
    (expected,) = (np.array(values, np.float32) for values in golden["outputs"].values())
    yield Row("the model", "", runtime_bytes=model.path.stat().st_size)
    yield from in_runtimes(model.path.read_bytes(), columns, expected, options.older)
    yield in_litert_benchmark(model.path, options.python)
    for package in browser.PAGES:
        yield in_page(package, model.path, types, expected, options.npm)
    for language in ("c", "js", "rust", "kotlin", "python"):
        yield as_source(language, place, columns, options.kotlin)


def in_runtimes(content: bytes, columns: Mapping[str, Any], expected: Any, older: str | None) -> Iterator[Row]:
    """The runtimes that DeviceValidator tries; older: the Python of tflite-runtime."""
    from farebox.components.device_validator.runtimes.trials import try_runtimes
    from farebox.components.tflite.interpreter import TfliteModel

    model = TfliteModel(content)
    for trial in try_runtimes(model, columns, expected, EQUAL):
        us = _row_us(trial.runtime, model, columns) if trial.result == "runs" else None
        verdict = f"runs, equal to {EQUAL:g}" if trial.result == "runs" else f"{trial.result}: {trial.detail}"
        title = " ".join(filter(None, [trial.title, trial.version]))
        size = _library_of(trial.runtime, older)
        yield Row(title, verdict, trial.largest_difference, size, us, trial.arena_bytes)


def _row_us(runtime: str, model: Any, columns: Mapping[str, Any]) -> float | None:
    """Median time of a row in a runtime of this environment.

    CompiledModel and tflite-micro run in child.py's functions: what ROWS // 20 more rows take, by their number.
    """
    from farebox.components.device_validator.runtimes import child
    from farebox.components.device_validator.runtimes.table import RUNTIMES
    from farebox.components.device_validator.runtimes.trials import structured
    from farebox.components.tflite.interpreter import TfliteModel, measure_latency_us

    delegates = {"interpreter": True, "interpreter_without_xnnpack": False}
    if runtime in delegates:
        one = {name: values[-1:] for name, values in columns.items()}
        return measure_latency_us(TfliteModel(model.content, delegates=delegates[runtime]), one, 2000, 200)[0]
    how, package, more = RUNTIMES[runtime].how, RUNTIMES[runtime].package, ROWS // 20
    if RUNTIMES[runtime].command:
        return None
    rows = structured(model, columns)[-1:]

    def seconds(count: int) -> float:
        start = time.perf_counter()
        child.RUNNERS[how](package, model.content, np.repeat(rows, count), "float32")
        return time.perf_counter() - start

    return float(np.median([1e6 * (seconds(more + 1) - seconds(1)) / more for _ in range(ROUNDS)]))


def in_litert_benchmark(model: Path, python: str | None) -> Row:
    """The command `litert-benchmark`, which gives times and no fares."""
    name = "litert-benchmark"
    if python is None:
        return Row(name, "not tried: ai-edge-litert 2.3 (--python)")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "result.json"
        module = "ai_edge_litert.tools.benchmark_litert_model"
        command = [python, "-m", module, f"--model={model}", f"--result_json={report}", "--num_runs=2000"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode or not report.is_file():
            return Row(name, f"refused: {_last_line(ended.stderr)}")
        found = re.search(r"Inference \(median\):\s+([\d.]+) ms", ended.stdout + ended.stderr)
        return Row(name, "runs", us=1000 * float(found.group(1)) if found else None)


def in_page(package: str, model: Path, types: dict[str, str], expected: Any, npm: Path) -> Row:
    """A runtime of npm in headless Chromium."""
    version = browser.version_of(package, npm)
    name = f"{package} {version or ''}".strip()
    if version is None or browser.chromium() is None:
        return Row(name, f"not tried: {package} (--npm)" if version is None else "not tried: chromium")
    answer = browser.in_browser(package, model, types, npm)
    size = (npm / "node_modules" / package / LIBRARIES[package]).stat().st_size
    if "error" in answer:
        return Row(name, f"refused: {answer['error']}", runtime_bytes=size)
    return _compared(name, np.array(answer["outputs"], np.float64), expected, size, answer["us"])


def as_source(language: str, place: str, columns: Mapping[str, Any], kotlin: Path | None) -> Row:
    """The exported source, compiled, on its golden rows."""
    from farebox import export
    from farebox.pipeline.commands.export import TEST_COMMANDS

    name = f"source: {language}"
    with tempfile.TemporaryDirectory() as folder:
        files = [path.name for path in export(place, language, folder) if path.suffix != ".h"]
        command = TEST_COMMANDS[language].format(*files)
        if language == "kotlin":
            command = _kotlin_command(kotlin, files)
        if language == "python":  # a system may call it python3
            command = command.replace("python", shlex.quote(sys.executable), 1)
        if not command:
            return Row(name, "not tried: the Kotlin compiler (--kotlin)")
        tool = shlex.split(command)[0]
        if shutil.which(tool) is None:
            return Row(name, f"not tried: {tool}")
        ended = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
        found = re.search(r"largest difference ([\d.e+-]+)", ended.stdout)
        if not found:  # a program that finds a larger difference than its own 1e-5 prints it, too
            return Row(name, f"fails: {ended.stdout.strip() or _last_line(ended.stderr)}")
        difference = float(found.group(1))
        verdict = f"runs, equal to {EQUAL:g}" if difference <= EQUAL else f"differs by {difference:.2g}"
        return Row(name, verdict, difference, _carried(language, folder, files[0]), _timed(language, folder, columns))


def _kotlin_command(folder: Path | None, files: Sequence[str]) -> str:
    if folder is None:
        return ""
    jars = sorted(folder.resolve().glob("*.jar"))
    library = next(str(jar) for jar in jars if jar.name.startswith("kotlin-stdlib"))
    compiler = f"java -cp {':'.join(map(str, jars))} org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    entry = f"{files[1].removesuffix('.kt')}Kt"
    return (
        f"{compiler} -no-stdlib -no-reflect -cp {library} -d classes {' '.join(files)} && "
        f"java -cp classes:{library} {entry}"
    )


def _carried(language: str, folder: str, source: str) -> int:
    """Bytes of the object code of C, or of the source."""
    if language != "c":
        return (Path(folder) / source).stat().st_size
    command = "cc -std=c99 -O2 -ffp-contract=off -c fare.c -o fare.o && size fare.o"
    sizes = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout
    return int(sizes.splitlines()[1].split()[3])


def _timed(language: str, folder: str, columns: Mapping[str, Any]) -> float | None:
    """Microseconds of a row, the median of the loops; None for a language without one."""
    if language not in TIMED:
        return None
    number = ARGUMENTS.get(language, "{}")
    arguments = ", ".join(
        number.format(repr(values[-1].item())) if values.dtype.kind == "f" or language == "rust" else str(values[-1])
        for values in columns.values()
    )
    timed = Path(folder) / f"timed.{SUFFIXES[language]}"
    timed.write_text(TIMED[language].format(rows=ROWS, rounds=ROUNDS, arguments=arguments))
    ended = subprocess.run(TIMERS[language], shell=True, cwd=folder, capture_output=True, text=True, check=True)
    return float(np.median([float(line.split()[0]) for line in ended.stdout.splitlines()]))


def _compared(name: str, outputs: Any, expected: Any, size: int, us: float) -> Row:
    difference = float(np.abs(outputs - expected).max())
    verdict = f"runs, equal to {EQUAL:g}" if difference <= EQUAL else f"differs by {difference:.2g}"
    return Row(name, verdict, difference, size, us)


def _library_of(runtime: str, older: str | None) -> int | None:
    """Bytes of the shared library of a runtime that DeviceValidator tries."""
    if runtime != "tflite_runtime":
        return _library(LIBRARIES.get(runtime, LIBRARIES["interpreter"]))
    found = Path(older).parent.parent.glob("lib/*/site-packages/tflite_runtime/*.so") if older else iter(())
    return next((path.stat().st_size for path in found), None)


def _library(name: str) -> int | None:
    """Bytes of a package's file, given as a glob; None if it is not installed."""
    import importlib.util

    package, _, pattern = name.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return next((path.stat().st_size for path in Path(spec.submodule_search_locations[0]).glob(pattern)), None)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]


def table(model: str, rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [
        f"\n{model}\n",
        "| runtime | result | difference | bytes, KB | µs a row | arena, B |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            "" if row.difference is None else f"{row.difference:.1e}",
            "" if row.runtime_bytes is None else f"{row.runtime_bytes / 1000:,.1f}",
            "" if row.us is None else f"{row.us:.2f}",
            "" if row.arena_bytes is None else f"{row.arena_bytes:,}",
        )
        lines.append(f"| {row.name} | {row.verdict} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
