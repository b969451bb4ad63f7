"""Where a pushed file runs: every LiteRT runtime, the web, microcontrollers, and its source code without a runtime.

    python benchmarks/devices.py MODEL... [--npm DIR] [--kotlin DIR] [--python PYTHON] [--json FILE]

MODEL is a version's folder or models/CITY, with golden.json beside the file. Prints a Markdown table for each: whether
a runtime gives the golden rows' fares to 1e-4, the largest difference, the bytes that a device carries, and the time of
a row. What is not installed is "not tried". browser.py says how to fill the folder of npm, tools/kotlin.sh that of
Kotlin's compiler; PYTHON is one with ai-edge-litert 2.3, which brings `litert-benchmark`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import browser
import numpy as np
from processes import machine
from whole_runs import one_line_errors

EQUAL = 1e-4  # of the output's unit
ROWS = 20_000  # of a timing loop
# Files of each runtime that a program carries, of the packages as installed here.
LIBRARIES = {
    "interpreter": "ai_edge_litert/libpywrap_litert_common.so",
    "compiled_model": "ai_edge_litert/libLiteRtRuntimeCApi.so",
    "tflite_micro": "tflite_micro/python/tflite_micro/_runtime.so",
    "@litertjs/core": "wasm/litert_wasm_internal.wasm",
    "@tensorflow/tfjs-tflite": "wasm/tflite_web_api_cc_simd.wasm",
}
TIMED = {
    "c": """#include "fare.h"
#include <stdio.h>
#include <time.h>
int main(void) {{
    float sum = 0; clock_t start = clock();
    for (int i = 0; i < {rows}; i++) sum += farebox_fare({arguments});
    printf("%g us %g\\n", 1e6 * (clock() - start) / CLOCKS_PER_SEC / {rows}, (double)sum);
    return 0;
}}
""",
    "js": """import {{ fare }} from "./fare.mjs";
for (let round = 0; round < 2; round++) {{
  let sum = 0; const start = performance.now();
  for (let i = 0; i < {rows}; i++) sum += fare({arguments});
  if (round) console.log(`${{1000 * (performance.now() - start) / {rows}}} us ${{sum}}`);
}}
""",
}
TIMERS = {
    "c": "cc -std=c99 -O2 -ffp-contract=off fare.c timed.c -lm -o timed && ./timed",
    "js": "node timed.mjs",
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
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    results = {}
    with one_line_errors("devices"):
        for model in options.model:
            rows = list(measure(model, options))
            results[model] = [dataclasses.asdict(row) for row in rows]
            print(table(model, rows), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")


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
    yield from in_runtimes(model.path.read_bytes(), columns, expected)
    yield in_litert_benchmark(model.path, options.python)
    for package in browser.PAGES:
        yield in_page(package, model.path, types, expected, options.npm)
    for language in ("c", "js", "rust", "kotlin", "python"):
        yield as_source(language, place, columns, options.kotlin)


def in_runtimes(content: bytes, columns: Mapping[str, Any], expected: Any) -> Iterator[Row]:
    """The runtimes that DeviceValidator tries."""
    from farebox.components.device_validator.runtimes.trials import try_runtimes
    from farebox.components.tflite.interpreter import TfliteModel, measure_latency_us

    model = TfliteModel(content)
    one = {name: values[-1:] for name, values in columns.items()}
    for trial in try_runtimes(model, columns, expected, EQUAL):
        timed = {"interpreter": True, "interpreter_without_xnnpack": False}.get(trial.runtime)
        us = None if timed is None else measure_latency_us(TfliteModel(content, delegates=timed), one, 2000, 200)[0]
        verdict = f"runs, equal to {EQUAL:g}" if trial.result == "runs" else f"{trial.result}: {trial.detail}"
        library = _library(LIBRARIES.get(trial.runtime, LIBRARIES["interpreter"]))
        title = " ".join(filter(None, [trial.title, trial.version]))
        yield Row(title, verdict, trial.largest_difference, library, us, trial.arena_bytes)


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
    return _compared(name, np.array(answer["outputs"]), expected, size, answer["us"])


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
        tool = command.split()[0]
        if not command or shutil.which(tool) is None:
            return Row(name, f"not tried: {tool if command else 'the Kotlin compiler (--kotlin)'}")
        ended = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False)
        found = re.search(r"largest difference ([\d.e+-]+)", ended.stdout)
        if ended.returncode or not found:
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
    """Microseconds of a row in a loop; None for a language without one."""
    if language not in TIMED:
        return None
    suffix = "f" if language == "c" else ""
    arguments = ", ".join(
        f"{float(values[-1])!r}{suffix}" if values.dtype.kind == "f" else str(values[-1]) for values in columns.values()
    )
    timed = Path(folder) / ("timed.c" if language == "c" else "timed.mjs")
    timed.write_text(TIMED[language].format(rows=ROWS, arguments=arguments))
    ended = subprocess.run(TIMERS[language], shell=True, cwd=folder, capture_output=True, text=True, check=True)
    return float(ended.stdout.split(" us ")[0])


def _compared(name: str, outputs: Any, expected: Any, size: int, us: float) -> Row:
    difference = float(np.abs(outputs - expected).max())
    verdict = f"runs, equal to {EQUAL:g}" if difference <= EQUAL else f"differs by {difference:.2g}"
    return Row(name, verdict, difference, size, us)


def _library(name: str) -> int | None:
    """Bytes of a package's file; None if it is not installed."""
    import importlib.util

    spec = importlib.util.find_spec(name.partition("/")[0])
    if spec is None or not spec.submodule_search_locations:
        return None
    return (Path(spec.submodule_search_locations[0]) / name.partition("/")[2]).stat().st_size


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]


def table(model: str, rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [
        f"\n{model}\n",
        "| runtime | result | difference | runtime, KB | µs a row | arena, B |",
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
