"""Progress by rows of TFX's own nodes, which tell none: counts the batches that they read through TFXIO.

It counts in this process only: Beam's other processes and engines run the library's class as it is.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farebox.components.files.progress import Counter
from farebox.components.trip_example_gen.files import COUNTS_FILE

TRAIN = "train"
ALL_ROWS = ("StatisticsGen", "SpanStatistics")  # nodes that read each split once
TRANSFORM = "Transform"  # analyses train, then reads each split again to transform it

_passes: list[Counter] = []  # over the rows, of the node at work


def watch_batches() -> None:
    """Counts the rows of each batch that pipelines of this process read from now on. Imports tfx_bsl."""
    from tfx_bsl.tfxio import telemetry

    profiler = telemetry._ProfileRecordBatchDoFn  # an identity that updates Beam's metrics, known at the end only
    process = profiler.process
    if hasattr(process, "__wrapped__"):
        return

    @functools.wraps(process)
    def counting(self: Any, record_batch: Any) -> Any:
        add(record_batch.num_rows)
        return process(self, record_batch)

    profiler.process = counting


def add(rows: int) -> None:
    """Adds to the first pass of the node at work that is not complete; nothing outside `counted`."""
    counter = next((each for each in _passes if not each.is_full), None)
    if counter:
        counter.add(rows)


@contextlib.contextmanager
def counted(node: str, produced: Mapping[str, list[Any]]) -> Iterator[None]:
    """Tells the rows that a node reads within it; produced: artifacts so far, by key."""
    _passes[:] = [Counter(unit, rows) for unit, rows in passes_of(node, produced)]
    try:
        yield
    finally:
        _passes.clear()


def passes_of(node: str, produced: Mapping[str, list[Any]]) -> list[tuple[str, int]]:
    """Unit and number of rows of each pass of a node over the latest examples; empty if it is not known."""
    path = Path(produced["examples"][0].uri) / COUNTS_FILE if produced.get("examples") else None
    if node not in (*ALL_ROWS, TRANSFORM) or path is None or not path.is_file():
        return []
    by_split: dict[str, int] = json.loads(path.read_text()).get("by_split", {})
    every = ("row", sum(by_split.values()))
    return (
        [every] if node != TRANSFORM else [("row to analyse", by_split.get(TRAIN, 0)), ("row to transform", every[1])]
    )
