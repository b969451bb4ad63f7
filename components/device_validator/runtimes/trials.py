"""Tries a file in each runtime of the table: a process each, so that what crashes or hangs is that runtime alone."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.device_validator.request import Columns, Numbers
from farebox.components.device_validator.runtimes import child
from farebox.components.device_validator.runtimes.table import RUNTIMES, Runtime, RuntimeTrial
from farebox.components.tflite import interpreter

TIMEOUT_S = 60  # of all runtimes: they run side by side
MAX_WORDS = 160  # characters of a runtime's own words
NOISE = re.compile(r"(INFO|WARNING|VERBOSE|DEBUG)\b|└|[IWV]\d{4} ")  # lines of a log that are no errors
TRACEBACK = "Traceback (most recent call last):"


def try_runtimes(
    model: interpreter.TfliteModel, rows: Columns, expected: Numbers | None, tolerance: float
) -> tuple[RuntimeTrial, ...]:
    """A trial of the file in each runtime of `RUNTIMES`.

    rows: all inputs, columns of shape (n,). expected: the Interpreter's outputs on them, shape (n,), None if it refuses
    the file; then no runtime's outputs count. tolerance: the largest difference from them, in the output's unit.
    """
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        (Path(folder) / "model.tflite").write_bytes(model.content)
        np.save(Path(folder) / "rows.npy", structured(model, rows))
        n_rows = len(next(iter(rows.values())))
        answers = pool.map(lambda name: _answer(RUNTIMES[name], Path(folder) / name, model, n_rows), RUNTIMES)
        trials = zip(RUNTIMES, answers, strict=True)
        return tuple(_trial(name, model, answer, expected, tolerance) for name, answer in trials)


def structured(model: interpreter.TfliteModel, rows: Columns) -> Numbers:
    """The rows as the file stores them: a structured array of shape (n,), a field per input in the file's order."""
    feed = dict(zip(model.input_names, model.feed(rows), strict=True))
    fields: list[Any] = [(name, values.dtype, values.shape[1:]) for name, values in feed.items()]
    stored = np.empty(len(next(iter(feed.values()))), fields)
    for name, values in feed.items():
        stored[name] = values
    return stored


def _answer(runtime: Runtime, place: Path, model: interpreter.TfliteModel, n_rows: int) -> dict[str, Any]:
    """The answer of a runtime's process; `failed`, in words, is there if it failed."""
    answer = place.with_suffix(".json")
    inputs = (str(place.with_name("model.tflite")), str(place.with_name("rows.npy")))
    dtype = np.dtype(model.output.dtype).name
    command = [*(runtime.command or this_python()), runtime.how, runtime.package, *inputs, dtype, str(answer)]
    failed, answered = _run(command), _read(answer)
    if not failed and (answered.get("version") is not None or not answered) and not _is_complete(answered, n_rows):
        failed = f"it ended without an answer of {n_rows} numbers"
    return {"version": None, **answered, **({"failed": failed} if failed else {})}


def _run(command: Sequence[str]) -> str:
    """Runs a runtime's process and returns in words how it failed; empty if it did not."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except OSError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT_S} s"
    last_words = first_error(ended.stderr)
    if ended.returncode < 0:
        died = f"died of signal {-ended.returncode}"
        return f"{died}: {last_words}" if last_words else died
    return (last_words or f"exit code {ended.returncode}") if ended.returncode else ""


def _read(answer: Path) -> dict[str, Any]:
    """Reads a process's answer; empty if there is none, or no JSON of the right form."""
    try:
        content = json.loads(answer.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_complete(answered: Mapping[str, Any], n_rows: int) -> bool:
    """Whether there is a number for each row."""
    outputs = answered.get("outputs")
    return isinstance(outputs, list) and len(outputs) == n_rows and all(isinstance(x, (int, float)) for x in outputs)


def this_python() -> tuple[str, ...]:
    """The command that runs child.py in this environment."""
    return (sys.executable, "-I", "-m", child.__name__)


def first_error(stderr: str) -> str:
    """The runtime's own first line about an error, without its source file; else the exception that Python names."""
    native, _, traceback = stderr.partition(TRACEBACK)
    own = [line for line in native.splitlines() if line.strip() and not NOISE.match(line)]
    raised = [line for line in traceback.splitlines() if line and not line.startswith((" ", "└"))]
    lines = own or [re.sub(r"^[\w.]+: ", "", line) for line in raised]
    words = re.sub(r"^(ERROR: )?(\[[^\]]+:\d+\] |\S+\.cc:\d+ )?", "", lines[0]) if lines else ""
    return textwrap.shorten(words, MAX_WORDS, placeholder=" ...")


def _trial(
    name: str, model: interpreter.TfliteModel, answer: Mapping[str, Any], expected: Numbers | None, tolerance: float
) -> RuntimeTrial:
    runtime, version = RUNTIMES[name], answer["version"]
    batch = f"the batch of {model.dynamic_inputs[0]} is -1, not 1" if model.dynamic_inputs and runtime.is_static else ""
    refused = RuntimeTrial(name, runtime.title, version, "refused")
    if "failed" in answer:
        return dataclasses.replace(refused, detail=": ".join(filter(None, (answer["failed"], batch))))
    if version is None:
        return dataclasses.replace(refused, result="not tried", detail=f"{runtime.package} is not installed")
    if expected is None:
        detail = "it answers, but the Interpreter gives nothing to compare its outputs with"
        return dataclasses.replace(refused, detail=detail)
    outputs = model.output.real(np.array(answer["outputs"], model.output.dtype))
    gaps = differences(outputs, expected)
    worst = int(gaps.argmax())
    far = f"row {worst}: {outputs[worst]:.9g}, the Interpreter gives {expected[worst]:.9g}"
    fault = batch or ("" if gaps[worst] <= tolerance else far)
    return dataclasses.replace(
        refused,
        result="refused" if fault else "runs",
        detail=fault,
        largest_difference=float(gaps[worst]) if np.isfinite(gaps[worst]) else None,
        arena_bytes=answer.get("arena_bytes"),
    )


def differences(outputs: Numbers, expected: Numbers) -> Numbers:
    """|outputs - expected|; infinite if one of them is no number where the other one is."""
    wide, reference = outputs.astype(np.float64), expected.astype(np.float64)
    same = (wide == reference) | (np.isnan(wide) & np.isnan(reference))
    with np.errstate(invalid="ignore"):
        gaps = np.abs(wide - reference)
    return np.where(same, 0.0, np.where(np.isfinite(gaps), gaps, np.inf))
