"""The page of a compression: what was tried, what it costs, where the bytes are, and what the file runs on."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from farebox.components.compression.result import Compression
from farebox.components.compression.rows import Array
from farebox.components.device_validator.runtimes.table import RuntimeTrial
from farebox.components.device_validator.runtimes.trials import try_runtimes
from farebox.components.errors import InputError
from farebox.components.quantizer import plots
from farebox.components.quantizer.trials import QuantizationTrial
from farebox.components.reporter.page.blocks import Block, Figure, Note, Section, table
from farebox.components.reporter.page.render import About, render_sections
from farebox.components.tflite import interpreter
from farebox.components.tflite.byte_shares import byte_shares

ROWS_TO_TRY = 16
CLOSE = 1e-3  # of the largest answer: how far two runtimes may differ


def runtimes_of(content: bytes, columns: Mapping[str, Array]) -> tuple[RuntimeTrial, ...]:
    """A trial of the file in each runtime, on some rows, one at a time; the first number of each answer is compared."""
    model = interpreter.TfliteModel(content, rows_at_once=1)
    rows = {name: values[:ROWS_TO_TRY] for name, values in columns.items()}
    try:
        answers = model.predict(rows)
    except InputError:  # a batch that is fixed, and not 1
        return try_runtimes(model, rows, None, 0.0)
    first = answers.reshape(len(answers), -1)[:, 0]
    return try_runtimes(model, rows, first, CLOSE * float(np.abs(answers).max()))


def page_html(result: Compression, name: str, lead: Sequence[str], runtimes: Sequence[RuntimeTrial]) -> str:
    """The page as HTML, which needs no network. name: of the model; lead: the result in sentences."""
    sections = (
        Section("tried", "What was tried", _tried(result)),
        Section("bytes", "Where the bytes are", _bytes(result)),
        Section("runtimes", "What it runs on", (_runtimes(runtimes),)),
        Section("notes", "Notes", tuple(map(Note, [f"{lead[-1]}.", *_steps(result), *result.notes]))),
    )
    return render_sections(About(name, result.metric), "Compression", ". ".join(lead[:-1]), sections)


def _steps(result: Compression) -> list[str]:
    return [f"Reduction: {result.reducer}.", f"Pruning: {result.pruner}."]


def _tried(result: Compression) -> tuple[Block, ...]:
    outcome = result.outcome
    rows = [_row(trial) for trial in sorted(outcome.trials, key=lambda trial: (not trial.content, trial.bytes))]
    head = ("file", "verdict", f"{result.metric}, eval", "expected", "bytes", "gzip", "one row, µs", "reason")
    picture = base64.b64encode(plots.pareto(outcome.trials, outcome.bound, result.metric)).decode()
    image = Markup(
        '<img style="max-width:100%" alt="Error against bytes of each file" src="data:image/png;base64,{}">'
    ).format(picture)
    note = f"The budget allows an error of {outcome.bound:.4g}; for accuracy and AUC errors are 1 - metric."
    return (
        Figure("Error against bytes", result.metric, image, is_wide=True),
        table("Files", head, rows, n_names=2, note=note),
    )


def _row(trial: QuantizationTrial) -> tuple[str, ...]:
    if not trial.content:
        return trial.name, trial.verdict, "", "", "", "", "", trial.reason
    expected = "" if trial.expected_error is None else f"{trial.expected_error:.4g}"
    latency = f"{trial.latency_us['p50']:.1f}" if trial.latency_us else ""
    sizes = f"{trial.bytes:,}", f"{trial.gzip_bytes:,}"
    return trial.name, trial.verdict, f"{trial.error:.4g}", expected, *sizes, latency, trial.reason


def _bytes(result: Compression) -> tuple[Block, ...]:
    before, after = (byte_shares(trial.content) for trial in (result.outcome.trials[0], result.outcome.chosen))
    parts = [(part, f"{before.get(part, 0):,}", f"{after.get(part, 0):,}") for part in dict.fromkeys([*after, *before])]
    whole = ("whole file", f"{sum(before.values()):,}", f"{sum(after.values()):,}")
    operators = interpreter.op_names(result.content)
    return (
        table("Bytes by part", ("part", "before", "shipped"), [*parts, whole]),
        table("Operators", ("operator", "count"), [(name, str(count)) for name, count in operators.items()]),
        table(
            "Tensors", ("type", "count"), [(kind, str(count)) for kind, count in result.outcome.chosen.dtypes.items()]
        ),
    )


def _runtimes(runtimes: Sequence[RuntimeTrial]) -> Block:
    rows = [(trial.title, trial.version or "", trial.result, _detail(trial)) for trial in runtimes]
    return table("Runtimes tried on this machine", ("runtime", "version", "result", "detail"), rows, n_names=4)


def _detail(trial: RuntimeTrial) -> str:
    parts: list[Any] = [trial.detail]
    if trial.arena_bytes:
        parts.append(f"memory {trial.arena_bytes:,} B")
    if trial.largest_difference is not None:
        parts.append(f"differs by at most {trial.largest_difference:.2g}")
    return ", ".join(filter(None, parts))
