"""The section of the device: bytes, times and memory of the shipped file, and the runtimes that it was tried in."""

from __future__ import annotations

from collections.abc import Sequence

from farebox.components.device_validator.runtimes.table import RuntimeTrial
from farebox.components.errors import Check, number
from farebox.components.reporter.figures import Figures, ModelFigures
from farebox.components.reporter.page.blocks import Block, Section, missing, table

MEDIAN = (
    "half of the predictions take less. Measured in turns with the uncompressed file; the gate compares turn by turn, "
    "so its value differs a little"
)
P99 = "99 of 100 predictions take less; measured in the same turns"
OF_LADDER = (
    "Times of candidates come from a shorter measurement of Quantizer and rank the candidates only. Another machine "
    "gives other times: those of a phone are not on this page."
)


def section(figures: Figures) -> Section:
    """Tables of what the shipped file costs where it runs."""
    if figures.measured is None:
        blocks: tuple[Block, ...] = (missing("No model was trained, so nothing was measured on a device."),)
    else:
        blocks = (costs(figures.measured, figures.gates), runtimes(figures.measured.runtimes))
    return Section("device", "Device", blocks)


def costs(measured: ModelFigures, gates: Sequence[Check]) -> Block:
    """Bytes, times and memory, each with what it is."""
    model, before = measured.model, measured.unreduced
    rows = [
        ("size of the file", f"{model.bytes:,} bytes", f"before compression {before.bytes:,}"),
        ("size in transit", f"{model.gzip_bytes:,} bytes", f"after gzip; before compression {before.gzip_bytes:,}"),
    ]
    if measured.latency_us:
        rows.append(("one fare, median (p50)", f"{number(measured.latency_us.p50)} µs", MEDIAN))
        rows.append(("one fare, 99th percentile (p99)", f"{number(measured.latency_us.p99)} µs", P99))
    memory = next((check for check in gates if check.name == "memory_kib" and check.bound is not None), None)
    if memory:
        rows.append(("memory of one fare", f"{number(memory.value)} KiB", memory.detail))
    rows.append(("measured on", measured.machine or "not recorded", "one thread of this machine's CPU, Interpreter"))
    return table("What the file costs", ("what", "value", "what that is"), rows, 3, OF_LADDER)


def runtimes(trials: Sequence[RuntimeTrial]) -> Block:
    """The runtimes, with what each did with the file."""
    if not trials:
        return missing("Runtimes: the file was tried in none.")
    rows = [
        (
            trial.title, trial.version or "not installed", trial.result, number(trial.largest_difference),
            "–" if trial.arena_bytes is None else f"{trial.arena_bytes:,}", trial.detail or "–",
        )
        for trial in trials
    ]  # fmt: skip
    head = ("runtime", "version", "result", "largest difference", "memory it needs, bytes", "its own words")
    note = "Difference: from the answers of Interpreter, the usual runtime, for the same trips; in the fare's unit."
    return table("Runtimes that the file was tried in", head, rows, 3, note)
